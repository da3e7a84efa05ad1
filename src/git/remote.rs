//! Where a repository lies and how it is spoken to.
//!
//! Invariant: a URL here holds no user and no password, so it may be printed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::secret::Secret;

/// A repository at its server.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// The name in the settings; it labels metrics and the thread.
    pub(crate) name: String,
    pub(crate) url: RemoteUrl,
    pub(crate) credentials: Option<Credentials>,
    /// Certificates in PEM form that are trusted besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) timeouts: Timeouts,
}

/// Where a repository lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RemoteUrl {
    /// `https`, or `http` where it was allowed; without credentials, query, or a slash at the end.
    Http(Box<Url>), // Boxed, since it stands in errors, which stand in every result.
    /// A repository on this machine. Hooks there do not run: what is pushed is written by libgit2.
    Local(PathBuf),
}

/// Whether `http://` is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    Allowed,
    Refused,
}

/// What a server is shown. The secret is read anew for each connection, so that a rotated one counts at once.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// Sent as the password of the user `x-access-token`: GitHub asks for that name, GitLab and Gitea take any.
    /// Bitbucket wants `x-token-auth`, which is [`Credentials::Basic`].
    Token(Secret),
    Basic {
        username: String,
        password: Secret,
    },
}

/// How long a server may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// To accept a connection, TLS included.
    pub(crate) connect: Duration,
    /// Without sending a byte. Servers send signs of life every 5 s while a hook runs.
    pub(crate) idle: Duration,
    /// For a whole fetch or push: 15 minutes carry 1 GB at 1.2 MB/s.
    pub(crate) total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(15 * 60),
        }
    }
}

/// Why a text is not the address of a repository. The text itself is not repeated: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RemoteUrlError {
    #[error("the address is empty")]
    Empty,
    #[error("ssh addresses are not supported yet; use https with a token")]
    Ssh,
    #[error("`http://` is refused unless `plain-http: true` is set")]
    PlainHttp,
    #[error("credentials in the address are refused; use `credentials`")]
    Userinfo,
    #[error("a query or fragment has no place in the address of a repository")]
    Query,
    #[error("`{scheme}://` is not supported; use https or a local path")]
    Scheme { scheme: String },
    #[error("the address is not a URL: {reason}")]
    Malformed { reason: url::ParseError },
}

impl RemoteUrl {
    /// Parses an address as people write it. A text without `://` is a path, but for `user@host:path`, which is ssh.
    pub(crate) fn parse(text: &str, plain_http: PlainHttp) -> Result<Self, RemoteUrlError> {
        if text.is_empty() {
            return Err(RemoteUrlError::Empty);
        }
        let Some((scheme, _)) = text.split_once("://") else {
            let before_colon = text.split_once(':').map(|(host, _)| host);
            return match before_colon {
                Some(host) if !host.contains('/') => Err(RemoteUrlError::Ssh),
                _ => Ok(Self::Local(PathBuf::from(text))),
            };
        };
        let mut url = Url::parse(text).map_err(|reason| RemoteUrlError::Malformed { reason })?;
        match scheme.to_ascii_lowercase().as_str() {
            "ssh" | "git+ssh" | "ssh+git" => return Err(RemoteUrlError::Ssh),
            "file" => {
                return url.to_file_path().map(Self::Local).map_err(|()| {
                    let scheme = scheme.to_owned();
                    RemoteUrlError::Scheme { scheme }
                });
            }
            "http" if plain_http == PlainHttp::Refused => return Err(RemoteUrlError::PlainHttp),
            "http" | "https" => {}
            other => {
                let scheme = other.to_owned();
                return Err(RemoteUrlError::Scheme { scheme });
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RemoteUrlError::Userinfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(RemoteUrlError::Query);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self::Http(Box::new(url)))
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => write!(f, "{url}"),
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{PlainHttp, RemoteUrl, RemoteUrlError};

    #[test]
    fn an_address_is_https_or_a_path() {
        let parse = |text| RemoteUrl::parse(text, PlainHttp::Refused);
        assert_eq!(
            parse("https://git.example.com/acme/deploy.git/")
                .unwrap()
                .to_string(),
            "https://git.example.com/acme/deploy.git"
        );
        for path in ["/srv/deploy.git", "../deploy.git", "./a:b"] {
            assert_eq!(parse(path), Ok(RemoteUrl::Local(PathBuf::from(path))));
        }
        let local = RemoteUrl::Local(PathBuf::from("/srv/deploy.git"));
        assert_eq!(parse("file:///srv/deploy.git"), Ok(local));
    }

    #[test]
    fn what_is_not_supported_is_refused_without_repeating_a_password() {
        let parse = |text| RemoteUrl::parse(text, PlainHttp::Refused).unwrap_err();
        assert_eq!(parse("ssh://git@host/x.git"), RemoteUrlError::Ssh);
        assert_eq!(parse("git@host:acme/x.git"), RemoteUrlError::Ssh);
        assert_eq!(parse("http://host/x.git"), RemoteUrlError::PlainHttp);
        assert_eq!(parse("https://host/x.git?a=b"), RemoteUrlError::Query);
        let with_password = parse("https://bot:hunter2@host/x.git");
        assert_eq!(with_password, RemoteUrlError::Userinfo);
        assert!(!with_password.to_string().contains("hunter2"));
        assert_eq!(
            parse("git://host/x.git").to_string(),
            "`git://` is not supported; use https or a local path"
        );
        assert!(RemoteUrl::parse("http://host/x.git", PlainHttp::Allowed).is_ok());
    }
}
