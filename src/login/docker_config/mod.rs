//! Logins of registries in a Docker config file, as `docker login` and Kubernetes' pull secrets write it.
//!
//! <https://docs.docker.com/reference/cli/docker/login/>,
//! <https://kubernetes.io/docs/concepts/containers/images/#config-json>. Not here: programs that keep logins
//! (`credHelpers`, `credsStore`) and identity tokens; an entry that needs one is an error in words, never passed over.
//! Invariant: the file is read anew each time, and no message holds more of an entry than its name.

mod scope;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;

use super::wire::{DockerConfigFile, Entry};
use scope::{Weight, fit};

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

/// What the file holds for a repository.
#[derive(Debug)]
pub(crate) struct DockerLogin {
    pub(crate) username: String,
    pub(crate) password: SecretString,
    /// The name of the entry, for messages.
    pub(crate) entry: String,
}

/// Why a Docker config file gives no login. Names the file, the line and the entry, never a value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DockerConfigError {
    #[error("failed to read the Docker config file `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the Docker config file `{}` is larger than {BYTES_MAX} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("the Docker config file `{}` is not JSON at line {line}, column {column}", path.display())]
    NotJson {
        path: PathBuf,
        line: usize,
        column: usize,
    },
    #[error(
        "the Docker config file `{}` has a value of the wrong type at line {line}, column {column}",
        path.display()
    )]
    WrongType {
        path: PathBuf,
        line: usize,
        column: usize,
    },
    #[error("the file `{}` has the form of the old `.dockercfg`, without `auths`", path.display())]
    OldForm { path: PathBuf },
    #[error("the entry `{entry}` of the Docker config file `{}`{} {fault}", path.display(), in_line(*line))]
    Entry {
        path: PathBuf,
        entry: String,
        line: Option<usize>,
        fault: EntryFault,
    },
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
    #[error("holds `{key}`, which is not supported by this version of towpath yet")]
    Unsupported { key: &'static str },
    #[error(
        "leaves its login to the program `docker-credential-{program}`, which this version of towpath does not run yet"
    )]
    Program { program: String },
}

/// What an entry says of its login.
enum Held {
    Nothing,
    Login { username: String, password: String },
}

impl DockerConfig {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The login for the repository `path` of the registry `host`, as the file says now; `None` where it has none.
    pub(crate) fn login(
        &self,
        host: &str,
        path: &str,
    ) -> Result<Option<DockerLogin>, DockerConfigError> {
        let (text, written) = self.read()?;
        let DockerConfigFile {
            auths,
            helpers,
            store,
        } = &written;
        let entries = auths.iter().flatten().filter_map(|(name, entry)| {
            let weight = match entry.as_ref().is_some_and(Entry::says_something) {
                true => Weight::Entry,
                false => Weight::Empty,
            };
            Some((fit(name, (host, path), weight)?, name, entry.as_ref(), None))
        });
        let helpers = helpers.iter().flatten().filter_map(|(name, program)| {
            let fit = fit(name, (host, path), Weight::Helper)?;
            Some((fit, name, None, Some(program)))
        });
        // The first of equals by name, whatever their order in the file.
        let best = entries.chain(helpers).min_by(|a, b| b.0.cmp(&a.0));
        let Some((_, name, entry, helper)) = best else {
            return Ok(None);
        };
        if let Some(program) = helper {
            let fault = EntryFault::program(program);
            return Err(self.fault(&text, ("credHelpers", name), fault));
        }
        let fault = |fault| self.fault(&text, ("auths", name), fault);
        match (entry.map_or(Ok(Held::Nothing), Entry::held), store) {
            (Err(of_entry), _) => Err(fault(of_entry)),
            (Ok(Held::Login { username, password }), _) => Ok(Some(DockerLogin {
                username,
                password: password.into(),
                entry: shown(name),
            })),
            // `docker login` leaves an empty entry behind for what it gave to the store.
            (Ok(Held::Nothing), Some(store)) if !store.is_empty() => {
                Err(fault(EntryFault::program(store)))
            }
            (Ok(Held::Nothing), _) => Ok(None),
        }
    }

    /// Everything that is wrong with the file and its entries now, needed or not.
    pub(crate) fn problems(&self) -> Vec<DockerConfigError> {
        let (text, written) = match self.read() {
            Ok(read) => read,
            Err(error) => return vec![error],
        };
        let entries = written.auths.iter().flatten();
        let faults = entries.filter_map(|(name, entry)| {
            let fault = entry.as_ref()?.held().err()?;
            Some(self.fault(&text, ("auths", name), fault))
        });
        faults.collect()
    }

    fn read(&self) -> Result<(String, DockerConfigFile), DockerConfigError> {
        let path = || self.0.clone();
        let unreadable = |source| DockerConfigError::Unreadable {
            path: path(),
            source,
        };
        let mut text = String::new();
        let file = std::fs::File::open(&self.0).map_err(unreadable)?;
        file.take(BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(DockerConfigError::TooLarge { path: path() });
        }
        // What serde_json says of a value may hold the value, so only the place is passed on.
        let written: DockerConfigFile = serde_json::from_str(&text).map_err(|error| {
            let (path, line, column) = (path(), error.line(), error.column());
            match error.is_data() {
                true => DockerConfigError::WrongType { path, line, column },
                false => DockerConfigError::NotJson { path, line, column },
            }
        })?;
        if written.auths.is_none() && is_old_form(&text) {
            return Err(DockerConfigError::OldForm { path: path() });
        }
        Ok((text, written))
    }

    fn fault(
        &self,
        text: &str,
        (section, name): (&str, &str),
        fault: EntryFault,
    ) -> DockerConfigError {
        DockerConfigError::Entry {
            path: self.0.clone(),
            entry: shown(name),
            line: line_of(text, section, name),
            fault,
        }
    }
}

impl fmt::Display for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Docker config file `{}`", self.0.display())
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
                EntryFault::Unsupported { .. } | EntryFault::Program { .. } => Some(
                    "give the registry `credentials` of its own in the settings, or the file an entry with `auth`",
                ),
            },
            Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::NotJson { .. }
            | Self::WrongType { .. } => None,
        }
    }
}

impl EntryFault {
    fn program(name: &str) -> Self {
        Self::Program {
            program: name.replace(char::is_control, "?"),
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
        for (key, token) in [
            ("identitytoken", identitytoken),
            ("registrytoken", registrytoken),
        ] {
            if given(token).is_some() {
                return Err(EntryFault::Unsupported { key });
            }
        }
        match (given(auth), given(username), given(password)) {
            (Some(auth), _, _) => decode(&auth),
            (None, Some(username), Some(password)) => Ok(Held::Login { username, password }),
            (None, None, None) => Ok(Held::Nothing),
            (None, Some(_), None) | (None, None, Some(_)) => Err(EntryFault::Incomplete),
        }
    }
}

fn decode(auth: &str) -> Result<Held, EntryFault> {
    let bytes = BASE64.decode(auth.trim()).ok();
    let bytes = bytes.ok_or(EntryFault::NotBase64)?;
    let text = String::from_utf8(bytes).map_err(|_| EntryFault::NotLogin)?;
    // Old versions of Docker filled up with zeroes.
    let login = text.trim_end_matches('\0').split_once(':');
    match login {
        Some((username, password)) if !username.is_empty() && !password.is_empty() => {
            Ok(Held::Login {
                username: username.to_owned(),
                password: password.to_owned(),
            })
        }
        Some(_) | None => Err(EntryFault::NotLogin),
    }
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

/// The line in which an entry of a section starts. JSON allows spellings that are not found, and then there is none.
fn line_of(text: &str, section: &str, name: &str) -> Option<usize> {
    let start = text.find(&format!("\"{section}\""))?;
    let name = serde_json::to_string(name).ok()?;
    let end = start + text[start..].find(&name)?;
    Some(text[..end].matches('\n').count() + 1)
}

fn in_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line},"))
}

#[cfg(test)]
mod tests;
