//! What the keys of a manifests repository mean together.

use std::time::Duration;

use super::check_settings::{BRANCH, Check};
use super::logins::{
    Credentials as Written, OpenPgpCredentials, RepositoryCredentials, SigningCredentials,
    SshCredentials,
};
use super::nouns::WrittenUrl;
use super::raw::RepositoryEntry;
use super::settings::{RepositorySettings, RepositoryUrl, Signing};
use super::shape::Placed;
use super::source::Span;
use crate::login::{Purpose, Source};
use crate::manifest::SshAddress;
use crate::secret::{Credentials, OpenPgpKey, SigningKey, SshKey, SshLogin};

/// How often a repository is fetched where nothing else is said.
const POLL_INTERVAL: Duration = Duration::from_secs(60);

/// What is written of the way to log in over SSH.
struct WrittenLogin {
    key: Option<SshCredentials>,
    known_hosts: Option<Placed<String>>,
    /// Of the URL.
    place: Span,
}

impl Check<'_> {
    /// `None` where it cannot be told how to get there, which is a fault by then.
    pub(super) fn repository(&mut self, entry: RepositoryEntry) -> Option<RepositorySettings> {
        let RepositoryEntry {
            url,
            branch,
            credentials,
            known_hosts,
            plain_http,
            ca_file,
            poll_interval,
            forge,
            depth,
            push_options,
        } = entry;
        let place = url.span;
        let scheme = url.part(Some(0.."http".len()));
        let (own, key) = match credentials {
            Some(RepositoryCredentials::Own(own)) => (Some(self.credentials(own).into()), None),
            Some(RepositoryCredentials::GithubApp(app)) => {
                let app = self.github_app(app.github_app, Purpose::Repository);
                (Some(Source::GithubApp(app)), None)
            }
            Some(RepositoryCredentials::Ssh(key)) => (None, Some(key)),
            None => (None, None),
        };
        let login = WrittenLogin {
            key,
            known_hosts,
            place,
        };
        let url = match url.value {
            WrittenUrl::Ssh(address) => self.ssh_url(address, login)?,
            WrittenUrl::Local(path) => {
                self.refuse_ssh(&login);
                RepositoryUrl::Local(self.folder.join(path))
            }
            WrittenUrl::Http(url) => {
                self.refuse_ssh(&login);
                if url.scheme() == "http" && plain_http != Some(true) {
                    self.faults.error_with_hint(
                        scheme,
                        "this URL has no TLS, so anyone on the way can read and change what is sent",
                        "use https, or allow it with `plain-http: true`",
                    );
                }
                RepositoryUrl::Http(url)
            }
        };
        let forge = self.forge(forge, (&url, plain_http));
        let options = push_options.into_iter().flatten();
        Some(RepositorySettings {
            forge,
            url,
            branch: branch.map_or_else(|| BRANCH.to_owned(), |branch| branch.value.0),
            credentials: own,
            ca_file: ca_file.map(|file| self.existing(file)),
            poll_interval: poll_interval.map_or(POLL_INTERVAL, |interval| interval.value),
            depth: depth.map(|depth| depth.0),
            push_options: options.map(|option| option.value.0).collect(),
        })
    }

    fn ssh_url(&mut self, address: SshAddress, login: WrittenLogin) -> Option<RepositoryUrl> {
        let WrittenLogin {
            key,
            known_hosts,
            place,
        } = login;
        if key.is_none() {
            self.faults.error_with_hint(
                place,
                "an SSH URL is logged in to with a key, and none is named",
                "write `credentials: { ssh-key: { file: PATH } }`",
            );
        }
        if known_hosts.is_none() {
            self.faults.error_with_hint(
                place,
                "the keys by which the host is known are not named",
                "write `known-hosts: FILE`, with what `ssh-keyscan HOST` prints in the file, after comparing it with what the server's operator publishes",
            );
        }
        let login = SshLogin {
            key: self.ssh_key(key?),
            known_hosts: self.existing(known_hosts?),
        };
        Some(RepositoryUrl::Ssh { address, login })
    }

    fn refuse_ssh(&mut self, login: &WrittenLogin) {
        let key = login
            .key
            .as_ref()
            .map(|key| ("ssh-key", key.ssh_key.span()));
        let hosts = login.known_hosts.as_ref();
        let hosts = hosts.map(|file| ("known-hosts", file.span));
        for (name, span) in key.into_iter().chain(hosts) {
            let message = format!("`{name}` is for SSH URLs, and this repository's is none");
            self.faults.error(span, message);
        }
    }

    pub(super) fn ssh_key(&mut self, written: SshCredentials) -> SshKey {
        let SshCredentials {
            ssh_key,
            passphrase,
        } = written;
        SshKey {
            key: self.secret(ssh_key),
            passphrase: passphrase.map(|place| self.secret(place)),
        }
    }

    pub(super) fn signing(&mut self, written: SigningCredentials) -> Signing {
        match written {
            SigningCredentials::Forge(_) => Signing::Forge,
            SigningCredentials::Ssh(written) => {
                Signing::Key(SigningKey::Ssh(self.ssh_key(written)))
            }
            SigningCredentials::OpenPgp(OpenPgpCredentials {
                gpg_key,
                passphrase,
            }) => Signing::Key(SigningKey::OpenPgp(OpenPgpKey {
                key: self.secret(gpg_key),
                passphrase: passphrase.map(|place| self.secret(place)),
            })),
        }
    }

    pub(super) fn credentials(&mut self, written: Written) -> Credentials {
        match written {
            Written::Token(token) => Credentials::Token(self.secret(token.token)),
            Written::Basic(basic) => Credentials::Basic {
                username: basic.username.value,
                password: self.secret(basic.password),
            },
        }
    }
}
