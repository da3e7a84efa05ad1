//! The policies of fleets, as far as the folders are known.

use std::collections::BTreeSet;

use super::run::Setup;
use super::{Failure, SourceArgs};
use crate::observe::{Expansion, Listed, Trouble, Wants, Written, expand, folders_of};
use crate::world::{Fact, Folders, World};

impl Setup {
    /// Loads and checks what `args` name, with the policies of all fleets, whose folders are read now.
    pub(super) async fn now(args: &SourceArgs) -> Result<Self, Failure> {
        Self::of(args).await?.with_folders_now().await
    }

    /// Reads the folders of all fleets now, and makes their policies.
    pub(super) async fn with_folders_now(self) -> Result<Self, Failure> {
        let setup = self;
        if setup.fleets.is_empty() {
            return Ok(setup);
        }
        let wants = Wants::default().with_folders(setup.folders());
        let live = setup.connect_to(wants).await?;
        for repository in live.wants.folders.keys() {
            live.sources.fetch(repository, &live.wants).await;
        }
        let listed = live.sources.world(&live.wants).folders;
        live.close().await;
        Ok(setup.with_folders(&listed))
    }

    /// The same as the facts of `world` have it, without asking any server.
    pub(super) fn in_world(args: &SourceArgs, world: &World) -> Result<Self, Failure> {
        Ok(Self::of_files(args)?.with_folders(&world.folders))
    }

    /// Makes the policies of fleets by what is known of folders now. Of what cannot be read, what was known before counts:
    /// nothing is promoted meanwhile, since the branch cannot be read either.
    pub(super) fn with_folders(mut self, listed: &Listed) -> Self {
        if self.fleets.is_empty() {
            return self;
        }
        for folders in self.folders().collect::<BTreeSet<Folders>>() {
            let known = self.listed.get(&folders);
            let was_known = matches!(known, Some(Fact::Known(_)));
            match listed.get(&folders) {
                None => {}
                Some(Fact::Unknown { .. }) if was_known => {}
                Some(fact) => {
                    self.listed.insert(folders, fact.clone());
                }
            }
        }
        let written = Written {
            policies: &self.plain,
            fleets: &self.fleets,
            places: &self.written_in,
            reserved: &self.reserved,
        };
        let Expansion {
            policies,
            members,
            troubles,
        } = expand(written, &self.branches, &self.listed);
        (self.policies, self.members, self.troubles) = (policies, members, troubles);
        self.drop_others();
        self
    }

    /// Logs what keeps fleets from policies and did not `before`.
    pub(super) fn log_troubles(&self, before: &Self) {
        let before: BTreeSet<&Trouble> = before.troubles.iter().collect();
        let is_new = |trouble: &&Trouble| !before.contains(trouble);
        for trouble in self.troubles.iter().filter(is_new) {
            tracing::warn!("{trouble}");
        }
    }

    /// What keeps fleets from policies, one line each.
    pub(super) fn troubles_text(&self) -> String {
        let lines = self.troubles.iter().map(|trouble| format!("{trouble}\n"));
        lines.collect()
    }

    /// The folders that fleets have a policy for each of.
    pub(super) fn folders(&self) -> impl Iterator<Item = Folders> {
        self.fleets
            .iter()
            .map(|fleet| folders_of(fleet, &self.branches))
    }

    /// Whether some fleet has no policies though it may have folders.
    pub(super) fn has_faults(&self) -> bool {
        self.troubles.iter().any(Trouble::is_fault)
    }
}
