//! Logins of registries in a Docker config file, as `docker login` and Kubernetes' pull secrets write it.
//!
//! <https://docs.docker.com/reference/cli/docker/login/>,
//! <https://kubernetes.io/docs/concepts/containers/images/#config-json>. Not here: programs that keep logins
//! (`credHelpers`, `credsStore`) and identity tokens; an entry that needs one is an error in words, never passed over.
//! Invariant: the file is read anew each time, and no message holds more of an entry than its name.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;

use super::wire::{DockerConfigFile, Entry};

/// Largest file: what a Kubernetes secret holds at most.
const BYTES_MAX: u64 = 1024 * 1024;

/// Other writers than Docker leave the padding away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The names that Docker Hub has in these files, and the one that it has here.
const DOCKER_HUB: ([&str; 2], &str) = (["index.docker.io", "registry-1.docker.io"], "docker.io");

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

/// The repositories that an entry is for.
struct Scope {
    host: String,
    port: Option<String>,
    path: Vec<String>,
}

/// How closely an entry fits. The fields count in this order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    path_segments: usize,
    host: HostFit,
    /// Of two ways to spell the same, the one that says something.
    weight: Weight,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum HostFit {
    /// More letters, fewer repositories.
    Wildcard {
        letters: usize,
    },
    Exact,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Empty,
    Entry,
    /// Docker asks a registry's helper first.
    Helper,
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

/// How closely the entry `name` fits a repository, if it does.
fn fit(name: &str, (host, path): (&str, &str), weight: Weight) -> Option<Fit> {
    let scope = Scope::parse(name);
    let segments = path.split('/').take(scope.path.len());
    let path_fits = segments.eq(scope.path.iter().map(String::as_str));
    let (host, port) = split_port(host);
    let host_fits = scope.port.as_deref() == port && host_matches(&scope.host, host);
    let letters = scope.host.bytes().filter(|b| *b != b'*').count();
    let host = match letters == scope.host.len() {
        true => HostFit::Exact,
        false => HostFit::Wildcard { letters },
    };
    (path_fits && host_fits).then_some(Fit {
        path_segments: scope.path.len(),
        host,
        weight,
    })
}

impl Scope {
    /// A host, a host with the start of a path, or a URL; `https://index.docker.io/v1/` is Docker Hub.
    fn parse(name: &str) -> Self {
        let url = ["https://", "http://"].map(|scheme| name.strip_prefix(scheme));
        let url = url.into_iter().flatten().next();
        let (host, path) = match url.unwrap_or(name).split_once('/') {
            Some((host, path)) => (host, path),
            None => (url.unwrap_or(name), ""),
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.to_ascii_lowercase();
        let host = match DOCKER_HUB.0.contains(&&*host) {
            true => DOCKER_HUB.1.to_owned(),
            false => host,
        };
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut path: Vec<String> = segments.map(str::to_owned).collect();
        // The version of the registry's API, not a part of the repository's name.
        let version = path.first().is_some_and(|s| s == "v1" || s == "v2");
        if version && (url.is_some() || path.len() == 1) {
            path.remove(0);
        }
        let (host, port) = split_port(&host);
        Self {
            host: host.to_owned(),
            port: port.map(str::to_owned),
            path,
        }
    }
}

/// `[::1]` has no port, however many colons.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, Some(port)),
        Some(_) | None => (host, None),
    }
}

/// Whether a host is meant by a pattern: label by label, and `*` never goes over a dot, as with Kubernetes.
fn host_matches(pattern: &str, host: &str) -> bool {
    let (labels, found) = (pattern.split('.'), host.split('.'));
    labels.clone().count() == found.clone().count()
        && labels.zip(found).all(|(pattern, label)| {
            let Some((start, rest)) = pattern.split_once('*') else {
                return pattern == label;
            };
            let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
            let inner = label.strip_prefix(start).and_then(|l| l.strip_suffix(end));
            inner.is_some_and(|mut inner| {
                middle.split('*').all(|part| match inner.split_once(part) {
                    Some((_, after)) => {
                        inner = after;
                        true
                    }
                    None => false,
                })
            })
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
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use insta::assert_snapshot;
    use secrecy::ExposeSecret as _;
    use tempfile::NamedTempFile;

    use super::{BYTES_MAX, DockerConfig, DockerConfigError, DockerLogin};

    fn file(text: &str) -> (NamedTempFile, DockerConfig) {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let config = DockerConfig::new(file.path().to_owned());
        (file, config)
    }

    fn login(text: &str, image: &str) -> Result<Option<DockerLogin>, DockerConfigError> {
        let (host, path) = image.split_once('/').unwrap();
        file(text).1.login(host, path)
    }

    /// The user, the password and the entry for `image`.
    fn found(text: &str, image: &str) -> String {
        let login = login(text, image).unwrap();
        login.map_or_else(
            || "nothing".to_owned(),
            |login| {
                let DockerLogin {
                    username,
                    password,
                    entry,
                } = login;
                format!("{username} {} by {entry}", password.expose_secret())
            },
        )
    }

    /// A file whose entries have their own place in the list as the password.
    fn entries(names: &[&str]) -> String {
        let entry = |(i, name): (usize, &&str)| {
            format!(
                "\"{name}\": {{\"auth\": \"{}\"}}",
                STANDARD.encode(format!("u:{i}"))
            )
        };
        let entries: Vec<_> = names.iter().enumerate().map(entry).collect();
        format!("{{\"auths\": {{{}}}}}", entries.join(", "))
    }

    /// What is said about the login of `r.example.com/acme/web`, with what to do.
    fn told(text: &str) -> String {
        let (file, config) = file(text);
        let error = config.login("r.example.com", "acme/web").unwrap_err();
        let hint = error
            .hint()
            .map_or_else(String::new, |hint| format!(" [{hint}]"));
        let path = file.path().display().to_string();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        format!("{error}{hint}").replace(&path, "FILE")
    }

    #[test]
    fn a_login_is_an_auth_or_a_user_and_a_password_and_auth_counts_first() {
        let padded = STANDARD.encode("alice:a:b");
        let unpadded = STANDARD_NO_PAD.encode("alice:secret1");
        let zeroes = STANDARD.encode("alice:old\0\0");
        let kubernetes = STANDARD.encode("alice:from-auth");
        for (entry, expected) in [
            (format!(r#"{{"auth": "{padded}"}}"#), "alice a:b"),
            (format!(r#"{{"auth": "{unpadded}"}}"#), "alice secret1"),
            (format!("{{\"auth\": \"{zeroes}\\n\"}}"), "alice old"),
            (
                format!(
                    r#"{{"username": "bob", "password": "x", "email": "b@x.org", "auth": "{kubernetes}"}}"#
                ),
                "alice from-auth",
            ),
            (
                r#"{"username": "bob", "password": " p:w ", "auth": ""}"#.to_owned(),
                "bob  p:w ",
            ),
        ] {
            let text = format!(r#"{{"auths": {{"r.example.com": {entry}}}}}"#);
            let found = found(&text, "r.example.com/acme/web");
            assert_eq!(found, format!("{expected} by r.example.com"), "{entry}");
        }
    }

    #[test]
    fn a_file_without_a_login_for_the_registry_gives_none() {
        for text in [
            "{}",
            r#"{"currentContext": "default"}"#,
            r#"{"auths": null, "credsStore": ""}"#,
            r#"{"auths": {"r.example.com": {}, "other.example.com": {"auth": "?"}}}"#,
            r#"{"auths": {"r.example.com": null}}"#,
            r#"{"auths": {}, "credsStore": "desktop"}"#,
            r#"{"credHelpers": {"other.example.com": "ecr-login"}}"#,
        ] {
            assert_eq!(found(text, "r.example.com/acme/web"), "nothing", "{text}");
        }
    }

    #[test]
    fn an_entry_may_be_a_host_a_start_of_a_path_or_a_url() {
        for (name, image) in [
            ("r.example.com", "r.example.com/acme/web"),
            ("R.Example.COM/", "r.example.com/acme/web"),
            ("https://r.example.com", "r.example.com/acme/web"),
            ("http://r.example.com/v2/", "r.example.com/acme/web"),
            ("https://r.example.com/v1/acme", "r.example.com/acme/web"),
            ("r.example.com/v2/app", "r.example.com/v2/app"),
            ("r.example.com/acme", "r.example.com/acme/web"),
            ("r.example.com/acme/web/", "r.example.com/acme/web"),
            ("r.example.com:5000", "r.example.com:5000/web"),
            ("[::1]:5000", "[::1]:5000/web"),
            ("[::1]", "[::1]/web"),
            ("https://index.docker.io/v1/", "docker.io/library/nginx"),
            ("index.docker.io", "docker.io/library/nginx"),
            ("docker.io/acme", "docker.io/acme/web"),
            ("registry-1.docker.io", "docker.io/acme/web"),
            ("*.example.com", "r.example.com/acme/web"),
            ("r.*.com/acme", "r.example.com/acme/web"),
            ("r*.ex*m*le.com:5000", "r.example.com:5000/acme/web"),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu.amazonaws.com/a"),
        ] {
            let text = entries(&[name]);
            assert_eq!(found(&text, image), format!("u 0 by {name}"), "{image}");
        }
        for (name, image) in [
            ("r.example.com", "r.example.com:5000/web"),
            ("r.example.com:5000", "r.example.com/web"),
            ("r.example.com", "r.example.com.evil.org/web"),
            ("example.com", "r.example.com/web"),
            ("r.example.com/acme", "r.example.com/acmecorp/web"),
            ("r.example.com/acme/web", "r.example.com/acme"),
            ("r.example.com/v2/app", "r.example.com/app"),
            ("*.example.com", "example.com/web"),
            ("*.example.com", "a.b.example.com/web"),
            ("*.example.com", "r.example.com:5000/web"),
            ("r.*", "r.example:5000/web"),
            ("*", "r.example.com/web"),
            ("a*a.example.com", "a.example.com/web"),
            ("", "r.example.com/web"),
        ] {
            let text = entries(&[name]);
            assert_eq!(found(&text, image), "nothing", "{name} {image}");
        }
    }

    #[test]
    fn the_most_specific_path_wins_then_the_host_without_a_wildcard() {
        let names = [
            "r.example.com",
            "*.example.com/acme/web",
            "r.example.com/acme",
            "*.example.com",
            "r.*.com",
            "*.example.com/acme",
        ];
        for (image, expected) in [
            ("r.example.com/acme/web", "u 1 by *.example.com/acme/web"),
            ("r.example.com/acme/api", "u 2 by r.example.com/acme"),
            ("r.example.com/other", "u 0 by r.example.com"),
            ("s.example.com/acme/api", "u 5 by *.example.com/acme"),
            ("s.example.com/other", "u 3 by *.example.com"),
            ("r.elsewhere.com/other", "u 4 by r.*.com"),
        ] {
            assert_eq!(found(&entries(&names), image), expected);
            let reversed: Vec<_> = names.iter().rev().copied().collect();
            let name = expected.rsplit(' ').next().unwrap();
            let found = found(&entries(&reversed), image);
            assert!(found.ends_with(&format!(" by {name}")), "{found}");
        }
        // Two spellings of one host: the one that says something, else the first by name.
        let text = entries(&["https://r.example.com", "r.example.com"]);
        assert_eq!(
            found(&text, "r.example.com/a"),
            "u 0 by https://r.example.com"
        );
        let text = text.replacen(&STANDARD.encode("u:0"), "", 1);
        assert_eq!(found(&text, "r.example.com/a"), "u 1 by r.example.com");
    }

    #[test]
    fn what_is_malformed_is_told_by_its_place_and_never_by_its_value() {
        let entry = |entry: &str| {
            format!(
                "{{\n  \"auths\": {{\n    \"https://bot:hunter2@r.example.com\": {entry}\n  }}\n}}"
            )
        };
        let no_colon = STANDARD.encode("hunter2");
        let no_password = STANDARD.encode("hunter2:");
        let no_text = STANDARD.encode([0xff, b':', b'x']);
        let texts = [
            String::new(),
            "{\n  \"auths\": {\n    \"r\": {\"auth\": \"hunter2\" \"\"}}}".to_owned(),
            "{\n  \"auths\": {\n    \"r\": {\"auth\": [\"hunter2\"]}}}".to_owned(),
            "{\n  \"auths\": {\n    \"r\": \"hunter2\"}}".to_owned(),
            "{\n  \"r.example.com\": {\"auth\": \"hunter2\"}}".to_owned(),
            entry("{\"auth\": \"hunter2!\"}"),
            entry(&format!("{{\"auth\": \"{no_colon}\"}}")),
            entry(&format!("{{\"auth\": \"{no_password}\"}}")),
            entry(&format!("{{\"auth\": \"{no_text}\"}}")),
            entry("{\"username\": \"hunter2\"}"),
            entry("{\"password\": \"hunter2\"}"),
        ];
        let told: Vec<_> = texts.iter().map(|text| told(text)).collect();
        assert_snapshot!(told.join("\n"), @"
        the Docker config file `FILE` is not JSON at line 1, column 0
        the Docker config file `FILE` is not JSON at line 3, column 29
        the Docker config file `FILE` has a value of the wrong type at line 3, column 18
        the Docker config file `FILE` has a value of the wrong type at line 3, column 18
        the file `FILE` has the form of the old `.dockercfg`, without `auths` [put its entries under `auths`]
        the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has an `auth` that is not base64 [write the entry anew with `docker login`]
        the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has an `auth` that is not a user, a colon and a password in base64 [write the entry anew with `docker login`]
        the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has an `auth` that is not a user, a colon and a password in base64 [write the entry anew with `docker login`]
        the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has an `auth` that is not a user, a colon and a password in base64 [write the entry anew with `docker login`]
        the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has a `username` without a `password`, or the other way round [write the entry anew with `docker login`]
        the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has a `username` without a `password`, or the other way round [write the entry anew with `docker login`]
        ");
    }

    #[test]
    fn an_entry_that_needs_more_than_the_file_is_told_and_not_passed_over() {
        let texts = [
            "{\"auths\": {\n\"r.example.com\": {\"auth\": \"dTo=\", \"identitytoken\": \"hunter2\"}}}",
            "{\"auths\": {\n\"r.example.com\": {\"registrytoken\": \"hunter2\"}}}",
            "{\"credsStore\": \"desktop\", \"auths\": {\n\"r.example.com\": {}}}",
            "{\"auths\": {\"r.example.com\": {\"auth\": \"dTpw\"}},\n\"credHelpers\": {\n\"r.example.com\": \"ecr-login\"}}",
        ];
        let told: Vec<_> = texts.iter().map(|text| told(text)).collect();
        assert_snapshot!(told.join("\n"), @"
        the entry `r.example.com` of the Docker config file `FILE`, line 2, holds `identitytoken`, which is not supported by this version of towpath yet [give the registry `credentials` of its own in the settings, or the file an entry with `auth`]
        the entry `r.example.com` of the Docker config file `FILE`, line 2, holds `registrytoken`, which is not supported by this version of towpath yet [give the registry `credentials` of its own in the settings, or the file an entry with `auth`]
        the entry `r.example.com` of the Docker config file `FILE`, line 2, leaves its login to the program `docker-credential-desktop`, which this version of towpath does not run yet [give the registry `credentials` of its own in the settings, or the file an entry with `auth`]
        the entry `r.example.com` of the Docker config file `FILE`, line 3, leaves its login to the program `docker-credential-ecr-login`, which this version of towpath does not run yet [give the registry `credentials` of its own in the settings, or the file an entry with `auth`]
        ");
        let closer = r#"{"auths": {"r.example.com/acme": {"auth": "dTpw"}}, "credHelpers": {"r.example.com": "x"}}"#;
        let found = found(closer, "r.example.com/acme/web");
        assert_eq!(found, "u p by r.example.com/acme");
    }

    #[test]
    fn the_file_is_read_anew_each_time_and_its_problems_are_all_told() {
        let (file, config) = file("{}");
        let login = || config.login("r.example.com", "web").unwrap();
        assert!(login().is_none());
        for password in ["one", "two"] {
            let auth = STANDARD.encode(format!("alice:{password}"));
            let text = format!(r#"{{"auths": {{"r.example.com": {{"auth": "{auth}"}}}}}}"#);
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(login().unwrap().password.expose_secret(), password);
        }
        assert_eq!(config.problems().len(), 0);
        let text = r#"{"auths": {"a": {"auth": "?"}, "b": {}, "c": {"username": "x"}}}"#;
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(config.problems().len(), 2);
        let size = usize::try_from(BYTES_MAX).unwrap() + 1;
        std::fs::write(file.path(), " ".repeat(size)).unwrap();
        let problems = config.problems();
        assert!(matches!(problems[..], [DockerConfigError::TooLarge { .. }]));
        let folder = file.path().parent().unwrap().to_owned();
        let problems = DockerConfig::new(folder).problems();
        assert!(matches!(
            problems[..],
            [DockerConfigError::Unreadable { .. }]
        ));
    }
}
