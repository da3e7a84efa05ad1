//! Custom resources as people write them for `kubectl apply`: which documents of a file are some, what they are called, and where they start.
//!
//! Not here: what they say, which is judged as if they came from the cluster (`resources`).
//! Invariant: a document of another kind is no problem, however strange it is to us.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::files::{self, ReadError};
use super::logins::ObjectName;
use super::nouns::API_VERSION;
use super::problem::{Faults, Problem, Severity};
use super::shape::{Leaf as _, refuse, text};
use super::source::{Source, Whence};
use super::tree::{self, Node, Value};
use super::{document_kind, mask};
use crate::cluster::resources::{GROUP, Resource, ResourceId, ResourceKind};

/// Largest file, in bytes. A chart may bring the definitions of others: those of Argo CD have 2 MB, and of Prometheus' operator 4 MB.
const FILE_SIZE_MAX: u64 = 64 * 1024 * 1024;

/// What a document that concerns us has in it somewhere. All others are not even parsed.
const WORDS: [&str; 3] = [GROUP, "PromotionPolicy", "Route"];

/// What Kubernetes keeps at objects beside their name, and we have no use for:
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>.
const METADATA: [&str; 14] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Custom resources that stand in files.
#[derive(Default)]
pub(crate) struct Manifests {
    /// That of objects which name none.
    namespace: Option<String>,
    found: BTreeMap<ResourceId, Manifest>,
    /// In the order in which they stand there.
    resources: Vec<Arc<Resource>>,
    /// What is wrong with documents that do not even say what they are, and with files that have none.
    problems: Vec<Problem>,
}

/// What a document is to us.
enum Concern<'a> {
    /// Nothing.
    Other,
    /// A fault says why it is no custom resource.
    Wrong,
    Resource(ResourceKind, &'a Node),
}

/// A document that is a custom resource.
pub(super) struct Manifest {
    pub(super) path: PathBuf,
    pub(super) first_line: usize,
    pub(super) text: String,
}

impl Manifests {
    /// None yet; objects that name no namespace are in `namespace`.
    pub(crate) fn new(namespace: Option<String>) -> Self {
        Self {
            namespace,
            ..Self::default()
        }
    }

    /// Finds those of a file, or of all YAML files in a folder.
    pub(crate) fn read(&mut self, path: &Path) -> Result<(), ReadError> {
        let before = self.count();
        for file in files::policy_files(path)? {
            let input = File::open(&file).map_err(|error| ReadError::new(&file, error))?;
            self.find(&file, input)?;
        }
        self.tell_nothing(path, before);
        Ok(())
    }

    /// Finds those of a stream, which people know as `path`.
    pub(crate) fn read_from(&mut self, path: &Path, input: impl io::Read) -> Result<(), ReadError> {
        let before = self.count();
        self.find(path, input)?;
        self.tell_nothing(path, before);
        Ok(())
    }

    fn find(&mut self, path: &Path, input: impl io::Read) -> Result<(), ReadError> {
        let text = files::read_from(path, input, FILE_SIZE_MAX)?;
        for (first_line, text) in documents(&text) {
            if WORDS.iter().any(|word| text.contains(word)) {
                self.take(path, (first_line, text));
            }
        }
        Ok(())
    }

    /// Says that nothing was found in `path`, if no more are there than `before`: who asks for something means something.
    fn tell_nothing(&mut self, path: &Path, before: usize) {
        if self.count() > before {
            return;
        }
        self.problems.push(Problem {
            severity: Severity::Warning,
            file: path.to_owned(),
            place: None,
            message: format!("there is no `PromotionPolicy` and no `Route` of `{GROUP}` here"),
            hint: None,
        });
    }

    /// How many were found, right or wrong.
    pub(crate) fn count(&self) -> usize {
        let problems = self.problems.iter();
        let nameless = problems.filter(|problem| problem.severity == Severity::Error);
        self.resources.len() + nameless.count()
    }

    /// What is wrong with documents that do not even say what they are, and with files that have none.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether the one of this name stands here.
    pub(crate) fn has(&self, id: &ResourceId) -> bool {
        self.found.contains_key(id)
    }

    /// Where it stands here, if it does.
    pub(super) fn get(&self, id: &ResourceId) -> Option<&Manifest> {
        self.found.get(id)
    }

    /// What a cluster that has `there` would have once these are applied: what is there already says what these say, and stays as old
    /// as it is.
    pub(super) fn applied_to(&self, there: &[Arc<Resource>]) -> Vec<Arc<Resource>> {
        let mut new: BTreeMap<&ResourceId, &Arc<Resource>> =
            self.resources.iter().map(|one| (&one.id, one)).collect();
        let there = there.iter().map(|one| match new.remove(&one.id) {
            Some(written) => Arc::new(one.rewritten(written)),
            None => one.clone(),
        });
        let mut applied: Vec<Arc<Resource>> = there.collect();
        let is_new = |one: &&Arc<Resource>| new.contains_key(&one.id);
        applied.extend(self.resources.iter().filter(is_new).cloned());
        applied
    }

    /// Keeps a document, if it is a custom resource, or what keeps it from being one.
    fn take(&mut self, path: &Path, (first_line, text): (usize, &str)) {
        let mut faults = Faults::default();
        let documents = tree::parse(0, text, &mut faults);
        let named = match concerns_us(text, documents.first(), &mut faults) {
            Concern::Other => return,
            Concern::Wrong => None,
            Concern::Resource(kind, document) => self.name(kind, document, &mut faults),
        };
        if let Some(id) = named {
            // What is no YAML says so when it is judged.
            let object: Json = match faults.errors() {
                0 => serde_yaml::from_str(text).unwrap_or_default(),
                _ => Json::Null,
            };
            let resource = Resource::written(id.clone(), object["spec"].clone());
            self.resources.push(resource);
            let manifest = Manifest {
                path: path.to_owned(),
                first_line,
                text: text.to_owned(),
            };
            self.found.insert(id, manifest);
            return;
        }
        let source = Source {
            path: path.to_owned(),
            whence: Whence::File,
            first_line,
            masks: mask::find(text, &documents),
            text: text.to_owned(),
            documents,
        };
        self.problems.extend(faults.into_problems(&[source]).list);
    }

    /// Its name and namespace; `None` where a fault says what is missing.
    fn name(&self, kind: ResourceKind, document: &Node, faults: &mut Faults) -> Option<ResourceId> {
        let metadata = document.get("metadata").unwrap_or(document);
        let mut object_name = |node: &Node| {
            let written = text(node, faults)?;
            match ObjectName::parse(&written.text) {
                Ok(ObjectName(name)) => Some(name),
                Err(refusal) => {
                    refuse(faults, node.span, refusal);
                    None
                }
            }
        };
        let name = metadata.get("name").map(&mut object_name);
        let namespace = metadata.get("namespace").map(&mut object_name);
        if name.is_none() {
            let message = "the key `metadata.name` is missing";
            let hint = "commits and branches are named after it, so `generateName` is none";
            faults.error_with_hint(metadata.owner, message, hint);
        }
        let namespace = namespace.or_else(|| self.namespace.clone().map(Some));
        if namespace.is_none() {
            let message = "the key `metadata.namespace` is missing";
            let hint = "write it, or name the namespace of all that have none with `--namespace`";
            faults.error_with_hint(metadata.owner, message, hint);
        }
        let id = ResourceId {
            kind,
            namespace: namespace??,
            name: name??,
        };
        if let Some(Manifest {
            path, first_line, ..
        }) = self.found.get(&id)
        {
            let path = path.display();
            let message = format!("`{id}` stands here twice; first in {path}:{first_line}");
            faults.error(document.owner, message);
            return None;
        }
        Some(id)
    }
}

/// Whether a document, which is `text`, is a custom resource; says so where it looks like one and is none.
fn concerns_us<'a>(text: &str, document: Option<&'a Node>, faults: &mut Faults) -> Concern<'a> {
    let Some(document) = document else {
        // A template that was not rendered, say.
        return match is_ours(text) && faults.errors() > 0 {
            true => Concern::Wrong,
            false => Concern::Other,
        };
    };
    let says = |key: &str| match &document.get(key)?.value {
        Value::Scalar(scalar) => Some(scalar.text.as_str()),
        Value::Empty | Value::List(_) | Value::Map(_) | Value::Refused => None,
    };
    let kind = says("kind").unwrap_or_default();
    let group = says("apiVersion").map(|version| version.split('/').next().unwrap_or_default());
    match (group, kind) {
        (_, kind) if kind.ends_with("List") && is_ours(text) => {
            let message = "lists of objects are not read here";
            let hint = "make each object a document of its own, with `---` between them";
            faults.error_with_hint(document.owner, message, hint);
            Concern::Wrong
        }
        (Some(GROUP), "PromotionPolicy") => Concern::Resource(ResourceKind::Policy, document),
        (Some(GROUP), "Route") => Concern::Resource(ResourceKind::Route, document),
        // Settings are no object of Kubernetes, and stand in files.
        (Some(GROUP), "Settings") => Concern::Other,
        (Some(GROUP), _) => {
            document_kind(document, faults);
            Concern::Wrong
        }
        (None, "PromotionPolicy" | "Route") => {
            let message = "the key `apiVersion` is missing";
            let hint = format!("an API server needs `apiVersion: {API_VERSION}` in each document");
            faults.error_with_hint(document.owner, message, hint);
            Concern::Wrong
        }
        (Some(_) | None, _) => Concern::Other,
    }
}

/// Leaves of a document what a cluster tells of it. What nobody knows stays, so that it is told.
pub(super) fn prune(document: &mut Node) {
    let Value::Map(entries) = &mut document.value else {
        return;
    };
    entries.retain(|entry| entry.key.text != "status");
    let metadata = entries
        .iter_mut()
        .find(|entry| entry.key.text == "metadata");
    if let Some(Value::Map(entries)) = metadata.map(|entry| &mut entry.node.value) {
        entries.retain(|entry| !METADATA.contains(&entry.key.text.as_str()));
    }
}

/// The documents of a text, each with the number of its first line. A line that starts with `---` starts one wherever it stands, in
/// quotes too: <https://yaml.org/spec/1.2.2/#912-document-markers>.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let is_marker = |line: &str| {
        let rest = line.strip_prefix("---");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    };
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut offset) = (0, 1, 0);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if is_marker(line) && offset > start {
            documents.push((first_line, &text[start..offset]));
            (start, first_line) = (offset, number);
        }
        offset += line.len();
    }
    documents.push((first_line, &text[start..]));
    documents
}

/// Whether a document, or a part of it, says that it is of our group.
fn is_ours(text: &str) -> bool {
    text.lines().any(|line| {
        let (key, version) = line.split_once(':').unwrap_or_default();
        key.contains("apiVersion") && version.contains(GROUP)
    })
}
