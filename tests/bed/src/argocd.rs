//! Argo CD itself, as its own processes: it reads git, syncs a cluster, and is told of pushes.
//!
//! Not here: the Argo CD of most tests, which is made of objects alone (`argo`).

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::{ApiServer, Process, built, corpus, free_port, program};

/// Where its objects are.
pub const NAMESPACE: &str = "argocd";

/// What forges sign with what they tell it.
pub const HOOK_SECRET: &str = "bed-hook-secret";

/// After how long it looks at git of its own accord, and how long it believes what it saw there: its own two minutes and
/// three would make a test wait for five where a forge was away when it told of a push.
/// <https://argo-cd.readthedocs.io/en/stable/operator-manual/high_availability/#argocd-application-controller>
const RESYNC: &str = "15s";

/// The module that its kinds of objects are from, in the corpus.
const MODULE: &str = "github.com/argoproj/argo-cd/v3";

/// A running Argo CD: what reads git, what syncs, what people and forges speak with, and the cache between them.
#[must_use = "the servers end when this is dropped"]
pub struct ArgoCd {
    controller: Process,
    _server: Process,
    _repositories: Process,
    _cache: Process,
    _folder: TempDir,
    /// Where its own API is, open to everybody: `http://127.0.0.1:41213`.
    pub url: String,
}

impl ArgoCd {
    /// An Argo CD that is at home in this cluster, or `None` where one of its programs is left out on purpose.
    pub async fn start(api: &ApiServer) -> Option<Self> {
        let argo_cd = built("argo-cd")?;
        let (kustomize, helm) = (built("kustomize")?, built("helm")?);
        install(api, &definitions()?).await;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).expect("the folder can be written");
        for program in [&kustomize, &helm] {
            let name = program.file_name().expect("a program has a name");
            symlink(program, programs.join(name)).expect("the folder can be written");
        }
        // Its image has one beside git, which is asked of each commit whether it is signed, and says nothing of one that is not.
        let verify = programs.join("git-verify-wrapper.sh");
        std::fs::write(&verify, "#!/bin/sh\n").expect("the folder can be written");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&verify, executable).expect("the script can be made executable");
        let place = Place {
            argo_cd,
            kubeconfig: kubeconfig(api, folder.path()),
            folder: folder.path(),
        };
        let (cache, cache_at) = place.start_cache();
        let cache_at = cache_at.to_string();
        let (repositories_port, server_port) = (free_port(), free_port());
        let repositories_at = local(repositories_port).to_string();
        let repositories = place.start(
            "repo-server",
            &[
                "--address=127.0.0.1",
                &format!("--port={repositories_port}"),
                "--metrics-address=127.0.0.1",
                "--disable-tls",
                "--client-ca-path=",
                &format!("--redis={cache_at}"),
            ],
        );
        let shared = [
            format!("--redis={cache_at}"),
            format!("--repo-server={repositories_at}"),
            "--repo-server-plaintext".to_owned(),
        ];
        let shared: Vec<&str> = shared.iter().map(String::as_str).collect();
        let controller = place.start("application-controller", &shared);
        let own = [
            "--address=127.0.0.1",
            &format!("--port={server_port}"),
            "--metrics-address=127.0.0.1",
            "--disable-auth",
            "--insecure",
        ];
        let server = place.start("server", &[&shared[..], &own].concat());
        for (process, port) in [(&repositories, repositories_port), (&server, server_port)] {
            process.wait_until("it to listen", || TcpStream::connect(local(port)).is_ok());
        }
        Some(Self {
            controller,
            _server: server,
            _repositories: repositories,
            _cache: cache,
            _folder: folder,
            url: format!("http://{}", local(server_port)),
        })
    }

    /// Where a forge tells it of pushes, signed by [`HOOK_SECRET`].
    pub fn hook(&self) -> String {
        format!("{}/api/webhook", self.url)
    }

    /// What the process that syncs has printed so far.
    pub fn log(&self) -> String {
        self.controller.log()
    }
}

/// What all of its processes have in common.
struct Place<'a> {
    argo_cd: PathBuf,
    kubeconfig: PathBuf,
    folder: &'a Path,
}

impl Place<'_> {
    fn start_cache(&self) -> (Process, SocketAddr) {
        let at = local(free_port());
        let mut command = Command::new(program("redis-server"));
        command.current_dir(self.folder);
        command.args(["--bind", "127.0.0.1", "--port", &at.port().to_string()]);
        command.args(["--save", "", "--appendonly", "no"]);
        let process = Process::start(command, &self.folder.join("redis.log"));
        process.wait_until("redis to listen", || TcpStream::connect(at).is_ok());
        (process, at)
    }

    /// Each role is the same program under another name.
    fn start(&self, role: &str, options: &[&str]) -> Process {
        let (folder, own) = (self.folder, self.folder.join(role));
        std::fs::create_dir(&own).expect("the folder can be written");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(&self.argo_cd);
        command
            .current_dir(&own)
            .env("ARGOCD_BINARY_NAME", format!("argocd-{role}"))
            .env("ARGOCD_FAKE_IN_CLUSTER", "true")
            .env("ARGOCD_GPG_ENABLED", "false")
            .env("ARGOCD_RECONCILIATION_TIMEOUT", RESYNC)
            .env("ARGOCD_RECONCILIATION_JITTER", "0s")
            .env("ARGOCD_TLS_DATA_PATH", folder)
            .env("ARGOCD_SSH_DATA_PATH", folder)
            .env("ARGOCD_PLUGINSOCKFILEPATH", folder)
            .env("ARGOCD_ASK_PASS_SOCK", own.join("ask.sock"))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", folder)
            .env("TMPDIR", &own)
            .env(
                "PATH",
                format!("{}:{path}", folder.join("programs").display()),
            )
            .args(options)
            .arg(format!("--metrics-port={}", free_port()));
        Process::start(command, &folder.join(format!("{role}.log")))
    }
}

/// The kubeconfig of its administrator, whose own namespace is its.
fn kubeconfig(api: &ApiServer, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(api.kubeconfig("admin")).expect("it was just written");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    config["contexts"][0]["context"]["namespace"] = NAMESPACE.into();
    let file = folder.join("kubeconfig");
    std::fs::write(&file, config.to_string()).expect("the folder can be written");
    file
}

/// Its kinds of objects, as its own release defines them.
fn definitions() -> Option<Vec<String>> {
    let module = corpus()?.into_iter().find(|module| module.name == MODULE);
    let folder = module.expect("the corpus has Argo CD").folder;
    let definition = |name| {
        let file = folder.join("manifests/crds").join(name);
        std::fs::read_to_string(file).expect("Argo CD defines its kinds there")
    };
    let names = [
        "application-crd.yaml",
        "appproject-crd.yaml",
        "applicationset-crd.yaml",
    ];
    Some(names.map(definition).to_vec())
}

/// What `manifests/install.yaml` of Argo CD brings into a cluster, without what runs there.
async fn install(api: &ApiServer, definitions: &[String]) {
    let core = format!("/api/v1/namespaces/{NAMESPACE}");
    let part = |kind: &str, name: &str| {
        json!({
            "apiVersion": "v1", "kind": kind,
            "metadata": { "name": name, "labels": { "app.kubernetes.io/part-of": "argocd" } },
        })
    };
    api.create("/api/v1/namespaces", &part("Namespace", NAMESPACE))
        .await;
    for definition in definitions {
        let place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        api.create(place, definition).await;
    }
    for name in ["argocd-cm", "argocd-rbac-cm", "argocd-cmd-params-cm"] {
        api.create(&format!("{core}/configmaps"), &part("ConfigMap", name))
            .await;
    }
    let mut secret = part("Secret", "argocd-secret");
    secret["stringData"] = json!({ "webhook.gogs.secret": HOOK_SECRET });
    api.create(&format!("{core}/secrets"), &secret).await;
    let anything = json!([{ "group": "*", "kind": "*" }]);
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": { "name": "default" },
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{ "namespace": "*", "server": "*" }],
            "clusterResourceWhitelist": anything,
        },
    });
    let projects = format!("/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/appprojects");
    api.create(&projects, &project).await;
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
