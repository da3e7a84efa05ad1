//! Charts of the corpus: `towpath set value` in `values.yaml`, and what `helm template` makes of it before and after.

use std::fs;
use std::path::Path;

use serde_yaml::{Mapping, Value};
use similar::{ChangeTag, TextDiff};

use crate::corpus::{self, Seen};
use crate::run;

/// A place in a chart's values where a version stands.
struct Site {
    /// As `towpath set value` reads it.
    path: String,
    /// The whole value, before and after.
    old: String,
    new: String,
    /// What differs between the two; nothing where the chart's own version stands for an empty tag.
    old_version: String,
    new_version: String,
}

#[test]
fn helm_renders_only_the_new_version_of_an_image_whose_value_was_set() {
    let (Some(helm), Some(modules)) = (bed::built("helm"), bed::corpus()) else {
        return;
    };
    let folders = corpus::folders_with(&modules, &["Chart.yaml"]);
    let counts = corpus::look_at_all(&modules, &folders, |folder, _| look(&helm, folder));
    counts.tell("charts");
    assert!(counts.compared >= 10 && counts.rendered >= 40);
}

fn look(helm: &Path, folder: &Path) -> Seen {
    let file = folder.join("values.yaml");
    let Ok(written) = fs::read_to_string(&file) else {
        return Seen::Nothing("has no values".to_owned());
    };
    let mut sites = Vec::new();
    let values: Value = serde_yaml::from_str(&written).unwrap();
    collect(&values, "", &mut sites);
    if sites.is_empty() {
        return Seen::Nothing("its values name no image".to_owned());
    }
    leave_dependencies_out(&folder.join("Chart.yaml"));
    if let Err(error) = run::helm(helm, folder, &[]) {
        return Seen::Nothing(format!("does not render: {}", corpus::gist(&error)));
    }
    let switches = switches(helm, folder, &values);
    let render = || run::helm(helm, folder, &switches);
    let (before, once_more) = (render().unwrap(), render().unwrap());
    let mut refused = Vec::new();
    sites.retain(|Site { path, new, .. }| {
        run::set("value", &file, &[format!("{path}={new}")])
            .inspect_err(|error| refused.push(corpus::gist(error)))
            .is_ok()
    });
    let edited = fs::read_to_string(&file).unwrap();
    let after = render();
    corpus::restore(&file, &written);
    let compared = after
        .and_then(|after| rendered_as_asked([&before, &once_more, &after], &sites))
        .and_then(|seen| written_as_asked((&written, &edited), &sites).map(|()| seen));
    match compared {
        Ok(rendered) => Seen::Compared {
            edits: sites.len(),
            rendered,
            refused,
        },
        Err(difference) => Seen::Wrong(difference),
    }
}

/// What can be switched on in the chart, so that more of its images are rendered.
fn switches(helm: &Path, folder: &Path, values: &Value) -> Vec<String> {
    let mut off = Vec::new();
    collect_switches(values, "", &mut off);
    let mut on = Vec::new();
    for switch in off {
        on.push(format!("{switch}=true"));
        if run::helm(helm, folder, &on).is_err() {
            on.pop();
        }
    }
    on
}

/// Finds `enabled: false` wherever an image stands below the same map.
fn collect_switches(values: &Value, path: &str, off: &mut Vec<String>) {
    let Value::Mapping(mapping) = values else {
        return;
    };
    let mut below = Vec::new();
    collect(values, "", &mut below);
    if !below.is_empty() && mapping.get("enabled") == Some(&Value::Bool(false)) {
        off.push(format!("{path}enabled"));
    }
    for (key, value) in mapping {
        if let Some(key) = key.as_str() {
            collect_switches(value, &format!("{path}{key}."), off);
        }
    }
}

/// Takes the dependencies out of a chart that are elsewhere; what it makes of its own images stays the same.
fn leave_dependencies_out(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let mut chart: Mapping = serde_yaml::from_str(&text).unwrap();
    if chart.remove("dependencies").is_some() {
        corpus::restore(file, &serde_yaml::to_string(&chart).unwrap());
    }
}

/// Finds the versions of images in `values`: tags and digests of maps, and whole references.
fn collect(values: &Value, path: &str, sites: &mut Vec<Site>) {
    match values {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                let Some(key) = key.as_str() else { continue };
                let dot = if path.is_empty() { "" } else { "." };
                let at = format!("{path}{dot}{}", quoted(key));
                sites.extend(site(mapping, key, value, &at, sites.len()));
                collect(value, &at, sites);
            }
        }
        Value::Sequence(items) => {
            for (n, item) in items.iter().enumerate() {
                collect(item, &format!("{path}[{n}]"), sites);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => {}
    }
}

fn quoted(key: &str) -> String {
    let is_plain = key
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_plain {
        key.to_owned()
    } else {
        format!("\"{key}\"")
    }
}

fn site(beside: &Mapping, key: &str, value: &Value, path: &str, n: usize) -> Option<Site> {
    let old = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => return None,
        Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => return None,
    };
    let names_image = ["repository", "image", "name"]
        .iter()
        .any(|key| beside.get(key).is_some_and(Value::is_string));
    let site = |old_version: &str, new_version: String| Site {
        path: path.to_owned(),
        new: format!("{}{new_version}", old.strip_suffix(old_version).unwrap()),
        old: old.clone(),
        old_version: old_version.to_owned(),
        new_version,
    };
    match key {
        "tag" if names_image => Some(site(&old, format!("9.9.{n}-towpath"))),
        "digest" if names_image && old.starts_with("sha256:") => {
            Some(site(&old, format!("sha256:{n:064x}")))
        }
        "image" => {
            let (name, tag) = old.rsplit_once(':')?;
            let is_reference = name.contains('/') && !tag.contains(['/', '{', ' ']);
            is_reference.then(|| site(tag, format!("9.9.{n}-towpath")))
        }
        _ => None,
    }
}

/// Each line is the old one with versions replaced; gives how many of the edits are seen.
///
/// What differs between two renderings of the same chart is made by chance, such as a password.
fn rendered_as_asked(
    [before, once_more, after]: [&str; 3],
    sites: &[Site],
) -> Result<usize, String> {
    if before.lines().count() != after.lines().count() {
        return Err(format!("lines came or went:\n{}", unified(before, after)));
    }
    let by_chance = before.lines().zip(once_more.lines());
    for ((old, again), new) in by_chance.zip(after.lines()) {
        if old == again && old != new && undone(old, new, sites) != old {
            return Err(format!("more than a version differs:\n-{old}\n+{new}"));
        }
    }
    let seen = |site: &&Site| after.contains(&site.new_version);
    Ok(sites.iter().filter(seen).count())
}

/// The line `new` with the old versions in it.
fn undone(old: &str, new: &str, sites: &[Site]) -> String {
    let mut line = new.to_owned();
    for site in sites {
        if !site.old_version.is_empty() {
            line = line.replace(&site.new_version, &site.old_version);
        } else if let Some((start, end)) = line.split_once(&site.new_version) {
            // The chart says what stands for an empty tag: its own version, a value for all images, or nothing.
            let shown = old
                .strip_prefix(start)
                .and_then(|rest| rest.strip_suffix(end));
            let is_tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let shown = shown.filter(|shown| shown.chars().all(is_tag));
            line = format!("{start}{}{end}", shown.unwrap_or("?"));
        }
    }
    line
}

/// The values differ in the lines of the sites alone, each by its version and perhaps the quotes around it.
fn written_as_asked((before, after): (&str, &str), sites: &[Site]) -> Result<(), String> {
    let without = |line: &str| line.replace(['"', '\''], "");
    let changed = before
        .lines()
        .zip(after.lines())
        .filter(|(old, new)| old != new);
    for (old, new) in changed.clone() {
        let is_site = |site: &&Site| without(new).contains(&site.new);
        let is_asked = sites.iter().find(is_site).is_some_and(|site| {
            let undone = without(new).replace(&site.new, &site.old);
            undone.trim_end() == without(old).trim_end()
        });
        if !is_asked {
            return Err(format!(
                "the values changed otherwise than asked:\n-{old}\n+{new}"
            ));
        }
    }
    let same_length = before.lines().count() == after.lines().count();
    if same_length && changed.count() == sites.len() {
        return Ok(());
    }
    Err(format!(
        "the values changed otherwise than asked:\n{}",
        unified(before, after)
    ))
}

fn unified(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after)
        .iter_all_changes()
        .filter(|change| change.tag() != ChangeTag::Equal)
        .map(|change| format!("{}{change}", change.tag()))
        .collect()
}
