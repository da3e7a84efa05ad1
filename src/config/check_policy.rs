//! Policies as written in, policies as used out: names that must be known, and places that must be unique.

use std::collections::BTreeMap;

use super::forms::{self, Image};
use super::problem::Faults;
use super::raw::{Environment as RawEnvironment, PromotionPolicy, Spec};
use super::shape::{Block, Named, NamedEntry, Placed, list};
use super::source::{Source, Span};
use crate::edit::Reach;
use crate::image::Repository;
use crate::manifest::{Form, KUSTOMIZATIONS, RepoPath, Site, Write};
use crate::policy::select::TagRule;
use crate::policy::select::choose::Downgrade;
use crate::policy::{
    Deliver, Environment, ImageName, Policy, PolicyImage, PolicyName, RepositoryName, Update,
};

/// What one policy must not share with another.
pub(super) struct Check<'a> {
    pub(super) sources: &'a [Source],
    /// The repositories that the settings name, with their branches; `None` where the settings cannot be read.
    branches: Option<&'a BTreeMap<RepositoryName, String>>,
    pub(super) faults: &'a mut Faults,
    names: BTreeMap<PolicyName, Span>,
    sites: BTreeMap<Place, (Span, String)>,
}

/// A place that one environment alone may write.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    repository: RepositoryName,
    /// `None` where the settings cannot be read, and so are wrong.
    branch: Option<String>,
    site: Site,
    /// A kustomization has a place for each image.
    image: Option<Repository>,
}

/// What the checks of one environment need to know of its policy.
struct Context<'a> {
    policy: &'a PolicyName,
    repository: Option<&'a RepositoryName>,
    images: &'a [NamedEntry<ImageName, Image>],
    /// All of the policy but its name.
    spec: Span,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        sources: &'a [Source],
        branches: Option<&'a BTreeMap<RepositoryName, String>>,
        faults: &'a mut Faults,
    ) -> Self {
        Self {
            sources,
            branches,
            faults,
            names: BTreeMap::new(),
            sites: BTreeMap::new(),
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
    fn at(&self, span: Span) -> String {
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

    fn images(
        &mut self,
        images: &[NamedEntry<ImageName, Image>],
    ) -> BTreeMap<ImageName, PolicyImage> {
        let mut seen: BTreeMap<Repository, ImageName> = BTreeMap::new();
        let mut checked = BTreeMap::new();
        for NamedEntry { key, value } in images {
            let Some(Image(entry)) = value else { continue };
            let repository = entry.repository.value.clone();
            if let Some(other) = seen.insert(repository.clone(), key.value.clone()) {
                let message = format!("`{other}` and `{}` are the same repository", key.value);
                self.faults.error(entry.repository.span, message);
            }
            let tags = entry.tags.clone();
            checked.insert(key.value.clone(), PolicyImage { repository, tags });
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
        let follows = |rule: Option<&TagRule>| rule.is_some_and(|rule| rule.followed().is_some());
        let mut images = context
            .images
            .iter()
            .filter_map(|image| image.value.as_ref());
        if let Some(write) = write.as_ref().filter(|write| write.value == Write::Tag)
            && images.any(|image| follows(image.0.tags.as_ref().or(tags.as_ref())))
        {
            self.faults.error_with_hint(
                write.span,
                "a followed tag keeps its name, so writing it would change nothing",
                "write `digest` or `tag@digest`, or leave `write` out",
            );
        }
        let deliver = delivery(deliver);
        let updates = update
            .0
            .into_iter()
            .map(|update| {
                let span = update.span;
                let update = self.update(update.value, context, span);
                self.claim(&update, (&deliver, span), context, name.value.as_str());
                update
            })
            .collect();
        Environment {
            tags,
            name: name.value,
            update: updates,
            write: write.map(|write| write.value),
            deliver,
            downgrade: match allow_downgrade {
                Some(true) => Downgrade::Allowed,
                Some(false) | None => Downgrade::Forbidden,
            },
        }
    }

    fn update(&mut self, raw: forms::Update, context: &Context<'_>, span: Span) -> Update {
        let (site, image) = match raw {
            forms::Update::Kustomize(path) => {
                let site = site(path, Form::Kustomize);
                return Update { site, image: None };
            }
            forms::Update::Helm(helm) => {
                let at = helm.at.value;
                (site(helm.helm, Form::Helm { at }), helm.image)
            }
            forms::Update::Yaml(yaml) => {
                let at = yaml.at.value;
                (site(yaml.yaml, Form::Yaml { at }), yaml.image)
            }
        };
        let names: Vec<_> = context
            .images
            .iter()
            .map(|i| i.key.value.as_str())
            .collect();
        match &image {
            Some(image) if !names.contains(&image.value.as_str()) => {
                self.faults.error_with_hint(
                    image.span,
                    format!("the policy has no image `{}`", image.value),
                    format!("known: {}", list(&names)),
                );
            }
            None if names.len() > 1 => self.faults.error_with_hint(
                span,
                "the policy has several images, and this place holds one",
                format!("say which with `image: {}`", names[0]),
            ),
            Some(_) | None => {}
        }
        Update {
            site,
            image: image.map(|image| image.value),
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

    /// Notes that an environment writes a place, and refuses a place that another one writes.
    fn claim(
        &mut self,
        update: &Update,
        (deliver, span): (&Deliver, Span),
        context: &Context<'_>,
        environment: &str,
    ) {
        let Some(repository) = context.repository else {
            return;
        };
        let own = match deliver {
            Deliver::Commit { branch } => branch.as_ref(),
            Deliver::PullRequest => None,
        };
        let default = self.branches.and_then(|branches| branches.get(repository));
        let branch = own.or(default).cloned();
        let place = |site: &Site, image: Option<Repository>| Place {
            repository: repository.clone(),
            branch: branch.clone(),
            site: site.clone(),
            image,
        };
        let Site { path, form, reach } = &update.site;
        let places = match form {
            Form::Kustomize => {
                let site = Site {
                    path: folder(path),
                    ..update.site.clone()
                };
                let images = context
                    .images
                    .iter()
                    .filter_map(|image| image.value.as_ref());
                images
                    .map(|image| place(&site, Some(image.0.repository.value.clone())))
                    .collect()
            }
            // One scalar may be named in both ways.
            Form::Manifest { .. } | Form::Application { .. } | Form::Markers { .. } => {
                vec![place(&update.site, None)]
            }
            Form::Helm { at } | Form::Yaml { at } => {
                let (path, at) = (path.clone(), at.clone());
                let form = Form::Yaml { at };
                let reach = reach.clone();
                vec![place(&Site { path, form, reach }, None)]
            }
        };
        let claimant = format!("`{environment}` of `{}`", context.policy);
        for place in places {
            if let Some((first, other)) = self.sites.get(&place) {
                let message = format!("{other} writes here too, in {}", self.at(*first));
                self.faults.error(span, message);
                return;
            }
            self.sites.insert(place, (span, claimant.clone()));
        }
    }
}

fn site(path: Placed<RepoPath>, form: Form) -> Site {
    Site {
        path: path.value,
        form,
        reach: Reach::default(),
    }
}

/// The folder of a kustomization, however it is named.
fn folder(path: &RepoPath) -> RepoPath {
    let text = path.as_str();
    let (folder, name) = text.rsplit_once('/').unwrap_or((".", text));
    match KUSTOMIZATIONS.contains(&name) {
        true => folder.parse().unwrap_or_else(|_| path.clone()),
        false => path.clone(),
    }
}

/// Of a pull request's options, this version reads none yet: the plan holds such environments.
fn delivery(deliver: Option<forms::Deliver>) -> Deliver {
    match deliver {
        None => Deliver::Commit { branch: None },
        Some(forms::Deliver::Commit(commit)) => Deliver::Commit {
            branch: commit.branch.map(|branch| branch.value.0),
        },
        Some(forms::Deliver::PullRequest) => Deliver::PullRequest,
    }
}
