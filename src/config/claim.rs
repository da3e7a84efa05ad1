//! Claims: the places that environments write, so that no two write the same one.
//!
//! Not here: whether a place is there, which only its file can tell (`manifest`).
//! Invariant: of two claims that may mean one place, the second is refused, whatever its form.

use std::collections::BTreeMap;

use super::source::Span;
use crate::edit::{Document, Path, Step};
use crate::image::Repository;
use crate::manifest::{Form, KUSTOMIZATIONS, RepoPath, Site};
use crate::policy::RepositoryName;

/// What the environments that were looked at so far write.
#[derive(Default)]
pub(super) struct Claims {
    grounds: BTreeMap<Ground, OfGround>,
    /// Where each claim was kept, in their order.
    kept: Vec<Ground>,
}

/// A moment to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize);

/// What is written in one file. Thousands of applications may share it, so that only those claims are compared that may meet:
/// claims that neither name one image or marker, nor one path or a part of it, never do.
#[derive(Default)]
struct OfGround {
    claims: Vec<Claim>,
    by_image: BTreeMap<Repository, Vec<usize>>,
    by_path: BTreeMap<(Root, Vec<Step>), Vec<usize>>,
    by_marker: BTreeMap<String, Vec<usize>>,
}

/// A file on a branch; of a kustomization, its folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ground {
    pub(super) repository: RepositoryName,
    /// `None` where the settings cannot be read, and so are wrong.
    pub(super) branch: Option<String>,
    pub(super) path: RepoPath,
}

/// What one environment writes in a file.
pub(super) struct Claim {
    /// The environment, in words.
    pub(super) by: String,
    pub(super) span: Span,
    /// The image that is written, where it is known.
    image: Option<Repository>,
    document: Option<Document>,
    place: Place,
}

/// Where in its file something is written.
enum Place {
    /// Wherever the image is found.
    Image(Family),
    /// At a path and below it.
    At(Root, Path),
    /// At the markers of an image policy of Flux.
    Marker(String),
}

/// What an image is looked for in.
#[derive(PartialEq, Eq)]
enum Family {
    Kustomization,
    Manifests,
    Applications,
}

/// Where a path starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Root {
    Document,
    /// The values of the charts that Applications name.
    Values,
}

/// A claim that came first, and how the second could be told from it.
pub(super) struct Refused<'a> {
    pub(super) first: &'a Claim,
    pub(super) hint: Option<&'static str>,
}

impl Ground {
    pub(super) fn of(repository: &RepositoryName, branch: Option<&String>, site: &Site) -> Self {
        Self {
            repository: repository.clone(),
            branch: branch.cloned(),
            path: folder(&site.path),
        }
    }
}

impl Claims {
    /// Keeps `claim`, unless it may mean a place that was claimed before.
    pub(super) fn add(&mut self, ground: &Ground, claim: Claim) -> Result<(), Refused<'_>> {
        let before = self.grounds.entry(ground.clone()).or_default();
        match before.first_that_meets(&claim) {
            Some(index) => {
                let first = &before.claims[index];
                let hint = first.hint(&claim);
                Err(Refused { first, hint })
            }
            None => {
                before.keep(claim);
                self.kept.push(ground.clone());
                Ok(())
            }
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.kept.len())
    }

    /// Forgets what was claimed since `mark`.
    pub(super) fn back_to(&mut self, Mark(count): Mark) {
        for ground in self.kept.drain(count..).rev() {
            let of_ground = self.grounds.get_mut(&ground);
            of_ground.expect("a claim was kept there").drop_last();
        }
    }
}

impl OfGround {
    fn first_that_meets(&self, claim: &Claim) -> Option<usize> {
        let of_image = claim.image.as_ref();
        let of_image = of_image.and_then(|image| self.by_image.get(image));
        let of_place: Vec<&Vec<usize>> = match &claim.place {
            Place::Image(_) => Vec::new(),
            Place::Marker(marker) => self.by_marker.get(marker).into_iter().collect(),
            Place::At(root, path) => {
                let steps = path.steps();
                let above = (1..steps.len()).filter_map(|count| {
                    let above = (*root, steps[..count].to_vec());
                    self.by_path.get(&above)
                });
                let below = self.by_path.range((*root, steps.to_vec())..);
                let below =
                    below.take_while(|((other, path), _)| other == root && path.starts_with(steps));
                above.chain(below.map(|(_, indexes)| indexes)).collect()
            }
        };
        let indexes = of_image.into_iter().chain(of_place).flatten().copied();
        indexes
            .filter(|index| self.claims[*index].meets(claim))
            .min()
    }

    fn keep(&mut self, claim: Claim) {
        let index = self.claims.len();
        self.indexes(&claim, |of_one| of_one.push(index));
        self.claims.push(claim);
    }

    fn drop_last(&mut self) {
        let claim = self.claims.pop();
        // The last claim is the last of each that it stands among.
        self.indexes(&claim.expect("a claim was kept here"), |of_one| {
            of_one.pop();
        });
    }

    /// Changes the lists that a claim stands in.
    fn indexes(&mut self, claim: &Claim, change: impl Fn(&mut Vec<usize>)) {
        if let Some(image) = &claim.image {
            change(self.by_image.entry(image.clone()).or_default());
        }
        match &claim.place {
            Place::Image(_) => {}
            Place::Marker(marker) => change(self.by_marker.entry(marker.clone()).or_default()),
            Place::At(root, path) => {
                let key = (*root, path.steps().to_vec());
                change(self.by_path.entry(key).or_default());
            }
        }
    }
}

impl Claim {
    /// What `by` claims by naming `site` for `image`.
    pub(super) fn new((by, span): (&str, Span), site: &Site, image: Option<Repository>) -> Self {
        let place = match &site.form {
            Form::Kustomize | Form::HelmCharts => Place::Image(Family::Kustomization),
            Form::Manifest { at: None } => Place::Image(Family::Manifests),
            Form::Application { at: None } => Place::Image(Family::Applications),
            Form::Helm { at } | Form::Yaml { at } | Form::Manifest { at: Some(at) } => {
                Place::At(Root::Document, at.clone())
            }
            Form::Application { at: Some(at) } => Place::At(Root::Values, at.clone()),
            Form::Markers { policy } => Place::Marker(policy.clone()),
        };
        Self {
            by: by.to_owned(),
            span,
            image,
            document: site.reach.document.clone(),
            place,
        }
    }

    /// Whether two claims in one file may mean one place.
    ///
    /// Two forms that find their place each in its own way may stand side by side for one environment, which writes one
    /// version to both; two environments would undo each other without end.
    fn meets(&self, other: &Self) -> bool {
        let same_image = self.image.is_some() && self.image == other.image;
        let of_another = same_image && self.by != other.by;
        let meets = match (&self.place, &other.place) {
            (Place::Marker(one), Place::Marker(two)) => one == two,
            // Only the file tells what else stands at a marker.
            (Place::Marker(_), Place::Image(_) | Place::At(..))
            | (Place::Image(_) | Place::At(..), Place::Marker(_)) => false,
            (Place::Image(one), Place::Image(two)) if one == two => same_image,
            // A list may hold both images; whether it is one, only the file tells.
            (Place::At(_, one), Place::At(_, two))
                if one == two && self.by == other.by && self.image != other.image =>
            {
                false
            }
            (Place::At(root, one), Place::At(other_root, two)) if root == other_root => {
                let (one, two) = (one.steps(), two.steps());
                one.starts_with(two) || two.starts_with(one)
            }
            (Place::Image(_) | Place::At(..), Place::Image(_) | Place::At(..)) => of_another,
        };
        meets && may_be_one(self.document.as_ref(), other.document.as_ref())
    }

    /// What would tell two claims apart that meet.
    fn hint(&self, other: &Self) -> Option<&'static str> {
        let documents = match (&self.document, &other.document) {
            (None, _) | (_, None) => {
                Some("if they mean different documents, say which with `document`")
            }
            (one, other) if one == other => None,
            (Some(_), Some(_)) => {
                Some("name both documents in one way, by number or by `KIND/NAME`")
            }
        };
        match (&self.place, &other.place) {
            (Place::At(..), Place::At(..)) if self.image != other.image => {
                Some("if this is a list, name the item that each means: `images[name=web]`")
            }
            (Place::At(Root::Document, _), Place::At(Root::Document, _))
                if self.document.is_none() || other.document.is_none() =>
            {
                None
            }
            (Place::Image(Family::Kustomization), _)
            | (_, Place::Image(Family::Kustomization))
            | (Place::Marker(_), _)
            | (_, Place::Marker(_)) => None,
            (Place::Image(_) | Place::At(..), Place::Image(_) | Place::At(..)) => documents,
        }
    }
}

/// Whether two descriptions may mean one document: a number and a name may.
fn may_be_one(one: Option<&Document>, other: Option<&Document>) -> bool {
    match (one, other) {
        (None, _) | (_, None) => true,
        (Some(Document::Number(one)), Some(Document::Number(other))) => one == other,
        (Some(Document::Object { .. }), Some(Document::Object { .. })) => one == other,
        (Some(Document::Number(_)), Some(Document::Object { .. }))
        | (Some(Document::Object { .. }), Some(Document::Number(_))) => true,
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
