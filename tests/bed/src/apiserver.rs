//! The API server of Kubernetes with its etcd, on loopback and behind TLS; nothing runs in this cluster.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rcgen::KeyPair;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::argo::write_kubeconfig;
use crate::process::READY_WITHIN;
use crate::push::client;
use crate::{Authority, Process, built, free_port, program};

/// A running API server.
#[must_use = "the server ends when this is dropped"]
pub struct ApiServer {
    _etcd: Process,
    _server: Process,
    folder: TempDir,
    client: Client,
    url: String,
    ca_file: PathBuf,
}

impl ApiServer {
    /// A cluster with nothing in it, or `None` where it is left out on purpose. It may not be ready yet: the first requests
    /// are refused while it makes its own objects.
    pub fn start() -> Option<Self> {
        let program_path = built("kube-apiserver")?;
        let folder = tempfile::tempdir().expect("a folder can be made");
        let at = folder.path();
        let etcd = start_etcd(at);
        let authority = Authority::new(at);
        let certificate = authority.issue(&["127.0.0.1"]);
        let accounts = KeyPair::generate().expect("a key can be made");
        let accounts_key = at.join("accounts.key");
        std::fs::write(&accounts_key, accounts.serialize_pem()).expect("the folder can be written");
        let accounts_public = at.join("accounts.pub");
        let public = accounts.public_key_pem();
        std::fs::write(&accounts_public, public).expect("the folder can be written");
        let tokens = at.join("tokens.csv");
        let users = "admin,admin,1,system:masters\nreader,reader,2\n";
        std::fs::write(&tokens, users).expect("the folder can be written");
        let port = free_port();
        let mut command = Command::new(program_path);
        command
            .arg(format!("--etcd-servers={}", etcd.1))
            .arg(format!("--secure-port={port}"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .args([
                "--service-cluster-ip-range=10.0.0.0/24",
                "--authorization-mode=RBAC",
            ])
            .args([
                "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none",
            ])
            // Debian's etcd cannot say how far a watch has come, and clients that are promised it wait for a long time.
            .arg("--feature-gates=WatchList=false")
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(option("--cert-dir=", at))
            .arg(option("--tls-cert-file=", &certificate.certificate))
            .arg(option("--tls-private-key-file=", &certificate.key))
            .arg(option("--service-account-key-file=", &accounts_public))
            .arg(option("--service-account-signing-key-file=", &accounts_key))
            .arg(option("--token-auth-file=", &tokens));
        let server = Process::start(command, &at.join("apiserver.log"));
        let address = format!("127.0.0.1:{port}");
        server.wait_until("the API server to listen", || {
            TcpStream::connect(&address).is_ok()
        });
        Some(Self {
            _etcd: etcd.0,
            _server: server,
            client: client(Some(&authority.ca_file)),
            url: format!("https://{address}"),
            ca_file: authority.ca_file.clone(),
            folder,
        })
    }

    /// A kubeconfig for `admin`, who may do everything, or for `reader`, who may do what somebody lets them.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        let file = self.folder.path().join(format!("{user}.kubeconfig"));
        let cluster = json!({ "server": self.url, "certificate-authority": self.ca_file });
        write_kubeconfig(&file, &cluster, &json!({ "token": user }));
        file
    }

    /// A folder that lives as long as the server does.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until it has made its own objects: the controllers of Kubernetes give up on one that has not within ten seconds.
    pub(crate) async fn until_ready(&self) {
        let start = Instant::now();
        while let Err(words) = self.ask(Method::GET, "/readyz", String::new()).await {
            assert!(start.elapsed() < READY_WITHIN, "{words}");
        }
    }

    /// What `admin` reads at `path`, or `None` where there is nothing.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let answer = self.ask(Method::GET, path, String::new()).await;
        answer.ok()
    }

    /// Makes an object, in YAML or JSON, as soon as the server takes such: it may not know the kind yet.
    pub async fn create(&self, path: &str, object: &(impl ToString + ?Sized)) {
        let start = Instant::now();
        while let Err(words) = self.ask(Method::POST, path, object.to_string()).await {
            assert!(start.elapsed() < READY_WITHIN, "{path}: {words}");
        }
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Result<Value, String> {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth("admin");
        let request = request
            .header("content-type", "application/yaml")
            .body(body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        match status.is_success() {
            true => Ok(serde_json::from_str(&text).unwrap_or_default()),
            false => Err(text),
        }
    }
}

fn start_etcd(folder: &Path) -> (Process, String) {
    let (clients, peers) = (free_port(), free_port());
    let clients = format!("http://127.0.0.1:{clients}");
    let peers = format!("http://127.0.0.1:{peers}");
    let mut command = Command::new(program("etcd"));
    command
        .arg(option("--data-dir=", &folder.join("etcd")))
        .args([
            "--listen-client-urls",
            &clients,
            "--advertise-client-urls",
            &clients,
        ])
        .args([
            "--listen-peer-urls",
            &peers,
            "--initial-advertise-peer-urls",
            &peers,
        ])
        .args(["--initial-cluster", &format!("default={peers}")]);
    let process = Process::start(command, &folder.join("etcd.log"));
    let address = clients.trim_start_matches("http://").to_owned();
    process.wait_until("etcd to listen", || TcpStream::connect(&address).is_ok());
    (process, clients)
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}{}", path.display())
}
