//! The settings and policies that a verb works with: those of the files, and the custom resources that the settings name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::run::{Setup, next_setup};
use super::shard::Shard;
use super::{Failure, SourceArgs};
use crate::cluster::Reporter;
use crate::cluster::resources::{Resource, ResourceId, ResourceKind, Resources};
use crate::config::{self, Config, Judged, Problems, Settings, Verdict, Watch, WrittenIn};
use crate::daemon::{self, CustomResources, LastDecided};
use crate::policy::{PolicyName, Seniority};

/// Characters of what is wrong with one custom resource that a line of the log tells; `check` and its condition tell more.
const WHY_LENGTH_MAX: usize = 1024;

/// Loads and checks what `args` name. Custom resources are read now, all of them or none: a verb that left out what it could not read
/// would tell of other policies than the daemon has.
pub(super) async fn load(args: &SourceArgs) -> Result<Result<Config, Problems>, Failure> {
    let file = &args.config.config;
    let loaded = config::load(file);
    let there = of_cluster(&loaded, args).await?;
    Ok(match there.is_empty() {
        true => loaded,
        false => config::load_with(file, &there),
    })
}

/// The custom resources that are there now, the oldest first; none where the files alone were asked for.
pub(super) async fn of_cluster(
    loaded: &Result<Config, Problems>,
    args: &SourceArgs,
) -> Result<Vec<Arc<Resource>>, Failure> {
    let named = match loaded {
        Ok(config) if !args.files_only => config.settings.custom_resources.as_ref(),
        Ok(_) | Err(_) => None,
    };
    let Some(named) = named else {
        return Ok(Vec::new());
    };
    let resources = config::resources(named, daemon::now);
    resources.read().await;
    if let Some(why) = resources.trouble() {
        let message = format!("the custom resources cannot be read: {why}");
        let failure = Failure::from(anyhow::anyhow!(message));
        return Err(failure.with_hint("`--files-only` leaves them out"));
    }
    Ok(resources.seen().unwrap_or_default().resources)
}

/// Waits for the custom resources that `settings` name, and gives a configuration that has them; `None` where they name none.
pub(super) async fn whole_setup(
    settings: &Settings,
    watch: &mut Watch,
    pod: Option<&Reporter>,
) -> Option<Setup> {
    let named = settings.custom_resources.iter();
    let namespaces = named.flat_map(|named| named.namespaces.keys());
    daemon::resources_awaited(namespaces.map(String::as_str));
    match watch.whole().await? {
        Ok(config) => Some(Setup::new(config)),
        Err(problems) => {
            tracing::error!("the configuration is invalid by now\n{problems}");
            Some(next_setup(watch, pod).await)
        }
    }
}

impl Setup {
    /// Loads and checks what `args` name, custom resources included.
    pub(super) async fn of(args: &SourceArgs) -> Result<Self, Failure> {
        let config = load(args).await?.map_err(Failure::config)?;
        let setup = Self::new(config).with_cache(args.cache.as_deref());
        setup.log_refused(None);
        Ok(setup)
    }

    /// The same of the files alone.
    pub(super) fn of_files(args: &SourceArgs) -> Result<Self, Failure> {
        let SourceArgs { config, cache, .. } = args;
        Ok(Self::load(&config.config)?.with_cache(cache.as_deref()))
    }

    /// Says which custom resources do not count and why, but for what `before` said.
    pub(super) fn log_refused(&self, before: Option<&Self>) {
        let before = before.iter().flat_map(|before| &before.judged);
        let before: BTreeMap<&ResourceId, &Judged> = before.map(|one| (&one.id, one)).collect();
        let said = |judged: &Judged| before.get(&judged.id) == Some(&judged);
        for judged in self.judged.iter().filter(|judged| !said(judged)) {
            if let Some(problems) = judged.verdict.problems() {
                let why = problems.by_key(WHY_LENGTH_MAX);
                tracing::warn!(resource = %judged.id, why, "a custom resource does not count");
            }
        }
    }

    /// Why there is no policy `name`, where that is a custom resource which does not count.
    pub(super) fn refusal_of(&self, name: &str) -> Option<Failure> {
        let mut judged = self.judged.iter();
        let is_it = |id: &ResourceId| id.kind == ResourceKind::Policy && id.name == name;
        let (id, problems) = judged.find_map(|Judged { id, verdict, .. }| {
            let problems = verdict.problems().filter(|_| is_it(id))?;
            Some((id, problems))
        })?;
        let failure = Failure::config(problems.clone());
        let hint = format!("the policy is `{id}`, which does not count until that is mended");
        Some(failure.with_hint(hint))
    }

    /// The custom resource that a policy came from, or its fleet, if it did.
    pub(super) fn resource_of(&self, name: &PolicyName) -> Option<ResourceId> {
        let mut fleets = self.members.iter();
        let fleet = fleets.find(|(_, members)| members.contains(name));
        let written = fleet.map_or(name, |(fleet, _)| fleet);
        match self.written_in.get(written)? {
            WrittenIn::Resource { id, .. } => Some(id.clone()),
            WrittenIn::File(_) => None,
        }
    }

    /// What the daemon keeps of the custom resources that these policies came from.
    pub(super) fn custom_resources(
        &self,
        resources: Arc<Resources>,
        decided: &Arc<LastDecided>,
    ) -> CustomResources {
        let names: BTreeSet<&str> = self.policies.iter().map(|one| one.name.as_str()).collect();
        let brought = self.policies.iter();
        let brought = brought.filter(|policy| policy.seniority != Seniority::File);
        let brought: BTreeSet<PolicyName> = brought.map(|policy| policy.name.clone()).collect();
        decided.retain(|name| brought.contains(name));
        let mut troubles: BTreeMap<PolicyName, Vec<String>> = BTreeMap::new();
        for trouble in &self.troubles {
            if let Ok(about) = trouble.about().parse::<PolicyName>()
                && matches!(
                    self.written_in.get(&about),
                    Some(WrittenIn::Resource { .. })
                )
            {
                troubles.entry(about).or_default().push(trouble.to_string());
            }
        }
        let troubled: BTreeSet<&str> = troubles.keys().map(PolicyName::as_str).collect();
        let is_first = self.shard.is_none_or(Shard::is_first);
        let is_ours = |judged: &&Judged| {
            let name = judged.id.name.as_str();
            match judged.verdict {
                Verdict::Policy if troubled.contains(name) => is_first,
                Verdict::Policy => names.contains(name),
                Verdict::Fleet => {
                    let mut fleets = self.fleets.iter();
                    fleets.any(|fleet| fleet.sample.name.as_str() == name)
                }
                // Nobody has what does not count, so one of all tells of it.
                Verdict::Route | Verdict::Refused(_) | Verdict::Taken(_) => is_first,
            }
        };
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for Judged { id, verdict, .. } in &self.judged {
            let (all, refused) = counts.entry(id.namespace.clone()).or_default();
            *all += 1;
            *refused += usize::from(verdict.problems().is_some());
        }
        CustomResources {
            resources,
            names: brought,
            judged: self.judged.iter().filter(is_ours).cloned().collect(),
            counts,
            members: self.members.clone(),
            troubles,
            decided: decided.clone(),
        }
    }
}
