//! A small token service, as a registry with tokens sends its clients to:
//! <https://distribution.github.io/distribution/spec/auth/token/>.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, SigningKey as _};

use crate::registry::{PASSWORD, USERNAME, basic};

pub(crate) const ISSUER: &str = "bed";

/// The name of each registry that takes the tokens.
pub(crate) const SERVICE: &str = "bed";

/// How long a token is good, in seconds: longer than any test.
const TOKEN_LIFE_SECONDS: u64 = 300;

/// What signs the tokens, by RS256: the registry's library reads no other JWT signature that can be made in one call.
/// One for all, since an RSA key takes a while to find.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256);
    key.expect("a key can be made")
});

/// Hands out tokens to those who give the password.
pub(crate) struct TokenService {
    port: u16,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TokenService {
    /// Starts on a free port, with the certificate of its key in `bundle`.
    pub(crate) fn start(bundle: &Path) -> Self {
        let certificate = CertificateParams::default().self_signed(&*KEY);
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
                let _ = answer(&stream, &chain);
            }
        });
        Self {
            port,
            stopped,
            thread: Some(thread),
        }
    }

    /// Where a registry sends its clients.
    pub(crate) fn realm(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }

    /// Where its clients ask, but for the scope.
    pub(crate) fn url(&self) -> String {
        format!("{}?service={SERVICE}", self.realm())
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

fn answer(stream: &TcpStream, chain: &str) -> std::io::Result<()> {
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
                jwt(chain, &scope)
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

/// A token as <https://distribution.github.io/distribution/spec/auth/jwt/> describes it.
fn jwt(chain: &str, scope: &str) -> String {
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
    let signature = KEY.sign(signed.as_bytes()).expect("the key can sign");
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
