//! Logins of registries in a Docker config file, as `docker login` and Kubernetes' pull secrets write it.
//!
//! <https://docs.docker.com/reference/cli/docker/login/>,
//! <https://kubernetes.io/docs/concepts/containers/images/#config-json>. Not here: running the programs that keep logins
//! (`helper`), and reading pull secrets (`kubernetes`).
//! Invariant: the file is read anew each time, and no message holds more of an entry than its name.

mod scope;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::DeserializeOwned;

use super::helper::Helper;
use super::wire::{DockerConfigFile, Entry};
use super::{Environment, Found, Login};
use scope::{Fit, Weight, fit};

/// Largest file: what a Kubernetes secret holds at most.
const BYTES_MAX: u64 = 1024 * 1024;

/// Other writers than Docker leave the padding away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A Docker config file: `~/.docker/config.json`, or a mounted secret of the type `kubernetes.io/dockerconfigjson`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DockerConfig(PathBuf);

/// A Docker config as it was read, from a file or a secret.
pub(super) struct Written {
    place: Place,
    text: String,
    file: DockerConfigFile,
}

/// Where a Docker config stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    /// A secret of a Kubernetes cluster: `NAMESPACE/NAME`.
    Secret(String),
}

/// What a Docker config says of a repository.
#[derive(Debug)]
pub(super) enum DockerLogin {
    /// An entry has the login.
    Entry(Found),
    /// A program has it, for this server.
    Helper { helper: Helper, server: String },
}

/// Why a Docker config gives no login. Names the place, the line and the entry, never a value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DockerConfigError {
    #[error("failed to read the {place}")]
    Unreadable { place: Place, source: io::Error },
    #[error("the {place} is larger than {BYTES_MAX} bytes")]
    TooLarge { place: Place },
    #[error("the {place} is not JSON at line {line}, column {column}")]
    NotJson {
        place: Place,
        line: usize,
        column: usize,
    },
    #[error("the {place} has a value of the wrong type at line {line}, column {column}")]
    WrongType {
        place: Place,
        line: usize,
        column: usize,
    },
    #[error("the {place} has the form of the old `.dockercfg`, without `auths`")]
    OldForm { place: Place },
    #[error("the entry `{entry}` of the {place}{} {fault}", in_line(*line))]
    Entry {
        place: Place,
        entry: String,
        line: Option<usize>,
        fault: EntryFault,
    },
    #[error("the {place} leaves logins to a program whose name is no name of a file")]
    BadProgram { place: Place },
    #[error("the {place} leaves logins to the program `{program}`, which is in no folder of PATH")]
    NoProgram { place: Place, program: String },
}

/// Why one entry gives no login.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryFault {
    #[error("has an `auth` that is not base64")]
    NotBase64,
    #[error("has an `auth` that is not a user, a colon and a password in base64")]
    NotLogin,
    #[error("has a `username` without a `password`, or the other way round")]
    Incomplete,
}

/// What an entry says of its login.
enum Held {
    Nothing,
    Login(Login),
}

impl DockerConfig {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// What the file says now of the login for the repository `path` of the registry `host`, if anything.
    pub(super) fn login(
        &self,
        host: &str,
        path: &str,
    ) -> Result<Option<DockerLogin>, DockerConfigError> {
        self.read()?.login(host, path)
    }

    /// Everything that is wrong with the file and its entries now, needed or not.
    pub(crate) fn problems(&self, environment: &Environment) -> Vec<DockerConfigError> {
        match self.read() {
            Ok(written) => written.problems(environment),
            Err(error) => vec![error],
        }
    }

    fn read(&self) -> Result<Written, DockerConfigError> {
        let place = || Place::File(self.0.clone());
        let unreadable = |source| DockerConfigError::Unreadable {
            place: place(),
            source,
        };
        let mut text = String::new();
        let file = std::fs::File::open(&self.0).map_err(unreadable)?;
        file.take(BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(DockerConfigError::TooLarge { place: place() });
        }
        Written::parse(place(), text)
    }
}

impl Written {
    pub(super) fn parse(place: Place, text: String) -> Result<Self, DockerConfigError> {
        let file: DockerConfigFile = from_json(&place, &text)?;
        if file.auths.is_none() && is_old_form(&text) {
            return Err(DockerConfigError::OldForm { place });
        }
        Ok(Self { place, text, file })
    }

    /// Reads the form that has entries and nothing around them, which one type of secret still has.
    pub(super) fn parse_old(place: Place, text: String) -> Result<Self, DockerConfigError> {
        let file = DockerConfigFile {
            auths: Some(from_json(&place, &text)?),
            helpers: None,
            store: None,
        };
        Ok(Self { place, text, file })
    }

    /// How closely each entry fits that fits a repository at all, with its name.
    pub(super) fn fitting(&self, (host, path): (&str, &str)) -> impl Iterator<Item = (Fit, &str)> {
        let entries = self.file.auths.iter().flatten();
        entries.filter_map(move |(name, entry)| {
            let weight = match entry.as_ref().is_some_and(Entry::says_something) {
                true => Weight::Entry,
                false => Weight::Empty,
            };
            Some((fit(name, (host, path), weight)?, name.as_str()))
        })
    }

    /// The login that the entry `name` holds, if any.
    pub(super) fn entry(&self, name: &str) -> Result<Option<Found>, DockerConfigError> {
        let auths = self.file.auths.as_ref();
        let entry = auths.and_then(|auths| auths.get(name)?.as_ref());
        let place = || format!("the entry `{}` of the {}", shown(name), self.place);
        match entry.map_or(Ok(Held::Nothing), Entry::held) {
            Ok(Held::Login(login)) => Ok(Some(Found {
                login,
                place: place(),
            })),
            Ok(Held::Nothing) => Ok(None),
            Err(fault) => Err(self.fault(name, fault)),
        }
    }

    /// Docker asks a registry's own program first, and the one for all where no entry has a login.
    fn login(&self, host: &str, path: &str) -> Result<Option<DockerLogin>, DockerConfigError> {
        let entries = self.fitting((host, path));
        let entries = entries.map(|(fit, name)| (fit, name, None));
        let helpers = self.file.helpers.iter().flatten();
        let helpers = helpers.filter_map(|(name, program)| {
            let fit = fit(name, (host, path), Weight::Helper)?;
            Some((fit, name.as_str(), Some(program)))
        });
        // The first of equals by name, whatever their order in the file.
        let best = entries.chain(helpers).min_by(|a, b| b.0.cmp(&a.0));
        let store = self.file.store.as_ref().filter(|store| !store.is_empty());
        let program = match best {
            Some((_, _, Some(program))) => Some(program),
            Some((_, name, None)) => match self.entry(name)? {
                Some(found) => return Ok(Some(DockerLogin::Entry(found))),
                // `docker login` leaves an empty entry behind for what it gave to the store.
                None => store,
            },
            None => store,
        };
        let Some(program) = program else {
            return Ok(None);
        };
        let server = scope::server(host).to_owned();
        let helper = self.helper(program)?;
        Ok(Some(DockerLogin::Helper { helper, server }))
    }

    fn problems(&self, environment: &Environment) -> Vec<DockerConfigError> {
        let DockerConfigFile {
            auths,
            helpers,
            store,
        } = &self.file;
        let names = auths.iter().flatten().map(|(name, _)| name);
        let faults = names.filter_map(|name| self.entry(name).err());
        let store = store.iter().filter(|store| !store.is_empty());
        let programs: BTreeSet<_> = helpers
            .iter()
            .flat_map(BTreeMap::values)
            .chain(store)
            .collect();
        let missing = programs.into_iter().filter_map(|program| {
            let helper = match self.helper(program) {
                Ok(helper) => helper,
                Err(error) => return Some(error),
            };
            let is_missing = helper.find(environment).is_none();
            is_missing.then(|| DockerConfigError::NoProgram {
                place: self.place.clone(),
                program: helper.program(),
            })
        });
        faults.chain(missing).collect()
    }

    fn helper(&self, program: &str) -> Result<Helper, DockerConfigError> {
        let bad = || DockerConfigError::BadProgram {
            place: self.place.clone(),
        };
        Helper::parse(program).ok_or_else(bad)
    }

    fn fault(&self, name: &str, fault: EntryFault) -> DockerConfigError {
        DockerConfigError::Entry {
            place: self.place.clone(),
            entry: shown(name),
            line: line_of(&self.text, name),
            fault,
        }
    }
}

impl fmt::Display for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Docker config file `{}`", self.0.display())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "Docker config file `{}`", path.display()),
            Self::Secret(name) => write!(f, "secret `{name}`"),
        }
    }
}

impl DockerConfigError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OldForm { .. } => Some("put its entries under `auths`"),
            Self::Entry { fault, .. } => match fault {
                EntryFault::NotBase64 | EntryFault::NotLogin | EntryFault::Incomplete => {
                    Some("write the entry anew with `docker login`")
                }
            },
            Self::BadProgram { .. } => Some(
                "name the program by what follows `docker-credential-` in the name of its file",
            ),
            Self::NoProgram { .. } => Some(
                "install it (towpath's container image has no such program), or give its registries `credentials` of their own in the settings",
            ),
            Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::NotJson { .. }
            | Self::WrongType { .. } => None,
        }
    }
}

impl Entry {
    fn says_something(&self) -> bool {
        !matches!(self.held(), Ok(Held::Nothing))
    }

    /// `auth` counts before `username` and `password`, as with Docker, and a token before both.
    fn held(&self) -> Result<Held, EntryFault> {
        let Self {
            auth,
            username,
            password,
            identitytoken,
            registrytoken,
        } = self;
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        if let Some(token) = given(registrytoken) {
            return Ok(Held::Login(Login::Bearer(token.into())));
        }
        if let Some(token) = given(identitytoken) {
            return Ok(Held::Login(Login::Identity(token.into())));
        }
        match (given(auth), given(username), given(password)) {
            (Some(auth), _, _) => decode(&auth).map(Held::Login),
            (None, Some(username), Some(password)) => Ok(Held::Login(Login::Basic {
                username,
                password: password.into(),
            })),
            (None, None, None) => Ok(Held::Nothing),
            (None, Some(_), None) | (None, None, Some(_)) => Err(EntryFault::Incomplete),
        }
    }
}

fn decode(auth: &str) -> Result<Login, EntryFault> {
    let bytes = BASE64.decode(auth.trim()).ok();
    let bytes = bytes.ok_or(EntryFault::NotBase64)?;
    let text = String::from_utf8(bytes).map_err(|_| EntryFault::NotLogin)?;
    // Old versions of Docker filled up with zeroes.
    let login = text.trim_end_matches('\0').split_once(':');
    match login {
        Some((username, password)) if !username.is_empty() && !password.is_empty() => {
            Ok(Login::Basic {
                username: username.to_owned(),
                password: password.to_owned().into(),
            })
        }
        Some(_) | None => Err(EntryFault::NotLogin),
    }
}

/// What serde_json says of a value may hold the value, so only the place is passed on.
fn from_json<T: DeserializeOwned>(place: &Place, text: &str) -> Result<T, DockerConfigError> {
    serde_json::from_str(text).map_err(|error| {
        let (place, line, column) = (place.clone(), error.line(), error.column());
        match error.is_data() {
            true => DockerConfigError::WrongType {
                place,
                line,
                column,
            },
            false => DockerConfigError::NotJson {
                place,
                line,
                column,
            },
        }
    })
}

/// Whether logins stand where a Docker config file has its keys.
fn is_old_form(text: &str) -> bool {
    let root: Option<BTreeMap<String, serde_json::Value>> = serde_json::from_str(text).ok();
    root.iter()
        .flat_map(BTreeMap::values)
        .any(|value| value.get("auth").is_some_and(serde_json::Value::is_string))
}

/// The name of an entry, without what may be a login in its URL.
fn shown(name: &str) -> String {
    let name = name.replace(char::is_control, "?");
    let (scheme, rest) = match name.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), &*name),
    };
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}***@{rest}"),
        None => name,
    }
}

/// The line in which an entry starts. JSON allows spellings that are not found, and then there is none.
fn line_of(text: &str, name: &str) -> Option<usize> {
    // Without `auths`, the entries have nothing around them.
    let start = text.find("\"auths\"").unwrap_or(0);
    let name = serde_json::to_string(name).ok()?;
    let end = start + text[start..].find(&name)?;
    Some(text[..end].matches('\n').count() + 1)
}

fn in_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line},"))
}

#[cfg(test)]
mod tests;
