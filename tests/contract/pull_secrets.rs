//! Pull secrets of a Kubernetes cluster, from the API to a listing: against an API on loopback that speaks as the real one
//! does of secrets and service accounts, with TLS and tokens, and a registry that takes only the password of the secret.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bed::Authority;
use insta::assert_snapshot;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{HostOptions, Listing, Options, Registry, RegistryError};
use crate::demo::registry::{Access, Image, MemoryRegistry};
use crate::login::{Clock, Environment, Logins, PullSecrets, Source, SourcesByPath, Target, Which};

const NOON: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;
const PASSWORD: &str = "s3cret";

/// Where the program looks for the account of its pod.
const ACCOUNT_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A Kubernetes API that knows some objects.
struct Api {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The token that it takes.
    token: String,
    /// By path: `secrets/pull` of the namespace `towpath`.
    objects: BTreeMap<String, Value>,
    forbidden: Vec<String>,
    /// The paths that were asked for with the right token.
    asked: Vec<String>,
}

impl Api {
    fn start(authority: &Authority) -> Self {
        let certificate = authority.issue(&["127.0.0.1"]);
        let chain = vec![CertificateDer::from_pem_file(certificate.certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(certificate.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            token: "token-1".to_owned(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        // Ends with the test's process; a connection is one request.
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                // A client that hangs up, or does not trust us, is no failure of ours.
                let _ = serve(socket, &config, &shared);
            }
        });
        Self { port, state }
    }

    fn put(&self, path: &str, object: Value) {
        let mut state = self.state.lock().unwrap();
        state.objects.insert(path.to_owned(), object);
    }

    /// Makes a secret of the newer type.
    fn put_secret(&self, name: &str, config: &Value) {
        let data = STANDARD.encode(config.to_string());
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "towpath" },
            "type": "kubernetes.io/dockerconfigjson", "data": { ".dockerconfigjson": data },
        });
        self.put(&format!("secrets/{name}"), object);
    }

    fn put_account(&self, name: &str, secrets: &[&str]) {
        let secrets: Vec<_> = secrets.iter().map(|name| json!({ "name": name })).collect();
        let object = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name },
            "secrets": [{ "name": "not-for-pulling" }], "imagePullSecrets": secrets,
        });
        self.put(&format!("serviceaccounts/{name}"), object);
    }

    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

fn serve(
    socket: TcpStream,
    config: &Arc<rustls::ServerConfig>,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    let connection = rustls::ServerConnection::new(Arc::clone(config));
    let connection = connection.map_err(std::io::Error::other)?;
    let mut stream = rustls::StreamOwned::new(connection, socket);
    let lines = BufReader::new(&mut stream).lines();
    let lines = lines.map_while(Result::ok);
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let (code, body) = answer(&head, &mut state.lock().unwrap());
    let (body, length) = (body.to_string(), body.to_string().len());
    let head = format!(
        "HTTP/1.1 {code} Said\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// What the real server answers, in its own words: an object, or a `Status`.
fn answer(head: &[String], state: &mut State) -> (u16, Value) {
    let first: Vec<_> = head.first().map_or("", |line| line).split(' ').collect();
    let [method, target, _] = first[..] else {
        return status(400, "BadRequest", "no request");
    };
    let token = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then_some(value)
    });
    if token != Some(&format!("Bearer {}", state.token)) {
        return status(401, "Unauthorized", "Unauthorized");
    }
    if method != "GET" {
        return status(405, "MethodNotAllowed", "only get is known here");
    }
    let path = target.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/api/v1/namespaces/").unwrap_or(path);
    state.asked.push(path.to_owned());
    let (namespace, path) = path.split_once('/').unwrap_or(("", path));
    let (kind, name) = path.split_once('/').unwrap_or((path, ""));
    if state.forbidden.iter().any(|forbidden| forbidden == path) {
        let message = format!(
            r#"{kind} "{name}" is forbidden: User "system:serviceaccount:towpath:towpath" cannot get resource "{kind}" in API group "" in the namespace "{namespace}""#
        );
        return status(403, "Forbidden", &message);
    }
    match state.objects.get(path).filter(|_| namespace == "towpath") {
        Some(object) => (200, object.clone()),
        None => status(404, "NotFound", &format!("{kind} \"{name}\" not found")),
    }
}

fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    (code, body)
}

/// A cluster, a pod in it, and a registry with one repository.
struct Stage {
    api: Api,
    server: MemoryRegistry,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self::with(Access::Token {
            username: "alice".to_owned(),
            password: PASSWORD.to_owned(),
            life: std::time::Duration::from_secs(300),
        })
    }

    fn with(access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let api = Api::start(&Authority::new(folder.path()));
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        std::fs::rename(folder.path().join("ca.pem"), folder.path().join("ca.crt")).unwrap();
        write("token", "token-1");
        write("namespace", "towpath");
        let server = MemoryRegistry::start(access).unwrap();
        for path in ["acme/web", "acme/api", "other/web"] {
            server.push(path, "v1", &Image::default());
        }
        Self {
            api,
            server,
            folder,
        }
    }

    /// Entries with these names and passwords of `alice`.
    fn config(&self, entries: &[(&str, &str)]) -> Value {
        let entry = |(path, password): &(&str, &str)| {
            let name = format!("{}{path}", self.server.host());
            let auth = STANDARD.encode(format!("alice:{password}"));
            (name, json!({ "auth": auth }))
        };
        json!({ "auths": entries.iter().map(entry).collect::<serde_json::Map<_, _>>() })
    }

    fn pod(&self) -> Environment {
        let folder = self.folder.path().display().to_string();
        environment(&[
            ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
            ("KUBERNETES_SERVICE_PORT", &self.api.port.to_string()),
            (ACCOUNT_FOLDER, &folder),
        ])
    }

    fn registry(&self, which: Which) -> Registry {
        self.registry_in(self.pod(), which)
    }

    fn registry_in(&self, environment: Environment, which: Which) -> Registry {
        let secrets = PullSecrets {
            namespace: None,
            which,
        };
        Registry::new(Options {
            others: HostOptions {
                plain_http: true,
                logins: SourcesByPath::from(Source::PullSecrets(secrets)),
                ..HostOptions::default()
            },
            environment,
            ..Options::default()
        })
    }

    async fn tags(&self, registry: &Registry, path: &str) -> Result<Listing, RegistryError> {
        let repository = format!("{}/{path}", self.server.host());
        registry.tags(&repository.parse().unwrap(), NOON).await
    }

    /// Message, causes and hint as the command line prints them.
    async fn told(&self, registry: &Registry) -> String {
        let error = self.tags(registry, "acme/web").await.unwrap_err();
        let text = format!("{error:?}");
        assert!(!text.contains("hunter2"), "{text}");
        let hint = error.hint();
        let hint = hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
        let text = format!("{:#}{hint}", anyhow::Error::new(error));
        let folder = self.folder.path().display().to_string();
        text.replace(&self.server.host(), "HOST")
            .replace(&folder, "FOLDER")
            .replace(&self.api.port.to_string(), "PORT")
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variable = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Environment::Given(variables.iter().map(variable).collect())
}

fn named(names: &[&str]) -> Which {
    Which::Named(names.iter().map(|name| (*name).to_owned()).collect())
}

fn account(name: &str) -> Which {
    Which::ServiceAccount(name.to_owned())
}

/// Lets `time` go by without waiting for it.
async fn pass(time: u64) {
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(time)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_pull_secret_logs_in_and_is_read_once_for_many_repositories() {
    let stage = Stage::new();
    let config = stage.config(&[("", PASSWORD)]);
    stage.api.put_secret("pull", &config);
    let registry = stage.registry(named(&["pull"]));
    let paths = ["acme/web", "acme/api", "other/web"];
    let all = paths.map(|path| stage.tags(&registry, path));
    for listing in futures_util::future::join_all(all).await {
        assert_eq!(listing.unwrap().tags.len(), 1);
    }
    assert_eq!(stage.api.take_asked(), ["towpath/secrets/pull"]);
    pass(60).await;
    stage.tags(&registry, "acme/web").await.unwrap();
    assert_eq!(stage.api.take_asked(), ["towpath/secrets/pull"]);
}

#[tokio::test]
async fn a_secret_that_was_changed_is_read_anew_when_the_registry_refuses_the_old_one() {
    let stage = Stage::new();
    stage
        .api
        .put_secret("pull", &stage.config(&[("", "hunter2")]));
    let registry = stage.registry(named(&["pull"]));
    let told = stage.told(&registry).await;
    assert_snapshot!(told, @"
    the token service `127.0.0.1` of `HOST` refused the entry `HOST` of the secret `towpath/pull` with status 403, saying `DENIED: the account is locked`
      hint: check the `credentials` of `HOST` in the settings
    ");
    stage
        .api
        .put_secret("pull", &stage.config(&[("", PASSWORD)]));
    stage.api.take_asked();
    // At most every ten seconds, however many are refused.
    assert!(stage.tags(&registry, "acme/web").await.is_err());
    assert!(stage.api.take_asked().is_empty());
    pass(10).await;
    assert!(stage.tags(&registry, "acme/web").await.is_ok());
    assert_eq!(stage.api.take_asked().len(), 1);
}

#[tokio::test]
async fn of_several_secrets_the_closest_entry_counts_and_the_others_are_tried_in_turn() {
    let stage = Stage::new();
    let put = |name, entries: &[(&str, &str)]| stage.api.put_secret(name, &stage.config(entries));
    put("one", &[("", "hunter2"), ("/other", "hunter3")]);
    put("two", &[("/acme", PASSWORD)]);
    stage.api.put_account("default", &["one", "two"]);
    let registry = stage.registry(account("default"));
    assert!(stage.tags(&registry, "acme/web").await.is_ok());
    assert!(stage.tags(&registry, "other/web").await.is_err());
    let asked = stage.api.take_asked();
    let expected = ["serviceaccounts/default", "secrets/one", "secrets/two"];
    assert_eq!(asked, expected.map(|path| format!("towpath/{path}")));

    put("three", &[("", PASSWORD)]);
    let registry = stage.registry(named(&["one", "three"]));
    stage.server.take_requests();
    assert!(stage.tags(&registry, "other/web").await.is_ok());
    let tried = stage.server.take_requests();
    assert_eq!(tried[&crate::demo::registry::Kind::Token], 3);
    // What was refused is not tried again.
    stage.server.expire_tokens();
    assert!(stage.tags(&registry, "other/web").await.is_ok());
    let tried = stage.server.take_requests();
    assert_eq!(tried[&crate::demo::registry::Kind::Token], 1);
}

#[tokio::test]
async fn a_registry_that_takes_passwords_itself_is_tried_with_each_login_once() {
    let stage = Stage::with(Access::Basic {
        username: "alice".to_owned(),
        password: PASSWORD.to_owned(),
    });
    for (name, password) in [("one", "hunter2"), ("two", "hunter3"), ("three", PASSWORD)] {
        let config = stage.config(&[("", password)]);
        stage.api.put_secret(name, &config);
    }
    let kind = crate::demo::registry::Kind::Tags;
    let registry = stage.registry(named(&["one", "two", "three"]));
    assert!(stage.tags(&registry, "acme/web").await.is_ok());
    assert_eq!(stage.server.take_requests()[&kind], 4);
    assert!(stage.tags(&registry, "acme/web").await.is_ok());
    assert_eq!(stage.server.take_requests()[&kind], 1);
    let registry = stage.registry(named(&["one", "two"]));
    let error = stage.tags(&registry, "acme/web").await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Unauthorized { .. }),
        "{error}"
    );
    assert_eq!(stage.server.take_requests()[&kind], 3);
}

#[tokio::test]
async fn requests_side_by_side_that_are_refused_with_one_login_turn_to_the_same_next_one() {
    let stage = Stage::new();
    for (name, password) in [("one", "hunter2"), ("two", "hunter3"), ("three", PASSWORD)] {
        stage.api.put_secret(name, &stage.config(&[("", password)]));
    }
    let secrets = PullSecrets {
        namespace: None,
        which: named(&["one", "two", "three"]),
    };
    let logins = Logins::new(
        Target::of_host(&stage.server.host()),
        SourcesByPath::from(Source::PullSecrets(secrets)),
        stage.pod(),
        Clock::default(),
    );
    let first = logins.find("acme/web").await.unwrap();
    assert!(logins.refused("acme/web", &first.login).await);
    assert!(logins.refused("acme/web", &first.login).await);
    let next = logins.find("acme/web").await.unwrap();
    assert!(next.place.contains("towpath/two"), "{}", next.place);
}

#[tokio::test]
async fn a_secret_of_the_old_type_logs_in_too() {
    let stage = Stage::new();
    let data = STANDARD.encode(stage.config(&[("", PASSWORD)])["auths"].to_string());
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "old" },
        "type": "kubernetes.io/dockercfg", "data": { ".dockercfg": data },
    });
    stage.api.put("secrets/old", object);
    let registry = stage.registry(named(&["old"]));
    assert!(stage.tags(&registry, "acme/web").await.is_ok());
}

#[tokio::test]
async fn a_rotated_token_of_the_account_counts_at_once() {
    let stage = Stage::new();
    stage
        .api
        .put_secret("pull", &stage.config(&[("", PASSWORD)]));
    let registry = stage.registry(named(&["pull"]));
    stage.tags(&registry, "acme/web").await.unwrap();
    stage.api.state.lock().unwrap().token = "token-2".to_owned();
    std::fs::write(stage.folder.path().join("token"), "token-2").unwrap();
    pass(60).await;
    stage.api.take_asked();
    stage.tags(&registry, "acme/api").await.unwrap();
    assert_eq!(stage.api.take_asked().len(), 1);
}

#[tokio::test]
async fn a_kubeconfig_leads_to_the_cluster_where_there_is_no_pod() {
    let stage = Stage::new();
    stage
        .api
        .put_secret("pull", &stage.config(&[("", PASSWORD)]));
    let path = |name: &str| stage.folder.path().join(name).display().to_string();
    let clusters = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority: '{}'}}}}]\n",
        stage.api.port,
        path("ca.crt"),
    );
    let users = "apiVersion: v1\nkind: Config\ncurrent-context: x\nusers: [{name: u, user: {token: token-1}}]\ncontexts: [{name: x, context: {cluster: c, user: u, namespace: towpath}}]\n";
    std::fs::write(path("clusters.yaml"), clusters).unwrap();
    std::fs::write(path("users.yaml"), users).unwrap();
    let files = [path("none.yaml"), path("clusters.yaml"), path("users.yaml")].join(":");
    let found = environment(&[("KUBECONFIG", &files)]);
    let registry = stage.registry_in(found, named(&["pull"]));
    assert!(stage.tags(&registry, "acme/web").await.is_ok());

    std::fs::write(path("users.yaml"), "hunter2: [").unwrap();
    let found = environment(&[("KUBECONFIG", &path("users.yaml"))]);
    let broken = stage.registry_in(found, named(&["pull"]));
    assert_snapshot!(stage.told(&broken).await, @"failed to read the credentials for `HOST`: the kubeconfig `FOLDER/users.yaml` cannot be used");
}

#[tokio::test]
async fn a_program_of_a_kubeconfig_gives_the_token_and_what_it_writes_is_not_told() {
    let stage = Stage::new();
    stage
        .api
        .put_secret("pull", &stage.config(&[("", PASSWORD)]));
    let path = |name: &str| stage.folder.path().join(name).display().to_string();
    let kubeconfig = |script: &str| {
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
            "args": ["-c", script], "interactiveMode": "Never",
        });
        let url = format!("https://127.0.0.1:{}", stage.api.port);
        let whole = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{ "name": "c", "cluster": { "server": url, "certificate-authority": path("ca.crt") } }],
            "users": [{ "name": "u", "user": { "exec": exec } }],
            "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u", "namespace": "towpath" } }],
        });
        std::fs::write(path("config"), whole.to_string()).unwrap();
        stage.registry_in(
            environment(&[("KUBECONFIG", &path("config"))]),
            named(&["pull"]),
        )
    };
    let good = r#"echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "token-1"}}'"#;
    assert!(stage.tags(&kubeconfig(good), "acme/web").await.is_ok());
    let mut all = Vec::new();
    for script in ["echo hunter2; exit 3", "echo hunter2: ["] {
        all.push(stage.told(&kubeconfig(script)).await);
    }
    assert_snapshot!(all.join("\n"), @"
    failed to read the credentials for `HOST`: failed to make ready for the Kubernetes API: the kubeconfig's program ended with exit status: 3
    failed to read the credentials for `HOST`: failed to make ready for the Kubernetes API: the kubeconfig's program wrote no token
    ");
}

#[tokio::test]
async fn what_the_cluster_refuses_or_does_not_have_is_told_with_what_to_do() {
    let stage = Stage::new();
    stage.api.put_account("robot", &["gone"]);
    stage.api.put_account("escape", &["../../x"]);
    stage
        .api
        .put_secret("broken", &json!({ "auths": ["hunter2"] }));
    let opaque =
        |data: Value| json!({ "kind": "Secret", "metadata": {}, "type": "Opaque", "data": data });
    stage.api.put(
        "secrets/opaque",
        opaque(json!({ "password": "aHVudGVyMg==" })),
    );
    let mut empty = opaque(json!({}));
    empty["type"] = "kubernetes.io/dockerconfigjson".into();
    stage.api.put("secrets/empty", empty);
    stage.api.put(
        "secrets/strange",
        json!({ "kind": "Secret", "metadata": {}, "data": ["hunter2"] }),
    );
    for path in ["secrets/closed", "serviceaccounts/closed"] {
        stage
            .api
            .state
            .lock()
            .unwrap()
            .forbidden
            .push(path.to_owned());
    }
    let mut all = Vec::new();
    for which in [
        named(&["closed"]),
        account("closed"),
        named(&["gone"]),
        account("gone"),
        account("robot"),
        account("escape"),
        named(&["opaque"]),
        named(&["empty"]),
        named(&["broken"]),
        named(&["strange"]),
    ] {
        all.push(stage.told(&stage.registry(which)).await);
    }
    assert_snapshot!(all.join("\n"), @r#"
    failed to read the credentials for `HOST`: the Kubernetes API forbids us `get` of the secret `towpath/closed`, saying `secrets "closed" is forbidden: User "system:serviceaccount:towpath:towpath" cannot get resource "secrets" in API group "" in the namespace "towpath"`
      hint: allow it by a Role with the verb `get` on this name of `secrets`; the chart makes one of `pullSecrets.names`
    failed to read the credentials for `HOST`: the Kubernetes API forbids us `get` of the service account `towpath/closed`, saying `serviceaccounts "closed" is forbidden: User "system:serviceaccount:towpath:towpath" cannot get resource "serviceaccounts" in API group "" in the namespace "towpath"`
      hint: allow it by a Role with the verb `get` on this name of `serviceaccounts`; the chart makes one of `pullSecrets.serviceAccount`
    failed to read the credentials for `HOST`: Kubernetes has no secret `towpath/gone`
      hint: check the name, and `namespace`
    failed to read the credentials for `HOST`: Kubernetes has no service account `towpath/gone`
      hint: check the name, and `namespace`
    failed to read the credentials for `HOST`: Kubernetes has no secret `towpath/gone`
      hint: check the name, and `namespace`
    failed to read the credentials for `HOST`: the service account `towpath/escape` names a pull secret by what is no name
    failed to read the credentials for `HOST`: the secret `towpath/opaque` is of the type `Opaque`, which holds no logins of registries
      hint: make it with `kubectl create secret docker-registry`
    failed to read the credentials for `HOST`: the secret `towpath/empty` has no text under `.dockerconfigjson`
    failed to read the credentials for `HOST`: the secret `towpath/broken` has a value of the wrong type at line 1, column 9
    failed to read the credentials for `HOST`: the Kubernetes API gave something else than the secret `towpath/strange`
    "#);
}

#[tokio::test]
async fn what_stands_between_us_and_the_cluster_is_told() {
    let stage = Stage::new();
    let mut all = Vec::new();
    let nowhere = environment(&[("HOME", "/nonexistent")]);
    all.push(stage.told(&stage.registry_in(nowhere, named(&["a"]))).await);
    let no_token = environment(&[
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
        (ACCOUNT_FOLDER, "/nonexistent"),
    ]);
    all.push(
        stage
            .told(&stage.registry_in(no_token, named(&["a"])))
            .await,
    );
    let file = |name: &str| stage.folder.path().join(name);
    std::fs::write(file("token"), "hunter2").unwrap();
    all.push(stage.told(&stage.registry(named(&["a"]))).await);
    other_authority(stage.folder.path());
    all.push(stage.told(&stage.registry(named(&["a"]))).await);
    std::fs::remove_file(file("ca.crt")).unwrap();
    all.push(stage.told(&stage.registry(named(&["a"]))).await);
    assert_snapshot!(all.join("\n"), @"
    failed to read the credentials for `HOST`: there is no Kubernetes cluster here: this is no pod, and there is no kubeconfig
      hint: set KUBECONFIG, or run towpath in the cluster that it reads
    failed to read the credentials for `HOST`: this pod has no token of a service account, so it cannot read from Kubernetes
      hint: name the secrets in the chart's `pullSecrets.names`, or mount a token: `automountServiceAccountToken: true`
    failed to read the credentials for `HOST`: the Kubernetes API refused who we are in `get` of the secret `towpath/a`
      hint: log in to the cluster again; a pod's token is renewed by the kubelet
    failed to read the credentials for `HOST`: failed to read the secret `towpath/a` from Kubernetes: client error (Connect): invalid peer certificate: BadSignature
    failed to read the credentials for `HOST`: failed to make ready for the Kubernetes API: rustls tls error: failed to add a root certificate: No such file or directory (os error 2): failed to add a root certificate: No such file or directory (os error 2): No such file or directory (os error 2)
    ");
}

/// Puts an authority in place that knows nothing of the API's certificate.
fn other_authority(folder: &Path) {
    let authority = Authority::new(folder);
    std::fs::rename(authority.ca_file, folder.join("ca.crt")).unwrap();
}

#[tokio::test]
async fn without_an_entry_for_the_registry_access_is_anonymous_and_says_where_was_looked() {
    let stage = Stage::new();
    stage.api.put_secret("pull", &json!({ "auths": {} }));
    let told = stage.told(&stage.registry(named(&["pull"]))).await;
    assert_snapshot!(told, @"
    the token service `127.0.0.1` of `HOST` refused anonymous access (no login in the pull secret `pull`) with status 403, saying `DENIED: the account is locked`
      hint: check the `credentials` of `HOST` in the settings
    ");
    let told = stage.told(&stage.registry(named(&["pull", "pull"]))).await;
    assert!(told.contains("the pull secrets `pull`, `pull`"), "{told}");
}
