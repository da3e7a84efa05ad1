//! Kustomizations: the `images:` entries, and the versions in them.
//!
//! Not here: which file is the kustomization (`Site::files`), and rendering.
//! Invariant: entries keep their order, and keys that are not asked for keep their bytes.
//!
//! What kustomize 5 does with an entry, see
//! <https://github.com/kubernetes-sigs/kustomize/blob/master/api/filters/imagetag/updater.go>, and what was seen of it:
//! * `newName`, `newTag` and `digest` replace the parts of each image called `name`; with both `newTag` and `digest` the
//!   result is `name:newTag@digest`, of which the digest counts when the image is pulled. `tagSuffix` is for entries
//!   without either, and says nothing beside them.
//! * Entries are carried out in turn, each on what the ones before it made: of two for one image the later wins.
//! * A `name` is an anchored regular expression, and Docker Hub's long and short names are different ones.
//! * Keys are read in any case, and the old `imageTags` wins over `images`.

use regex::bytes::RegexBuilder;

use super::name::{familiar, is_image, split_digest};
use super::{Ask, Cause, Fault, Standing, Version, Write, chart, known_digest};
use crate::edit::{Draft, New, NodeId, Reason, Refusal, Scan};
use crate::image::Repository;

/// Longest pattern that is tried, in bytes; a repository's name has at most 255.
const PATTERN_BYTES_MAX: usize = 255;

/// Most memory of a tried pattern. The few classes and repeats of an honest one take 1 KiB or so; of 4 MiB of patterns
/// each is given up at once that takes more.
const PATTERN_SIZE_BYTES_MAX: usize = 16 * 1024;

/// How much of a large pattern a message shows.
const PATTERN_SHOWN_CHARS: usize = 40;

/// What happens to one key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<T> {
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
pub(super) struct Wanted<'a> {
    pub(super) new_name: Option<&'a str>,
    pub(super) tag: Part<&'a str>,
    pub(super) digest: Part<&'a str>,
}

/// What stands in a kustomization for the image, in each entry that [`write()`] writes.
pub(super) fn read(scan: &Scan<'_>, ask: Ask<'_>) -> Result<Vec<Standing>, Fault> {
    let nothing = |line: usize| Standing {
        tag: None,
        digest: None,
        line,
        path: "images".parse().ok(),
        shared: Vec::new(),
    };
    let Some(root) = root(scan)? else {
        return Ok(vec![nothing(1)]);
    };
    let entries = entries_of_image(scan, root, ask)?;
    if entries.is_empty() {
        let images = scan.pair(root, "images")?;
        let line = scan.line(images.map_or(root, |(key, _)| key));
        return Ok(vec![nothing(line)]);
    }
    entries.iter().map(|entry| entry.standing(scan)).collect()
}

/// Drafts `version` of the image as `write` says.
///
/// Where a digest stands, a tag alone would change nothing that runs, so `write: tag` is refused there. With
/// `write: digest` a tag that stands beside is kept true.
pub(super) fn write(
    draft: &mut Draft<'_, '_>,
    ask: Ask<'_>,
    (version, write): (&Version, Write),
) -> Result<(), Fault> {
    let scan = draft.scan();
    let wanted = Wanted::of(version, write)?;
    let entries = match root(scan)? {
        Some(root) => entries_of_image(scan, root, ask)?,
        None => Vec::new(),
    };
    for entry in &entries {
        let written = entry.written(scan, entry.new_tag).unwrap_or_default();
        let digest_key = entry.written(scan, entry.digest);
        if write == Write::Tag && (written.contains('@') || digest_key.is_some()) {
            let place = entry.digest.or(entry.new_tag);
            return Err(Fault {
                line: place.map(|(key, _)| scan.line(key)),
                cause: Cause::DigestStands,
            });
        }
        // With both in one key and a digest beside it, kustomize makes no valid image; then each goes to its own key.
        let combined = entry
            .new_tag
            .filter(|_| written.contains('@') && digest_key.is_none());
        match (combined, &version.digest) {
            (Some((_, value)), Some(digest)) => {
                draft.set(value, &format!("{}@{digest}", version.tag))?;
            }
            _ if write == Write::Digest && !written.is_empty() => {
                let tag = Part::Set(version.tag.as_str());
                entry.apply(draft, Wanted { tag, ..wanted })?;
            }
            _ => entry.apply(draft, wanted)?,
        }
    }
    if entries.is_empty() {
        add_entry(draft, (&familiar(ask.image), wanted))?;
    }
    Ok(())
}

/// Drafts what is wanted of the image that a person calls `name`; an entry is added if none is there.
pub(super) fn apply_to_name(
    draft: &mut Draft<'_, '_>,
    name: &str,
    wanted: Wanted<'_>,
) -> Result<(), Refusal> {
    let scan = draft.scan();
    let entries = match root(scan)? {
        Some(root) => entries(scan, root)?,
        None => Vec::new(),
    };
    let own = entries_of_name(scan, &entries, name)?;
    for entry in &own {
        entry.apply(draft, wanted)?;
    }
    // What else decides the version gets the version, and keeps its name.
    let wanted_version = Wanted {
        new_name: None,
        ..wanted
    };
    for entry in chained(scan, &entries, (&own, name))? {
        entry.apply(draft, wanted_version)?;
    }
    if own.is_empty() {
        add_entry(draft, (name, wanted))?;
    }
    Ok(())
}

/// The map that a kustomization is; none in a file without values.
pub(super) fn root(scan: &Scan<'_>) -> Result<Option<NodeId>, Refusal> {
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
    refuse_misspelled(scan, root, &["images"])?;
    if let Some((key, _)) = scan.pair(root, "imageTags")? {
        return Err(Refusal::at(scan.line(key), Reason::OldKey));
    }
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
        refuse_misspelled(scan, map, &["name", "newName", "newTag", "digest"])?;
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

/// Refuses keys that kustomize takes for one of `keys`, though they are not spelled so.
pub(super) fn refuse_misspelled(
    scan: &Scan<'_>,
    map: NodeId,
    keys: &[&str],
) -> Result<(), Refusal> {
    for (node, _) in scan.pairs(map) {
        let written = scan.scalar(node).unwrap_or_default();
        let meant = |key: &&&str| written.eq_ignore_ascii_case(key) && written != **key;
        if let Some(key) = keys.iter().find(meant) {
            let (written, key) = (written.to_owned(), (*key).to_owned());
            return Err(Refusal::at(
                scan.line(node),
                Reason::OtherCase { written, key },
            ));
        }
    }
    Ok(())
}

/// The entries that decide the version of `image`: those that make it by `newName` or keep it by `name`, which kustomize
/// carries out in turn; where there are none, those that give it another name, as for a mirror.
fn entries_of_image(scan: &Scan<'_>, root: NodeId, ask: Ask<'_>) -> Result<Vec<Entry>, Fault> {
    let charts = chart::charts(scan)?;
    if let Some((chart, _)) = charts.iter().find(|(_, name)| is_image(name, ask.image)) {
        let image = ask.image.clone();
        return Err(Fault::at(scan.line(*chart), Cause::IsChart { image }));
    }
    let entries = entries(scan, root)?;
    refuse_patterns(scan, &entries, ask.image)?;
    let is_image = |text: Option<&str>| text.is_some_and(|text| is_image(text, ask.image));
    let by_result = |entry: &Entry| {
        let (name, new_name) = (entry.name, entry.new_name);
        is_image(entry.written(scan, new_name).or(entry.written(scan, name)))
    };
    let by_name = |entry: &Entry| is_image(entry.written(scan, entry.name));
    let mut found = first_some(&entries, &[&by_result, &by_name]).unwrap_or_default();
    // An entry that only renames is content with the version that a later one gives.
    let last = found.iter().rposition(|entry| entry.says_version(scan));
    let mut index = 0..;
    found.retain(|entry| {
        let is_later = last.is_none_or(|last| index.next().is_none_or(|index| index > last));
        is_later || entry.says_version(scan)
    });
    Ok(refuse_aliases(scan, found)?)
}

fn entries_of_name(scan: &Scan<'_>, entries: &[Entry], name: &str) -> Result<Vec<Entry>, Refusal> {
    let repository: Option<Repository> = name.parse().ok();
    let is_same = |text: Option<&str>| {
        let other = text.and_then(|text| text.parse().ok());
        repository.is_some() && repository == other
    };
    let by_letter = |entry: &Entry| entry.written(scan, entry.name) == Some(name);
    let by_name = |entry: &Entry| is_same(entry.written(scan, entry.name));
    let by_new_name = |entry: &Entry| is_same(entry.written(scan, entry.new_name));
    let found = first_some(entries, &[&by_letter, &by_name, &by_new_name]);
    refuse_aliases(scan, found.unwrap_or_default())
}

/// The entries beside `own` that decide the version too, all further down: those that make other images `name` when no
/// entry of `own` follows, and those that change again what one renamed.
fn chained(
    scan: &Scan<'_>,
    entries: &[Entry],
    (own, name): (&[Entry], &str),
) -> Result<Vec<Entry>, Refusal> {
    let mut names = Vec::new();
    let mut found = Vec::new();
    let last = own.last().map(|own| own.node);
    for entry in entries {
        let is_own = own.iter().any(|own| own.node == entry.node);
        let written = entry.written(scan, entry.name).unwrap_or_default();
        let new_name = entry.written(scan, entry.new_name);
        let is_renamed = names.contains(&written);
        let says_version = entry.new_tag.is_some() || entry.digest.is_some();
        let makes_it = last.is_some_and(|last| entry.node > last) && new_name == Some(name);
        if !is_own && (makes_it || is_renamed && says_version) {
            found.push(*entry);
        }
        if is_own || is_renamed {
            names.extend(new_name);
        }
    }
    refuse_aliases(scan, found)
}

/// Refuses entries whose name is no image's but a pattern that the image matches.
fn refuse_patterns(scan: &Scan<'_>, entries: &[Entry], image: &Repository) -> Result<(), Fault> {
    for entry in entries {
        let name = entry.written(scan, entry.name).unwrap_or_default();
        refuse_pattern(scan, (entry.node, name), image)?;
    }
    Ok(())
}

/// Refuses a name that is no image's but a pattern that the image matches, or may match.
pub(super) fn refuse_pattern(
    scan: &Scan<'_>,
    (node, name): (NodeId, &str),
    image: &Repository,
) -> Result<(), Fault> {
    if !name.contains(['*', '+', '?', '(', '[', '{', '|', '^', '$', '\\']) {
        return Ok(());
    }
    let image_name = image.to_string();
    let texts = [familiar(image), image_name];
    let cause = match matches_any(name, &texts) {
        Some(false) => return Ok(()),
        Some(true) => Cause::PatternName {
            name: name.to_owned(),
            image: image.clone(),
        },
        None => Cause::LargePattern {
            start: name.chars().take(PATTERN_SHOWN_CHARS).collect(),
            image: image.clone(),
        },
    };
    Err(Fault::at(scan.line(node), cause))
}

/// Whether a pattern matches one of `texts`; none if it takes too much to say.
///
/// The classes of kustomize's patterns are of ASCII, as images' names are; those of all Unicode make large machines.
fn matches_any(pattern: &str, texts: &[String]) -> Option<bool> {
    let sets_unicode = |group: &str| {
        let flags = group.split([':', ')']).next();
        flags.is_some_and(|flags| flags.contains('u'))
    };
    let is_unicode = !pattern.is_ascii()
        || ["\\p", "\\P"].iter().any(|class| pattern.contains(class))
        || pattern.split("(?").skip(1).any(sets_unicode);
    if pattern.len() > PATTERN_BYTES_MAX || is_unicode {
        return None;
    }
    let built = RegexBuilder::new(&format!("^(?:{pattern})$"))
        .unicode(false)
        .size_limit(PATTERN_SIZE_BYTES_MAX)
        .build();
    match built {
        Ok(regex) => Some(texts.iter().any(|text| regex.is_match(text.as_bytes()))),
        Err(regex::Error::CompiledTooBig(_)) => None,
        // An error to kustomize too, or a text with braces, which no image's name has.
        Err(_) => Some(false),
    }
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

fn add_entry(draft: &mut Draft<'_, '_>, (name, wanted): (&str, Wanted<'_>)) -> Result<(), Refusal> {
    let scan = draft.scan();
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
    fn says_version(&self, scan: &Scan<'_>) -> bool {
        let mut texts = [self.new_tag, self.digest].into_iter();
        texts.any(|pair| self.written(scan, pair).is_some())
    }

    /// What the entry says of the version.
    fn standing(&self, scan: &Scan<'_>) -> Result<Standing, Fault> {
        for (_, value) in self.new_tag.into_iter().chain(self.digest) {
            scan.editable(value)?;
        }
        let written = self.written(scan, self.new_tag);
        let (tag, tag_digest) = split_digest(written.unwrap_or_default());
        let digest = self.written(scan, self.digest).or(tag_digest);
        let place = self.new_tag.or(self.digest).or(self.name);
        let (key, value) = place.unwrap_or((self.node, self.node));
        Ok(Standing {
            tag: Some(tag).filter(|tag| !tag.is_empty()).map(str::to_owned),
            digest: digest.map(str::to_owned),
            line: scan.line(key),
            path: scan.path_to(value),
            shared: scan.shared(value, &[])?,
        })
    }

    /// What a key of the entry says, if it says something.
    fn written<'s>(&self, scan: &'s Scan<'_>, pair: Option<(NodeId, NodeId)>) -> Option<&'s str> {
        pair.and_then(|(_, value)| scan.scalar(value))
            .filter(|text| !text.is_empty())
    }

    /// Drafts the edits that make the entry say what is wanted.
    fn apply(&self, draft: &mut Draft<'_, '_>, wanted: Wanted<'_>) -> Result<(), Refusal> {
        let scan = draft.scan();
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
        let digest = || known_digest(version).map(Part::Set);
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
