//! Kustomizations: the `images:` entries, and the versions in them.
//!
//! Not here: which file is the kustomization (`Site::files`), and rendering.
//! Invariant: entries keep their order, and keys that are not asked for keep their bytes.
//!
//! What kustomize does with an entry, see
//! <https://github.com/kubernetes-sigs/kustomize/blob/master/api/filters/imagetag/updater.go>: `newName`, `newTag` and
//! `digest` replace the parts of each image called `name`. With both `newTag` and `digest` the result is
//! `name:newTag@digest`, of which only the digest counts when the image is pulled (before v5 the tag is left out). With
//! two entries for one image the later one wins.

use std::str::FromStr;

use super::{Cause, Fault, Standing, Version, Write};
use crate::edit::{Draft, New, NodeId, Reason, Refusal, Scan};
use crate::image::{Repository, Tag};

/// What `set image` is to write: `NAME=[NEWNAME][:TAG][@DIGEST]`, or the same without `NAME=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageArgument {
    name: String,
    /// The image that takes the place of `name`; what stands there is kept where it is not given.
    new_name: Option<String>,
    tag: Part<String>,
    digest: Part<String>,
}

/// Why a text is not an image argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{argument}` is not NAME=REFERENCE: {reason}")]
pub(crate) struct ParseImageArgumentError {
    argument: String,
    reason: String,
}

/// What happens to one key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<T> {
    Keep,
    Drop,
    Set(T),
}

/// One entry of `images:`; each field is a key with its value.
#[derive(Clone, Copy)]
struct Entry {
    node: NodeId,
    name: Option<(NodeId, NodeId)>,
    new_name: Option<(NodeId, NodeId)>,
    new_tag: Option<(NodeId, NodeId)>,
    digest: Option<(NodeId, NodeId)>,
}

/// What an entry is to say.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    new_name: Option<&'a str>,
    tag: Part<&'a str>,
    digest: Part<&'a str>,
}

/// What stands in the kustomization `text` for `image`.
pub(super) fn read(text: &str, image: &Repository) -> Result<Standing, Fault> {
    let scan = Scan::new(text)?;
    let Some(root) = root(&scan)? else {
        return Ok(Standing {
            tag: None,
            digest: None,
            line: 1,
        });
    };
    let entries = entries_of_image(&scan, root, image)?;
    let says_version = |entry: &&Entry| {
        [entry.new_tag, entry.digest]
            .iter()
            .any(|&pair| entry.written(&scan, pair).is_some())
    };
    let last = entries.iter().rfind(says_version).or(entries.last());
    let Some(entry) = last else {
        let images = scan.pair(root, "images")?;
        let line = scan.line(images.map_or(root, |(key, _)| key));
        return Ok(Standing {
            tag: None,
            digest: None,
            line,
        });
    };
    for (_, value) in entry.new_tag.into_iter().chain(entry.digest) {
        scan.editable(value)?;
    }
    let written = entry.written(&scan, entry.new_tag);
    let (tag, tag_digest) = super::split_digest(written.unwrap_or_default());
    let digest = entry.written(&scan, entry.digest).or(tag_digest);
    let place = entry.new_tag.or(entry.digest).or(entry.name);
    Ok(Standing {
        tag: Some(tag).filter(|tag| !tag.is_empty()).map(str::to_owned),
        digest: digest.map(str::to_owned),
        line: scan.line(place.map_or(entry.node, |(key, _)| key)),
    })
}

/// The kustomization `text` with `version` of `image` as `write` says.
///
/// Where a digest stands, a tag alone would change nothing that runs, so `write: tag` is refused there. With
/// `write: digest` a tag that stands beside is kept true.
pub(super) fn write(
    text: &str,
    image: &Repository,
    (version, write): (&Version, Write),
) -> Result<String, Fault> {
    let scan = Scan::new(text)?;
    let mut draft = Draft::new(&scan);
    let wanted = Wanted::of(version, write)?;
    let entries = match root(&scan)? {
        Some(root) => entries_of_image(&scan, root, image)?,
        None => Vec::new(),
    };
    for entry in &entries {
        let written = entry.written(&scan, entry.new_tag).unwrap_or_default();
        let is_combined = written.contains('@');
        let digest_stands = is_combined || entry.written(&scan, entry.digest).is_some();
        let wanted = match write {
            Write::Tag if digest_stands => {
                let place = entry
                    .digest
                    .or(entry.new_tag)
                    .map(|(key, _)| scan.line(key));
                return Err(Fault {
                    line: place,
                    cause: Cause::DigestStands,
                });
            }
            Write::Digest if !written.is_empty() => Wanted {
                tag: Part::Set(version.tag.as_str()),
                ..wanted
            },
            Write::Tag | Write::Digest | Write::TagAndDigest => wanted,
        };
        match (is_combined, entry.new_tag, &version.digest) {
            (true, Some((_, value)), Some(digest)) => {
                draft.set(value, &format!("{}@{digest}", version.tag))?;
            }
            _ => entry.apply(&scan, &mut draft, wanted)?,
        }
    }
    if entries.is_empty() {
        add_entry(&scan, &mut draft, (&super::familiar(image), wanted))?;
    }
    Ok(draft.finish()?)
}

/// The kustomization `text` with the image as `argument` says; an entry is added if none is there.
///
/// An entry is found by `name`, letter by letter or as the same repository, or else by `newName`. The version is
/// replaced as a whole, as `kustomize edit set image` does: a tag alone takes an old digest away.
pub(crate) fn set_image(text: &str, argument: &ImageArgument) -> Result<String, Refusal> {
    let scan = Scan::new(text)?;
    let mut draft = Draft::new(&scan);
    let wanted = argument.wanted();
    let entries = match root(&scan)? {
        Some(root) => entries_of_name(&scan, root, &argument.name)?,
        None => Vec::new(),
    };
    for entry in &entries {
        entry.apply(&scan, &mut draft, wanted)?;
    }
    if entries.is_empty() {
        add_entry(&scan, &mut draft, (&argument.name, wanted))?;
    }
    draft.finish()
}

/// The map that a kustomization is; none in a file without values.
fn root(scan: &Scan<'_>) -> Result<Option<NodeId>, Refusal> {
    let documents: Vec<NodeId> = scan.documents().collect();
    let [document] = documents[..] else {
        // Kustomize reads the first document and drops the others.
        let count = documents.len();
        return match documents.get(1) {
            None => Ok(None),
            Some(&second) => Err(Refusal::at(
                scan.line(second),
                Reason::NotOneDocument { count },
            )),
        };
    };
    match scan.root(document) {
        Some(root) if !scan.is_mapping(root) => {
            let reason = scan.unexpected(root, ".".to_owned(), "a map");
            Err(Refusal::at(scan.line(root), reason))
        }
        root => Ok(root),
    }
}

fn entries(scan: &Scan<'_>, root: NodeId) -> Result<Vec<Entry>, Refusal> {
    let Some((_, images)) = scan.pair(root, "images")? else {
        return Ok(Vec::new());
    };
    if scan.is_null(images) {
        return Ok(Vec::new());
    }
    if scan.is_alias(images) {
        return Err(Refusal::at(scan.line(images), Reason::Alias));
    }
    if !scan.is_sequence(images) {
        let reason = scan.unexpected(images, "images".to_owned(), "a list");
        return Err(Refusal::at(scan.line(images), reason));
    }
    let entry = |node: NodeId| {
        let map = scan.resolved(node);
        if !scan.is_mapping(map) {
            let reason = scan.unexpected(node, "images[]".to_owned(), "a map");
            return Err(Refusal::at(scan.line(node), reason));
        }
        Ok(Entry {
            node,
            name: scan.pair(map, "name")?,
            new_name: scan.pair(map, "newName")?,
            new_tag: scan.pair(map, "newTag")?,
            digest: scan.pair(map, "digest")?,
        })
    };
    scan.items(images).map(entry).collect()
}

/// The entries that decide the version of `image`: those that make it by `newName` or keep it by `name`, which kustomize
/// carries out in turn; where there are none, those that give it another name, as for a mirror.
fn entries_of_image(
    scan: &Scan<'_>,
    root: NodeId,
    image: &Repository,
) -> Result<Vec<Entry>, Refusal> {
    let entries = entries(scan, root)?;
    let is_image =
        |text: Option<&str>| text.and_then(|text| text.parse().ok()).as_ref() == Some(image);
    let by_result = |entry: &Entry| {
        let (name, new_name) = (entry.name, entry.new_name);
        is_image(entry.written(scan, new_name).or(entry.written(scan, name)))
    };
    let by_name = |entry: &Entry| is_image(entry.written(scan, entry.name));
    first_some(&entries, &[&by_result, &by_name])
        .map(|found| refuse_aliases(scan, found))
        .unwrap_or(Ok(Vec::new()))
}

fn entries_of_name(scan: &Scan<'_>, root: NodeId, name: &str) -> Result<Vec<Entry>, Refusal> {
    let entries = entries(scan, root)?;
    let repository: Option<Repository> = name.parse().ok();
    let is_same = |text: Option<&str>| {
        let other = text.and_then(|text| text.parse().ok());
        repository.is_some() && repository == other
    };
    let by_letter = |entry: &Entry| entry.written(scan, entry.name) == Some(name);
    let by_name = |entry: &Entry| is_same(entry.written(scan, entry.name));
    let by_new_name = |entry: &Entry| is_same(entry.written(scan, entry.new_name));
    first_some(&entries, &[&by_letter, &by_name, &by_new_name])
        .map(|found| refuse_aliases(scan, found))
        .unwrap_or(Ok(Vec::new()))
}

/// The entries that meet the first rule that any entry meets.
fn first_some(entries: &[Entry], rules: &[&dyn Fn(&Entry) -> bool]) -> Option<Vec<Entry>> {
    let found = |rule: &&dyn Fn(&Entry) -> bool| -> Vec<Entry> {
        entries
            .iter()
            .copied()
            .filter(|entry| rule(entry))
            .collect()
    };
    rules.iter().map(found).find(|found| !found.is_empty())
}

fn refuse_aliases(scan: &Scan<'_>, entries: Vec<Entry>) -> Result<Vec<Entry>, Refusal> {
    match entries.iter().find(|entry| scan.is_alias(entry.node)) {
        Some(entry) => Err(Refusal::at(scan.line(entry.node), Reason::BehindAlias)),
        None => Ok(entries),
    }
}

fn add_entry(
    scan: &Scan<'_>,
    draft: &mut Draft<'_, '_>,
    (name, wanted): (&str, Wanted<'_>),
) -> Result<(), Refusal> {
    let scalar = |key: &str, value: &str| (key.to_owned(), New::Scalar(value.to_owned()));
    let mut pairs = vec![scalar("name", name)];
    pairs.extend(wanted.new_name.map(|value| scalar("newName", value)));
    pairs.extend(wanted.tag.given().map(|value| scalar("newTag", value)));
    pairs.extend(wanted.digest.given().map(|value| scalar("digest", value)));
    let entry = New::Map(pairs);
    let images = |entry| ("images".to_owned(), New::List(vec![entry]));
    let Some(root) = root(scan)? else {
        return draft.fill_text(&New::Map(vec![images(entry)]));
    };
    match scan.pair(root, "images")? {
        None => draft.insert(root, None, &[images(entry)]),
        Some((_, value)) if scan.is_null(value) => draft.fill(value, &New::List(vec![entry])),
        Some((_, value)) => draft.append(value, &entry),
    }
}

impl Entry {
    /// What a key of the entry says, if it says something.
    fn written<'s>(&self, scan: &'s Scan<'_>, pair: Option<(NodeId, NodeId)>) -> Option<&'s str> {
        pair.and_then(|(_, value)| scan.scalar(value))
            .filter(|text| !text.is_empty())
    }

    /// Drafts the edits that make the entry say what is wanted.
    fn apply(
        &self,
        scan: &Scan<'_>,
        draft: &mut Draft<'_, '_>,
        wanted: Wanted<'_>,
    ) -> Result<(), Refusal> {
        let is_name = |name: &str| self.written(scan, self.name) == Some(name);
        let new_name = match (self.new_name, wanted.new_name) {
            (_, None) => Part::Keep,
            (None, Some(name)) if is_name(name) => Part::Keep,
            (_, Some(name)) => Part::Set(name),
        };
        let (mut new_tag, mut digest) = (self.new_tag, self.digest);
        // A version of the other kind takes the place of the old one, so the comments beside it stay.
        match (wanted.tag, wanted.digest, new_tag, digest) {
            (Part::Set(_), Part::Drop, None, Some((key, _))) => {
                draft.rename(key, "newTag")?;
                (new_tag, digest) = (digest, None);
            }
            (Part::Drop, Part::Set(_), Some((key, _)), None) => {
                draft.rename(key, "digest")?;
                (new_tag, digest) = (None, new_tag);
            }
            _ => {}
        }
        let fields = [
            ("newName", self.new_name, new_name),
            ("newTag", new_tag, wanted.tag),
            ("digest", digest, wanted.digest),
        ];
        let mut after = self.name.map(|(key, _)| key);
        let mut added = Vec::new();
        for (key, pair, part) in fields {
            match (pair, part) {
                (Some((_, value)), Part::Set(text)) => draft.set(value, text)?,
                (Some((key, _)), Part::Drop) => {
                    draft.remove(self.node, key)?;
                    continue;
                }
                (None, Part::Set(text)) => {
                    added.push((key.to_owned(), New::Scalar(text.to_owned())));
                }
                (_, Part::Keep) | (None, Part::Drop) => {}
            }
            if let Some((key, _)) = pair {
                if !added.is_empty() {
                    draft.insert(self.node, after, &std::mem::take(&mut added))?;
                }
                after = Some(key);
            }
        }
        if !added.is_empty() {
            draft.insert(self.node, after, &added)?;
        }
        Ok(())
    }
}

impl<'a> Wanted<'a> {
    fn of(version: &'a Version, write: Write) -> Result<Self, Fault> {
        let tag = Part::Set(version.tag.as_str());
        let digest = || super::known_digest(version).map(Part::Set);
        let (tag, digest) = match write {
            Write::Tag => (tag, Part::Keep),
            Write::Digest => (Part::Keep, digest()?),
            Write::TagAndDigest => (tag, digest()?),
        };
        Ok(Self {
            new_name: None,
            tag,
            digest,
        })
    }
}

impl<T> Part<T> {
    fn given(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Drop => None,
        }
    }
}

impl ImageArgument {
    fn wanted(&self) -> Wanted<'_> {
        fn borrowed(part: &Part<String>) -> Part<&str> {
            match part {
                Part::Keep => Part::Keep,
                Part::Drop => Part::Drop,
                Part::Set(value) => Part::Set(value),
            }
        }
        Wanted {
            new_name: self.new_name.as_deref(),
            tag: borrowed(&self.tag),
            digest: borrowed(&self.digest),
        }
    }
}

impl FromStr for ImageArgument {
    type Err = ParseImageArgumentError;

    /// Reads the forms of `kustomize edit set image`; `*` keeps what stands there.
    ///
    /// A digest is taken as it is given: this writes what a person says, and does not ask whether it exists.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let refused = |reason: &str| ParseImageArgumentError {
            argument: s.to_owned(),
            reason: reason.to_owned(),
        };
        let (name, reference) = s
            .split_once('=')
            .map_or((None, s), |(name, rest)| (Some(name), rest));
        let (rest, digest) = super::split_digest(reference);
        let (written, tag) = super::split_tag(rest);
        let name = name.unwrap_or(written);
        let is_word =
            |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '=');
        if matches!(name, "" | "*") || name.contains('@') || !is_word(name) {
            return Err(refused("the name is not one"));
        }
        if !is_word(written)
            || tag == Some("")
            || digest.is_some_and(|digest| digest.is_empty() || !is_word(digest))
        {
            return Err(refused(
                "the reference is not NEWNAME, `:` and a tag, `@` and a digest",
            ));
        }
        if let Some(tag) = tag.filter(|&tag| tag != "*") {
            tag.parse::<Tag>()
                .map_err(|error| refused(&error.to_string()))?;
        }
        let new_name = Some(written).filter(|&new| !matches!(new, "" | "*") && new != name);
        if new_name.is_none() && tag.is_none() && digest.is_none() {
            return Err(refused("it names no new image, tag or digest"));
        }
        let part = |given: Option<&str>, other: Option<&str>| match (given, other) {
            (Some("*"), _) | (None, None) => Part::Keep,
            (Some(value), _) => Part::Set(value.to_owned()),
            (None, Some(_)) => Part::Drop,
        };
        Ok(Self {
            name: name.to_owned(),
            new_name: new_name.map(str::to_owned),
            tag: part(tag, digest),
            digest: part(digest, tag),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageArgument, set_image};
    use crate::edit::cases;

    fn edit(text: &str, argument: &str) -> Result<String, String> {
        let argument: ImageArgument = argument
            .parse()
            .map_err(|error: super::ParseImageArgumentError| error.to_string())?;
        set_image(text, &argument).map_err(|refusal| match refusal.line {
            Some(line) => format!("{line}: {refusal}"),
            None => refusal.to_string(),
        })
    }

    #[test]
    fn images_are_set_as_the_cases_say() {
        cases::check(include_str!("../../tests/edits/kustomizations.json"), edit);
        cases::check(
            include_str!("../../tests/edits/kustomizations-observed.json"),
            edit,
        );
    }
}
