//! Properties: what holds for every kustomization and every image that is set in it. See `edit::properties`.
//!
//! Not here: the fuzz target (`fuzz/`).
//! Invariant: a check returns, or panics for an input that breaks a property; it is built for tests and fuzzers only.

use serde_yaml::Value;

use super::{ImageArgument, set_image};
use crate::edit::Scan;
use crate::edit::properties::{differences, is_kept, readings, split};

/// Checks one edit, written as `NAME=REFERENCE NUL TEXT`.
pub(crate) fn check(input: &[u8]) {
    let Some((argument, text)) = split(input) else {
        return;
    };
    let Ok(image) = argument.parse::<ImageArgument>() else {
        return;
    };
    let Ok(after) = set_image(text, &image) else {
        return;
    };
    let again = set_image(&after, &image);
    assert_eq!(again.as_deref(), Ok(&after[..]), "not at rest");
    let (Ok(before), Ok(edited)) = (Scan::new(text), Scan::new(&after)) else {
        panic!("{after:?} or what it was cannot be scanned");
    };
    check_bytes(&before, text, &after);
    check_reading(argument, &before, &edited);
}

/// Only the list of images changed, or was added.
fn check_bytes(scan: &Scan<'_>, before: &str, after: &str) {
    let document = scan.documents().next();
    let root = document.and_then(|document| scan.root(document));
    let images = root.and_then(|root| scan.pair(root, "images").ok()?);
    let Some((key, value)) = images.filter(|&(_, value)| !scan.is_null(value)) else {
        let null = images.map_or(0..0, |(_, value)| scan.span(value));
        assert!(is_kept(before, null, after), "something is lost: {after:?}");
        return;
    };
    let head = &before[..scan.span(key).end];
    assert!(after.starts_with(head), "{after:?}");
    // A comment below the last entry belongs to it, and a line that is added ends one that had no end.
    let tail = before[scan.span(value).end..]
        .split_once('\n')
        .unwrap_or_default()
        .1;
    let lines = tail.lines().map(str::trim_ascii);
    for line in lines.filter(|line| !line.starts_with('#')) {
        assert!(
            after[head.len()..].contains(line),
            "{line:?} is lost: {after:?}"
        );
    }
}

/// Whoever could read the text reads the new image, and finds all other keys as they were.
fn check_reading(argument: &str, before: &Scan<'_>, after: &Scan<'_>) {
    let Some(old) = readings(before) else { return };
    let (before, after, read) = (before.text(), after.text(), readings(after));
    let Some(new) = read else {
        panic!("libyaml could read {before:?} and cannot read {after:?}");
    };
    let old = old.into_iter().find(|document| !document.is_null());
    let new = new.into_iter().find(|document| !document.is_null());
    let (mut old, Some(mut new)) = (old.unwrap_or_default(), new) else {
        panic!("nothing is left: {after:?}");
    };
    let old_images = taken(&mut old);
    let new_images = taken(&mut new);
    // An alias may show what changed elsewhere, and a key with a tag is another key for this reader.
    if !old.is_null() && !before.contains(['*', '!']) {
        assert_eq!(old, new, "{after:?}");
    }
    let (old_count, new_count) = (old_images.len(), new_images.len());
    assert!(
        new_count == old_count || new_count == old_count + 1,
        "{after:?}"
    );
    let changed = old_images.iter().zip(&new_images);
    let changed = changed.filter(|(old, new)| !differences(old, new).is_empty());
    let added = &new_images[old_count..];
    let (name, rest) = argument.split_once('=').unwrap_or(("", argument));
    let (rest, digest) = rest.split_once('@').unwrap_or((rest, "*"));
    let last = rest.rsplit('/').next().unwrap_or_default();
    let tag = last.split_once(':').map_or("*", |(_, tag)| tag);
    for entry in changed.map(|(_, new)| new).chain(added) {
        assert!(tag == "*" || says(entry, "newTag", tag), "{entry:?}");
        assert!(digest == "*" || says(entry, "digest", digest), "{entry:?}");
    }
    let is_named = |entry: &Value| name.is_empty() || says(entry, "name", name);
    assert!(added.iter().all(is_named), "{added:?}");
}

/// The entries of `images`, which are taken out of a kustomization.
fn taken(kustomization: &mut Value) -> Vec<Value> {
    let images = kustomization
        .as_mapping_mut()
        .and_then(|map| map.shift_remove("images"));
    match images {
        Some(Value::Sequence(entries)) => entries,
        Some(_) | None => Vec::new(),
    }
}

fn says(entry: &Value, key: &str, text: &str) -> bool {
    entry.get(key).and_then(Value::as_str) == Some(text)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::edit::cases;

    #[test]
    fn what_a_fuzzer_found_holds() {
        cases::replay("kustomization", check);
    }

    #[test]
    fn the_cases_hold() {
        for table in [
            include_str!("../../tests/edits/kustomizations.json"),
            include_str!("../../tests/edits/kustomizations-observed.json"),
        ] {
            cases::each_input(table, check);
        }
    }
}
