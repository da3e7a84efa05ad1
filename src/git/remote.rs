//! Where a repository lies and how it is spoken to.
//!
//! Not here: how an address is written, and whether plain HTTP is allowed (`config`).
//! Invariant: a URL here holds no user and no password, so it may be printed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::login::{Clock, Source};
use crate::manifest::SshAddress;
use crate::secret::{SigningKey, SshLogin};

/// A repository at its server.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// The name in the settings; it labels metrics and the thread.
    pub(crate) name: String,
    pub(crate) url: RemoteUrl,
    /// Over HTTP. The secret is read anew for each request, so that a rotated one counts at once.
    pub(crate) credentials: Option<Source>,
    /// Certificates in PEM form that are trusted besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) timeouts: Timeouts,
    pub(crate) kept: Kept,
    /// How many commits of each branch are kept; `None` for all. A path has all in any case.
    pub(crate) depth: Option<u32>,
    /// Told to the server's hooks with each push, if it takes options.
    pub(crate) push_options: Vec<String>,
    /// What signs the commits that are pushed.
    pub(crate) signing: Option<SigningKey>,
    /// By which granted logins are signed for.
    pub(crate) clock: Clock,
}

impl Remote {
    /// A repository that needs nothing else.
    pub(crate) fn new(name: String, url: RemoteUrl, clock: Clock) -> Self {
        Self {
            name,
            url,
            credentials: None,
            ca_file: None,
            timeouts: Timeouts::default(),
            kept: Kept::default(),
            depth: None,
            push_options: Vec::new(),
            signing: None,
            clock,
        }
    }
}

/// What a mirror keeps of its repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    #[default]
    Everything,
    /// The commits alone, where the server can leave out the rest: for the order of builds, of which no file is read.
    Commits,
}

/// Where a repository lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RemoteUrl {
    /// Made by [`RemoteUrl::http`]. Boxed, since it stands in errors, which stand in every result.
    Http(Box<Url>),
    Ssh(Box<(SshAddress, SshLogin)>),
    /// A repository on this machine. Hooks there do not run: what is pushed is written by libgit2.
    Local(PathBuf),
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

impl RemoteUrl {
    /// The address without what git has no use for, and without credentials, which have a place of their own.
    pub(crate) fn http(mut url: Url) -> Self {
        // Both fail only where a URL cannot have a user at all.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Self::Http(Box::new(url))
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => write!(f, "{url}"),
            Self::Ssh(ssh) => write!(f, "{}", ssh.0),
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RemoteUrl;

    #[test]
    fn an_address_keeps_no_credentials_no_query_and_no_slash_at_its_end() {
        let written = "https://bot:hunter2@git.example.com/acme/deploy.git/?x=y#z";
        let url = RemoteUrl::http(written.parse().unwrap());
        assert_eq!(url.to_string(), "https://git.example.com/acme/deploy.git");
    }
}
