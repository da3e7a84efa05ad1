//! Custom resources: read as the daemon would begin to, so that what they name is looked at too.

use std::collections::BTreeMap;

use super::finding::{Finding, Group, State, Subject};
use super::needed::CUSTOM_RESOURCES;
use super::{Bounds, SILENT};
use crate::cli::check::count;
use crate::cli::{Failure, SourceArgs};
use crate::cluster::resources::{NamespaceSeen, Seen};
use crate::config::{self, Config, CustomResourcesSettings, Judged};
use crate::daemon;

/// How the reading of custom resources went.
pub(super) struct Read {
    pub(super) settings: CustomResourcesSettings,
    pub(super) findings: Vec<Finding>,
}

/// Loads what `args` name: the files, and the custom resources unless none are named or they are left out. Where the cluster does not
/// answer, the files alone are looked at.
pub(super) async fn load(
    args: &SourceArgs,
    bounds: &Bounds,
) -> Result<(Config, Option<Read>), Failure> {
    let file = &args.config.config;
    let config = config::load(file).map_err(Failure::config)?;
    let custom = config.settings.custom_resources.clone();
    let Some(custom) = custom.filter(|_| !args.files_only) else {
        return Ok((config, None));
    };
    let resources = config::resources(&custom, daemon::now);
    let is_answered = bounds.ask(resources.read()).await.is_some();
    let subject = Subject::new(Group::Clusters, CUSTOM_RESOURCES);
    let (config, findings) = match resources.seen().filter(|_| is_answered) {
        Some(seen) => {
            let config = config::load_with(file, &seen.resources).map_err(Failure::config)?;
            let findings = told(&subject, &config.judged, &seen);
            (config, findings)
        }
        None => {
            let why = resources.trouble().unwrap_or(SILENT.to_owned());
            let message = format!("they cannot be read: {why}");
            let hint = Some("what they name was not looked at".to_owned());
            (config, vec![subject.error(message, hint)])
        }
    };
    let read = Read {
        settings: custom,
        findings,
    };
    Ok((config, Some(read)))
}

/// How many there are in each namespace, and how many of them do not count.
fn told(subject: &Subject, judged: &[Judged], seen: &Seen) -> Vec<Finding> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for Judged { id, verdict, .. } in judged {
        let (all, refused) = counts.entry(&id.namespace).or_default();
        *all += 1;
        *refused += usize::from(verdict.problems().is_some());
    }
    let namespaces = seen.namespaces.iter().map(|seen| {
        let NamespaceSeen {
            namespace,
            heard: _,
            failure,
        } = seen;
        if let Some(why) = failure {
            return subject.error(
                format!("those of `{namespace}` cannot be read: {why}"),
                None,
            );
        }
        let (all, refused) = counts.get(namespace.as_str()).copied().unwrap_or_default();
        let all = count(all, "policy or route", "policies and routes");
        match refused {
            0 => subject.ok(format!("{all} in `{namespace}`")),
            refused => subject.warning(
                format!("{all} in `{namespace}`; not accepted: {refused}"),
                "`towpath check` says why",
            ),
        }
    });
    namespaces.collect()
}

impl Read {
    /// What it found but for the failures that `clusters` explains: rights, namespaces or definitions that lack.
    pub(super) fn beside(self, clusters: &[Finding]) -> impl Iterator<Item = Finding> {
        let is_error = |finding: &Finding| {
            finding.state == State::Error && finding.subject == CUSTOM_RESOURCES
        };
        let is_explained = clusters.iter().any(is_error);
        let read = self.findings.into_iter();
        read.filter(move |finding| !(is_explained && is_error(finding)))
    }
}
