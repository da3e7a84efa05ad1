//! Policies as written in, policies as used out: names that must be known, and rules for every image.
//!
//! Not here: the places that are written (`check_update`).

use std::collections::BTreeMap;

use super::artifact::ArtifactKind;
use super::check_forge::Doubt;
use super::claim::Claims;
use super::delivery::{delivery, no_head};
use super::forms::{self, Image};
use super::gates::gates;
use super::problem::Faults;
use super::raw::{Environment as RawEnvironment, PromotionPolicy, Spec};
use super::shape::{Block, Named, NamedEntry, Placed, list};
use super::source::{Source, Span};
use super::tags::WrittenRule;
use crate::image::Repository;
use crate::manifest::Write;
use crate::policy::select::TagRule;
use crate::policy::select::choose::Downgrade;
use crate::policy::{
    Deliver, Environment, EnvironmentName, Group, ImageName, Policy, PolicyImage, PolicyName,
    RepositoryName,
};

/// What one policy must not share with another.
pub(super) struct Check<'a> {
    pub(super) sources: &'a [Source],
    /// The repositories that the settings name, with their branches; `None` where the settings cannot be read.
    pub(super) branches: Option<&'a BTreeMap<RepositoryName, String>>,
    /// The repositories where a pull request may not come to be.
    doubts: BTreeMap<RepositoryName, Doubt>,
    pub(super) faults: &'a mut Faults,
    names: BTreeMap<PolicyName, Span>,
    pub(super) claims: Claims,
    /// The branch that what is proposed together goes to, and where that was said first.
    groups: BTreeMap<(RepositoryName, EnvironmentName), (String, Span)>,
}

/// What the checks of one environment need to know of its policy.
pub(super) struct Context<'a> {
    pub(super) policy: &'a PolicyName,
    pub(super) repository: Option<&'a RepositoryName>,
    pub(super) images: &'a [NamedEntry<ImageName, Image>],
    /// All of the policy but its name.
    pub(super) spec: Span,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        sources: &'a [Source],
        (branches, doubts): (
            Option<&'a BTreeMap<RepositoryName, String>>,
            BTreeMap<RepositoryName, Doubt>,
        ),
        faults: &'a mut Faults,
    ) -> Self {
        Self {
            sources,
            branches,
            doubts,
            faults,
            names: BTreeMap::new(),
            claims: Claims::default(),
            groups: BTreeMap::new(),
        }
    }

    /// Checks one policy. What it gives is complete only where no fault was noted.
    pub(super) fn policy(&mut self, raw: PromotionPolicy) -> Option<Policy> {
        let PromotionPolicy { metadata, spec } = raw;
        let Placed {
            value: name, span, ..
        } = metadata.name;
        if let Some(first) = self.names.get(&name) {
            let message = format!(
                "a second policy `{name}`; the first is in {}",
                self.at(*first)
            );
            self.faults.error(span, message);
        } else {
            self.names.insert(name.clone(), span);
        }
        let Spec {
            repository,
            images,
            environments,
        } = spec.value;
        let missing: Vec<_> = [
            ("repository", repository.is_none()),
            ("images", images.is_none()),
            ("environments", environments.is_none()),
        ]
        .into_iter()
        .filter_map(|(key, missing)| missing.then_some(key))
        .collect();
        // What is missing beside something wrong may only be misspelled.
        if !missing.is_empty() && !self.faults.touch(spec.span) {
            let keys = if missing.len() == 1 { "key" } else { "keys" };
            let is = if missing.len() == 1 { "is" } else { "are" };
            let message = format!("the {keys} {} {is} missing", list(&missing));
            self.faults.error(spec.owner, message);
        }
        let repository = repository.and_then(|repository| self.repository(repository));
        let images = images.map(|Named { entries }| entries).unwrap_or_default();
        let domain_images = self.images(&images);
        let context = Context {
            policy: &name,
            repository: repository.as_ref(),
            images: &images,
            spec: spec.span,
        };
        let environments = environments.map(|e| self.environments(e, &context));
        self.written(
            &images,
            environments.as_deref().unwrap_or_default(),
            spec.span,
        );
        Some(Policy {
            repository: repository?,
            images: domain_images,
            environments: environments?,
            name,
        })
    }

    /// Where a span is, for people.
    pub(super) fn at(&self, span: Span) -> String {
        let source = &self.sources[span.file];
        let (line, column) = source.position(span.start);
        format!("{}:{line}:{column}", source.path.display())
    }

    fn repository(&mut self, name: Placed<RepositoryName>) -> Option<RepositoryName> {
        if let Some(branches) = self.branches
            && !branches.contains_key(&name.value)
        {
            let names: Vec<_> = branches.keys().map(RepositoryName::as_str).collect();
            self.faults.error_with_hint(
                name.span,
                format!("the settings name no repository `{}`", name.value),
                format!("known: {}", list(&names)),
            );
            return None;
        }
        Some(name.value)
    }

    /// Refuses a rule whose source is no repository of the settings.
    fn known_source(&mut self, rule: Option<&WrittenRule>) {
        let source = rule.and_then(|rule| rule.source.as_ref());
        if let Some(source) = source {
            self.repository(source.repository.clone());
        }
    }

    fn images(
        &mut self,
        images: &[NamedEntry<ImageName, Image>],
    ) -> BTreeMap<ImageName, PolicyImage> {
        let mut seen: BTreeMap<Repository, ImageName> = BTreeMap::new();
        let mut checked = BTreeMap::new();
        for NamedEntry { key, value } in images {
            let Some(Image(entry)) = value else { continue };
            self.known_source(entry.tags.as_ref());
            let repository = entry.repository.value.repository.clone();
            if let Some(other) = seen.insert(repository.clone(), key.value.clone()) {
                let message = format!("`{other}` and `{}` are the same repository", key.value);
                self.faults.error(entry.repository.span, message);
            }
            checked.insert(key.value.clone(), PolicyImage { repository });
        }
        checked
    }

    fn environments(
        &mut self,
        environments: Block<Vec<Block<RawEnvironment>>>,
        context: &Context<'_>,
    ) -> Vec<Environment> {
        let mut seen = BTreeMap::new();
        let mut checked = Vec::new();
        if environments.value.is_empty() && !self.faults.touch(environments.span) {
            let message = "a policy needs at least one environment";
            self.faults.error(environments.owner, message);
        }
        for environment in environments.value {
            let Placed { value, span, .. } = environment.value.name.clone();
            if let Some(first) = seen.insert(value, span) {
                let name = &environment.value.name.value;
                let first = self.at(first);
                let message = format!("a second environment `{name}`; the first is in {first}");
                self.faults.error(span, message);
            }
            checked.push(self.environment(environment, context));
        }
        checked
    }

    fn environment(
        &mut self,
        environment: Block<RawEnvironment>,
        context: &Context<'_>,
    ) -> Environment {
        let Block { value, owner, .. } = environment;
        let RawEnvironment {
            name,
            tags,
            update,
            write,
            deliver,
            allow_downgrade,
            gates: written,
        } = value;
        let has_rule = |image: &NamedEntry<ImageName, Image>| {
            image
                .value
                .as_ref()
                .is_none_or(|image| image.0.tags.is_some())
        };
        if tags.is_none()
            && !context.images.iter().all(has_rule)
            && !self.faults.touch(context.spec)
        {
            let message = format!("`{}` does not say which versions may come here", name.value);
            self.faults.error_with_hint(
                owner,
                message,
                "add `tags: { semver: \">=1.0.0\" }`, for example",
            );
        }
        self.known_source(tags.as_ref());
        let rules = rules(context.images, tags.as_ref(), self.branches);
        if let Some(write) = write.as_ref().filter(|write| write.value == Write::Tag)
            && rules.values().any(|rule| rule.followed().is_some())
        {
            self.faults.error_with_hint(
                write.span,
                "a followed tag keeps its name, so writing it would change nothing",
                "write `digest` or `tag@digest`, or leave `write` out",
            );
        }
        if let Some(deliver) = &deliver {
            self.known_forge(deliver, context);
        }
        let deliver = delivery(deliver.map(|deliver| deliver.value));
        self.join(&deliver, context, &name);
        let mut updates = Vec::new();
        for update in update.0 {
            for (update, span) in self.updates(update, context) {
                self.claim(&update, (&deliver, span), context, name.value.as_str());
                updates.push(update);
            }
        }
        Environment {
            name: name.value,
            rules,
            after: None,
            gates: gates(written, None, self.faults),
            update: updates,
            write: write.map(|write| write.value),
            deliver,
            downgrade: match allow_downgrade {
                Some(true) => Downgrade::Allowed,
                Some(false) | None => Downgrade::Forbidden,
            },
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
            None => {}
        }
    }

    /// Notes images that no environment writes: they would silently stay where they are.
    fn written(
        &mut self,
        images: &[NamedEntry<ImageName, Image>],
        environments: &[Environment],
        spec: Span,
    ) {
        let is_written = |image: &ImageName| {
            let sites = |environment: &Environment| environment.sites_of(image).next().is_some();
            environments.iter().any(sites)
        };
        // What is missing beside something wrong may only be misspelled.
        if self.faults.touch(spec) {
            return;
        }
        for NamedEntry { key, .. } in images {
            if !is_written(&key.value) {
                let message = format!("no environment says where `{}` is written", key.value);
                self.faults.error(key.span, message);
            }
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
        let first = self.groups.entry(key);
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

/// The rule of each image: its own, or else the environment's.
fn rules(
    images: &[NamedEntry<ImageName, Image>],
    tags: Option<&WrittenRule>,
    branches: Option<&BTreeMap<RepositoryName, String>>,
) -> BTreeMap<ImageName, TagRule> {
    let rule = |NamedEntry { key, value }: &NamedEntry<ImageName, Image>| {
        let Image(entry) = value.as_ref()?;
        let rule = entry.tags.as_ref().or(tags)?.rule(branches);
        let rule = match entry.repository.value.kind {
            ArtifactKind::Image => rule,
            ArtifactKind::Chart => rule.of_chart(),
        };
        Some((key.value.clone(), rule))
    };
    images.iter().filter_map(rule).collect()
}
