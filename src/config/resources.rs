//! Policies and routes from custom resources, each judged by itself with the checks that files have.
//!
//! The files come first and are right or wrong without them; then the resources, the oldest first. One that is wrong is left out with
//! its reasons, as if it were not there, and holds up no other. Not here: how they are read from the cluster (`cluster`), and how far
//! those of a namespace may go (`limits`).
//! Invariant: what the files say means the same whatever resources there are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::Config;
use super::allowance::{Allowance, Excess, Extent};
use super::beside::Beside;
use super::check_forge;
use super::check_policy::{Check, Checked};
use super::check_route::FoundRoute;
use super::find_signers;
use super::fleet::Fleet;
use super::gates::SignerFiles;
use super::limits::{Beyond, Limits};
use super::manifests::{self, Manifest, Manifests};
use super::mask;
use super::nouns::API_VERSION;
use super::problem::{Faults, Problem, Problems, Severity};
use super::raw;
use super::settings::Settings;
use super::shape::{Shape as _, list};
use super::source::{Source, Span, Whence};
use super::tree;
use crate::cluster::resources::{Resource, ResourceId, ResourceKind};
use crate::policy::gate::TrustRoot;
use crate::policy::{Deliver, Environment, Group, Policy, PolicyName, RepositoryName, Seniority};

/// A custom resource whose text was read.
pub(super) struct ReadResource {
    resource: Arc<Resource>,
    /// The number of its text among the sources.
    file: usize,
    faults: Faults,
}

/// What became of a custom resource.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    pub(crate) id: ResourceId,
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) verdict: Verdict,
}

/// Whether a custom resource counts, and as what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Policy,
    Fleet,
    Route,
    /// It does not count until what is wrong is mended.
    Refused(Problems),
    /// It does not count as long as somebody else has its name.
    Taken(Problems),
}

impl Verdict {
    /// Why it does not count, if it does not.
    pub(crate) fn problems(&self) -> Option<&Problems> {
        match self {
            Self::Refused(problems) | Self::Taken(problems) => Some(problems),
            Self::Policy | Self::Fleet | Self::Route => None,
        }
    }
}

/// What the settings say that custom resources are held to.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) settings: &'a Settings,
    pub(super) branches: &'a BTreeMap<RepositoryName, String>,
    pub(super) root: &'a TrustRoot,
    /// Where it is said that forges sign, if they do.
    pub(super) forge_signs: Option<Span>,
}

/// What they bring.
#[derive(Default)]
pub(super) struct Brought {
    pub(super) policies: Vec<Policy>,
    pub(super) fleets: Vec<Fleet>,
    pub(super) judged: Vec<Judged>,
    /// What the policies and fleets of each namespace are in all.
    extents: BTreeMap<String, Extent>,
}

impl<'a> Terms<'a> {
    /// How far the policies of `namespace` may go; `None` where its resources do not count.
    fn limits(self, namespace: &str) -> Option<&'a Limits> {
        let settings = self.settings.custom_resources.as_ref()?;
        settings.namespaces.get(namespace)
    }
}

/// Makes sources of what `resources` say, of which the oldest comes first; people know those of `manifests` by their lines.
pub(super) fn read(
    (resources, manifests): (&[Arc<Resource>], &Manifests),
    sources: &mut Vec<Source>,
    fingerprint: &mut Sha256,
) -> Vec<ReadResource> {
    let mut read = Vec::new();
    let mut allowances: BTreeMap<&str, Allowance<'_>> = BTreeMap::new();
    for resource in resources {
        let Resource {
            id,
            uid,
            generation,
            ..
        } = &**resource;
        let mut faults = Faults::default();
        let file = sources.len();
        let start = start_of(file);
        let allowance = allowances.entry(&id.namespace).or_default();
        let text = text(resource);
        let counted = allowance.take(text.len(), resource.spec.as_ref().ok());
        let text = match &counted {
            Ok(()) => text,
            Err(_) => String::new(),
        };
        let written = manifests.get(id);
        let said = written.map_or(&text, |manifest| &manifest.text);
        let mut documents = tree::parse(file, said, &mut faults);
        if written.is_some() {
            documents.truncate(1);
            documents.iter_mut().for_each(manifests::prune);
        }
        match (counted, &resource.spec) {
            (Err(Excess { message, hint }), _) => faults.error_with_hint(start, message, hint),
            (Ok(()), Err(why)) => faults.error(start, why),
            (Ok(()), Ok(_)) => {}
        }
        for part in [&id.to_string(), uid, &generation.to_string(), &text] {
            fingerprint.update(Sha256::digest(part));
        }
        let (path, whence, first_line, text) = match written {
            Some(Manifest {
                path,
                first_line,
                text,
            }) => {
                let whence = Whence::Manifest(id.clone());
                (path.clone(), whence, *first_line, text.clone())
            }
            None => {
                let whence = Whence::Resource(id.clone());
                (PathBuf::from(id.to_string()), whence, 1, text)
            }
        };
        sources.push(Source {
            path,
            whence,
            first_line,
            masks: mask::find(&text, &documents),
            text,
            documents,
        });
        read.push(ReadResource {
            resource: resource.clone(),
            file,
            faults,
        });
    }
    read
}

/// What a resource says, as a file would say it. Labels, annotations and what else the cluster keeps of it say nothing to us.
fn text(resource: &Resource) -> String {
    let Resource { id, spec, .. } = resource;
    let said = json!({
        "apiVersion": API_VERSION,
        "kind": id.kind.name(),
        "metadata": { "name": id.name },
        "spec": spec.as_ref().unwrap_or(&Json::Null),
    });
    serde_yaml::to_string(&said).expect("a tree of JSON can be written as YAML")
}

impl Check<'_> {
    /// Judges `resources` after all that stands in files.
    pub(super) fn resources(
        &mut self,
        resources: Vec<ReadResource>,
        terms: Terms<'_>,
        beside: &mut Beside,
    ) -> Brought {
        let is_let_in = |one: &ReadResource| terms.limits(&one.resource.id.namespace).is_some();
        let mut brought = Brought::default();
        let (resources, others): (Vec<_>, Vec<_>) = resources.into_iter().partition(is_let_in);
        let refused = others
            .into_iter()
            .filter_map(|one| self.refuse_stranger(one, terms.settings));
        brought.judged.extend(refused);
        let resources = resources.into_iter();
        let (routes, policies): (Vec<_>, Vec<_>) =
            resources.partition(|one| one.resource.id.kind == ResourceKind::Route);
        // A policy may be older than its route.
        for one in routes.into_iter().chain(policies) {
            let judged = self.judge(one, (terms, beside), &mut brought);
            brought.judged.push(judged);
        }
        self.scope = None;
        self.permitted = None;
        brought
    }

    /// Says of what would be applied in a namespace whose resources do not count that it would do nothing.
    fn refuse_stranger(&self, one: ReadResource, settings: &Settings) -> Option<Judged> {
        let ReadResource {
            resource,
            file,
            mut faults,
        } = one;
        let source = &self.sources[file];
        let place = match source.whence {
            Whence::Manifest(_) => source.documents.first()?.owner,
            Whence::File | Whence::Resource(_) => return None,
        };
        let named = settings.custom_resources.as_ref();
        let named = named.map(|named| named.namespaces.keys().map(String::as_str));
        let named: Vec<&str> = named.into_iter().flatten().collect();
        let message = format!(
            "custom resources of the namespace `{}` do not count",
            resource.id.namespace
        );
        let hint = format!(
            "`custom-resources.namespaces` of the settings says which do: {}",
            list(&named)
        );
        faults.error_with_hint(place, message, hint);
        Some(Judged {
            id: resource.id.clone(),
            uid: resource.uid.clone(),
            generation: resource.generation,
            verdict: Verdict::Refused(faults.into_problems(self.sources)),
        })
    }

    fn judge(
        &mut self,
        one: ReadResource,
        (terms, beside): (Terms<'_>, &mut Beside),
        brought: &mut Brought,
    ) -> Judged {
        let ReadResource {
            resource,
            file,
            faults,
        } = one;
        let Resource {
            id,
            uid,
            generation,
            ..
        } = &*resource;
        let judged_as = |verdict| Judged {
            id: id.clone(),
            uid: uid.clone(),
            generation: *generation,
            verdict,
        };
        self.scope = Some(id.namespace.clone());
        let limits = terms.limits(&id.namespace);
        self.permitted = limits.and_then(Limits::repositories).cloned();
        let others = std::mem::replace(self.faults, faults);
        let verdict = match id.kind {
            ResourceKind::Policy if self.is_taken(id, file) => {
                let problems = std::mem::replace(self.faults, others).into_problems(self.sources);
                return judged_as(Verdict::Taken(problems));
            }
            ResourceKind::Route => {
                self.read_route(file, (terms, beside));
                Verdict::Route
            }
            ResourceKind::Policy => match self.read_policy(file, (terms, beside), brought) {
                Some(Checked::One(policy)) => {
                    let seniority = Seniority::Resource(file);
                    brought.policies.push(Policy {
                        seniority,
                        ..policy
                    });
                    Verdict::Policy
                }
                Some(Checked::Fleet(fleet)) => {
                    brought.fleets.push(*fleet);
                    Verdict::Fleet
                }
                None => Verdict::Policy,
            },
        };
        let own = std::mem::replace(self.faults, others);
        if own.errors() == 0 {
            return judged_as(verdict);
        }
        self.refuse(id, start_of(file));
        judged_as(Verdict::Refused(own.into_problems(self.sources)))
    }

    /// Keeps the name of what does not count, so that nothing else counts in its place.
    fn refuse(&mut self, id: &ResourceId, start: Span) {
        match id.kind {
            ResourceKind::Policy => {
                if let Ok(name) = id.name.parse() {
                    self.reserve(name, start);
                }
            }
            ResourceKind::Route => {
                if let Ok(name) = id.name.parse() {
                    self.refuse_route(name, start);
                }
            }
        }
    }

    /// Whether somebody else has the name of the policy in `file`, which is told as far as it is anybody's business.
    fn is_taken(&mut self, id: &ResourceId, file: usize) -> bool {
        let name = id.name.parse::<PolicyName>().ok();
        let Some(owner) = name.and_then(|name| self.owner(&name)) else {
            return false;
        };
        let name = &id.name;
        let message = match owner {
            Whence::File => format!("the files have a policy `{name}`"),
            Whence::Resource(other) | Whence::Manifest(other) => {
                format!("the namespace `{}` has a policy `{name}`", other.namespace)
            }
        };
        let hint = "a name is one policy's among all namespaces; give this one another";
        let document = self.sources[file].documents.first();
        let written = document.and_then(|document| document.get("metadata")?.get("name"));
        let place = written.map_or(start_of(file), |name| name.span);
        self.faults.error_with_hint(place, message, hint);
        true
    }

    fn read_route(&mut self, file: usize, (terms, beside): (Terms<'_>, &mut Beside)) {
        let sources = self.sources;
        for document in &sources[file].documents {
            let mut route = raw::Route::read(document, self.faults);
            let spec = route.as_mut().map(|route| &mut route.spec.value);
            let mut files = no_files(terms, beside, self.faults);
            find_signers(spec.map(|spec| &mut spec.environments), &mut files);
            self.routes(FoundRoute::new(document, route));
        }
    }

    /// What the resource whose text is `file` says; `None` where a fault says what is wrong.
    fn read_policy(
        &mut self,
        file: usize,
        (terms, beside): (Terms<'_>, &mut Beside),
        brought: &mut Brought,
    ) -> Option<Checked> {
        let sources = self.sources;
        let document = sources[file].documents.first()?;
        let mut policy = raw::PromotionPolicy::read(document, self.faults)?;
        let spec = &mut policy.spec;
        let place = spec.owner;
        let namespace = self.scope.clone()?;
        let extent = self.extent(&spec.value, sources[file].text.len());
        let in_all = brought.extents.entry(namespace.clone()).or_default();
        if let Err(Excess { message, hint }) = in_all.take(extent) {
            self.faults.error_with_hint(place, message, hint);
            return None;
        }
        let mut files = no_files(terms, beside, self.faults);
        find_signers(spec.value.environments.as_mut(), &mut files);
        let limits = terms.limits(&namespace)?;
        self.policy_or_nothing(policy, |check, checked| {
            let (policy, judged) = match checked {
                Checked::One(policy) => {
                    let default = terms.branches.get(&policy.repository);
                    (&*policy, limits.judge(policy, default))
                }
                // What its policies write is known when its folders are.
                Checked::Fleet(fleet) => {
                    fleet.limit(limits.clone(), extent);
                    (&fleet.sample, limits.judge_repositories(&fleet.sample))
                }
            };
            for Beyond { key, message, hint } in judged {
                let written = document.get("spec").and_then(|spec| spec.get(key));
                let place = written.map_or(place, |node| node.owner);
                check.faults.error_with_hint(place, message, hint);
            }
            if policy.environments.iter().any(shares_requests) {
                // One policy's wish to merge would merge what the others propose.
                let message = "a custom resource shares no pull request with other policies";
                let hint = "leave `group: environment` out";
                check.faults.error_with_hint(place, message, hint);
            }
            if let Some(place) = terms.forge_signs {
                let alone = std::iter::once(policy);
                check_forge::check_signatures(terms.settings, place, alone, check.faults);
            }
        })
    }
}

fn start_of(file: usize) -> Span {
    Span {
        file,
        start: 0,
        end: 0,
    }
}

/// Whether what is proposed here is proposed together with what others propose.
fn shares_requests(environment: &Environment) -> bool {
    match &environment.deliver {
        Deliver::Commit { .. } => false,
        Deliver::PullRequest(requests) => requests.group != Group::Policy,
    }
}

/// Where the keys that a resource names are read: nowhere.
fn no_files<'a>(
    terms: Terms<'_>,
    beside: &'a mut Beside,
    faults: &'a mut Faults,
) -> SignerFiles<'a> {
    SignerFiles {
        folder: None,
        beside,
        root: terms.root.clone(),
        faults,
    }
}

impl Config {
    /// What is wrong with the custom resources that do not count.
    pub(crate) fn refused(&self) -> impl Iterator<Item = Problem> {
        let judged = self.judged.iter();
        let problems = judged.filter_map(|judged| judged.verdict.problems());
        problems.flat_map(|problems| problems.list.iter().cloned())
    }
}

impl Problems {
    /// The errors by the keys that lead to them, as many as `length_max` characters hold and one at least, and how many more there
    /// are, for those who know no lines.
    pub(crate) fn by_key(&self, length_max: usize) -> String {
        let Self { list, omitted } = self;
        let is_error = |problem: &&Problem| problem.severity == Severity::Error;
        let errors: Vec<String> = list.iter().filter(is_error).map(one_by_key).collect();
        let more = |count: usize| match count + omitted {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let mut told = String::new();
        for (index, error) in errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let with = format!("{told}{separator}{error}");
            let left = more(errors.len() - index - 1);
            if index > 0 && with.chars().count() + left.chars().count() > length_max {
                return told + &more(errors.len() - index);
            }
            told = with;
        }
        told + &more(0)
    }
}

fn one_by_key(problem: &Problem) -> String {
    let key = problem.place.as_ref().map(|place| place.key.as_str());
    let key = key.filter(|key| !key.is_empty());
    let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})"));
    format!("{key}{}{}", problem.message, hint.unwrap_or_default())
}
