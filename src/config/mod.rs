//! The settings and policies that people write: read strictly, checked as a whole, watched for changes.
//!
//! Reading order: `files` (which are read), `source` and `tree` (texts with places), `shape`, `raw`,
//! `forms`, `gates`, `hooks` and `nouns` (what may be written; parser and JSON Schema in one), `check_settings`, `check_repository`, `check_forge`,
//! `check_hooks`, `check_aws`, `check_clouds`, `check_policy`, `check_update`, `claim` and `tags` (what it means), `holds` (of a manifests repository), `problem` (what is wrong). Not here: what a policy means for a round (`plan`).
//! Invariant: a `Config` exists only where nothing is wrong; all problems are reported at once.

mod artifact;
mod check_aws;
mod check_clouds;
mod check_forge;
mod check_hooks;
mod check_policy;
mod check_repository;
mod check_settings;
mod check_update;
mod claim;
mod delivery;
mod files;
mod forge_nouns;
mod forms;
mod gates;
mod holds;
mod holds_edit;
mod hooks;
mod logins;
mod mask;
mod nouns;
mod problem;
mod raw;
mod schema;
mod settings;
mod shape;
mod source;
mod tags;
mod templates;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_update;
mod tree;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::policy::Policy;
use nouns::API_VERSION;
use problem::Faults;
use shape::{LATER, Shape as _, nearest, text};
use source::{Source, Span};
use tree::{Node, Value};

pub(crate) use holds::{check_holds, holds};
pub(crate) use holds_edit::{with_hold, without_holds};
pub(crate) use problem::{Problem, Problems, Severity};
pub(crate) use schema::{Kind, schema};
pub(crate) use settings::{
    CommitSettings, ForgeSettings, HookSource, Person, Proxy, RegistrySettings, RepositorySettings,
    RepositoryUrl, Settings, Signing,
};
pub(crate) use watch::Watch;

/// The settings and all policies, with nothing wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    /// By name.
    pub(crate) policies: Vec<Policy>,
    /// What a person should know all the same.
    pub(crate) warnings: Vec<Problem>,
}

/// The contents of all files that were read, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(Vec<u8>);

/// Reads the settings and the policies that they name.
pub(crate) fn load(settings: &Path) -> Result<Config, Problems> {
    read(settings).config
}

/// What one reading of all files gave.
struct Reading {
    config: Result<Config, Problems>,
    fingerprint: Fingerprint,
    /// The folders in which a change can make the next reading differ.
    folders: BTreeSet<PathBuf>,
}

/// The files read so far.
#[derive(Default)]
struct Reader {
    sources: Vec<Source>,
    faults: Faults,
    folders: BTreeSet<PathBuf>,
    /// Faults of whole files may come and go without a change of contents.
    fingerprint: Sha256,
}

fn read(path: &Path) -> Reading {
    let mut reader = Reader::default();
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    reader.folders.insert(folder.to_owned());
    if let Err(error) = reader.source(path) {
        return reader.without_settings(path, &error);
    }
    let settings = reader.settings();
    if let Some(settings) = &settings {
        reader.policies(settings, path, folder);
    }
    let Reader {
        sources,
        mut faults,
        folders,
        fingerprint,
    } = reader;
    let config = check(&sources, settings, folder, &mut faults);
    let problems_count = faults.errors();
    let problems = faults.into_problems(&sources);
    let config = match config {
        Some(config) if problems_count == 0 => Ok(Config {
            warnings: problems.list,
            ..config
        }),
        _ => Err(problems),
    };
    Reading {
        config,
        fingerprint: Fingerprint(fingerprint.finalize().to_vec()),
        folders,
    }
}

impl Reader {
    /// Reads one file.
    fn source(&mut self, path: &Path) -> Result<(), files::ReadError> {
        let text = files::read(path)?;
        self.fingerprint.update(path.as_os_str().as_encoded_bytes());
        self.fingerprint.update(Sha256::digest(&text));
        let documents = tree::parse(self.sources.len(), &text, &mut self.faults);
        self.sources.push(Source {
            path: path.to_owned(),
            masks: mask::find(&text, &documents),
            text,
            documents,
        });
        Ok(())
    }

    /// What a reading gives where there are no settings to read.
    fn without_settings(mut self, path: &Path, error: &files::ReadError) -> Reading {
        self.fingerprint.update(error.to_string());
        Reading {
            config: Err(Problems {
                list: vec![Problem {
                    severity: Severity::Error,
                    file: path.to_owned(),
                    place: None,
                    message: error.to_string(),
                    hint: Some("name the settings with `--config PATH`".to_owned()),
                }],
                omitted: 0,
            }),
            fingerprint: Fingerprint(self.fingerprint.finalize().to_vec()),
            folders: self.folders,
        }
    }

    /// Reads the settings from the first file, of whose documents exactly one is `Settings`.
    fn settings(&mut self) -> Option<raw::Settings> {
        let Self {
            sources, faults, ..
        } = self;
        let mut settings = None;
        let errors = faults.errors();
        for document in &sources[0].documents {
            if kind_of(document) != Some("Settings") {
                continue;
            }
            if settings.is_some() {
                faults.error(document.owner, "a second `Settings` document");
                continue;
            }
            settings = Some(raw::Settings::read(document, faults));
        }
        if settings.is_none() && faults.errors() == errors && errors == 0 {
            let start = Span {
                file: 0,
                start: 0,
                end: 0,
            };
            let message = "there is no document of kind `Settings` in this file";
            faults.error(start, message);
        }
        settings.flatten()
    }

    /// Reads the files with policies.
    fn policies(&mut self, settings: &raw::Settings, path: &Path, folder: &Path) {
        let mut seen = BTreeSet::from([identity(path)]);
        for (entry, span) in check_settings::policy_entries(settings) {
            let entry = folder.join(entry);
            let found = match files::policy_files(&entry) {
                Ok(found) => found,
                Err(error) => {
                    self.fingerprint.update(error.to_string());
                    self.faults.error(span, error.to_string());
                    continue;
                }
            };
            if entry.is_dir() {
                self.folders.insert(entry);
            }
            for file in found {
                self.folders.extend(file.parent().map(Path::to_owned));
                if !seen.insert(identity(&file)) {
                    continue;
                }
                if let Err(error) = self.source(&file) {
                    self.fingerprint.update(error.to_string());
                    self.faults.error(span, error.to_string());
                }
            }
        }
    }
}

/// One name for one file, so that a file named twice is read once.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Checks all documents of all files.
fn check(
    sources: &[Source],
    mut settings: Option<raw::Settings>,
    folder: &Path,
    faults: &mut Faults,
) -> Option<Config> {
    let written: Vec<raw::PromotionPolicy> = sources
        .iter()
        .flat_map(|source| policies_of(source, faults))
        .collect();
    let branches = settings.as_ref().map(check_settings::branches);
    let freezes = settings
        .as_mut()
        .and_then(|settings| settings.freezes.take());
    let forge_signs = settings.as_ref().and_then(check_settings::forge_signs);
    let settings = settings.map(|settings| check_settings::check(settings, folder, faults));
    let doubts = settings.as_ref().map(check_forge::doubts);
    let places = (branches.as_ref(), doubts.unwrap_or_default());
    let mut check = check_policy::Check::new(sources, places, faults);
    let mut policies: Vec<Policy> = written
        .into_iter()
        .filter_map(|policy| check.policy(policy))
        .collect();
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    gates::freeze(freezes.unwrap_or_default(), &mut policies, faults);
    if let (Some(settings), Some(place)) = (&settings, forge_signs) {
        check_forge::check_signatures(settings, place, &policies, faults);
    }
    Some(Config {
        settings: settings?,
        policies,
        warnings: Vec::new(),
    })
}

/// Reads the policies of one file.
fn policies_of(source: &Source, faults: &mut Faults) -> Vec<raw::PromotionPolicy> {
    let mut policies = Vec::new();
    let documents = source.documents.iter();
    let filled = documents.filter(|document| !matches!(document.value, Value::Empty));
    for (index, document) in filled.enumerate() {
        if index == 0 && document.get("kind").is_some() && document.get("apiVersion").is_none() {
            faults.error_with_hint(
                document.owner,
                "the key `apiVersion` is missing",
                format!("the first document of a file starts with `apiVersion: {API_VERSION}`"),
            );
        }
        if is_policy(document, faults) {
            policies.extend(raw::PromotionPolicy::read(document, faults));
        }
    }
    policies
}

/// Whether a document is a policy; says so where it is nothing that is known.
fn is_policy(document: &Node, faults: &mut Faults) -> bool {
    const KINDS: [&str; 3] = ["PromotionPolicy", "Settings", "Route"];
    let Some(kind) = document.get("kind") else {
        match &document.value {
            Value::Map(_) => faults.error_with_hint(
                document.owner,
                "the key `kind` is missing",
                "write `kind: PromotionPolicy` or `kind: Settings`",
            ),
            _ => shape::unexpected(document, "a map", faults),
        }
        return false;
    };
    let Some(scalar) = text(kind, faults) else {
        return false;
    };
    match scalar.text.as_str() {
        "PromotionPolicy" => return true,
        // Those of the first file were read before.
        "Settings" if kind.span.file == 0 => {}
        "Settings" => faults.error(kind.span, "settings stand in the settings file alone"),
        "Route" => faults.error(kind.span, format!("`Route` {LATER}")),
        other => {
            let message = format!("unknown kind `{other}`");
            match nearest(other, &KINDS[..2]) {
                Some(near) => {
                    faults.error_with_hint(kind.span, message, format!("did you mean `{near}`?"));
                }
                None => faults.error_with_hint(
                    kind.span,
                    message,
                    "known: `PromotionPolicy` and `Settings`",
                ),
            }
        }
    }
    false
}

/// The kind that a document says it has.
fn kind_of(document: &Node) -> Option<&str> {
    match &document.get("kind")?.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        Value::Empty | Value::List(_) | Value::Map(_) | Value::Refused => None,
    }
}
