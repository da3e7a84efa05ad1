//! Fleets: one policy for each folder of a convention.
//!
//! Not here: which folders there are (`observe`). Invariant: a fleet was checked by one application that it may have, so another
//! one is refused only for what its name makes of the texts.

use std::collections::BTreeMap;

use super::check_policy::{Check, Written};
use super::check_settings::Known;
use super::gates::SharedGate;
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
}

impl PartialEq for Fleet {
    /// What a sample says, all policies say, but for freezes of some of them.
    fn eq(&self, other: &Self) -> bool {
        (&self.folders, &self.sample, &self.freezes)
            == (&other.folders, &other.sample, &other.freezes)
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
        }
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
