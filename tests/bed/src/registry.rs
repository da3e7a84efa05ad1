//! Debian's docker-registry, with its two logins: htpasswd behind TLS, and tokens from a small service of ours.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, SigningKey as _};

use crate::aws::{ECR_PASSWORD, ECR_USER};
use crate::{Authority, Process, Pusher, free_port, program, wait_until};

/// The user of these registries; those with passwords know ECR's too.
pub const USERNAME: &str = "alice";
pub const PASSWORD: &str = "s3cret";

const ISSUER: &str = "bed";

/// How long a token is good, in seconds: longer than any test.
const TOKEN_LIFE_SECONDS: u64 = 300;

/// A running docker-registry.
#[must_use = "the registry ends when this is dropped"]
pub struct DockerRegistry {
    process: Option<Process>,
    tokens: Option<TokenService>,
    folder: tempfile::TempDir,
    ca_file: Option<PathBuf>,
    /// Host and port, as they stand in image names.
    pub host: String,
}

/// Hands out tokens to those who give the password.
struct TokenService {
    port: u16,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DockerRegistry {
    /// A registry with https by `authority` and the password in every request.
    pub fn with_password(authority: &Authority) -> Self {
        let folder = folder();
        let certificate = authority.issue(&["127.0.0.1"]);
        let file = write_passwords(folder.path());
        let tls = format!(
            "  tls: {{certificate: '{}', key: '{}'}}\n",
            certificate.certificate.display(),
            certificate.key.display()
        );
        let auth = format!("  htpasswd: {{realm: bed, path: '{}'}}\n", file.display());
        let mut registry = Self::start(folder, None, (&tls, &auth));
        registry.ca_file = Some(authority.ca_file.clone());
        registry
    }

    /// A registry without TLS that wants tokens.
    pub fn with_tokens() -> Self {
        let folder = folder();
        let bundle = folder.path().join("tokens.pem");
        let tokens = TokenService::start(&bundle);
        let auth = format!(
            "  token: {{realm: 'http://127.0.0.1:{}/token', service: bed, issuer: {ISSUER}, rootcertbundle: '{}'}}\n",
            tokens.port,
            bundle.display()
        );
        Self::start(folder, Some(tokens), ("", &auth))
    }

    /// A client that may push.
    pub fn pusher(&self) -> Pusher {
        let tokens = self.tokens.as_ref();
        let token_url =
            tokens.map(|tokens| format!("http://127.0.0.1:{}/token?service=bed", tokens.port));
        Pusher::new(&self.host, self.ca_file.as_deref(), token_url)
    }

    fn start(folder: tempfile::TempDir, tokens: Option<TokenService>, parts: (&str, &str)) -> Self {
        let (tls, auth) = parts;
        let host = format!("127.0.0.1:{}", free_port());
        let data = folder.path().join("data");
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: '{}'}}\n  delete: {{enabled: true}}\nhttp:\n  addr: {host}\n  secret: bed\n{tls}auth:\n{auth}",
            data.display()
        );
        std::fs::write(folder.path().join("config.yml"), config)
            .expect("the folder can be written");
        let mut registry = Self {
            process: None,
            tokens,
            folder,
            ca_file: None,
            host,
        };
        registry.resume();
        registry
    }

    /// Ends the registry; its images stay, and its tokens are given out as before.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts what [`DockerRegistry::stop`] ended, at the same address.
    pub fn resume(&mut self) {
        let folder = self.folder.path();
        let mut command = Command::new(program("docker-registry"));
        command.arg("serve").arg(folder.join("config.yml"));
        let mut process = Process::start(command, &folder.join("log"));
        wait_until("docker-registry to listen", || {
            assert!(
                !process.has_ended(),
                "docker-registry ended: {}",
                process.log()
            );
            TcpStream::connect(&self.host).is_ok()
        });
        self.process = Some(process);
    }
}

impl TokenService {
    /// Starts on a free port, with the certificate of its key in `bundle`.
    fn start(bundle: &Path) -> Self {
        // RS256: the registry's library reads no other JWT signature that can be made in one call.
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key can be made");
        let certificate = CertificateParams::default().self_signed(&key);
        let certificate = certificate.expect("a certificate can be signed");
        std::fs::write(bundle, certificate.pem()).expect("the folder can be written");
        let chain = STANDARD.encode(certificate.der());
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if flag.load(Ordering::Relaxed) {
                    return;
                }
                // A client that went away has no complaint to hear.
                let _ = answer(&stream, &key, &chain);
            }
        });
        Self {
            port,
            stopped,
            thread: Some(thread),
        }
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread from its wait for the next client.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(stream: &TcpStream, key: &KeyPair, chain: &str) -> std::io::Result<()> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let basic = basic(USERNAME, PASSWORD);
    let is_known = head.iter().any(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        name.eq_ignore_ascii_case("authorization") && value == format!("Basic {basic}")
    });
    let target = head
        .first()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default();
    let scope = target
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("scope="));
    let scope = scope
        .unwrap_or_default()
        .replace("%3A", ":")
        .replace("%2F", "/")
        .replace("%2C", ",");
    let (status, body) = match is_known {
        true => (
            "200 OK",
            format!(
                r#"{{"token":"{}","expires_in":{TOKEN_LIFE_SECONDS}}}"#,
                jwt(key, chain, &scope)
            ),
        ),
        false => (
            "401 Unauthorized",
            r#"{"details":"wrong user or password"}"#.to_owned(),
        ),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// User and secret as they stand in an `Authorization` header.
pub fn basic(user: &str, secret: &str) -> String {
    STANDARD.encode(format!("{user}:{secret}"))
}

/// A token as <https://distribution.github.io/distribution/spec/auth/jwt/> describes it.
fn jwt(key: &KeyPair, chain: &str, scope: &str) -> String {
    let now = now_seconds();
    let access = match scope.split(':').collect::<Vec<_>>()[..] {
        [kind, name, actions] => {
            let actions = actions.replace(',', r#"",""#);
            format!(r#"{{"type":"{kind}","name":"{name}","actions":["{actions}"]}}"#)
        }
        _ => String::new(),
    };
    let header = format!(r#"{{"typ":"JWT","alg":"RS256","x5c":["{chain}"]}}"#);
    let claims = format!(
        r#"{{"iss":"{ISSUER}","sub":"{USERNAME}","aud":"bed","exp":{},"nbf":{},"iat":{now},"jti":"{now}","access":[{access}]}}"#,
        now + TOKEN_LIFE_SECONDS,
        now - 5,
    );
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = key.sign(signed.as_bytes()).expect("the key can sign");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the registry holds tokens against the real clock"
)]
fn now_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is past 1970").as_secs()
}

/// The file of those who have a password, as `htpasswd` writes it.
fn write_passwords(folder: &Path) -> PathBuf {
    let mut lines = Vec::new();
    for (user, password) in [(USERNAME, PASSWORD), (ECR_USER, ECR_PASSWORD)] {
        let mut command = Command::new(program("htpasswd"));
        // The least work that bcrypt knows: each request is held against it.
        command.args(["-BbnC", "4", user, password]);
        let output = command.output().expect("`htpasswd` can be run");
        lines.extend(output.stdout);
    }
    let file = folder.join("htpasswd");
    std::fs::write(&file, lines).expect("the folder can be written");
    file
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}
