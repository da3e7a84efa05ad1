//! The order of builds by a history of 100,000 commits: fetched over HTTP, and looked through.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bed::{GitServer, create_bare, git, import};
use towpath::demo_registry::{Access, Image, MemoryRegistry};

use crate::fleet::towpath;
use crate::measure::{Samples, memory_peak_kib, time};
use crate::table::{Aim, Table};

const COMMITS: usize = 100_000;
const RUNS: usize = 5;
/// One commit of so many is a merge of the one before into the one before that.
const MERGE_EVERY: usize = 10;
const FILES: usize = 100;
/// Builds in the registry, spread over the history.
const BUILDS: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// `towpath plan`: with no mirror, and with one that has it all; compared with git, which finds no order.
pub(crate) fn commits(table: &mut Table) {
    let server = GitServer::start();
    let bare = server.create("code.git");
    git(&bare, &["config", "uploadpack.allowFilter", "true"]);
    import(&bare, history().as_bytes());
    git(&bare, &["repack", "-adq"]);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let registry = MemoryRegistry::start(Access::Anonymous).expect("loopback has a free port");
    let newest = push_builds(&bare, &registry);
    configure(folder.path(), (&server, &registry));

    let (mut cold, mut warm, mut git_alone) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let cache = folder.path().join("cache");
        let _ = std::fs::remove_dir_all(&cache);
        cold.push(plan(folder.path(), &newest));
        warm.push(plan(folder.path(), &newest));
        git_alone.push(time(&mut clone(folder.path(), &server, run)));
    }
    let times = |seen: &[Seen]| Samples::new(seen.iter().map(|seen| seen.took));
    let peaks = |seen: &[Seen]| Samples::new(seen.iter().map(|seen| seen.memory_peak_kib));
    let what = "100,000 commits fetched, 100 builds placed, `towpath plan`";
    table.times(what, &times(&cold), Aim::None);
    table.memory("the same, peak memory", &peaks(&cold), Aim::None);
    let what = "for comparison: `git clone --bare --filter=tree:0`";
    table.times(what, &Samples::new(git_alone), Aim::None);
    let what = "100 builds placed in a mirror of 100,000 commits, `towpath plan`";
    table.times(what, &times(&warm), Aim::None);
    table.memory("the same, peak memory", &peaks(&warm), Aim::None);
}

struct Seen {
    took: Duration,
    memory_peak_kib: u64,
}

/// Plans, and looks at the process until it ends.
fn plan(folder: &Path, newest: &str) -> Seen {
    let start = Instant::now();
    let mut child = towpath(folder)
        .arg("plan")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut peak = 0;
    while child.try_wait().expect("the process is ours").is_none() {
        peak = memory_peak_kib(child.id()).unwrap_or(peak);
        std::thread::sleep(LOOK_EVERY);
    }
    let took = start.elapsed();
    let output = child.wait_with_output().expect("the process is ours");
    let printed = String::from_utf8_lossy(&output.stdout);
    let is_promoted = printed.contains("promote") && printed.contains(newest);
    assert!(output.status.success() && is_promoted, "{printed}");
    Seen {
        took,
        memory_peak_kib: peak,
    }
}

fn clone(folder: &Path, server: &GitServer, run: usize) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder);
    command.args(["clone", "-q", "--bare", "--filter=tree:0"]);
    command.args([server.http("code.git"), format!("clone-{run}.git")]);
    command
}

/// A history as a stream for `git fast-import`; each commit changes one file.
fn history() -> String {
    let mut stream = String::from("feature done\n");
    for n in 1..=COMMITS {
        let (file, message) = (n % FILES, format!("change {n}"));
        let parents = match n {
            1 => String::new(),
            n if n.is_multiple_of(MERGE_EVERY) => {
                format!("from :{}\nmerge :{}\n", n - 2, n - 1)
            }
            n => format!("from :{}\n", n - 1),
        };
        writeln!(
            stream,
            "commit refs/heads/main\nmark :{n}\ncommitter Ada <ada@example.com> {} +0000\ndata {}\n{message}\n{parents}M 100644 inline src/file-{file:02}\ndata 8\n{n:08}",
            1_600_000_000 + n,
            message.len()
        )
        .expect("a string can be written");
    }
    stream + "done\n"
}

/// Pushes builds of commits all over the history, the newest first, and gives its tag.
fn push_builds(bare: &Path, registry: &MemoryRegistry) -> String {
    let commits = git(bare, &["rev-list", "--first-parent", "main"]);
    let commits: Vec<&str> = commits.lines().collect();
    let step = commits.len() / BUILDS;
    let tags = commits.iter().step_by(step);
    let tags: Vec<String> = tags
        .map(|commit| format!("main-{}", &commit[..12]))
        .collect();
    for tag in &tags {
        registry.push("acme/app", tag, &Image::default());
    }
    tags[0].clone()
}

/// A manifests repository in the folder, which runs nothing yet, with settings and a policy.
fn configure(folder: &Path, (server, registry): (&GitServer, &MemoryRegistry)) {
    let deploy = folder.join("deploy.git");
    create_bare(&deploy);
    let file = "resources: []\n";
    let stream = format!(
        "feature done\ncommit refs/heads/main\ncommitter Ada <ada@example.com> 1 +0000\ndata 4\nseed\nM 100644 inline app/kustomization.yaml\ndata {}\n{file}\ndone\n",
        file.len()
    );
    import(&deploy, stream.as_bytes());
    let host = registry.host();
    let settings = format!(
        "apiVersion: towpath.dev/v1alpha1\nkind: Settings\nrepositories:\n  deploy: {{ url: deploy.git }}\n  code: {{ url: \"{}\", plain-http: true }}\nregistries:\n  {host}: {{ plain-http: true }}\npolicies: [policy.yaml]\ncache: cache\n",
        server.http("code.git"),
    );
    let policy = format!(
        "apiVersion: towpath.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {{ name: app }}\nspec:\n  repository: deploy\n  images: {{ app: {host}/acme/app }}\n  environments:\n    - {{ name: dev, tags: {{ pattern: \"main-{{sha}}\", source: code }}, update: app }}\n"
    );
    for (name, text) in [("towpath.yaml", settings), ("policy.yaml", policy)] {
        std::fs::write(folder.join(name), text).expect("the folder can be written");
    }
}
