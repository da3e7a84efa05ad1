//! How fast YAML is scanned, and how fast files are edited, in one thread.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::edit::{Reach, Scan, assign};
use crate::fleet::values;
use crate::measure::{Samples, memory_peak_kib};
use crate::table::{Aim, Met, Table};

const FILES: usize = 10_000;
const FILES_RUNS: usize = 11;

const RUNS: usize = 41;
const BYTES: usize = 2_000_000;
/// Millions of bytes a second.
const AIM: f64 = 30.0;

/// Values as charts have them, with comments; `N` is a number.
const VALUES: &str = "# The service N, as its team wants it.\nservice-N:\n  replicas: 2   # at least\n  image:\n    repository: registry.example.com/acme/service-N\n    tag: v1.0.0\n    pullPolicy: IfNotPresent\n  # Requests follow the load tests of last year.\n  resources:\n    requests:\n      cpu: 100m\n      memory: 128Mi\n  annotations:\n    prometheus.io/scrape: \"true\"\n\n  enabled: true\n";

const MANIFEST: &str = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-N\n  labels:\n    app.kubernetes.io/name: web-N\nspec:\n  replicas: 3\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: web-N\n  template:\n    metadata:\n      labels:\n        app.kubernetes.io/name: web-N\n    spec:\n      containers:\n      - name: web\n        image: registry.example.com/acme/web-N:v1.2.3\n        args:\n        - --listen=:8080\n        ports:\n        - containerPort: 8080\n          name: http\n        readinessProbe:\n          httpGet:\n            path: /healthz\n            port: http\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web-N\ndata:\n  config.yaml: |\n    server:\n      listen: :8080\n      timeout: 30s\n";

const FLOWS: &str = "service-N: { replicas: 2, image: { repository: registry.example.com/acme/service-N, tag: v1.0.0 }, resources: { requests: { cpu: 100m, memory: 128Mi } }, ports: [8080, 9090] }\n";

/// Scans three kinds of text. The speed is that of the best run: nothing but other processes makes one slower.
pub(crate) fn scan(table: &mut Table) {
    let kinds = [
        ("a chart's values", VALUES),
        ("manifests", MANIFEST),
        ("flow maps, nine values to a line", FLOWS),
    ];
    for (name, unit) in kinds {
        let text: String = (0..BYTES / unit.len())
            .map(|n| unit.replace('N', &n.to_string()))
            .collect();
        let best = (0..RUNS).map(|_| speed(&text)).fold(0.0, f64::max);
        let what = format!(
            "scan of {:.1} MB, {name}, one thread, best of {RUNS}",
            text.len() as f64 / 1e6
        );
        let met = if best > AIM { Met::Yes } else { Met::No };
        table.single(&what, &format!("{best:.0} MB/s"), "> 30 MB/s", met);
    }
}

fn speed(text: &str) -> f64 {
    let start = Instant::now();
    let is_scanned = black_box(Scan::new(black_box(text))).is_ok();
    let took = start.elapsed();
    assert!(is_scanned);
    text.len() as f64 / took.as_secs_f64() / 1e6
}

/// Edits many small files: each is scanned, edited and proved. Reading and writing them is the disk's affair.
pub(crate) fn files(table: &mut Table) {
    let image = "registry.example.com/acme/web";
    let files: Vec<String> = (0..FILES).map(|n| values(n, image)).collect();
    let samples = Samples::new((0..FILES_RUNS).map(|run| edit_all(&files, run)));
    table.times(
        &format!("edit of {FILES} files of 25 lines, one value each, one thread"),
        &samples,
        Aim::Time(Duration::from_millis(500)),
    );
    // Of this process, and so of all figures before: run this one alone.
    let peak = Samples::new(memory_peak_kib(std::process::id()));
    table.memory(
        "the same, peak memory with all files before and after, run alone",
        &peak,
        Aim::Mebibytes(60),
    );
}

fn edit_all(files: &[String], run: usize) -> Duration {
    let at = "image.tag".parse().expect("a path");
    let tag = format!("develop-{run}-0a1b2c4");
    let edit = |before: &String| {
        assign(before, &Reach::default(), (&at, &tag)).expect("the value is there")
    };
    let start = Instant::now();
    let edited: Vec<String> = files.iter().map(edit).collect();
    let took = start.elapsed();
    let is_edited = |(before, after): (&String, &String)| before != after;
    assert!(files.iter().zip(&edited).all(is_edited));
    took
}
