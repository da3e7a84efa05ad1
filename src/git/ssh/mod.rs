//! Git's smart protocol over SSH: a program at the server that is spoken with.
//!
//! Not here: packs and refs (`fetch`, `push`) and pkt-lines (`wire`).
//! Invariant: no byte of ours but the handshake goes to a host that did not show a key that the settings know, and RSA
//! never signs or is believed by SHA-1.

mod error;
mod key;
mod known_hosts;
mod socket;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::client::{self, Config, Handle, Msg};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Preferred, compression};

use super::http::{RemoteError, Service};
use super::remote::Timeouts;
use super::wire;
use crate::manifest::SshAddress;
use crate::secret::SshLogin;

pub(crate) use error::SshError;
pub(super) use key::{Key, rsa};
use known_hosts::KnownHost;
use socket::HangUp;

/// How often a connection is tried: once, and twice more after short waits. Servers drop some at random while many log in
/// at once (`MaxStartups` of OpenSSH).
const ATTEMPTS_MAX: u32 = 3;

/// How long a connection may be quiet before we ask whether the server is there, so that what stands between does not
/// forget it; three such questions without an answer end it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The most that is kept of what the program at the server says beside its answer.
const WORDS_BYTES_MAX: usize = 16 << 10;

/// What is sent at once: the largest packet that every server takes.
///
/// <https://www.rfc-editor.org/rfc/rfc4253#section-6.1>
const PIECE_BYTES: usize = 32 << 10;

/// A repository at its SSH server.
#[derive(Clone)]
pub(in crate::git) struct Ssh {
    address: SshAddress,
    login: SshLogin,
    timeouts: Timeouts,
    runtime: tokio::runtime::Handle,
}

/// A program at the server, and the connection on which it is spoken with.
pub(in crate::git) struct Talk {
    channel: Channel<Msg>,
    /// Ends with the talk.
    _connection: Connection,
    ssh: Ssh,
    deadline: Instant,
    /// What the program said beside its answer.
    words: Vec<u8>,
    /// What it ended with.
    status: Option<u32>,
    has_answered: bool,
}

/// A connection, which ends when it is dropped.
struct Connection {
    handle: Handle<Checker>,
    _hang_up: HangUp,
}

impl Ssh {
    pub(in crate::git) fn new(address: SshAddress, login: SshLogin, timeouts: Timeouts) -> Self {
        Self {
            address,
            login,
            timeouts,
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// Starts the service at the server. The time for all that follows in the talk starts here.
    pub(in crate::git) fn open(&self, service: Service) -> Result<Talk, RemoteError> {
        let deadline = Instant::now() + self.timeouts.total;
        let host = self.known_host()?;
        let key = Key::read(&self.login.key)?;
        let (connection, channel) = self.runtime.block_on(async {
            // On the heap: a handshake takes some kilobytes.
            let connection = Box::pin(self.connect(host, &key)).await?;
            let exec = self.within(self.timeouts.idle, self.exec(&connection.handle, service));
            let channel = exec.await?;
            Ok::<_, RemoteError>((connection, channel))
        })?;
        Ok(Talk {
            channel,
            _connection: connection,
            ssh: self.clone(),
            deadline,
            words: Vec::new(),
            status: None,
            has_answered: false,
        })
    }

    fn known_host(&self) -> Result<KnownHost, SshError> {
        let path = self.login.known_hosts.clone();
        match std::fs::read_to_string(&path) {
            Ok(text) => KnownHost::find(&text, (&self.address.host, self.address.port), path),
            Err(source) => Err(SshError::KnownHosts { path, source }),
        }
    }

    /// A connection on which we are logged in.
    async fn connect(&self, host: KnownHost, key: &Key) -> Result<Connection, RemoteError> {
        let mut attempt = 1;
        let mut connection = loop {
            let greeting = self.within(self.timeouts.connect, self.greet(host.clone()));
            match greeting.await {
                Err(RemoteError::Ssh(SshError::Unreachable { .. })) if attempt < ATTEMPTS_MAX => {
                    tokio::time::sleep(Duration::from_millis(200 * u64::from(attempt))).await;
                    attempt += 1;
                }
                greeted => break greeted?,
            }
        };
        let logging_in = self.log_in(&mut connection.handle, key);
        self.within(self.timeouts.idle, logging_in).await?;
        Ok(connection)
    }

    /// Connects, and lets the server show that it is the one that is meant.
    async fn greet(&self, host: KnownHost) -> Result<Connection, SshError> {
        let config = Config {
            preferred: Preferred {
                key: Cow::Owned(host.algorithms()),
                compression: Cow::Borrowed(&[compression::NONE]),
                ..Preferred::DEFAULT
            },
            keepalive_interval: Some(KEEPALIVE),
            nodelay: true,
            ..Config::default()
        };
        let address = (self.address.host.as_str(), self.address.port);
        let connected = socket::connect(address).await;
        let (stream, hang_up) =
            connected.map_err(|error| SshError::from(russh::Error::IO(error)))?;
        let handle = client::connect_stream(Arc::new(config), stream, Checker { host }).await?;
        Ok(Connection {
            handle,
            _hang_up: hang_up,
        })
    }

    async fn log_in(&self, connection: &mut Handle<Checker>, key: &Key) -> Result<(), SshError> {
        let public = key.public().clone();
        let hash = match public.algorithm().is_rsa() {
            false => None,
            true => match connection.best_supported_rsa_hash().await? {
                Some(None) => return Err(SshError::Sha1Only),
                Some(hash) => hash,
                // A server that does not tell takes it in all likelihood.
                None => Some(HashAlg::Sha512),
            },
        };
        let fingerprint = public.fingerprint(HashAlg::Sha256).to_string();
        let user = self.address.user.clone();
        let mut signer = key;
        let logged_in =
            connection.authenticate_publickey_with(user.clone(), public, hash, &mut signer);
        match logged_in.await?.success() {
            true => Ok(()),
            false => Err(SshError::KeyRefused { user, fingerprint }),
        }
    }

    /// Starts the program of the service.
    async fn exec(
        &self,
        connection: &Handle<Checker>,
        service: Service,
    ) -> Result<Channel<Msg>, SshError> {
        let channel = connection.channel_open_session().await?;
        let command = format!("{} {}", service.name(), quoted(&self.address.path));
        channel.exec(true, command).await?;
        Ok(channel)
    }

    async fn within<T, E>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, RemoteError>
    where
        RemoteError: From<E>,
    {
        match tokio::time::timeout(limit, work).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(RemoteError::TimedOut),
        }
    }
}

impl Talk {
    /// Sends to the program.
    pub(in crate::git) fn send(&mut self, bytes: &[u8]) -> Result<(), RemoteError> {
        for piece in bytes.chunks(PIECE_BYTES) {
            let limit = self.limit();
            let data = self.channel.data(piece);
            let sent = async { tokio::time::timeout(limit, data).await };
            match self.ssh.runtime.block_on(sent) {
                Ok(Ok(())) => {}
                // Why the program does not listen stands in what it said.
                Ok(Err(_)) => while self.chunk()?.is_some() {},
                Err(_) => return Err(RemoteError::TimedOut),
            }
        }
        Ok(())
    }

    /// The next bytes of the answer; none at its end. A program that ends badly, or without a word, is an error.
    pub(in crate::git) fn chunk(&mut self) -> Result<Option<Vec<u8>>, RemoteError> {
        loop {
            let limit = self.limit();
            let next = self.channel.wait();
            let next = async { tokio::time::timeout(limit, next).await };
            let next = self.ssh.runtime.block_on(next);
            match next.map_err(|_| RemoteError::TimedOut)? {
                Some(ChannelMsg::Data { data }) => {
                    self.has_answered = true;
                    return Ok(Some(data.to_vec()));
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = WORDS_BYTES_MAX.saturating_sub(self.words.len());
                    self.words.extend_from_slice(&data[..data.len().min(room)]);
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(exit_status),
                Some(_) => {}
                None if self.has_answered && self.status.is_none_or(|status| status == 0) => {
                    return Ok(None);
                }
                None => {
                    let words = wire::tidy(&String::from_utf8_lossy(&self.words));
                    return Err(SshError::Ended { words }.into());
                }
            }
        }
    }

    /// The pkt-lines of the answer up to the next flush, or to its end.
    pub(in crate::git) fn list(&mut self) -> Result<Vec<u8>, RemoteError> {
        let (mut bytes, mut seen) = (Vec::new(), 0);
        while !wire::is_flushed(&bytes, &mut seen) {
            let Some(chunk) = self.chunk()? else { break };
            bytes.extend(chunk);
            if bytes.len() > super::http::ANSWER_BYTES_MAX {
                return Err(RemoteError::TooLarge);
            }
        }
        Ok(bytes)
    }

    /// How long may be waited now.
    fn limit(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.min(self.ssh.timeouts.idle)
    }
}

/// Lets a host go on that shows a key that is known of it.
struct Checker {
    host: KnownHost,
}

impl client::Handler for Checker {
    type Error = SshError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, SshError> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, hash_alg: _ } => {
                self.host.check(key).map(|()| true)
            }
            // None is asked for.
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }
}

/// A path as one word of the server's shell, quoted as git does it.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''").replace('!', r"'\!'"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_path_is_one_word_of_the_servers_shell() {
        assert_eq!(quoted("/acme/deploy.git"), "'/acme/deploy.git'");
        assert_eq!(quoted("it's $(x)!"), r"'it'\''s $(x)'\!''");
    }
}
