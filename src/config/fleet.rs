//! Fleets: one policy for each folder of a convention.
//!
//! Not here: which folders there are (`observe`). Invariant: a fleet was checked by one application that it may have, so another
//! one is refused only for what its name makes of the texts.

use std::collections::BTreeMap;

use super::allowance::Extent;
use super::check_policy::{Check, Written};
use super::check_settings::Known;
use super::gates::SharedGate;
use super::limits::{Beyond, Limits};
use super::problem::Faults;
use crate::policy::{FolderPattern, Policy, PolicyName};

/// Policies that are alike but for a name, one for each folder that there is.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) folders: FolderPattern,
    /// The policy that it would have for a folder of its own name, which has the fleet's name.
    pub(crate) sample: Policy,
    written: Written,
    known: Known,
    /// The freezes of the settings.
    freezes: Vec<SharedGate>,
    /// How far its policies may go, where it came from a custom resource.
    limits: Option<Limits>,
    /// How much each of its policies is; nothing where the files have it.
    pub(crate) extent: Extent,
}

impl PartialEq for Fleet {
    /// What a sample says, all policies say, but for freezes of some of them.
    fn eq(&self, other: &Self) -> bool {
        (&self.folders, &self.sample) == (&other.folders, &other.sample)
            && (&self.freezes, &self.limits) == (&other.freezes, &other.limits)
            && self.extent == other.extent
    }
}

impl Fleet {
    pub(super) fn new(
        folders: FolderPattern,
        sample: Policy,
        (written, known): (Written, Known),
    ) -> Self {
        Self {
            folders,
            sample,
            written,
            known,
            freezes: Vec::new(),
            limits: None,
            extent: Extent::default(),
        }
    }

    /// Sets how far its policies may go, and how much each of them is.
    pub(super) fn limit(&mut self, limits: Limits, extent: Extent) {
        self.limits = Some(limits);
        self.extent = extent;
    }

    /// Adds a freeze of the settings.
    pub(super) fn freeze(&mut self, freeze: SharedGate) {
        freeze.join(&mut self.sample);
        self.freezes.push(freeze);
    }

    /// The policy of the application `name`, or why its name makes none.
    pub(crate) fn policy(&self, name: &PolicyName) -> Result<Policy, String> {
        let mut faults = Faults::default();
        let doubts = BTreeMap::new();
        let mut check = Check::new(&[], (Some(&self.known), &doubts), &mut faults);
        let policy = check.application(name, &self.written);
        match (faults.first_error(), policy) {
            (None, Some(mut policy)) => {
                if let Some(limits) = &self.limits {
                    let default = self.known.branches.get(&policy.repository);
                    let beyond = limits.judge(&policy, default).into_iter();
                    let mut told = beyond
                        .map(|Beyond { message, hint, .. }| Err(format!("{message} ({hint})")));
                    told.next().unwrap_or(Ok(()))?;
                }
                self.freezes
                    .iter()
                    .for_each(|freeze| freeze.join(&mut policy));
                Ok(policy)
            }
            (Some(why), _) => Err(why),
            (None, None) => unreachable!("a fleet has a repository"),
        }
    }
}
