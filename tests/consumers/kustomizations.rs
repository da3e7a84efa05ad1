//! Kustomizations of the corpus: `towpath set image`, and what `kustomize build` makes of it before and after.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;
use similar::{ChangeTag, TextDiff};

use crate::corpus::{self, Seen};
use crate::run;

const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

const TAG: &str = "towpath-9.9.9";
const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// How many images of one kustomization are set, all rendered at once.
const IMAGES_MAX: usize = 6;

/// What is written behind the name of an image; each kustomization gets one of them.
fn version(case: usize) -> String {
    match case % 3 {
        0 => format!(":{TAG}"),
        1 => format!("@{DIGEST}"),
        _ => format!(":{TAG}@{DIGEST}"),
    }
}

#[test]
fn kustomize_renders_only_the_new_version_of_an_image_that_was_set() {
    let (Some(kustomize), Some(modules)) = (bed::built("kustomize"), bed::corpus()) else {
        return;
    };
    let folders = corpus::folders_with(&modules, &NAMES);
    let counts = corpus::look_at_all(&modules, &folders, |folder, n| {
        look(&kustomize, folder, &version(n))
    });
    counts.tell("kustomizations");
    assert!(counts.compared >= 90 && counts.rendered >= 150);
}

fn look(kustomize: &Path, folder: &Path, version: &str) -> Seen {
    let before = match run::kustomize(kustomize, folder) {
        Ok(before) => before,
        Err(error) => return Seen::Nothing(format!("does not render: {}", corpus::gist(&error))),
    };
    let images = images(&before);
    if images.is_empty() {
        return Seen::Nothing("renders no image".to_owned());
    }
    let file = kustomization(folder);
    let written = fs::read_to_string(&file).unwrap();
    let argument = |name: &str| format!("{name}={name}{version}");
    let mut set = BTreeMap::new();
    let mut refused = Vec::new();
    for (name, count) in images.into_iter().take(IMAGES_MAX) {
        match run::set("image", folder, &[argument(&name)]) {
            Ok(()) => drop(set.insert(name, count)),
            Err(error) => refused.push(corpus::gist(&error)),
        }
    }
    let edited = fs::read_to_string(&file).unwrap();
    let arguments: Vec<String> = set.keys().map(|name| argument(name)).collect();
    let again = run::set("image", folder, &arguments).map(|()| fs::read_to_string(&file).unwrap());
    let after = run::kustomize(kustomize, folder);
    corpus::restore(&file, &written);
    let compared = after
        .and_then(|after| rendered_as_asked(&before, &after, &set, version))
        .and_then(|()| match again? == edited {
            true => Ok(()),
            false => Err("the same edit again changed something".to_owned()),
        })
        .and_then(|()| written_as_asked(&written, &edited, &set));
    match compared {
        Ok(()) => Seen::Compared {
            edits: set.len(),
            rendered: set.len(),
            refused,
        },
        Err(difference) => Seen::Wrong(format!("{difference}\n--- edited:\n{edited}")),
    }
}

fn kustomization(folder: &Path) -> PathBuf {
    let mut files = NAMES.iter().map(|name| folder.join(name));
    files.find(|file| file.is_file()).unwrap()
}

/// The images that a rendered text runs, as kustomize understands it: names with how often they occur.
fn images(rendered: &str) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for document in rendered.split("\n---\n") {
        // Most of what is large has no image in it.
        if !document.contains("image:") || document.contains("\nkind: CustomResourceDefinition") {
            continue;
        }
        count_images(&serde_yaml::from_str(document).unwrap(), &mut names);
    }
    names
}

fn count_images(value: &Value, names: &mut BTreeMap<String, usize>) {
    match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                if let Some("containers" | "initContainers") = key.as_str() {
                    let items = value.as_sequence().into_iter().flatten();
                    for image in items.filter_map(|item| item.get("image")?.as_str()) {
                        *names.entry(name(image).to_owned()).or_default() += 1;
                    }
                }
                count_images(value, names);
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| count_images(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => {}
    }
}

/// The name in an image reference.
fn name(reference: &str) -> &str {
    let tagged = reference
        .split_once('@')
        .map_or(reference, |(name, _)| name);
    match tagged.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => tagged,
    }
}

/// Each line is the old one, or names an image that was set with its new version; all of those that were set are.
fn rendered_as_asked(
    before: &str,
    after: &str,
    set: &BTreeMap<String, usize>,
    version: &str,
) -> Result<(), String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let same_length = before.lines().count() == after.lines().count();
    for (old, new) in before.lines().zip(after.lines()) {
        if old == new {
            continue;
        }
        let value = |line: &str| {
            let (key, value) = line.split_once("image: ")?;
            Some((key.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
        };
        let (Some((old_key, old_image)), Some((new_key, new_image))) = (value(old), value(new))
        else {
            return Err(format!("another line differs:\n-{old}\n+{new}"));
        };
        let name = name(&old_image);
        if old_key != new_key || !set.contains_key(name) || new_image != format!("{name}{version}")
        {
            return Err(format!("rendered otherwise than asked:\n-{old}\n+{new}"));
        }
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    if same_length && counts == *set {
        return Ok(());
    }
    Err(format!("asked for {set:?}, rendered {counts:?}"))
}

/// Only versions differ in the kustomization, and entries of images that had none.
fn written_as_asked(
    before: &str,
    after: &str,
    set: &BTreeMap<String, usize>,
) -> Result<(), String> {
    if before.ends_with('\n') != after.ends_with('\n') {
        return Err("the end of the kustomization changed".to_owned());
    }
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());
    for change in TextDiff::from_slices(&before, &after).iter_all_changes() {
        let line = change.value().trim().trim_start_matches("- ");
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim().trim_matches(['"', '\'']);
        let is_asked = match change.tag() {
            ChangeTag::Equal => true,
            ChangeTag::Delete => matches!(key, "newTag" | "digest") || line == "images: []",
            ChangeTag::Insert => match key {
                "newTag" => value.split(['#', ' ']).next() == Some(TAG),
                "digest" => value.split(['#', ' ']).next() == Some(DIGEST),
                "name" => set.contains_key(value),
                "images" => value.is_empty(),
                _ => false,
            },
        };
        if !is_asked {
            return Err(format!(
                "the kustomization changed otherwise than asked: {change}"
            ));
        }
    }
    Ok(())
}
