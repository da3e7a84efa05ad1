//! What an edit promises, held against real YAML: charts, kustomizations and manifests of the corpus.
//!
//! Not here: what kustomize and helm make of edits (`tests/consumers`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Mutex;

use serde::Deserialize as _;
use serde_yaml::Value;

use super::path::Step;
use super::scan::Kind;
use super::{Document, NodeId, Path, Reach, Reason, Refusal, Scan, assign};

/// Largest file that is edited: larger ones are lists of definitions, and much the same.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Of this many files one is edited, so that a debug build takes less than a minute.
const FILES_STEP: usize = 5;

/// How many values of a file are edited.
const VALUES_PER_FILE: usize = 3;

/// A version as most are: no style has to change for it, so that the reverse edit gives the very bytes.
const VERSION: &str = "towpath-9.9.9";

/// The key that is added to maps.
const KEY: &str = "towpath-new";

/// What is written, in turn: a version, and what needs quotes or escapes.
const NEW: [&str; 6] = [
    VERSION,
    "1.10",
    "v9@sha256:1111111111111111111111111111111111111111111111111111111111111111",
    "it's: \"new\" # {x}, \\ é",
    "on",
    "",
];

/// What was seen, by its name.
type Counts = BTreeMap<String, usize>;

/// What is edited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edits {
    /// Scalars get another value.
    Values,
    /// Maps get one more key.
    Keys,
}

/// A scalar or a map of a file: where it stands, by a path that people would write.
#[derive(Clone)]
struct Site {
    node: NodeId,
    reach: Reach,
    path: Path,
}

#[test]
fn an_edit_of_real_yaml_changes_one_value_and_its_reverse_gives_the_file_back() {
    let Some(counts) = check_all(Edits::Values) else {
        return;
    };
    assert!(counts["edited"] > 2500 && counts["read by another parser"] > 2500);
    assert!(counts["reversed to the byte"] > 2000);
}

#[test]
fn a_key_that_is_added_to_real_yaml_leaves_every_byte_of_it() {
    let Some(counts) = check_all(Edits::Keys) else {
        return;
    };
    assert!(counts["edited"] > 2500 && counts["read by another parser"] > 2500);
}

/// Edits some places of some files of the corpus, and says what was seen.
fn check_all(edits: Edits) -> Option<Counts> {
    let mut all = Vec::new();
    for module in bed::corpus()? {
        collect(&module.folder, &mut all);
    }
    let sampled: Vec<PathBuf> = all.iter().step_by(FILES_STEP).cloned().collect();
    let next = Mutex::new(sampled.iter().enumerate());
    let seen = Mutex::new((Counts::new(), Vec::new()));
    let work = || {
        loop {
            let Some((n, file)) = next.lock().unwrap().next() else {
                return;
            };
            let mut counts = Counts::new();
            let wrong = check_file(file, n, edits, &mut counts);
            let mut seen = seen.lock().unwrap();
            for (name, count) in counts {
                *seen.0.entry(name).or_default() += count;
            }
            seen.1.extend(wrong.err());
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let (counts, wrong) = seen.into_inner().unwrap();
    let what = match edits {
        Edits::Values => "values",
        Edits::Keys => "keys",
    };
    bed::say(&format!(
        "{what} of {} of {} files",
        sampled.len(),
        all.len()
    ));
    for (name, count) in &counts {
        bed::say(&format!("  {count} x {name}"));
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Some(counts)
}

/// The YAML files below `folder` that are not too large, in order.
fn collect(folder: &FilePath, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        let is_yaml = path
            .extension()
            .is_some_and(|ext| ext == "yaml" || ext == "yml");
        if entry.file_type().unwrap().is_dir() {
            collect(&path, files);
        } else if is_yaml && entry.metadata().unwrap().len() <= FILE_BYTES_MAX {
            files.push(path);
        }
    }
}

fn count(counts: &mut Counts, name: &str) {
    *counts.entry(name.to_owned()).or_default() += 1;
}

/// Edits some places of one file; the error says what was wrong.
fn check_file(file: &FilePath, n: usize, edits: Edits, counts: &mut Counts) -> Result<(), String> {
    let bytes = fs::read(file).unwrap();
    let scanned = super::text(&bytes).and_then(|text| Ok((text, Scan::new(text)?)));
    let (text, scan) = match scanned {
        Ok(scanned) => scanned,
        Err(refusal) => {
            count(counts, &format!("file refused: {}", kind(&refusal)));
            return Ok(());
        }
    };
    let mut sites = Vec::new();
    for (number, document) in scan.all_documents().enumerate() {
        let reach = Reach {
            document: Some(Document::Number(number)),
            ..Reach::default()
        };
        if let Some(root) = scan.root(document) {
            descend(&scan, root, (&reach, &mut Vec::new()), &mut sites);
        }
    }
    sites.retain(|site| scan.is_mapping(site.node) == (edits == Edits::Keys));
    // Spread over the file, and over which place of it.
    let step = sites.len().div_ceil(VALUES_PER_FILE).max(1);
    let chosen = sites.iter().skip(n % step).step_by(step);
    for (m, site) in chosen.enumerate() {
        let new = NEW[(n + m) % NEW.len()];
        let checked = match edits {
            Edits::Values => check_value((text, &scan), site, new, counts),
            Edits::Keys => check_map((text, &scan), site, new, counts),
        };
        checked.map_err(|wrong| format!("{}: {} = {new:?}: {wrong}", file.display(), site.path))?;
    }
    Ok(())
}

/// Finds every scalar and every map that is a value, `node` and what is below it.
fn descend(
    scan: &Scan<'_>,
    node: NodeId,
    (reach, steps): (&Reach, &mut Vec<Step>),
    sites: &mut Vec<Site>,
) {
    for (key, value) in scan.pairs(node) {
        let Some(key) = scan.scalar(key) else {
            continue;
        };
        steps.push(Step::Key(key.to_owned()));
        descend(scan, value, (reach, steps), sites);
        steps.pop();
    }
    for (index, item) in scan.items(node).enumerate() {
        steps.push(Step::Index(index));
        descend(scan, item, (reach, steps), sites);
        steps.pop();
    }
    let is_site = matches!(
        scan.nodes[node.0].token.kind,
        Kind::Scalar(..) | Kind::Mapping(_)
    );
    if let Some(path) = Path::of(steps.clone()).filter(|_| is_site) {
        let reach = reach.clone();
        sites.push(Site { node, reach, path });
    }
}

fn check_value(
    (text, scan): (&str, &Scan<'_>),
    site: &Site,
    new: &str,
    counts: &mut Counts,
) -> Result<(), String> {
    let Site { node, reach, path } = site;
    if path.to_string().parse().as_ref() != Ok(path) {
        return Err("the path's text is another path".to_owned());
    }
    let set = |text: &str, value: &str| assign(text, reach, (path, value));
    let old = match scan.editable(*node) {
        Ok(old) => old,
        Err(refusal) => {
            count(counts, &format!("value refused: {}", kind(&refusal)));
            // The way to the value may be refused first, for a reason of its own.
            return match set(text, new) {
                Err(_) => Ok(()),
                Ok(after) => Err(format!("it cannot be edited, and was:\n{after}")),
            };
        }
    };
    let after = match set(text, new) {
        Ok(after) => after,
        Err(Refusal {
            line,
            reason: Reason::NotExact | Reason::Layout,
        }) => {
            return Err(format!("no exact edit was found at line {line:?}"));
        }
        Err(refusal) => {
            count(counts, &format!("edit refused: {}", kind(&refusal)));
            return Ok(());
        }
    };
    count(counts, "edited");
    if !scan.is_empty(*node) {
        if set(text, old).as_deref() != Ok(text) {
            return Err("the value that stands there is not left as it is".to_owned());
        }
        let span = &scan.nodes[node.0].span;
        if !after.starts_with(&text[..span.start]) || !after.ends_with(&text[span.end..]) {
            return Err(format!("other bytes changed:\n{after}"));
        }
        let forth = set(text, VERSION).map_err(|refusal| format!("no way: {refusal}"))?;
        let back = set(&forth, old).map_err(|refusal| format!("no way back: {refusal}"))?;
        count(counts, reversed(text, &back, span, old)?);
    }
    read_otherwise(text, &after, new, scan.has_anchors(), counts)
}

fn check_map(
    (text, scan): (&str, &Scan<'_>),
    Site { reach, path, .. }: &Site,
    new: &str,
    counts: &mut Counts,
) -> Result<(), String> {
    let after = match assign(text, reach, (&path.key(KEY), new)) {
        Ok(after) => after,
        Err(Refusal {
            line,
            reason: Reason::NotExact,
        }) => {
            return Err(format!("no exact edit was found at line {line:?}"));
        }
        Err(refusal) => {
            count(counts, &format!("edit refused: {}", kind(&refusal)));
            return Ok(());
        }
    };
    count(counts, "edited");
    let pairs = text.char_indices().zip(after.chars());
    let same = pairs.take_while(|((_, was), is)| was == is).last();
    let same = same.map_or(0, |((at, was), _)| at + was.len_utf8());
    if !after.ends_with(&text[same..]) {
        return Err(format!("other bytes changed:\n{after}"));
    }
    read_otherwise(text, &after, new, scan.has_anchors(), counts)
}

/// How the reverse edit came out: the file as it was, or the old value in other quotes.
fn reversed(
    text: &str,
    back: &str,
    span: &std::ops::Range<usize>,
    old: &str,
) -> Result<&'static str, String> {
    if back == text {
        return Ok("reversed to the byte");
    }
    let middle = back
        .strip_prefix(&text[..span.start])
        .and_then(|rest| rest.strip_suffix(&text[span.end..]));
    let reads = middle.and_then(|middle| serde_yaml::from_str::<Value>(middle).ok());
    match reads == Some(Value::String(old.to_owned())) {
        true => Ok("reversed in other quotes"),
        false => Err(format!("the reverse edit gives another file:\n{back}")),
    }
}

/// Another parser reads one other value, the new string, and all else as it was.
fn read_otherwise(
    before: &str,
    after: &str,
    new: &str,
    has_anchors: bool,
    counts: &mut Counts,
) -> Result<(), String> {
    let Ok(was) = documents(before) else {
        count(counts, "not read by another parser");
        return Ok(());
    };
    let is = documents(after).map_err(|error| format!("another parser fails: {error}"))?;
    let mut changed = Vec::new();
    differences(&Value::Sequence(was), &Value::Sequence(is), &mut changed);
    let is_new = |value: &Value| value.as_str() == Some(new);
    // An anchored value is read again at each of its aliases; a value may have been the new string already.
    let is_one = changed.len() <= 1 || has_anchors;
    if !is_one || !changed.iter().all(is_new) {
        return Err(format!("another parser reads {changed:?}"));
    }
    count(counts, "read by another parser");
    Ok(())
}

fn documents(text: &str) -> Result<Vec<Value>, serde_yaml::Error> {
    serde_yaml::Deserializer::from_str(text)
        .map(Value::deserialize)
        .collect()
}

/// Collects what `is` has in the places where it differs from `was`.
fn differences(was: &Value, is: &Value, changed: &mut Vec<Value>) {
    match (was, is) {
        (Value::Sequence(was), Value::Sequence(is)) if was.len() == is.len() => {
            let pairs = was.iter().zip(is);
            pairs.for_each(|(was, is)| differences(was, is, changed));
        }
        (Value::Mapping(was), Value::Mapping(is)) if was.len() == is.len() => {
            for ((key, was), (other, is)) in was.iter().zip(is) {
                differences(key, other, changed);
                differences(was, is, changed);
            }
        }
        (Value::Mapping(was), Value::Mapping(is)) if was.len() + 1 == is.len() => {
            for ((key, was), (other, is)) in was.iter().zip(is) {
                differences(key, other, changed);
                differences(was, is, changed);
            }
            let added = is
                .iter()
                .last()
                .filter(|(key, _)| key.as_str() == Some(KEY));
            changed.push(added.map_or(Value::Null, |(_, value)| value.clone()));
        }
        (was, is) if was == is => {}
        (_, is) => changed.push(is.clone()),
    }
}

/// A reason without what is particular to a place.
fn kind(refusal: &Refusal) -> String {
    let reason = format!("{:?}", refusal.reason);
    let end = reason.find([' ', '{', '(']).unwrap_or(reason.len());
    reason[..end].to_owned()
}
