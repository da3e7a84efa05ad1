//! What 2,000 Applications of Argo CD cost a daemon that follows them in a cluster: memory, and the time to the first view.

use std::path::Path;
use std::time::{Duration, Instant};

use bed::argo::{APPLICATIONS, Argo};
use bed::{Process, free_port};
use serde_json::{Value as Json, json};

use crate::fleet::towpath;
use crate::measure::{Samples, data_kib, memory_peak_kib};
use crate::table::{Aim, Table};

const COUNT: usize = 2_000;
/// What one has with thirty objects, ten syncs and what field managers leave behind.
const BYTES: usize = 22_000;
const RUNS: usize = 5;
/// Above a daemon that follows nothing.
const MEMORY_MAX: Aim = Aim::Mebibytes(10);
/// The rest of a first view: what the allocator keeps for itself settles within this time.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn applications(table: &mut Table) {
    let argo = Argo::new("t0ken");
    let mut bytes = 0;
    for number in 0..COUNT {
        let application = application(number);
        bytes += application.to_string().len();
        argo.put(APPLICATIONS, application);
    }
    assert!(bytes / COUNT >= BYTES, "{bytes} bytes in all");
    let folder = tempfile::tempdir().expect("a folder can be made");
    argo.serve_kubernetes(&folder.path().join("kubeconfig"));

    let (mut times, mut more, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (_, without, peak_without) = run(folder.path(), "", "no policy is configured");
        let (time, with, peak_with) = run(
            folder.path(),
            "argo-cd: { main: { kubernetes: { kubeconfig: kubeconfig } } }\n",
            &format!("applications={COUNT}"),
        );
        times.push(time);
        more.push(with.saturating_sub(without));
        peaks.push(peak_with.saturating_sub(peak_without));
    }
    let asked = argo.take_asked();
    let lists = asked
        .iter()
        .filter(|asked| asked.contains("/applications?") && asked.contains("limit="));
    assert_eq!(lists.count(), RUNS * COUNT / 20, "one list, in pages");
    table.memory(
        "2,000 Applications of 22 KB in a cluster, `towpath run`: data in memory above what it has without",
        &Samples::new(more),
        MEMORY_MAX,
    );
    table.memory(
        "the same, all memory at its peak, with the code that it takes",
        &Samples::new(peaks),
        Aim::None,
    );
    let what = "the same, start to all of them known, with a fake of the API";
    table.times(what, &Samples::new(times), Aim::None);
}

/// The time until `sign` was logged, and the memory then and at most.
fn run(folder: &Path, more: &str, sign: &str) -> (Duration, u64, u64) {
    let port = free_port();
    let settings = format!(
        "apiVersion: towpath.dev/v1alpha1\nkind: Settings\nrepositories: {{ deploy: {{ url: ./deploy.git }} }}\npolicies: [policies]\ncache: cache\nlisten: \"127.0.0.1:{port}\"\n{more}"
    );
    std::fs::create_dir_all(folder.join("policies")).expect("the folder can be written");
    std::fs::write(folder.join("towpath.yaml"), settings).expect("the folder can be written");
    let mut command = towpath(folder);
    command.arg("run");
    let started = Instant::now();
    let daemon = Process::start(command, &folder.join("log"));
    daemon.wait_until(sign, || daemon.log().contains(sign));
    let time = started.elapsed();
    std::thread::sleep(SETTLE);
    let memory = |kib: Option<u64>| kib.expect("the daemon runs");
    (
        time,
        memory(data_kib(daemon.id())),
        memory(memory_peak_kib(daemon.id())),
    )
}

/// One with what is read and with much that is not.
fn application(number: usize) -> Json {
    let revision = format!("{number:040x}");
    let source = json!({
        "repoURL": "https://git.example.com/acme/deploy.git", "path": format!("apps/app-{number:05}/overlays/production"),
        "targetRevision": "main",
    });
    let history = (0..10).map(|id| {
        json!({
            "id": id, "revision": revision, "deployedAt": "2026-03-01T08:00:00Z", "deployStartedAt": "2026-03-01T07:59:00Z",
            "source": source, "initiatedBy": { "automated": true },
        })
    });
    let resource = |n: usize| {
        json!({
            "group": "apps", "version": "v1", "kind": "Deployment", "namespace": format!("app-{number:05}"),
            "name": format!("app-{number:05}-part-{n}"), "status": "Synced", "health": { "status": "Healthy" },
        })
    };
    let result = |n: usize| {
        let mut result = resource(n);
        result["message"] = json!(format!(
            "deployment.apps/app-{number:05}-part-{n} configured"
        ));
        result["hookPhase"] = json!("Running");
        result["syncPhase"] = json!("Sync");
        result
    };
    let fields: serde_json::Map<String, Json> = (0..140)
        .map(|n| {
            (
                format!("f:field-{n}-of-a-manager"),
                json!({ ".": {}, "f:value": {} }),
            )
        })
        .collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {
            "name": format!("app-{number:05}"), "namespace": "argocd",
            "managedFields": [{ "manager": "argocd-application-controller", "fieldsV1": { "f:status": fields } }],
        },
        "spec": {
            "project": "default", "source": source, "syncPolicy": { "automated": { "selfHeal": true } },
            "destination": { "server": "https://kubernetes.default.svc", "namespace": format!("app-{number:05}") },
        },
        "status": {
            "sync": { "status": "Synced", "revision": revision, "comparedTo": { "source": source } },
            "health": { "status": "Healthy", "lastTransitionTime": "2026-03-01T08:00:00Z" },
            "summary": { "images": (0..3).map(|n| format!("ghcr.io/acme/app-{number:05}-part-{n}:v1.2.3")).collect::<Vec<_>>() },
            "operationState": {
                "phase": "Succeeded", "message": "successfully synced (all tasks run)", "finishedAt": "2026-03-01T08:00:00Z",
                "syncResult": { "revision": revision, "source": source, "resources": (0..30).map(result).collect::<Vec<_>>() },
            },
            "history": history.collect::<Vec<_>>(),
            "resources": (0..30).map(resource).collect::<Vec<_>>(),
            "reconciledAt": "2026-03-02T08:00:00Z", "controllerNamespace": "argocd",
        },
    })
}
