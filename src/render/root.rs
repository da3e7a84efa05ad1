//! What renders a file, and what has to be read for that.
//!
//! Invariant: a kustomization is rendered only if all that it names stands in the repository, so that nothing is fetched; what
//! runs programs or charts is refused.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::{Files, RenderError};
use crate::manifest::RepoPath;

/// What a kustomization may be called.
/// <https://kubectl.docs.kubernetes.io/references/kustomize/glossary/#kustomization>
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

const CHART: &str = "Chart.yaml";

/// Folders of a chart whose files are no values. <https://helm.sh/docs/topics/charts/#the-chart-file-structure>
const NO_VALUES: [&str; 3] = ["templates", "crds", "charts"];

/// Most folders that one kustomization may be made of: bases and components, and theirs.
const FOLDERS_MAX: usize = 100;

/// Fields of a kustomization that name files and folders.
/// <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/>
const RESOURCES: [&str; 3] = ["resources", "bases", "components"];

/// Fields that name files, by the way to them.
const FILES: [&[&str]; 13] = [
    &["crds"],
    &["configurations"],
    &["openapi", "path"],
    &["patches", "path"],
    &["patchesStrategicMerge"],
    &["patchesJson6902", "path"],
    &["replacements", "path"],
    &["configMapGenerator", "files"],
    &["configMapGenerator", "envs"],
    &["configMapGenerator", "env"],
    &["secretGenerator", "files"],
    &["secretGenerator", "envs"],
    &["secretGenerator", "env"],
];

/// Fields that run programs or charts.
const PLUGINS: [&str; 5] = [
    "generators",
    "transformers",
    "validators",
    "helmCharts",
    "helmChartInflationGenerator",
];

/// What is rendered as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Root {
    Kustomization {
        folder: RepoPath,
    },
    Chart {
        folder: RepoPath,
        /// Values beside those of the chart itself.
        values: Option<RepoPath>,
    },
}

/// Where something may stand that renders `file`.
pub(crate) fn candidates(file: &RepoPath) -> Vec<RepoPath> {
    let own = folder_of(file);
    let kustomizations = KUSTOMIZATIONS.iter().map(|name| own.join(name));
    let charts = folders_above(file).map(|folder| folder.join(CHART));
    kustomizations.chain(charts).collect()
}

impl Root {
    /// What renders `file`, where `present` of its candidates are there: the kustomization of its folder, or the chart around it.
    pub(crate) fn of(file: &RepoPath, present: &BTreeSet<RepoPath>) -> Option<Self> {
        let own = folder_of(file);
        if KUSTOMIZATIONS
            .iter()
            .any(|name| present.contains(&own.join(name)))
        {
            return Some(Self::Kustomization { folder: own });
        }
        let folder = folders_above(file).find(|folder| present.contains(&folder.join(CHART)))?;
        let within = below(file, &folder)?;
        let is_values = !NO_VALUES.contains(&within.split('/').next()?)
            && ![CHART, "values.yaml", "Chart.lock"].contains(&within)
            && (within.ends_with(".yaml") || within.ends_with(".yml"));
        let values = is_values.then(|| file.clone());
        Some(Self::Chart { folder, values })
    }

    pub(crate) fn folder(&self) -> &RepoPath {
        match self {
            Self::Kustomization { folder } | Self::Chart { folder, values: _ } => folder,
        }
    }
}

/// The folders that have still to be read, with all below them, until `root` can be rendered; `files` are those below the ones that
/// were `read`.
pub(crate) fn unread(
    root: &Root,
    files: &Files,
    read: &BTreeSet<RepoPath>,
) -> Result<BTreeSet<RepoPath>, RenderError> {
    let is_read = |folder: &RepoPath| read.iter().any(|above| below(folder, above).is_some());
    let mut unread = BTreeSet::new();
    let (mut waiting, mut met) = (vec![root.folder().clone()], BTreeSet::new());
    while let Some(folder) = waiting.pop() {
        if !met.insert(folder.clone()) {
            continue;
        }
        if met.len() > FOLDERS_MAX {
            return Err(RenderError::ManyFiles);
        }
        if !is_read(&folder) {
            unread.insert(folder);
            continue;
        }
        if let Root::Kustomization { .. } = root {
            waiting.extend(bases(&folder, files)?);
        }
    }
    Ok(unread)
}

/// The folders that the kustomization in `folder` names.
fn bases(folder: &RepoPath, files: &Files) -> Result<Vec<RepoPath>, RenderError> {
    let mut named = KUSTOMIZATIONS.iter().map(|name| folder.join(name));
    let found = named.find_map(|file| Some((files.get(&file)?, file)));
    let unreadable = || RenderError::Kustomization {
        folder: folder.clone(),
    };
    let (bytes, file) = found.ok_or_else(unreadable)?;
    let mut kustomization: Value = serde_yaml::from_slice(bytes).map_err(|_| unreadable())?;
    kustomization.apply_merge().map_err(|_| unreadable())?;
    let has = |field: &&str| values(&kustomization, &[field]).next().is_some();
    if let Some(field) = PLUGINS.into_iter().find(has) {
        let field = field.to_owned();
        return Err(RenderError::Plugin { file, field });
    }
    let elsewhere = |entry: &str| RenderError::Elsewhere {
        file: file.clone(),
        entry: entry.to_owned(),
    };
    let texts = |way: &'static [&'static str]| {
        values(&kustomization, way).filter_map(|value| value.as_str())
    };
    if let Some(entry) = FILES
        .into_iter()
        .flat_map(texts)
        .find(|entry| is_fetched(entry))
    {
        return Err(elsewhere(entry));
    }
    let mut folders = Vec::new();
    for field in &RESOURCES {
        for entry in values(&kustomization, &[field]).filter_map(Value::as_str) {
            let path = resolved(folder, entry).ok_or_else(|| elsewhere(entry))?;
            if !files.contains_key(&path) {
                folders.push((path, entry));
            }
        }
    }
    // A file that is not there looks like a folder, and is told by the name that people wrote.
    let is_file = |(path, _): &&(RepoPath, &str)| {
        path.as_str().ends_with(".yaml") || path.as_str().ends_with(".yml")
    };
    match folders.iter().find(is_file) {
        Some((_, entry)) => Err(elsewhere(entry)),
        None => Ok(folders.into_iter().map(|(path, _)| path).collect()),
    }
}

/// Whether kustomize would fetch a file of this name. `key=` may stand before it.
fn is_fetched(entry: &str) -> bool {
    let place = entry.split_once('=').map_or(entry, |(_, place)| place);
    [entry, place].iter().any(|entry| {
        let entry = entry.trim().to_ascii_lowercase();
        entry.starts_with("http:") || entry.starts_with("https:")
    })
}

/// All that stands at the end of `way`, through lists. Kustomize reads keys in any case.
fn values<'v>(value: &'v Value, way: &[&str]) -> Box<dyn Iterator<Item = &'v Value> + 'v> {
    match (value, way) {
        (Value::Null, _) => Box::new(std::iter::empty()),
        (Value::Sequence(items), way) => {
            let found: Vec<&Value> = items.iter().flat_map(|item| values(item, way)).collect();
            Box::new(found.into_iter())
        }
        (value, []) => Box::new(std::iter::once(value)),
        (Value::Mapping(map), [first, rest @ ..]) => {
            let is_named = |key: &Value| {
                key.as_str()
                    .is_some_and(|key| key.eq_ignore_ascii_case(first))
            };
            let named = map.iter().filter(|(key, _)| is_named(key));
            let found: Vec<&Value> = named.flat_map(|(_, value)| values(value, rest)).collect();
            Box::new(found.into_iter())
        }
        (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_), [_, ..]) => {
            Box::new(std::iter::empty())
        }
    }
}

/// Where `entry` leads from `folder`; `None` where that is no place in the repository.
fn resolved(folder: &RepoPath, entry: &str) -> Option<RepoPath> {
    if entry.starts_with('/') || entry.contains(':') {
        return None;
    }
    let mut parts: Vec<&str> = folder.as_str().split('/').collect();
    parts.retain(|part| !part.is_empty());
    for part in entry.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    match parts.is_empty() {
        true => ".".parse().ok(),
        false => parts.join("/").parse().ok(),
    }
}

fn folder_of(path: &RepoPath) -> RepoPath {
    let folder = path
        .as_str()
        .rsplit_once('/')
        .map_or(".", |(folder, _)| folder);
    folder.parse().expect("what a path lies in is a path")
}

/// The folders that `path` lies in, the nearest first and the root last.
fn folders_above(path: &RepoPath) -> impl Iterator<Item = RepoPath> {
    let first = Some(folder_of(path));
    std::iter::successors(first, |folder| {
        (!folder.as_str().is_empty()).then(|| folder_of(folder))
    })
}

/// What is left of `path` below `folder`; empty where it is the folder itself.
fn below<'p>(path: &'p RepoPath, folder: &RepoPath) -> Option<&'p str> {
    match folder.as_str() {
        "" => Some(path.as_str()),
        folder => match path.as_str().strip_prefix(folder)? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        },
    }
}
