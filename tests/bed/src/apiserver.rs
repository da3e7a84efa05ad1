//! The API server of Kubernetes with its etcd, on loopback and behind TLS; nothing runs in this cluster.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::KeyPair;
use serde_json::json;
use tempfile::TempDir;

use crate::argo::write_kubeconfig;
use crate::{Authority, Process, built, free_port, program};

/// A running API server.
#[must_use = "the server ends when this is dropped"]
pub struct ApiServer {
    _etcd: Process,
    _server: Process,
    folder: TempDir,
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
