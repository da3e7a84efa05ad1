//! One way to speak git's smart protocol for the two that there are: HTTP and SSH.

use jiff::Timestamp;
use url::Url;

use super::http::{ClientError, Http, RemoteError, Service, Session};
use super::remote::{Remote, RemoteUrl};
use super::ssh::{Ssh, Talk};
use crate::login::server_time;

/// How a repository at a server is spoken to.
#[derive(Clone)]
pub(super) enum Client {
    Http(Http),
    Ssh(Ssh),
}

/// A push of which the refs were read, and whose command may follow.
pub(super) enum Pushing {
    Http(Box<Session>),
    Ssh(Box<Talk>),
}

impl Client {
    /// How `remote` is spoken to; `None` for a path. Runs inside a tokio runtime.
    pub(super) fn of(remote: &Remote) -> Result<Option<Self>, ClientError> {
        Ok(match &remote.url {
            RemoteUrl::Local(_) => None,
            RemoteUrl::Http(url) => Some(Self::Http(Http::new(Url::clone(url), remote)?)),
            RemoteUrl::Ssh(ssh) => {
                let (address, login) = ssh.as_ref().clone();
                Some(Self::Ssh(Ssh::new(address, login, remote.timeouts)))
            }
        })
    }

    /// Asks for the refs alone, and what the server's clock shows, where it tells.
    pub(super) fn refs(&self) -> Result<(Vec<u8>, Option<Timestamp>), RemoteError> {
        match self {
            Self::Http(http) => {
                let (session, response) = http.refs(Service::UploadPack)?;
                let time = server_time(response.headers());
                Ok((session.read_all(response)?, time))
            }
            Self::Ssh(ssh) => Ok((ssh.open(Service::UploadPack)?.list()?, None)),
        }
    }

    /// Asks where branches stand and what the server can do.
    pub(super) fn start_push(&self) -> Result<(Pushing, Vec<u8>), RemoteError> {
        match self {
            Self::Http(http) => {
                let (session, response) = http.refs(Service::ReceivePack)?;
                let refs = session.read_all(response)?;
                Ok((Pushing::Http(Box::new(session)), refs))
            }
            Self::Ssh(ssh) => {
                let mut talk = ssh.open(Service::ReceivePack)?;
                let refs = talk.list()?;
                Ok((Pushing::Ssh(Box::new(talk)), refs))
            }
        }
    }
}

impl Pushing {
    /// Sends the command with what belongs to it, once, and gives the server's report.
    pub(super) fn send(self, body: Vec<u8>) -> Result<Vec<u8>, RemoteError> {
        match self {
            Self::Http(session) => session.receive_pack(body),
            Self::Ssh(mut talk) => {
                talk.send(&body)?;
                talk.list()
            }
        }
    }
}
