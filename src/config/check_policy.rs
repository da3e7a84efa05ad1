//! Policies as written in, policies as used out: names that must be known, and what their routes add to them.
//!
//! Not here: their environments (`check_environment`) and the places that are written (`check_update`).

use std::collections::{BTreeMap, BTreeSet};

use super::artifact::Artifact;
use super::blank::Names;
use super::check_after::ENVIRONMENTS_MAX;
use super::check_forge::Doubt;
use super::check_route::{Routes, Scope};
use super::check_settings::Known;
use super::claim::Claims;
use super::fleet::Fleet;
use super::forms::Image;
use super::problem::Faults;
use super::raw::{Environment as RawEnvironment, PromotionPolicy, Spec};
use super::shape::{Block, Named, NamedEntry, Placed, list};
use super::source::{Source, Span, Whence};
use super::tags::WrittenRule;
use super::{InFiles, WrittenIn};
use crate::image::Repository;
use crate::policy::{
    ConnectionName, Environment, EnvironmentName, FolderPattern, ImageName, Policy, PolicyImage,
    PolicyName, RepositoryName, Seniority,
};

use crate::probe::Server;

/// What one policy must not share with another.
pub(super) struct Check<'a> {
    pub(super) sources: &'a [Source],
    /// The repositories that the settings name, with their branches; `None` where the settings cannot be read.
    pub(super) branches: Option<&'a BTreeMap<RepositoryName, String>>,
    /// The connections to Argo CD that the settings name; `None` where the settings cannot be read.
    pub(super) connections: Option<&'a BTreeSet<ConnectionName>>,
    /// The repositories where a pull request may not come to be.
    pub(super) doubts: &'a BTreeMap<RepositoryName, Doubt>,
    /// The servers that the settings name; `None` where they cannot be read.
    pub(super) servers: Option<&'a BTreeMap<String, Server>>,
    /// The people of each group of the settings; `None` where they cannot be read.
    pub(super) groups: Option<&'a BTreeMap<String, BTreeSet<String>>>,
    pub(super) faults: &'a mut Faults,
    pub(super) routes: Routes,
    /// The namespace of the resource that is looked at; `None` for what stands in files.
    pub(super) scope: Scope,
    /// The repositories that the namespace of that resource may name, if not all.
    pub(super) permitted: Option<BTreeSet<RepositoryName>>,
    names: BTreeMap<PolicyName, Span>,
    /// The texts of resources whose policies do not count, though they have their names.
    refused: BTreeSet<usize>,
    pub(super) shared: Shared,
    /// Where the fleet of each kind of folders was found.
    fleets: BTreeMap<(RepositoryName, FolderPattern), Span>,
}

/// What environments of several policies meet in.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) claims: Claims,
    /// The branch that what is proposed together goes to, and where that was said first.
    pub(super) groups: BTreeMap<(RepositoryName, EnvironmentName), (String, Span)>,
}

/// A policy with what its route adds to it, whose names are still to be filled in.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// `None` where a fault says why.
    repository: Option<RepositoryName>,
    images: Vec<NamedEntry<ImageName, Image>>,
    together: Option<bool>,
    environments: Vec<Block<RawEnvironment>>,
    /// All that the policy says itself, but for its name.
    spec: Span,
}

/// What the checks of one environment need to know of its policy.
pub(super) struct Context<'a> {
    pub(super) policy: &'a PolicyName,
    pub(super) repository: Option<&'a RepositoryName>,
    pub(super) images: Vec<NamedEntry<ImageName, KnownImage<'a>>>,
    /// Whether a release is one tag of all images.
    pub(super) together: bool,
    /// All of the policy but its name.
    pub(super) spec: Span,
}

/// An image whose repository is known by name.
pub(super) struct KnownImage<'a> {
    pub(super) artifact: Artifact,
    pub(super) tags: Option<&'a WrittenRule>,
}

/// What a document of policies is.
pub(super) enum Checked {
    One(Policy),
    Fleet(Box<Fleet>),
}

impl<'a> Check<'a> {
    pub(super) fn new(
        sources: &'a [Source],
        (known, doubts): (Option<&'a Known>, &'a BTreeMap<RepositoryName, Doubt>),
        faults: &'a mut Faults,
    ) -> Self {
        Self {
            sources,
            branches: known.map(|known| &known.branches),
            connections: known.map(|known| &known.connections),
            doubts,
            servers: None,
            groups: None,
            faults,
            routes: Routes::default(),
            scope: None,
            permitted: None,
            names: BTreeMap::new(),
            refused: BTreeSet::new(),
            shared: Shared::default(),
            fleets: BTreeMap::new(),
        }
    }

    /// Checks all that stands in files.
    pub(super) fn files(&mut self, written: InFiles) -> (Vec<Policy>, Vec<Fleet>) {
        let InFiles { policies, routes } = written;
        self.routes(routes);
        let (mut checked, mut fleets) = (Vec::new(), Vec::new());
        for policy in policies {
            match self.policy(policy) {
                Some(Checked::One(policy)) => checked.push(policy),
                Some(Checked::Fleet(fleet)) => fleets.push(*fleet),
                None => {}
            }
        }
        (checked, fleets)
    }

    /// Where the policies and fleets stand that were looked at: those that count, and those that only have their names.
    pub(super) fn written_in(&self) -> [BTreeMap<PolicyName, WrittenIn>; 2] {
        let of_one = |(name, place): (&PolicyName, &Span)| {
            let Source { path, whence, .. } = &self.sources[place.file];
            let written_in = match whence {
                Whence::File => WrittenIn::File(path.clone()),
                Whence::Resource(id) | Whence::Manifest(id) => WrittenIn::Resource {
                    number: place.file,
                    id: id.clone(),
                },
            };
            (name.clone(), written_in)
        };
        let (refused, counted): (Vec<_>, Vec<_>) = self
            .names
            .iter()
            .partition(|(_, place)| self.refused.contains(&place.file));
        [counted, refused].map(|some| some.into_iter().map(of_one).collect())
    }

    /// Checks one policy. What it gives is complete only where no fault was noted.
    pub(super) fn policy(&mut self, raw: PromotionPolicy) -> Option<Checked> {
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
        let for_each = spec.value.for_each.clone();
        let written = self.written(spec)?;
        let own = written.spec;
        self.faults.enter(name.clone(), own);
        let checked = match for_each {
            None => self.application(&name, &written).map(Checked::One),
            Some(folders) => {
                let fleet = self.fleet(name, (folders, written));
                fleet.map(|fleet| Checked::Fleet(Box::new(fleet)))
            }
        };
        self.faults.leave();
        checked
    }

    /// Checks one policy, whose faults are all that there are here, and then what else it is held to. It is forgotten again where
    /// anything is wrong, so that whatever comes after it is judged as if it were not there; but for its name.
    pub(super) fn policy_or_nothing(
        &mut self,
        raw: PromotionPolicy,
        further: impl FnOnce(&mut Self, &mut Checked),
    ) -> Option<Checked> {
        let file = raw.metadata.name.span.file;
        let mark = self.shared.claims.mark();
        let groups = self.shared.groups.clone();
        let mut checked = self.policy(raw);
        if let Some(checked) = &mut checked {
            further(self, checked);
        }
        if self.faults.errors() == 0 {
            return checked;
        }
        self.fleets.retain(|_, place| place.file != file);
        self.shared.claims.back_to(mark);
        self.shared.groups = groups;
        None
    }

    /// Keeps `name` for the policy of a resource, though it does not count: else another could take its branch, its pull requests and
    /// its holds. `start` is where its text begins.
    pub(super) fn reserve(&mut self, name: PolicyName, start: Span) {
        self.names.entry(name).or_insert(start);
        self.refused.insert(start.file);
    }

    /// Adds to a policy what its route says; `None` where a fault says why that cannot be.
    fn written(&mut self, spec: Block<Spec>) -> Option<Written> {
        let Spec {
            route,
            for_each: _,
            repository,
            images,
            together,
            environments,
        } = spec.value;
        let route = match &route {
            Some(name) => Some((&name.value, self.route(name)?)),
            None => None,
        };
        let of_route = route.as_ref().map(|(_, route)| route);
        let routed = of_route.and_then(|route| route.repository.clone());
        let missing: Vec<_> = [
            ("repository", repository.is_none() && routed.is_none()),
            ("images", images.is_none()),
            ("environments", environments.is_none() && route.is_none()),
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
        let repository = match repository {
            Some(own) => self.repository(&own),
            None => routed.map(|routed| routed.value),
        };
        if let Some(own) = &environments {
            self.once_each(&own.value);
            if own.value.is_empty() && route.is_none() && !self.faults.touch(own.span) {
                let message = "a policy needs at least one environment";
                self.faults.error(own.owner, message);
            }
        }
        let own = environments.map(|own| own.value).unwrap_or_default();
        let mut environments = match route {
            Some((name, route)) => self.overridden((name, &route), own),
            None => own,
        };
        self.few(&environments);
        environments.truncate(ENVIRONMENTS_MAX);
        let images = images.map(|Named { entries }| entries).unwrap_or_default();
        let together = self.together(together, &images);
        Some(Written {
            repository,
            images,
            together,
            environments,
            spec: spec.span,
        })
    }

    /// What `written` means for the application `name`.
    pub(super) fn application(&mut self, name: &PolicyName, written: &Written) -> Option<Policy> {
        let Written {
            repository,
            images,
            together,
            environments,
            spec,
        } = written;
        let context = Context {
            policy: name,
            repository: repository.as_ref(),
            images: self.images(images, name),
            together: *together == Some(true),
            spec: *spec,
        };
        let environments = self.environments(environments, &context);
        self.each_written(&context, &environments);
        let image = |NamedEntry { key, value }: &NamedEntry<ImageName, KnownImage<'_>>| {
            let repository = value.as_ref()?.artifact.repository.clone();
            Some((key.value.clone(), PolicyImage { repository }))
        };
        Some(Policy {
            name: name.clone(),
            repository: repository.clone()?,
            images: context.images.iter().filter_map(image).collect(),
            together: context.together,
            environments,
            seniority: Seniority::File,
        })
    }

    /// Checks a fleet by one application that it may have, and by another one that both of them do not write one place.
    fn fleet(
        &mut self,
        name: PolicyName,
        (folders, written): (Placed<FolderPattern>, Written),
    ) -> Option<Fleet> {
        let others = std::mem::take(&mut self.shared);
        let errors = self.faults.errors();
        let sample = self.application(&name, &written);
        let of_sample = std::mem::replace(&mut self.shared, others);
        let sample = sample.filter(|_| self.faults.errors() == errors)?;
        let mut faults = Faults::default();
        let mut check = Check {
            shared: of_sample,
            branches: self.branches,
            connections: self.connections,
            servers: self.servers,
            groups: self.groups,
            ..Check::new(self.sources, (None, self.doubts), &mut faults)
        };
        check.application(&another(&name), &written);
        if let Some(why) = faults.first_error() {
            let message = format!("two policies of this fleet cannot stand side by side: {why}");
            self.faults.error(folders.span, message);
            return None;
        }
        let key = (sample.repository.clone(), folders.value.clone());
        let first = *self.fleets.entry(key).or_insert(folders.span);
        if first != folders.span {
            let message = format!("there is a fleet for these folders in {}", self.at(first));
            self.faults.error(folders.span, message);
        }
        let known = Known {
            branches: self.branches.cloned().unwrap_or_default(),
            connections: self.connections.cloned().unwrap_or_default(),
        };
        Some(Fleet::new(folders.value, sample, (written, known)))
    }

    /// Whose policy has a name: the place where it was found.
    pub(super) fn owner(&self, name: &PolicyName) -> Option<&'a Whence> {
        let place = self.names.get(name)?;
        Some(&self.sources[place.file].whence)
    }

    /// Where a span is, for people.
    pub(super) fn at(&self, span: Span) -> String {
        match self.sources.get(span.file) {
            Some(source) => match source.whence {
                Whence::Resource(_) => source.path.display().to_string(),
                Whence::File | Whence::Manifest(_) => {
                    let (line, column) = source.position(span.start);
                    format!("{}:{line}:{column}", source.path.display())
                }
            },
            // Once the files are closed.
            None => "the same file".to_owned(),
        }
    }

    pub(super) fn repository(&mut self, name: &Placed<RepositoryName>) -> Option<RepositoryName> {
        if let Some(branches) = self.branches
            && !branches.contains_key(&name.value)
        {
            let may_be_named = |name: &&RepositoryName| {
                self.permitted
                    .as_ref()
                    .is_none_or(|all| all.contains(*name))
            };
            let names = branches.keys().filter(may_be_named);
            let names: Vec<_> = names.map(RepositoryName::as_str).collect();
            self.faults.error_with_hint(
                name.span,
                format!("the settings name no repository `{}`", name.value),
                format!("known: {}", list(&names)),
            );
            return None;
        }
        Some(name.value.clone())
    }

    /// Refuses a rule whose source is no repository of the settings.
    pub(super) fn known_source(&mut self, rule: Option<&WrittenRule>) {
        let source = rule.and_then(|rule| rule.source.as_ref());
        if let Some(source) = source {
            self.repository(&source.repository);
        }
    }

    /// Fills in the repositories of images, and refuses one that stands twice.
    fn images<'w>(
        &mut self,
        images: &'w [NamedEntry<ImageName, Image>],
        policy: &PolicyName,
    ) -> Vec<NamedEntry<ImageName, KnownImage<'w>>> {
        let names = Names {
            policy: policy.as_str(),
            environment: "",
        };
        let mut seen: BTreeMap<Repository, &ImageName> = BTreeMap::new();
        let mut known = Vec::new();
        for NamedEntry { key, value } in images {
            let value = value.as_ref().and_then(|Image(entry)| {
                self.known_source(entry.tags.as_ref());
                let artifact = entry.repository.filled(names, self.faults)?;
                if let Some(other) = seen.insert(artifact.repository.clone(), &key.value) {
                    let message = format!("`{other}` and `{}` are the same repository", key.value);
                    self.faults.error(entry.repository.span, message);
                }
                let tags = entry.tags.as_ref();
                Some(KnownImage { artifact, tags })
            });
            let key = key.clone();
            known.push(NamedEntry { key, value });
        }
        known
    }

    /// Whether all images move at once, which takes several, with one rule for all.
    fn together(
        &mut self,
        together: Option<Block<bool>>,
        images: &[NamedEntry<ImageName, Image>],
    ) -> Option<bool> {
        let Block { value, owner, .. } = together?;
        if !value {
            return Some(false);
        }
        if images.len() == 1 {
            let message = "`together` changes nothing for one image";
            self.faults.warning(owner, message);
        }
        for NamedEntry { key, value } in images {
            if value
                .as_ref()
                .is_some_and(|Image(entry)| entry.tags.is_some())
            {
                self.faults.error_with_hint(
                    key.span,
                    format!("`{}` has `tags` of its own, and with `together` a release is one tag that all images have", key.value),
                    "write one rule for all of them under `environments`",
                );
            }
        }
        Some(true)
    }

    /// Notes images that no environment writes: they would silently stay where they are.
    fn each_written(&mut self, context: &Context<'_>, environments: &[Environment]) {
        let is_written = |image: &ImageName| {
            let sites = |environment: &Environment| environment.sites_of(image).next().is_some();
            environments.iter().any(sites)
        };
        // What is missing beside something wrong may only be misspelled.
        if self.faults.touch(context.spec) {
            return;
        }
        for NamedEntry { key, .. } in &context.images {
            if !is_written(&key.value) {
                let message = format!("no environment says where `{}` is written", key.value);
                self.faults.error(key.span, message);
            }
        }
    }
}

/// The name of an application beside `name`.
fn another(name: &PolicyName) -> PolicyName {
    let mut names = ["one", "another"].into_iter();
    let other = names.find(|other| *other != name.as_str());
    let other = other.and_then(|other| other.parse().ok());
    other.expect("at least one of two names is another, and both are names")
}
