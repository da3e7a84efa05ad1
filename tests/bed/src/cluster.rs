//! A cluster in which Deployments become healthy: the API server, the controllers of Kubernetes, and kwok in place of a kubelet.
//!
//! Not here: a scheduler. A pod names its node itself, [`NODE`].

use std::process::Command;

use serde_json::json;

use crate::{ApiServer, Process, built};

/// The only node.
pub const NODE: &str = "bed";

/// What makes pods of a Deployment, and takes away what belongs to nobody or to a namespace that is gone.
const CONTROLLERS: &str =
    "deployment-controller,replicaset-controller,garbage-collector-controller,namespace-controller";

/// A running cluster.
#[must_use = "the cluster ends when this is dropped"]
pub struct Cluster {
    _kwok: Process,
    _controllers: Process,
    pub api: ApiServer,
}

impl Cluster {
    /// A cluster with one node, or `None` where one of its programs is left out on purpose.
    pub async fn start() -> Option<Self> {
        let (controllers, kwok) = (built("kube-controller-manager")?, built("kwok")?);
        let api = ApiServer::start()?;
        api.until_ready().await;
        let (folder, kubeconfig) = (api.folder(), api.kubeconfig("admin"));
        let mut command = Command::new(controllers);
        command.arg("--kubeconfig").arg(&kubeconfig).args([
            &format!("--controllers={CONTROLLERS}"),
            "--leader-elect=false",
            "--secure-port=0",
        ]);
        command.arg("--cert-dir").arg(folder);
        let controllers = Process::start(command, &folder.join("controllers.log"));
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } });
        api.create("/api/v1/nodes", &node).await;
        let stages = folder.join("kwok.yaml");
        std::fs::write(&stages, include_str!("kwok.yaml")).expect("the folder can be written");
        let mut command = Command::new(kwok);
        command.arg("--kubeconfig").arg(&kubeconfig);
        command
            .arg("--manage-all-nodes")
            .arg("--config")
            .arg(stages);
        let kwok = Process::start(command, &folder.join("kwok.log"));
        Some(Self {
            _kwok: kwok,
            _controllers: controllers,
            api,
        })
    }
}
