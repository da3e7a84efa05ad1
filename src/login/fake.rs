//! A service on loopback for tests: it answers by a rule, and keeps what it was asked. And keys, to check what is signed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize};
use secrecy::ExposeSecret as _;
use serde_json::Value as Json;

use super::{Clock, Environment, Login, Logins, Source, SourcesByPath, Target};
use crate::registry::{HostOptions, Options, Registry, RegistryError};

/// The time at which assertions are made.
pub(super) const NOON: &str = "2026-01-01T12:00:00Z";

/// What a service was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    /// By names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// A running service; it ends with the test's process.
pub(super) struct Fake {
    /// `127.0.0.1:PORT`.
    pub(super) host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Asked {
    pub(super) fn form(&self) -> BTreeMap<String, String> {
        let of_form = "application/x-www-form-urlencoded";
        assert_eq!(self.headers["content-type"], of_form);
        pairs(&self.body)
    }

    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut lines = reader.by_ref().lines().map_while(Result::ok);
        let first = lines.next()?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let headers = lines.take_while(|line| !line.is_empty());
        let headers = headers.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        });
        let headers: BTreeMap<_, _> = headers.collect();
        let length = headers.get("content-length").map_or("0", String::as_str);
        let mut body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Some(Self {
            method,
            path: path.to_owned(),
            query: pairs(query),
            headers,
            body: String::from_utf8(body).ok()?,
        })
    }
}

impl Fake {
    /// Answers each request with what `rule` says: a status and a body.
    pub(super) fn start(rule: impl Fn(&Asked) -> (u16, String) + Send + 'static) -> Self {
        Self::serve(move |asked| {
            let (status, body) = rule(asked);
            let length = body.len();
            format!(
                "HTTP/1.1 {status} S\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .into_bytes()
        })
    }

    /// Answers `path` by `rule`, and passes all else on to the server at `host`.
    pub(super) fn before(
        host: String,
        path: &'static str,
        rule: impl Fn(&Asked) -> (u16, String) + Send + 'static,
    ) -> Self {
        let own = Self::start(rule);
        let own_host = own.host.clone();
        let asked = Arc::clone(&own.asked);
        let front = Self::serve(move |asked| {
            let host = if asked.path == path { &own_host } else { &host };
            passed_on(asked, host)
        });
        Self { asked, ..front }
    }

    /// What was asked since the last call.
    pub(super) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn serve(answer: impl Fn(&Asked) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some(asked) = Asked::read(&stream) else {
                    continue;
                };
                kept.lock().unwrap().push(asked.clone());
                // Whoever asked may have gone by now.
                let _ = stream.write_all(&answer(&asked));
            }
        });
        Self { host, asked }
    }
}

fn passed_on(asked: &Asked, host: &str) -> Vec<u8> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(&asked.query);
    let target = format!("{}?{}", asked.path, query.finish());
    let mut request = format!(
        "{} {target} HTTP/1.1\r\nconnection: close\r\n",
        asked.method
    );
    for (name, value) in &asked.headers {
        request.push_str(&[name, ": ", value, "\r\n"].concat());
    }
    let mut server = TcpStream::connect(host).unwrap();
    server
        .write_all([&request, "\r\n", &asked.body].concat().as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).unwrap();
    answer
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

pub(super) fn environment(variables: &[(&str, &str)]) -> Environment {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Environment::Given(variables.iter().map(owned).collect())
}

pub(super) fn noon() -> Clock {
    Clock(|| NOON.parse::<Timestamp>().unwrap())
}

/// The logins that `source` gives for a registry at `host` over plain http.
pub(super) fn logins(host: &str, source: Source, environment: Environment) -> Logins {
    let target = Target {
        origin: format!("http://{host}/").parse().unwrap(),
        ..Target::of_host(host)
    };
    Logins::new(target, SourcesByPath::from(source), environment, noon())
}

/// The user and the password that `logins` give now.
pub(super) async fn login(logins: &Logins) -> (String, String) {
    match logins.find("acme/web").await.unwrap().login {
        Login::Basic { username, password } => (username, password.expose_secret().to_owned()),
        other => panic!("{other:?}"),
    }
}

/// Why `logins` give none, with the hint in brackets and `file` by that word.
pub(super) async fn refusal(logins: &Logins, file: &Path) -> String {
    let error = logins.find("acme/web").await.unwrap_err();
    let hint = error.hint().map(|hint| format!(" [{hint}]"));
    let hint = hint.unwrap_or_default();
    let told = format!("{:#}{hint}", anyhow::Error::new(error));
    told.replace(file.to_str().unwrap(), "FILE")
}

/// The names of the tags of `acme/web` at `host`, as the program lists them.
pub(super) async fn listed(
    host: &str,
    source: Source,
    environment: Environment,
) -> Result<Vec<String>, RegistryError> {
    let options = HostOptions {
        plain_http: true,
        logins: SourcesByPath::from(source),
        ..HostOptions::default()
    };
    let registry = Registry::new(Options {
        hosts: BTreeMap::from([(host.to_owned(), options)]),
        environment,
        clock: noon(),
        ..Options::default()
    });
    let repository = format!("{host}/acme/web").parse().unwrap();
    let listing = registry.tags(&repository, NOON.parse().unwrap()).await?;
    let names = listing.tags.iter().map(|tag| tag.tag.to_string());
    Ok(names.collect())
}

/// A key of 2048 bits, of this process.
pub(super) fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(another_key)
}

pub(super) fn another_key() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

/// `key` in the form in which GitHub gives keys out.
pub(super) fn pkcs1_pem(key: &KeyPair) -> String {
    // What stands around the key of 2048 bits in PKCS #8 is always as long.
    let base64 = STANDARD.encode(&key.serialize_der()[26..]);
    format!("-----BEGIN RSA PRIVATE KEY-----\n{base64}\n-----END RSA PRIVATE KEY-----\n")
}

/// The header and the claims of `token`, which `key` has signed.
pub(super) fn verified(token: &str, key: &KeyPair) -> (Json, Json) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let decode = |part| URL_SAFE_NO_PAD.decode(part).unwrap();
    let read = |part| serde_json::from_slice::<Json>(&decode(part)).unwrap();
    let header = read(header);
    let algorithm = match header["alg"].as_str().unwrap() {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        other => panic!("{other}"),
    };
    let public = UnparsedPublicKey::new(algorithm, key.der_bytes());
    public
        .verify(signed.as_bytes(), &decode(signature))
        .expect("the key has signed it");
    (header, read(claims))
}
