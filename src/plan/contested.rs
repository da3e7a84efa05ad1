//! Contested places: those that two environments would write, each to undo the other without end.
//!
//! Not here: what the policies alone tell of that (`config`). Only the files tell that an alias and its anchor are one
//! place, or an item by its index and by its name.

use std::collections::{BTreeMap, BTreeSet};

use super::standing::{Located, SiteStandings};
use crate::edit::Path;
use crate::manifest::{Form, RepoPath, Standing};
use crate::policy::{EnvironmentName, PolicyName};
use crate::world::BranchName;

/// An environment of a policy.
pub(super) type Owner<'a> = (&'a PolicyName, &'a EnvironmentName);

/// The places that several environments would write.
pub(super) struct Contested<'a>(BTreeMap<Spot<'a>, BTreeSet<Owner<'a>>>);

/// What tells one place of a branch from another; the line tells documents apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Spot<'a> {
    branch: &'a BranchName,
    file: &'a RepoPath,
    line: usize,
    path: Option<&'a Path>,
}

impl<'a> Contested<'a> {
    /// Finds them among all that environments would write.
    pub(super) fn among(
        written: impl IntoIterator<Item = (Owner<'a>, &'a BranchName, &'a SiteStandings)>,
    ) -> Self {
        let mut owners: BTreeMap<Spot<'a>, BTreeSet<Owner<'a>>> = BTreeMap::new();
        for (owner, branch, standings) in written {
            for place in standings.iter().flatten() {
                if let Some(spot) = spot(branch, place) {
                    owners.entry(spot).or_default().insert(owner);
                }
            }
        }
        owners.retain(|_, owners| owners.len() > 1);
        Self(owners)
    }

    /// Who else would write one of `sites`, in words; nobody, most of the time.
    pub(super) fn by_another(
        &self,
        owner: Owner<'_>,
        (branch, sites): (&BranchName, &[(Located, Standing)]),
    ) -> Option<String> {
        sites.iter().find_map(|place| {
            let owners = self.0.get(&spot(branch, place)?)?;
            let (policy, environment) = owners.iter().find(|other| **other != owner)?;
            let (Located { file, .. }, Standing { line, .. }) = place;
            Some(format!(
                "{file}:{line}: `{environment}` of `{policy}` writes here too; one place belongs to one environment"
            ))
        })
    }
}

/// The spot of a place; none for an entry of a kustomization, of which there is one for each image.
fn spot<'a>(
    branch: &'a BranchName,
    (Located { site, file }, standing): &'a (Located, Standing),
) -> Option<Spot<'a>> {
    match site.form {
        Form::Kustomize => None,
        Form::Helm { .. }
        | Form::Yaml { .. }
        | Form::Manifest { .. }
        | Form::Application { .. }
        | Form::Markers { .. } => Some(Spot {
            branch,
            file,
            line: standing.line,
            path: standing.path.as_ref(),
        }),
    }
}
