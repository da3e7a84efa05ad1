//! Documents: which document of a file is meant, and the one place in it that a path names.
//!
//! Not here: finding within one document (`find`).
//! Invariant: a path that two documents have is refused.

use std::fmt;
use std::str::FromStr;

use super::find::{Aliases, Miss, Target};
use super::path::Path;
use super::refusal::{Known, Reason, Refusal};
use super::scan::{NodeId, Scan};

/// One of the documents of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Document {
    /// By its place, counted from 0; documents without values count too.
    Number(usize),
    /// By `kind` and `metadata.name` of the Kubernetes object that it is, or that it has among its `items` if it is a
    /// list of objects.
    Object { kind: String, name: String },
}

/// How far a search goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reach {
    /// The document that is meant; `None` is whichever has the place.
    pub(crate) document: Option<Document>,
    pub(crate) aliases: Aliases,
}

/// Why a text names no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{document}` names no document: write its number from 0 on, or `KIND/NAME` as in `Deployment/web`"
)]
pub(crate) struct ParseDocumentError {
    document: String,
}

impl FromStr for Document {
    type Err = ParseDocumentError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let refused = || ParseDocumentError {
            document: s.to_owned(),
        };
        match s.split_once('/') {
            None => s.parse().map(Self::Number).map_err(|_| refused()),
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(Self::Object {
                kind: kind.to_owned(),
                name: name.to_owned(),
            }),
            Some(_) => Err(refused()),
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Object { kind, name } => write!(f, "{kind}/{name}"),
        }
    }
}

impl Scan<'_> {
    /// Where a search starts: what `document` holds, or what each document holds that is not empty.
    pub(crate) fn roots(&self, document: Option<&Document>) -> Result<Vec<NodeId>, Refusal> {
        match document {
            None => Ok(self
                .documents()
                .filter_map(|document| self.root(document))
                .collect()),
            Some(Document::Number(number)) => self.numbered(*number).map(|root| vec![root]),
            Some(Document::Object { kind, name }) => {
                self.object(kind, name).map(|object| vec![object])
            }
        }
    }

    /// Finds the one value at `path` in whichever document has it.
    pub(crate) fn find_in_one(&self, path: &Path, reach: &Reach) -> Result<Target, Miss> {
        let mut found: Option<(NodeId, Target)> = None;
        let mut misses = Vec::new();
        for root in self.roots(reach.document.as_ref())? {
            match (self.find(root, path, reach.aliases), &found) {
                (Ok(target), None) => found = Some((root, target)),
                (Ok(target), Some((_, first))) => {
                    let reason = Reason::SeveralDocuments {
                        path: path.to_string(),
                        again: self.line(target.node()),
                    };
                    return Err(Refusal::at(self.line(first.node()), reason).into());
                }
                // A place that is there but unclear hides whether the path is there once.
                (Err(miss), _) if miss.is_unclear() => return Err(miss),
                (Err(miss), _) => misses.push(miss),
            }
        }
        if let Some((_, target)) = found {
            return Ok(target);
        }
        // The document that has most of the path is the one that was meant; of two alike none is.
        let deepest = misses.iter().map(Miss::depth).max();
        let mut likely = misses
            .into_iter()
            .filter(|miss| Some(miss.depth()) == deepest);
        match (likely.next(), likely.next()) {
            (Some(miss), None) => Err(self.with_places_elsewhere(miss, path)),
            (Some(miss), Some(_)) => {
                let miss = Miss { gap: None, ..miss };
                Err(self.with_places_elsewhere(miss, path))
            }
            (None, _) => Err(Refusal::of_file(Reason::Empty).into()),
        }
    }

    /// The root of document `number`, counted from 0.
    fn numbered(&self, number: usize) -> Result<NodeId, Refusal> {
        let document = self.all_documents().nth(number);
        document
            .and_then(|document| self.root(document))
            .ok_or_else(|| {
                let count = self.all_documents().count();
                Refusal::of_file(Reason::NoDocument { number, count })
            })
    }

    fn object(&self, kind: &str, name: &str) -> Result<NodeId, Refusal> {
        let objects = self.objects();
        let wanted = (Some(kind), Some(name));
        let mut found = objects
            .iter()
            .copied()
            .filter(|&object| self.kind_and_name(object) == wanted);
        let object = format!("{kind}/{name}");
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (Some(first), Some(second)) => {
                let again = self.line(second);
                let reason = Reason::SeveralObjects { object, again };
                Err(Refusal::at(self.line(first), reason))
            }
            (None, _) => {
                let names: Vec<String> = objects
                    .iter()
                    .filter_map(|&object| match self.kind_and_name(object) {
                        (Some(kind), Some(name)) => Some(format!("{kind}/{name}")),
                        (Some(_), None) | (None, _) => None,
                    })
                    .collect();
                let known = Known::of(names.iter().map(String::as_str), &object);
                Err(Refusal::of_file(Reason::NoObject { object, known }))
            }
        }
    }

    /// The Kubernetes objects of a file: what its documents hold, with the `items` of lists of objects.
    pub(crate) fn objects(&self) -> Vec<NodeId> {
        let mut objects = Vec::new();
        for root in self.documents().filter_map(|document| self.root(document)) {
            objects.push(root);
            let is_list = |kind: &str| kind.ends_with("List");
            if self.kind_and_name(root).0.is_some_and(is_list)
                && let Ok(Some((_, items))) = self.pair(root, "items")
            {
                objects.extend(self.items(items).filter(|&item| self.is_mapping(item)));
            }
        }
        objects
    }

    /// `kind` and `metadata.name` of an object.
    pub(crate) fn kind_and_name(&self, object: NodeId) -> (Option<&str>, Option<&str>) {
        let value = |map: NodeId, key: &str| {
            let pair = self.pair(map, key).ok().flatten();
            pair.map(|(_, value)| value)
        };
        let name = value(object, "metadata").and_then(|metadata| value(metadata, "name"));
        let text = |node: NodeId| self.scalar(node);
        (value(object, "kind").and_then(text), name.and_then(text))
    }
}

impl Target {
    /// The value itself, or the block in whose text it is.
    pub(crate) fn node(&self) -> NodeId {
        match self {
            Self::Node(node) | Self::Text { block: node, .. } => *node,
        }
    }
}

impl Miss {
    /// How many steps of the path are there, as far as it matters which document was meant.
    fn depth(&self) -> usize {
        self.gap.as_ref().map_or(0, |gap| gap.depth)
    }

    fn is_unclear(&self) -> bool {
        matches!(
            self.refusal.reason,
            Reason::DuplicateKey { .. }
                | Reason::SeveralItems { .. }
                | Reason::BehindAlias
                | Reason::TooManyMerged { .. }
        )
    }
}
