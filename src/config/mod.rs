//! The settings and policies that people write: read strictly, checked as a whole, watched for changes.
//!
//! Reading order: `files` (which are read), `source` and `tree` (texts with places), `shape`, `raw`, `forms`, `gates`, `hooks`, `blank` and
//! `nouns` (what may be written; parser and JSON Schema in one), `check_settings`, `check_repository`, `check_forge`, `check_hooks`, `argo_cd`, `servers`,
//! `check_aws`, `check_clouds`, `check_route`, `check_policy`, `check_environment`, `check_after`, `check_update`, `claim` and
//! `tags` (what it means), `fleet` (the same for names that come later), `custom_resources`, `resources`, `allowance`, `limits` and `crd` (the same for
//! what comes from a cluster), `manifests` (the same before it goes there), `holds` (of a manifests repository), `problem` (what is wrong). Not here: what a policy means for a round (`plan`).
//! Invariant: a `Config` exists only where nothing is wrong in the files; all problems are reported at once.

mod allowance;
mod applications;
mod argo_cd;
mod artifact;
mod beside;
mod blank;
mod check_after;
mod check_aws;
mod check_clouds;
mod check_environment;
mod check_forge;
mod check_hooks;
mod check_policy;
mod check_repository;
mod check_route;
mod check_settings;
mod check_update;
mod claim;
mod crd;
mod custom_resources;
mod delivery;
mod files;
mod fleet;
mod followed;
mod forge_nouns;
mod forms;
mod gates;
mod holds;
mod holds_edit;
mod hooks;
mod leadership;
mod limits;
mod log;
mod logins;
mod manifests;
mod mask;
mod nouns;
mod problem;
mod raw;
mod resources;
mod schema;
mod servers;
mod settings;
mod shape;
mod source;
mod tags;
mod templates;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_argo_cd;
#[cfg(test)]
mod tests_leadership;
#[cfg(test)]
mod tests_manifests;
#[cfg(test)]
mod tests_resources;
#[cfg(test)]
mod tests_route;
#[cfg(test)]
mod tests_signers;
#[cfg(test)]
mod tests_update;
mod tree;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::cluster::resources::{Resource, ResourceId};
use crate::policy::gate::TrustRoot;
use crate::policy::{Policy, PolicyName};
use beside::Beside;
use check_route::FoundRoute;
use gates::{SignerFiles, TrustRootEntry};
use nouns::API_VERSION;
use problem::Faults;
use resources::{ReadResource, Terms};
use shape::{Block, Shape as _, list, nearest, text};
use source::{Source, Span, Whence};
use tree::{Node, Value};

pub(crate) use allowance::Extent;
pub(crate) use crd::definitions;
pub(crate) use fleet::Fleet;
pub(crate) use followed::resources;
pub(crate) use holds::{check_holds, holds};
pub(crate) use holds_edit::{with_hold, without_holds};
pub(crate) use manifests::Manifests;
pub(crate) use problem::{Problem, Problems, Severity};
pub(crate) use resources::{Judged, Verdict};
pub(crate) use schema::{Kind, schema};
pub(crate) use settings::{
    ArgoCdSettings, CommitSettings, CustomResourcesSettings, ForgeSettings, HookSource,
    LeadershipSettings, LogSettings, Person, ProgramPlace, Proxy, RegistrySettings, RenderSettings,
    RepositorySettings, RepositoryUrl, Settings, Signing,
};
pub(crate) use watch::Watch;

/// The settings and all policies, with nothing wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    /// By name.
    pub(crate) policies: Vec<Policy>,
    /// By name. Their policies are known once their folders are.
    pub(crate) fleets: Vec<Fleet>,
    /// Where each policy and each fleet stands.
    pub(crate) written_in: BTreeMap<PolicyName, WrittenIn>,
    /// The same of custom resources that do not count: nobody else has their names.
    pub(crate) reserved: BTreeMap<PolicyName, WrittenIn>,
    /// What became of each custom resource.
    pub(crate) judged: Vec<Judged>,
    /// What a person should know all the same.
    pub(crate) warnings: Vec<Problem>,
}

/// Where a policy stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WrittenIn {
    File(PathBuf),
    /// A custom resource; the smaller its number, the older it is.
    Resource {
        number: usize,
        id: ResourceId,
    },
}

impl fmt::Display for WrittenIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Resource { id, .. } => id.fmt(f),
        }
    }
}

/// The contents of all files that were read, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(Vec<u8>);

/// Reads the settings and the policies in the files that they name, without any custom resources.
pub(crate) fn load(settings: &Path) -> Result<Config, Problems> {
    load_with(settings, &[])
}

/// The same with custom resources that were read, the oldest first.
pub(crate) fn load_with(settings: &Path, resources: &[Arc<Resource>]) -> Result<Config, Problems> {
    read(settings, resources).config
}

/// The same once the custom resources of `manifests` are applied.
pub(crate) fn load_applied(
    settings: &Path,
    resources: &[Arc<Resource>],
    manifests: &Manifests,
) -> Result<Config, Problems> {
    let resources = manifests.applied_to(resources);
    read_with(settings, &resources, manifests).config
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

fn read(path: &Path, resources: &[Arc<Resource>]) -> Reading {
    read_with(path, resources, &Manifests::default())
}

/// The same where some of `resources` are what stands in `manifests`.
fn read_with(path: &Path, resources: &[Arc<Resource>], manifests: &Manifests) -> Reading {
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
        mut sources,
        mut faults,
        mut folders,
        mut fingerprint,
    } = reader;
    let written = (resources, manifests);
    let read = resources::read(written, &mut sources, &mut fingerprint);
    let mut beside = Beside::default();
    let said = (settings, folder);
    let config = check((&sources, read), said, &mut beside, &mut faults);
    beside.join(&mut fingerprint);
    folders.extend(beside.folders());
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
            whence: Whence::File,
            first_line: 1,
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

/// Checks all documents of all files, and then the custom resources.
fn check(
    (sources, resources): (&[Source], Vec<ReadResource>),
    (mut settings, folder): (Option<raw::Settings>, &Path),
    beside: &mut Beside,
    faults: &mut Faults,
) -> Option<Config> {
    let root = settings
        .as_mut()
        .and_then(|settings| settings.trust_root.take());
    let (written, root) = read_files(sources, (root.as_ref(), folder), beside, faults);
    let known = settings.as_ref().map(check_settings::known);
    let freezes = settings
        .as_mut()
        .and_then(|settings| settings.freezes.take());
    let forge_signs = settings.as_ref().and_then(check_settings::forge_signs);
    let settings = settings.map(|settings| check_settings::check(settings, folder, faults));
    let doubts = settings.as_ref().map(check_forge::doubts);
    let doubts = doubts.unwrap_or_default();
    let mut check = check_policy::Check::new(sources, (known.as_ref(), &doubts), faults);
    check.servers = settings.as_ref().map(|settings| &settings.servers);
    check.groups = settings.as_ref().map(|settings| &settings.groups);
    let (mut policies, mut fleets) = check.files(written);
    if let (Some(settings), Some(place)) = (&settings, forge_signs) {
        let samples = fleets.iter().map(|fleet| &fleet.sample);
        let all = policies.iter().chain(samples);
        check_forge::check_signatures(settings, place, all, check.faults);
    }
    let mut judged = Vec::new();
    if let (Some(settings), Some(known), 0) = (&settings, &known, check.faults.errors()) {
        let terms = Terms {
            settings,
            branches: &known.branches,
            root: &root,
            forge_signs,
        };
        let brought = check.resources(resources, terms, beside);
        policies.extend(brought.policies);
        fleets.extend(brought.fleets);
        judged = brought.judged;
        check.idle_routes();
    }
    let [written_in, reserved] = check.written_in();
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    fleets.sort_by(|a, b| a.sample.name.cmp(&b.sample.name));
    gates::freeze(
        freezes.unwrap_or_default(),
        (&mut policies, &mut fleets),
        faults,
    );
    Some(Config {
        settings: settings?,
        policies,
        fleets,
        written_in,
        reserved,
        judged,
        warnings: Vec::new(),
    })
}

/// Reads what stands in the files, with the keys that they name, and the trust root that counts where they name none.
fn read_files(
    sources: &[Source],
    (root, folder): (Option<&TrustRootEntry>, &Path),
    beside: &mut Beside,
    faults: &mut Faults,
) -> (InFiles, TrustRoot) {
    let mut files = SignerFiles {
        folder: Some(folder),
        beside,
        root: TrustRoot::Public,
        faults,
    };
    if let Some(root) = root.and_then(|written| files.root(written)) {
        files.root = root;
    }
    let mut written = InFiles::default();
    for source in sources
        .iter()
        .filter(|source| source.whence == Whence::File)
    {
        files.folder = Some(source.path.parent().unwrap_or(Path::new("")));
        written.read(source, &mut files);
    }
    (written, files.root)
}

/// What stands in the files of policies.
#[derive(Default)]
struct InFiles {
    policies: Vec<raw::PromotionPolicy>,
    routes: Vec<FoundRoute>,
}

/// What a document is, if it is nothing else.
enum Document {
    Policy,
    Route,
}

impl InFiles {
    /// Reads the policies and routes of one file.
    fn read(&mut self, source: &Source, files: &mut SignerFiles<'_>) {
        let documents = source.documents.iter();
        let filled = documents.filter(|document| !matches!(document.value, Value::Empty));
        for (index, document) in filled.enumerate() {
            let is_first = index == 0;
            if is_first && document.get("kind").is_some() && document.get("apiVersion").is_none() {
                files.faults.error_with_hint(
                    document.owner,
                    "the key `apiVersion` is missing",
                    format!("the first document of a file starts with `apiVersion: {API_VERSION}`"),
                );
            }
            match document_kind(document, files.faults) {
                Some(Document::Policy) => {
                    let mut policy = raw::PromotionPolicy::read(document, files.faults);
                    let spec = policy.as_mut().map(|policy| &mut policy.spec.value);
                    find_signers(spec.and_then(|spec| spec.environments.as_mut()), files);
                    self.policies.extend(policy);
                }
                Some(Document::Route) => {
                    let mut route = raw::Route::read(document, files.faults);
                    let spec = route.as_mut().map(|route| &mut route.spec.value);
                    find_signers(spec.map(|spec| &mut spec.environments), files);
                    self.routes.extend(FoundRoute::new(document, route));
                }
                None => {}
            }
        }
    }
}

/// Reads the keys and trust roots that the gates of `environments` name.
fn find_signers(
    environments: Option<&mut Block<Vec<Block<raw::Environment>>>>,
    files: &mut SignerFiles<'_>,
) {
    let environments = environments.into_iter().flat_map(|all| &mut all.value);
    for environment in environments {
        if let Some(gates) = &mut environment.value.gates {
            gates.find_signers(files);
        }
    }
}

/// Whether a document is a policy or a route; says so where it is nothing that is known.
fn document_kind(document: &Node, faults: &mut Faults) -> Option<Document> {
    const KINDS: [&str; 3] = ["PromotionPolicy", "Route", "Settings"];
    let Some(kind) = document.get("kind") else {
        match &document.value {
            Value::Map(_) => faults.error_with_hint(
                document.owner,
                "the key `kind` is missing",
                "write `kind: PromotionPolicy`, `kind: Route` or `kind: Settings`",
            ),
            _ => shape::unexpected(document, "a map", faults),
        }
        return None;
    };
    let scalar = text(kind, faults)?;
    match scalar.text.as_str() {
        "PromotionPolicy" => return Some(Document::Policy),
        "Route" => return Some(Document::Route),
        // Those of the first file were read before.
        "Settings" if kind.span.file == 0 => {}
        "Settings" => faults.error(kind.span, "settings stand in the settings file alone"),
        other => {
            let message = format!("unknown kind `{other}`");
            match nearest(other, &KINDS) {
                Some(near) => {
                    faults.error_with_hint(kind.span, message, format!("did you mean `{near}`?"));
                }
                None => {
                    faults.error_with_hint(kind.span, message, format!("known: {}", list(&KINDS)));
                }
            }
        }
    }
    None
}

/// The kind that a document says it has.
fn kind_of(document: &Node) -> Option<&str> {
    match &document.get("kind")?.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        Value::Empty | Value::List(_) | Value::Map(_) | Value::Refused => None,
    }
}
