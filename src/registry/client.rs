//! The connections to registries: whom TLS trusts, with which certificate we come, and by which proxy.
//!
//! Invariant: certificates are verified. Files that changed count within [`FILES_EVERY`], and files that cannot be used leave
//! what was read before in force.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;
use url::Url;

use super::Timeouts;
use super::error::RegistryError;
use crate::secret::Secret;

/// How old what is known of the files may be. Authorities and certificates are renewed days before the old ones end.
pub(super) const FILES_EVERY: Duration = Duration::from_secs(30);

/// Redirects that are followed. Registries send blobs on to storage in one step, storage to a mirror in another.
const REDIRECTS_MAX: usize = 5;

const USER_AGENT: &str = concat!("towpath/", env!("CARGO_PKG_VERSION"));

/// How a registry is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Connection {
    /// Authorities to trust beside the system's, in PEM form.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) certificate: Option<ClientCertificate>,
    pub(crate) proxy: Proxy,
}

/// Who we are, for registries that ask it of TLS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientCertificate {
    /// The certificate and those between it and the authority, in PEM form.
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

/// The proxy on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proxy {
    /// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    None,
    At {
        url: Url,
        login: Option<(String, Secret)>,
    },
}

/// Whether TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tls {
    Always,
    /// The registry is plain http; what it redirects to need not be.
    Perhaps,
}

/// The connections of one kind, which the hosts that are connected to alike share.
pub(super) struct Connections {
    connection: Connection,
    tls: Tls,
    timeouts: Timeouts,
    made: Mutex<Option<Made>>,
}

struct Made {
    client: Client,
    /// When the files were written that the client was made of.
    written: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl Connections {
    pub(super) fn new(connection: Connection, tls: Tls, timeouts: Timeouts) -> Self {
        Self {
            connection,
            tls,
            timeouts,
            made: Mutex::new(None),
        }
    }

    /// The proxy that the settings name.
    pub(super) fn proxy(&self) -> Option<&Url> {
        match &self.connection.proxy {
            Proxy::At { url, .. } => Some(url),
            Proxy::Environment | Proxy::None => None,
        }
    }

    /// The client that asks `host`, made anew after the files changed.
    pub(super) fn client(&self, host: &str) -> Result<Client, RegistryError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |made: &Made| made.looked.elapsed() < FILES_EVERY;
        if let Some(made) = made.as_ref().filter(|made| is_fresh(made)) {
            return Ok(made.client.clone());
        }
        let looked = Instant::now();
        let written = self.connection.written();
        if let Some(made) = made.as_mut().filter(|made| made.written == written) {
            made.looked = looked;
            return Ok(made.client.clone());
        }
        match (self.make(host), made.as_mut()) {
            (Ok(client), _) => {
                *made = Some(Made {
                    client: client.clone(),
                    written,
                    looked,
                });
                Ok(client)
            }
            (Err(error), Some(made)) => {
                tracing::warn!(registry = host, %error, "changed certificates cannot be used; those before stay in force");
                made.looked = looked;
                Ok(made.client.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    fn make(&self, host: &str) -> Result<Client, RegistryError> {
        let trusting = self.builder(host)?.build();
        let client = match (trusting, self.tls) {
            // A system without CA certificates can still speak plain http.
            (Err(_), Tls::Perhaps) => self.builder(host)?.tls_certs_only([]).build(),
            (made, Tls::Always | Tls::Perhaps) => made,
        };
        client.map_err(|source| RegistryError::NoTrust {
            host: host.to_owned(),
            source: source.without_url(),
        })
    }

    fn builder(&self, host: &str) -> Result<ClientBuilder, RegistryError> {
        // Whoever comes first in the process installs it; a second time changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(self.timeouts.connect)
            .read_timeout(self.timeouts.read)
            .redirect(Policy::custom(follow));
        let Connection {
            ca_file,
            certificate,
            proxy,
        } = &self.connection;
        builder = builder.tls_certs_merge(authorities(ca_file.as_deref())?);
        if let Some(certificate) = certificate {
            builder = builder.identity(certificate.identity()?);
        }
        Ok(match proxy {
            Proxy::Environment => builder,
            Proxy::None => builder.no_proxy(),
            Proxy::At { url, login } => builder.proxy(at(host, url, login.as_ref())?),
        })
    }
}

impl Connection {
    /// When each of the files was written last, `None` for one that is not there.
    fn written(&self) -> Vec<Option<SystemTime>> {
        let Self {
            ca_file,
            certificate,
            proxy,
        } = self;
        let of_certificate = certificate.iter().flat_map(|own| [&own.chain, &own.key]);
        let of_proxy = match proxy {
            Proxy::At {
                login: Some((_, Secret::File(password))),
                ..
            } => Some(password),
            Proxy::At { .. } | Proxy::Environment | Proxy::None => None,
        };
        let files = ca_file.iter().chain(of_certificate).chain(of_proxy);
        let written = |path: &PathBuf| std::fs::metadata(path).and_then(|file| file.modified());
        files.map(|path| written(path).ok()).collect()
    }
}

impl ClientCertificate {
    fn identity(&self) -> Result<Identity, RegistryError> {
        let Self { chain, key } = self;
        let mut pem = read(chain)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        // What the library says of a key may hold some of it.
        Identity::from_pem(&pem).map_err(|_| RegistryError::CertificateUnusable {
            chain: chain.clone(),
            key: key.clone(),
        })
    }
}

/// The authorities in `ca_file`, if there is one.
pub(super) fn authorities(ca_file: Option<&Path>) -> Result<Vec<Certificate>, RegistryError> {
    let Some(path) = ca_file else {
        return Ok(Vec::new());
    };
    match Certificate::from_pem_bundle(&read(path)?) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(RegistryError::CaFileEmpty {
            path: path.to_owned(),
        }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RegistryError> {
    std::fs::read(path).map_err(|source| RegistryError::CertificateFile {
        path: path.to_owned(),
        source,
    })
}

fn at(
    host: &str,
    url: &Url,
    login: Option<&(String, Secret)>,
) -> Result<reqwest::Proxy, RegistryError> {
    let proxy = reqwest::Proxy::all(url.clone());
    let proxy = proxy.map_err(|source| RegistryError::NoTrust {
        host: host.to_owned(),
        source: source.without_url(),
    })?;
    let Some((username, password)) = login else {
        return Ok(proxy);
    };
    let password = password.read();
    let password = password.map_err(|source| RegistryError::ProxyLogin {
        proxy: url.clone(),
        source,
    })?;
    Ok(proxy.basic_auth(username, password.expose_secret()))
}

fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let first = attempt.previous().first();
    let same_origin = first.is_some_and(|first| first.origin() == attempt.url().origin());
    if attempt.previous().len() > REDIRECTS_MAX {
        attempt.error(format!("more than {REDIRECTS_MAX} redirects"))
    } else if same_origin || attempt.url().scheme() == "https" {
        attempt.follow()
    } else {
        let target = attempt.url().origin().ascii_serialization();
        attempt.error(format!(
            "`{target}` is neither https nor where the request went"
        ))
    }
}
