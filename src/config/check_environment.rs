//! Environments as written in, environments as used out: the rule of every image, where versions come from, and delivery.
//!
//! Not here: the order of environments (`check_after`), and the places that are written (`check_update`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::artifact::ArtifactKind;
use super::blank::{Name, Names};
use super::check_forge::Doubt;
use super::check_policy::{Check, Context, KnownImage};
use super::delivery::{delivery, no_head};
use super::forms;
use super::gates::{GatesEntry, Known, gates};
use super::raw::Environment as RawEnvironment;
use super::shape::{Block, NamedEntry, Placed};
use super::tags::WrittenRule;
use crate::manifest::Write;
use crate::policy::gate::Gates;
use crate::policy::select::TagRule;
use crate::policy::select::choose::Downgrade;
use crate::policy::{
    After, Deliver, Environment, EnvironmentName, Group, ImageName, RepositoryName,
};

impl Check<'_> {
    /// Checks the environments of one policy, to which nothing is to be added from its route.
    pub(super) fn environments(
        &mut self,
        written: &[Block<RawEnvironment>],
        context: &Context<'_>,
    ) -> Vec<Environment> {
        let errors = self.faults.errors();
        self.order(written);
        let check = |environment| {
            let rule = rule_of(environment, written);
            self.environment(environment, (rule, context))
        };
        let checked: Vec<Environment> = written.iter().map(check).collect();
        if self.faults.errors() == errors {
            self.passed_through(written, &checked);
        }
        checked
    }

    fn environment(
        &mut self,
        environment: &Block<RawEnvironment>,
        (rule, context): (Option<&WrittenRule>, &Context<'_>),
    ) -> Environment {
        let RawEnvironment {
            name,
            tags,
            after,
            same: _,
            update,
            write,
            deliver,
            allow_downgrade,
            gates: written,
            argo_cd,
            on_degraded,
        } = &environment.value;
        if tags.is_none() && after.is_none() {
            self.has_rules(environment, context);
        }
        self.known_source(tags.as_ref());
        let rules = rules(&context.images, rule, self.branches);
        self.tells_releases_apart(environment, &rules, context);
        if let Some(write) = write.as_ref().filter(|write| write.value == Write::Tag)
            && rules.values().any(|rule| rule.followed().is_some())
        {
            self.faults.error_with_hint(
                write.span,
                "a followed tag keeps its name, so writing it would change nothing",
                "write `digest` or `tag@digest`, or leave `write` out",
            );
        }
        let names = Names {
            policy: context.policy.as_str(),
            environment: name.value.as_str(),
        };
        let way = deliver.as_ref();
        if let Some(deliver) = way {
            self.known_forge(deliver, context);
            self.one_branch(deliver);
        }
        let deliver = delivery(way.map(|deliver| &deliver.value), names, self.faults);
        self.join(&deliver, context, name);
        // What is missing beside something wrong may only be misspelled.
        if update.is_none() && !self.faults.touch(environment.span) {
            let message = "the key `update` is missing";
            self.faults.error(environment.owner, message);
        }
        let mut updates = Vec::new();
        for update in update.iter().flat_map(|update| &update.0) {
            for (update, span) in self.updates(update, (names, context)) {
                self.claim(&update, (&deliver, span), context, name.value.as_str());
                updates.push(update);
            }
        }
        let argo_cd = self.argo_cd(argo_cd.as_ref(), names);
        let after = self.after(&environment.value, context);
        let gates = self.gates(written.as_ref(), after.is_some());
        self.can_be_approved(way, &gates, context);
        Environment {
            name: name.value.clone(),
            rules,
            gates,
            on_degraded: self.on_degraded(on_degraded.as_ref(), &argo_cd),
            argo_cd,
            after,
            update: updates,
            write: write.as_ref().map(|write| write.value),
            deliver,
            downgrade: match allow_downgrade {
                Some(true) => Downgrade::Allowed,
                Some(false) | None => Downgrade::Forbidden,
            },
        }
    }

    /// What the gates of an environment mean that comes after another, or not.
    fn gates(&mut self, written: Option<&GatesEntry>, is_after: bool) -> Gates {
        let known = Known {
            is_after,
            is_connected: self.connections.map(|connections| !connections.is_empty()),
            servers: self.servers,
            groups: self.groups,
        };
        gates(written, &known, self.faults)
    }

    /// Refuses a followed tag where images move together.
    fn tells_releases_apart(
        &mut self,
        environment: &Block<RawEnvironment>,
        rules: &BTreeMap<ImageName, Arc<TagRule>>,
        context: &Context<'_>,
    ) {
        // One image alone has no other that it could be apart from, and without `tags` the environment before is refused.
        let moves_together = context.together && context.images.len() > 1;
        let follows = rules.values().any(|rule| rule.followed().is_some());
        if moves_together && environment.value.tags.is_some() && follows {
            let name = &environment.value.name.value;
            self.faults.error_with_hint(
                environment.owner,
                format!("`{name}` follows a tag, and with `together` a release is one tag that all images have: nothing tells which of their digests belong together"),
                "write a rule that tells versions apart, such as `semver` or `pattern`, or leave `together` out",
            );
        }
    }

    /// Notes an environment that says of some image neither which versions may come nor from where.
    fn has_rules(&mut self, environment: &Block<RawEnvironment>, context: &Context<'_>) {
        let has_rule = |image: &NamedEntry<ImageName, KnownImage<'_>>| {
            let value = image.value.as_ref();
            value.is_none_or(|image| image.tags.is_some())
        };
        if !context.images.iter().all(has_rule) && !self.faults.touch(context.spec) {
            let name = &environment.value.name.value;
            self.faults.error_with_hint(
                environment.owner,
                format!("`{name}` does not say which versions may come here"),
                "add `tags: { semver: \">=1.0.0\" }`, for example, or `after` with the environment that they come from",
            );
        }
    }

    /// Where versions come from, if not from the registry alone; notes a `same` that nothing follows from.
    fn after(&mut self, environment: &RawEnvironment, context: &Context<'_>) -> Option<After> {
        let environments: Vec<EnvironmentName> = after_names(environment)
            .map(|before| before.value.clone())
            .collect();
        let named = context.images.iter().filter(|image| {
            let own = image.value.as_ref().and_then(|image| image.tags);
            environment.tags.is_some() || own.is_some()
        });
        let named: BTreeSet<ImageName> = named.map(|image| image.key.value.clone()).collect();
        let same = environment.same.as_ref();
        if let Some(same) = same.filter(|_| environments.is_empty()) {
            let message = "`same` tells which tags are builds that ran before, so it needs `after`";
            self.faults.error(same.span, message);
        } else if let Some(same) = same.filter(|_| named.is_empty()) {
            let message =
                "`same` changes nothing here: without `tags`, what ran before comes as it is";
            self.faults.warning(same.span, message);
        }
        (!environments.is_empty()).then(|| After {
            environments,
            same: same.map(|same| same.value).unwrap_or_default(),
            named,
        })
    }

    /// Refuses a branch of each policy's own for what is proposed for all of them together.
    fn one_branch(&mut self, deliver: &Block<forms::Deliver>) {
        if let forms::Deliver::PullRequest(requests) = &deliver.value
            && requests
                .group
                .as_ref()
                .is_some_and(|group| group.value == Group::Environment)
            && let Some(branch) = requests
                .branch
                .as_ref()
                .filter(|branch| branch.value.names(Name::Policy))
        {
            self.faults.error_with_hint(
                branch.span,
                "`group: environment` proposes for all policies together, so it goes to one branch",
                "leave `{policy}` out here, or leave `group` out",
            );
        }
    }

    /// Notes images that are written in an environment, and nowhere in one that it comes after: no version of them ever runs there.
    fn passed_through(&mut self, written: &[Block<RawEnvironment>], checked: &[Environment]) {
        let is_written = |environment: &Environment, image: &ImageName| {
            environment.sites_of(image).next().is_some()
        };
        for (environment, raw) in checked.iter().zip(written) {
            for before in after_names(&raw.value) {
                let named = checked.iter().find(|other| other.name == before.value);
                let passed = |image: &&ImageName| {
                    is_written(environment, image)
                        && named.is_some_and(|named| !is_written(named, image))
                };
                for image in environment.rules.keys().filter(passed) {
                    let message = format!(
                        "`{image}` is written in `{}` and not in `{}`, where it must have run before",
                        environment.name, before.value
                    );
                    self.faults.error(before.span, message);
                }
            }
        }
    }

    /// Refuses pull requests where it cannot be told which forge has them.
    fn known_forge(&mut self, deliver: &Block<forms::Deliver>, context: &Context<'_>) {
        let (forms::Deliver::PullRequest(_), Some(repository)) =
            (&deliver.value, context.repository)
        else {
            return;
        };
        match self.doubts.get(repository) {
            Some(Doubt::Unknown(why)) => {
                let message = format!("no forge is known for `{repository}`: {why}");
                let hint = format!("in the settings of `{repository}`, {}", why.remedy());
                self.faults.error_with_hint(deliver.span, message, hint);
            }
            Some(Doubt::Anonymous) => {
                let message = format!(
                    "`{repository}` is reached over SSH, whose key opens no API; write `credentials` under its `forge` in the settings"
                );
                self.faults.warning(deliver.span, message);
            }
            Some(Doubt::Nowhere) | None => {}
        }
    }

    /// Refuses approvals where nobody could approve a proposal.
    fn can_be_approved(
        &mut self,
        deliver: Option<&Block<forms::Deliver>>,
        gates: &Gates,
        context: &Context<'_>,
    ) {
        let (Some(deliver), Some(repository)) = (deliver, context.repository) else {
            return;
        };
        let forms::Deliver::PullRequest(_) = deliver.value else {
            return;
        };
        let has_forge = !matches!(self.doubts.get(repository), Some(Doubt::Nowhere));
        if gates.approvals.is_some() && !has_forge {
            let message = format!(
                "`{repository}` has no forge, so nobody could approve what is proposed here"
            );
            let hint = "deliver by commit, which `towpath approve` opens, or leave `approvals` out";
            self.faults.error_with_hint(deliver.span, message, hint);
        }
    }

    /// Notes to which branch an environment goes that is proposed for all policies together, and refuses a second one.
    fn join(&mut self, deliver: &Deliver, context: &Context<'_>, name: &Placed<EnvironmentName>) {
        let (Deliver::PullRequest(requests), Some(repository)) = (deliver, context.repository)
        else {
            return;
        };
        let default = self.branches.and_then(|branches| branches.get(repository));
        let branch = requests.branch.as_ref().or(default);
        let of = (context.policy, &name.value);
        if let Some(message) = no_head(requests, of, branch.map(String::as_str)) {
            self.faults.error(name.span, message);
        }
        let Some(branch) = branch.filter(|_| requests.group != Group::Policy) else {
            return;
        };
        let key = (repository.clone(), name.value.clone());
        let first = self.shared.groups.entry(key);
        let (first, place) = first.or_insert_with(|| (branch.clone(), name.span)).clone();
        if first != *branch {
            let message = format!(
                "what is proposed for `{}` together goes to one branch: here to `{branch}`, and to `{first}` in {}",
                name.value,
                self.at(place)
            );
            let hint = "name the same `branch`, or leave `group: environment` out";
            self.faults.error_with_hint(name.span, message, hint);
        }
    }
}

/// The environments that one comes after, as they are written.
pub(super) fn after_names(
    environment: &RawEnvironment,
) -> impl Iterator<Item = &Placed<EnvironmentName>> {
    let after = environment.after.iter().flat_map(|after| &after.0);
    after.map(|name| &name.value)
}

/// The rule that an environment has for images without one of their own: what it says, or the first that it comes after.
fn rule_of<'w>(
    mut environment: &'w Block<RawEnvironment>,
    written: &'w [Block<RawEnvironment>],
) -> Option<&'w WrittenRule> {
    // In a circle, which is a fault of its own, nobody has one.
    for _ in written {
        if let Some(rule) = &environment.value.tags {
            return Some(rule);
        }
        let first = after_names(&environment.value).next()?;
        let named = |other: &&Block<RawEnvironment>| other.value.name.value == first.value;
        environment = written.iter().find(named)?;
    }
    None
}

/// The rule of each image: its own, or else the environment's.
fn rules(
    images: &[NamedEntry<ImageName, KnownImage<'_>>],
    tags: Option<&WrittenRule>,
    branches: Option<&BTreeMap<RepositoryName, String>>,
) -> BTreeMap<ImageName, Arc<TagRule>> {
    let rule = |NamedEntry { key, value }: &NamedEntry<ImageName, KnownImage<'_>>| {
        let image = value.as_ref()?;
        let rule = image.tags.or(tags)?.rule(branches);
        let rule = match image.artifact.kind {
            ArtifactKind::Image => rule,
            ArtifactKind::Chart => rule.of_chart(),
        };
        Some((key.value.clone(), Arc::new(rule)))
    };
    images.iter().filter_map(rule).collect()
}
