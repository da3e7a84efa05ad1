//! Where a repository lies at an SSH server.

use std::fmt;
use std::str::FromStr;

/// SSH's own port.
const PORT: u16 = 22;

/// Who a git server's repositories belong to where no user is named, as on all forges.
const USER: &str = "git";

/// A repository at an SSH server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshAddress {
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the server is told it: `/acme/deploy.git`, or `acme/deploy.git` from where the user is at home.
    pub(crate) path: String,
}

/// Why a text is not the address of a repository at an SSH server. The text is not told: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a repository over SSH: {reason}")]
pub(crate) struct ParseSshAddressError {
    reason: &'static str,
}

impl FromStr for SshAddress {
    type Err = ParseSshAddressError;

    /// Reads both forms that git has: `ssh://git@host:2222/path` and `git@host:path`.
    ///
    /// <https://git-scm.com/docs/git-clone#_git_urls>
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let refused = |reason| ParseSshAddressError { reason };
        if s.chars().any(char::is_control) {
            return Err(refused("control characters are not allowed"));
        }
        let (server, port, path) = match s.split_once("://") {
            Some((_, rest)) => {
                let slash = rest.find('/').ok_or(refused("it has no path"))?;
                let (server, path) = rest.split_at(slash);
                // A user's home is no folder of the root.
                let path = path.strip_prefix("/~").map_or(path, |_| &path[1..]);
                let path = decoded(path).ok_or(refused("its path is not text"))?;
                let (server, port) = match server.rsplit_once(':') {
                    Some((server, port)) if !port.contains(']') && !port.contains('@') => {
                        (server, Some(port))
                    }
                    Some(_) | None => (server, None),
                };
                (server, port, path)
            }
            None => {
                let end = s.find(']').unwrap_or_default();
                let colon = s[end..].find(':').ok_or(refused("it has no path"))?;
                let (server, path) = s.split_at(end + colon);
                (server, None, path[1..].to_owned())
            }
        };
        let port = port.map_or(Ok(PORT), str::parse);
        let port = port.map_err(|_| refused("its port is no number"))?;
        let (user, host) = server.rsplit_once('@').unwrap_or((USER, server));
        if user.contains(':') {
            return Err(refused("a password never stands in it"));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if user.is_empty() || host.is_empty() || host.contains(char::is_whitespace) {
            return Err(refused("it has no host"));
        }
        if path.trim_matches('/').is_empty() {
            return Err(refused("it has no path"));
        }
        Ok(Self {
            user: user.to_owned(),
            host: host.to_owned(),
            port,
            path,
        })
    }
}

/// A path as git reads it off a URL, though not where no `ssh://` stands before it.
///
/// <https://git-scm.com/docs/git-clone#_git_urls>
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let coded = after.get(..2).filter(|_| *first == b'%').and_then(hex);
        bytes.push(coded.unwrap_or(*first));
        rest = match coded {
            Some(_) => &after[2..],
            None => after,
        };
    }
    let path = String::from_utf8(bytes).ok()?;
    Some(path).filter(|path| !path.contains(char::is_control))
}

/// The other way round, of what would end a URL's path or be read as coded.
fn encoded(path: &str) -> String {
    let mut told = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '%' => told.push_str("%25"),
            ' ' => told.push_str("%20"),
            '?' => told.push_str("%3F"),
            '#' => told.push_str("%23"),
            c => told.push(c),
        }
    }
    told
}

impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user,
            host,
            port,
            path,
        } = self;
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.clone(),
        };
        match (*port, path.starts_with('/')) {
            (PORT, false) => write!(f, "{user}@{host}:{path}"),
            (PORT, true) => write!(f, "ssh://{user}@{host}{}", encoded(path)),
            (port, false) => write!(f, "ssh://{user}@{host}:{port}/{}", encoded(path)),
            (port, true) => write!(f, "ssh://{user}@{host}:{port}{}", encoded(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::SshAddress;

    fn read(text: &str) -> Result<SshAddress, String> {
        text.parse().map_err(|error| format!("{error}"))
    }

    #[test]
    fn both_forms_are_read_and_told_as_they_were_written() {
        for (text, user, host, port, path) in [
            (
                "git@github.com:acme/deploy.git",
                "git",
                "github.com",
                22,
                "acme/deploy.git",
            ),
            (
                "ssh://git@h/acme/deploy.git",
                "git",
                "h",
                22,
                "/acme/deploy.git",
            ),
            (
                "ssh://bot@h:7999/acme/d.git",
                "bot",
                "h",
                7999,
                "/acme/d.git",
            ),
            ("ssh://git@[::1]:2222/x", "git", "::1", 2222, "/x"),
            ("git@[::1]:x", "git", "::1", 22, "x"),
            (
                "git@ssh.dev.azure.com:v3/acme/shop/deploy",
                "git",
                "ssh.dev.azure.com",
                22,
                "v3/acme/shop/deploy",
            ),
            ("a@b@h:x", "a@b", "h", 22, "x"),
            (
                "ssh://git@h/My%20Shop/50%25%3F.git",
                "git",
                "h",
                22,
                "/My Shop/50%?.git",
            ),
            ("git@h:My%20Shop/d", "git", "h", 22, "My%20Shop/d"),
        ] {
            let expected = SshAddress {
                user: user.to_owned(),
                host: host.to_owned(),
                port,
                path: path.to_owned(),
            };
            assert_eq!(read(text), Ok(expected), "{text}");
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        assert_eq!(read("h:x").unwrap().user, "git");
        assert_eq!(read("ssh://git@h/~ada/x").unwrap().path, "~ada/x");
        assert_eq!(read("ssh://git@[::1]/x").unwrap().host, "::1");
    }

    #[test]
    fn what_is_no_address_is_refused_without_what_may_be_a_password() {
        for text in [
            "ssh://git:hunter2@h/x",
            "ssh://git@h:hunter2/x",
            "ssh://git@h",
            "ssh://git@h/",
            "git@h:",
            "git@:hunter2",
            "ssh://@h/x",
            "git@h:a\nb",
            "ssh://git@h/a%0Ab",
            "ssh://git@h/%ff",
        ] {
            let error = read(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_us_panic(text in any::<String>(), form in "(ssh://)?[a@:/\\[\\]~é]{0,12}") {
            let _ = read(&text);
            let _ = read(&form);
        }
    }
}
