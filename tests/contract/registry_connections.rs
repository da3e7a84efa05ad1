//! Connections: certificates of theirs and of ours, names, and proxies, against servers on loopback that speak real TLS.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bed::{Authority, Certificate};
use insta::assert_snapshot;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;

use super::client::FILES_EVERY;
use super::{ClientCertificate, Connection, HostOptions, Options, Proxy, Registry, RegistryError};
use crate::demo::registry::{Access, Image, MemoryRegistry};
use crate::secret::Secret;

/// Answers each request over TLS with a listing of no tags, until the test's process ends.
struct Server {
    address: SocketAddr,
    /// What the next connection is answered with.
    config: Arc<Mutex<Arc<rustls::ServerConfig>>>,
}

impl Server {
    fn start(config: rustls::ServerConfig) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let config = Arc::new(Mutex::new(Arc::new(config)));
        let shared = Arc::clone(&config);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let config = Arc::clone(&shared.lock().unwrap());
                // What a client breaks off is that client's business.
                let _ = answer(socket, config);
            }
        });
        Self { address, config }
    }

    fn change(&self, config: rustls::ServerConfig) {
        *self.config.lock().unwrap() = Arc::new(config);
    }
}

fn answer(socket: TcpStream, config: Arc<rustls::ServerConfig>) -> std::io::Result<()> {
    let connection = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = rustls::StreamOwned::new(connection, socket);
    let mut head = [0; 4096];
    if stream.read(&mut head)? == 0 {
        return Ok(());
    }
    let body = r#"{"name": "acme/web", "tags": []}"#;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// How a server answers: with this certificate, to all or to those that an authority knows.
fn config(certificate: &Certificate, clients: Option<&Authority>) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_file(&authority.ca_file).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_file(&certificate.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    builder.with_single_cert(chain, key).unwrap()
}

/// An authority with a folder of its own.
fn authority(folder: &TempDir, name: &str) -> Authority {
    let folder = folder.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    Authority::new(&folder)
}

fn registry(connection: Connection) -> Registry {
    Registry::new(Options {
        others: HostOptions {
            connection,
            ..HostOptions::default()
        },
        ..Options::default()
    })
}

fn trusting(authority: &Authority) -> Connection {
    Connection {
        ca_file: Some(authority.ca_file.clone()),
        ..Connection::default()
    }
}

async fn read(registry: &Registry, host: &str) -> Result<usize, RegistryError> {
    let repository = format!("{host}/acme/web").parse().unwrap();
    let listing = registry.tags(&repository, Timestamp::UNIX_EPOCH).await?;
    Ok(listing.tags.len())
}

/// Message and hint, with a fixed host.
async fn told(registry: &Registry, host: &str) -> String {
    let error = read(registry, host).await.unwrap_err();
    let hint = error.hint().unwrap_or_default();
    format!("{error} [{hint}]").replace(host, "HOST")
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (authority(&folder, "ours"), authority(&folder, "other"));
    let mut all = Vec::new();
    for certificate in [
        other.issue(&["127.0.0.1"]),
        ours.issue(&["r.example.com", "s.example.com"]),
        ours.issue_expired(&["127.0.0.1"]),
    ] {
        let server = Server::start(config(&certificate, None));
        let registry = registry(trusting(&ours));
        all.push(told(&registry, &server.address.to_string()).await);
    }
    let plain = MemoryRegistry::start(Access::Anonymous).unwrap();
    all.push(told(&registry(trusting(&ours)), &plain.host()).await);
    assert_snapshot!(all.join("\n"), @"
    failed to agree on TLS with `HOST`: its certificate is signed by no authority that is trusted [if it is an authority of your own, name its `ca-file` under `HOST` in the settings]
    failed to agree on TLS with `HOST`: its certificate is for other names: r.example.com, s.example.com []
    failed to agree on TLS with `HOST`: its certificate has expired [renew the certificate of `HOST`, or check the clock of this machine]
    failed to agree on TLS with `HOST`: it does not answer in TLS [if `HOST` speaks plain http, say `plain-http: true` in the settings]
    ");
}

#[tokio::test]
async fn a_name_without_an_address_is_told_as_that() {
    let registry = registry(Connection::default());
    let error = read(&registry, "registry.invalid").await.unwrap_err();
    assert!(error.source().is_some());
    assert_snapshot!(told(&registry, "registry.invalid").await, @"the name of `HOST` cannot be resolved [check the spelling of `HOST` and the name servers of this machine; behind a proxy, set `HTTPS_PROXY` or the registry's `proxy`]");
}

#[tokio::test]
async fn an_authority_that_was_renewed_counts_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (authority(&folder, "old"), authority(&folder, "new"));
    let server = Server::start(config(&old.issue(&["127.0.0.1"]), None));
    let host = server.address.to_string();
    let registry = registry(trusting(&old));
    assert_eq!(read(&registry, &host).await.unwrap(), 0);
    server.change(config(&new.issue(&["127.0.0.1"]), None));
    assert!(matches!(
        read(&registry, &host).await,
        Err(RegistryError::TlsFailed { .. })
    ));
    let later = || async {
        tokio::time::pause();
        tokio::time::advance(FILES_EVERY).await;
        tokio::time::resume();
    };
    // Half-written, then whole.
    std::fs::write(&old.ca_file, "-----BEGIN CERT").unwrap();
    later().await;
    assert!(matches!(
        read(&registry, &host).await,
        Err(RegistryError::TlsFailed { .. })
    ));
    std::fs::copy(&new.ca_file, &old.ca_file).unwrap();
    later().await;
    assert_eq!(read(&registry, &host).await.unwrap(), 0);
}

#[tokio::test]
async fn a_registry_that_asks_who_we_are_is_shown_our_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (theirs, other) = (authority(&folder, "theirs"), authority(&folder, "other"));
    let server = Server::start(config(&theirs.issue(&["127.0.0.1"]), Some(&theirs)));
    let host = server.address.to_string();
    let with = |own: Option<(PathBuf, PathBuf)>| {
        registry(Connection {
            certificate: own.map(|(chain, key)| ClientCertificate { chain, key }),
            ..trusting(&theirs)
        })
    };
    let (known, unknown) = (theirs.issue(&["towpath"]), other.issue(&["towpath"]));
    let no_key = with(Some((known.certificate.clone(), theirs.ca_file.clone())));
    let all = [
        told(&with(None), &host).await,
        told(&with(Some((unknown.certificate, unknown.key))), &host).await,
        told(&no_key, &host).await,
    ];
    let folder = folder.path().display().to_string();
    assert_snapshot!(all.join("\n").replace(&folder, "FOLDER"), @"
    failed to agree on TLS with `HOST`: it wants a certificate of ours, or another [name the `client-certificate` for `HOST` in the settings]
    failed to agree on TLS with `HOST`: it wants a certificate of ours, or another [name the `client-certificate` for `HOST` in the settings]
    `FOLDER/theirs/towpath.pem` and `FOLDER/theirs/ca.pem` are not a certificate and its key in PEM form []
    ");
    let shown = with(Some((known.certificate, known.key)));
    assert_eq!(read(&shown, &host).await.unwrap(), 0);
}

/// A proxy that knows one address, whatever it is asked for, and keeps what it was asked.
struct Forward {
    url: url::Url,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Forward {
    fn to(target: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let head = forward(&socket, &target);
                kept.lock().unwrap().push(head.unwrap());
            }
        });
        Self {
            url: url.parse().unwrap(),
            heads,
        }
    }

    /// The first lines of the requests, and the logins shown.
    fn asked(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        let marked = |line: &&str| line.to_lowercase().starts_with("proxy-authorization");
        let of_head = |head: &String| {
            let login = head.lines().find(marked).unwrap_or_default();
            format!("{} {login}", head.lines().next().unwrap_or_default())
        };
        heads.iter().map(of_head).collect()
    }
}

/// Reads a request's head, and hands the rest of the connection on; `CONNECT` is answered here, all else there.
fn forward(socket: &TcpStream, target: &str) -> std::io::Result<String> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let mut there = TcpStream::connect(target)?;
    if head.starts_with("CONNECT ") {
        (&*socket).write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        there.write_all(head.as_bytes())?;
    }
    let (mut from, mut to) = (there.try_clone()?, socket.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::thread::spawn(move || std::io::copy(&mut reader, &mut there));
    Ok(head)
}

#[tokio::test]
async fn a_proxy_is_shown_its_login_and_finds_the_registry_itself() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "s3cret").unwrap();
    let behind_tls = Server::start(config(&authority(&folder, "a").issue(&["r.invalid"]), None));
    let plain = MemoryRegistry::start(Access::Anonymous).unwrap();
    plain.push("acme/web", "v1", &Image::default());

    let proxy = Forward::to(plain.host());
    let options = HostOptions {
        plain_http: true,
        connection: Connection {
            proxy: Proxy::At {
                url: proxy.url.clone(),
                login: Some(("bot".to_owned(), Secret::File(password))),
            },
            ..Connection::default()
        },
        ..HostOptions::default()
    };
    let registry = Registry::new(Options {
        hosts: BTreeMap::from([("r.invalid:80".to_owned(), options)]),
        ..Options::default()
    });
    assert_eq!(read(&registry, "r.invalid:80").await.unwrap(), 1);
    // `bot:s3cret` in base64.
    assert_snapshot!(proxy.asked().join("\n"), @"GET http://r.invalid/v2/acme/web/tags/list?n=1000 HTTP/1.1 proxy-authorization: Basic Ym90OnMzY3JldA==");

    let proxy = Forward::to(behind_tls.address.to_string());
    let registry = self::registry(Connection {
        ca_file: Some(folder.path().join("a/ca.pem")),
        proxy: Proxy::At {
            url: proxy.url.clone(),
            login: None,
        },
        ..Connection::default()
    });
    assert_eq!(read(&registry, "r.invalid").await.unwrap(), 0);
    assert_snapshot!(proxy.asked().join("\n"), @"CONNECT r.invalid:443 HTTP/1.1");
}

#[tokio::test]
async fn a_proxy_that_fails_is_not_taken_for_the_registry() {
    let behind = |url: &str, login: Option<(String, Secret)>| {
        self::registry(Connection {
            proxy: Proxy::At {
                url: url.parse().unwrap(),
                login,
            },
            ..Connection::default()
        })
    };
    let absent = Secret::File("absent".into());
    let login = Some(("bot".to_owned(), absent));
    let mut all = Vec::new();
    for (url, login) in [
        ("http://proxy.invalid:3128", None),
        ("http://127.0.0.1:1", None),
        ("http://127.0.0.1:1", login),
    ] {
        all.push(told(&behind(url, login), "r.invalid").await);
    }
    assert_snapshot!(all.join("\n"), @"
    failed to reach `HOST` by the proxy `proxy.invalid:3128` [check `proxy` of `HOST` in the settings]
    failed to reach `HOST` by the proxy `127.0.0.1:1` [check `proxy` of `HOST` in the settings]
    failed to read the password for the proxy `127.0.0.1:1` []
    ");
}
