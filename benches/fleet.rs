//! A manifests repository of 30,000 files in 1,000 applications behind nginx, a registry, and settings for both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bed::{GitServer, Process, git, import};
use tempfile::TempDir;
use towpath::demo_registry::{Access, Image, Kind, MemoryRegistry};

use crate::measure::memory_peak_kib;

pub(crate) const APPLICATIONS: usize = 1000;
const FILES_EACH: usize = 30;
const USERNAME: &str = "bot";
const PASSWORD: &str = "s3cret";
/// How often a run is looked at: fine enough for the aims, and little work beside what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const RUN_MAX: Duration = Duration::from_secs(120);

/// How many policies there are, and what they read.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) policies: usize,
    /// Image repositories, which the policies share evenly.
    pub(crate) images: usize,
    /// How often registry and repository are read, as the settings write it.
    pub(crate) poll_interval: &'static str,
    pub(crate) login: Login,
    pub(crate) tree: Tree,
}

/// What the repository holds.
#[derive(Clone, Copy)]
pub(crate) enum Tree {
    /// 30,000 files in 1,000 applications, a kustomization of each for a policy of its own.
    Applications,
    /// This many values files of 25 lines, all written by each policy.
    Values(usize),
    /// One such file for each policy.
    Each,
}

/// Whether the registry wants tokens.
#[derive(Clone, Copy)]
pub(crate) enum Login {
    /// So that each listing is one request, and their number tells when all tags are known.
    Anonymous,
    Token,
}

/// Everything that one figure needs.
#[must_use = "the servers end when this is dropped"]
pub(crate) struct Fleet {
    pub(crate) plan: Plan,
    pub(crate) registry: MemoryRegistry,
    server: GitServer,
    pub(crate) bare: PathBuf,
    folder: TempDir,
    tags: usize,
}

/// What was seen of one run, in times from its start.
pub(crate) struct Seen {
    /// When the registry was asked for the last listing that the run needed.
    pub(crate) tags_known: Duration,
    /// When the registry was last asked for a digest.
    pub(crate) digests_known: Duration,
    /// When the branch had moved on the server.
    pub(crate) pushed: Duration,
    pub(crate) ended: Duration,
    pub(crate) memory_peak_kib: u64,
    pub(crate) requests: BTreeMap<Kind, u64>,
}

impl Seen {
    pub(crate) fn known_to_pushed(&self) -> Duration {
        self.pushed - self.tags_known
    }

    pub(crate) fn digests_to_pushed(&self) -> Duration {
        self.pushed - self.digests_known
    }
}

impl Fleet {
    /// Starts the servers; every application runs the first tag of its image, and there is no newer one.
    pub(crate) fn start(plan: Plan) -> Self {
        let access = match plan.login {
            Login::Anonymous => Access::Anonymous,
            Login::Token => Access::Token {
                username: USERNAME.to_owned(),
                password: PASSWORD.to_owned(),
                life: Duration::from_secs(3600),
            },
        };
        let registry = MemoryRegistry::start(access).expect("loopback has a free port");
        let server = GitServer::start();
        let bare = server.create("deploy.git");
        let mut fleet = Self {
            plan,
            registry,
            server,
            bare,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            tags: 0,
        };
        fleet.push_tags(0..fleet.plan.images);
        import(&fleet.bare, fleet.repository().as_bytes());
        git(&fleet.bare, &["repack", "-adq"]);
        fleet.configure();
        fleet
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        self.server.http("deploy.git")
    }

    /// Pushes to the registry a newer tag of each of these images.
    pub(crate) fn push_tags(&mut self, images: impl IntoIterator<Item = usize>) {
        let tag = tag(self.tags);
        for image in images {
            let name = format!("acme/app-{image:04}");
            self.registry.push(&name, &tag, &Image::default());
        }
        self.tags += 1;
    }

    /// The commit at the head of the branch on the server.
    pub(crate) fn head(&self) -> String {
        let head = std::fs::read_to_string(self.bare.join("refs/heads/main"));
        head.expect("the branch is a loose reference")
            .trim()
            .to_owned()
    }

    /// How many commits lead from `base` to the head.
    pub(crate) fn commits_since(&self, base: &str) -> usize {
        let count = git(
            &self.bare,
            &["rev-list", "--count", &format!("{base}..main")],
        );
        count.parse().expect("git counts in digits")
    }

    /// How many files differ between `base` and the head, and how many lines were added and taken away.
    pub(crate) fn changed_since(&self, base: &str) -> (usize, usize, usize) {
        let text = git(&self.bare, &["diff", "--shortstat", base, "main"]);
        let mut counts = text.split(", ").map(|part| {
            let digits = part.trim().split(' ').next();
            digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
        });
        let mut next = || counts.next().unwrap_or(0);
        (next(), next(), next())
    }

    /// How many pushes the server has had.
    pub(crate) fn pushes(&self) -> usize {
        let is_push = |line: &&String| line.starts_with("POST") && line.contains("receive-pack");
        self.server.requests().iter().filter(is_push).count()
    }

    /// Starts `verb` and looks at it until it ends.
    pub(crate) fn watch_to_end(&self, verb: &str) -> Seen {
        let mut child = towpath(self.path())
            .arg(verb)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program can be started");
        let process = child.id();
        let has_ended = |_: &Seen| {
            let status = child.try_wait().expect("the process is ours");
            assert!(
                status.is_none_or(|status| status.success()),
                "{verb} failed"
            );
            status.is_some()
        };
        self.watch(process, self.plan.images as u64, has_ended)
    }

    /// Looks at a running daemon until the branch moves, from one listing of the image repository on.
    pub(crate) fn watch_to_push(&self, daemon: &Process) -> Seen {
        self.watch(daemon.id(), 1, |seen| seen.pushed > Duration::ZERO)
    }

    /// Looks at a process until `is_over`; tags are known with the listing of this number.
    fn watch(&self, process: u32, listings: u64, mut is_over: impl FnMut(&Seen) -> bool) -> Seen {
        let start = Instant::now();
        let mut requests = BTreeMap::new();
        let head = self.head();
        let mut seen = Seen {
            tags_known: Duration::ZERO,
            digests_known: Duration::ZERO,
            pushed: Duration::ZERO,
            ended: Duration::ZERO,
            memory_peak_kib: 0,
            requests: BTreeMap::new(),
        };
        while !is_over(&seen) {
            let now = start.elapsed();
            assert!(now < RUN_MAX, "the run does not end");
            let new = self.registry.take_requests();
            if new.contains_key(&Kind::Manifest) {
                seen.digests_known = now;
            }
            add(&mut requests, new);
            let listed = requests.get(&Kind::Tags).copied().unwrap_or_default();
            if listed >= listings && seen.tags_known.is_zero() {
                seen.tags_known = now;
            }
            if seen.pushed.is_zero() && self.head() != head {
                seen.pushed = now;
            }
            if let Some(peak) = memory_peak_kib(process) {
                seen.memory_peak_kib = peak;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        seen.ended = start.elapsed();
        add(&mut requests, self.registry.take_requests());
        seen.requests = requests;
        seen
    }

    /// Adds these lines to the settings.
    pub(crate) fn add_settings(&self, lines: &str) {
        let path = self.path().join("towpath.yaml");
        let settings = std::fs::read_to_string(&path).expect("the settings were written");
        write(&path, &(settings + lines));
    }

    /// Adds images of these numbers, each with a policy that writes nothing.
    pub(crate) fn add_watched(&self, images: std::ops::Range<usize>) {
        let mut policies = String::from("apiVersion: towpath.dev/v1alpha1\n");
        for n in images {
            let name = format!("acme/app-{n:04}");
            self.registry.push(&name, &tag(0), &Image::default());
            let image = format!("{}/{name}", self.registry.host());
            let folder = format!("apps/app-{:04}/overlays/dev", n % APPLICATIONS);
            write!(
                policies,
                "kind: PromotionPolicy\nmetadata: {{ name: app-{n:04} }}\nspec:\n  repository: deploy\n  images: {{ app: {image} }}\n  environments:\n    - {{ name: production, tags: {{ pattern: \"develop-{{number}}-{{sha}}\" }}, update: {folder}, deliver: pull-request }}\n---\n"
            )
            .expect("a string can be written");
        }
        let policies = policies.trim_end_matches("---\n");
        write(&self.path().join("policies/watched.yaml"), policies);
    }

    /// Lets every policy move by pull requests.
    pub(crate) fn propose(&self) {
        for n in 0..self.plan.policies {
            let path = self.path().join(format!("policies/app-{n:04}.yaml"));
            let policy = std::fs::read_to_string(&path).expect("the policies were written");
            write(&path, &(policy + "      deliver: pull-request\n"));
        }
    }

    /// Says where the repository's pull requests are.
    pub(crate) fn set_forge(&self, forge: &str) {
        let path = self.path().join("towpath.yaml");
        let settings = std::fs::read_to_string(&path).expect("the settings were written");
        let line = settings.lines().find(|line| line.contains("deploy: {"));
        let line = line.expect("the settings name the repository");
        let start = line.split(", forge:").next().unwrap_or(line);
        let start = start.trim_end_matches(" }");
        write(
            &path,
            &settings.replace(line, &format!("{start}, forge: {forge} }}")),
        );
    }

    /// Sets the budget of the registry.
    pub(crate) fn set_pace(&self, per_second: u64) {
        let path = self.path().join("towpath.yaml");
        let settings = std::fs::read_to_string(&path).expect("the settings were written");
        let paced = format!("requests-per-second: {per_second}, credentials:");
        write(&path, &settings.replace("credentials:", &paced));
    }

    /// Starts the daemon.
    pub(crate) fn daemon(&self) -> Process {
        let mut command = towpath(self.path());
        command.arg("run");
        Process::start(command, &self.path().join("daemon.log"))
    }

    /// The repository as a stream for `git fast-import`.
    fn repository(&self) -> String {
        let mut stream = "feature done\ncommit refs/heads/main\ncommitter Ada <ada@example.com> 1 +0000\ndata 4\nseed\n".to_owned();
        match self.plan.tree {
            Tree::Applications => self.add_applications(&mut stream),
            Tree::Values(count) => self.add_values(&mut stream, count),
            Tree::Each => self.add_values(&mut stream, self.plan.policies),
        }
        stream + "done\n"
    }

    fn add_values(&self, stream: &mut String, count: usize) {
        for n in 0..count {
            add_file(stream, &values_path(n), &values(n, &self.image(n)));
        }
    }

    fn add_applications(&self, stream: &mut String) {
        for application in 0..APPLICATIONS {
            let image = self.image(application);
            let overlay = format!(
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n# What this place adds.\nresources:\n  - ../../base\n\nimages:\n  - name: {image}   # built by CI\n    newTag: {}\n",
                tag(0)
            );
            for file in 0..FILES_EACH {
                let (path, text) = match file {
                    0 => (
                        "overlays/dev/kustomization.yaml".to_owned(),
                        overlay.clone(),
                    ),
                    1..10 => (
                        format!("overlays/env-{file}/kustomization.yaml"),
                        overlay.clone(),
                    ),
                    _ => (format!("base/part-{file}.yaml"), part(application, file)),
                };
                add_file(stream, &format!("apps/app-{application:04}/{path}"), &text);
            }
        }
    }

    pub(crate) fn image(&self, application: usize) -> String {
        let image = application % self.plan.images;
        format!("{}/acme/app-{image:04}", self.registry.host())
    }

    /// Writes settings and one file per policy.
    fn configure(&self) {
        let Plan {
            policies,
            images: _,
            poll_interval,
            login,
            tree,
        } = self.plan;
        let password = self.path().join("password");
        let credentials = match login {
            Login::Anonymous => String::new(),
            Login::Token => format!(
                "credentials: {{ username: {USERNAME}, password: {{ file: {} }} }}, ",
                password.display()
            ),
        };
        let settings = format!(
            "apiVersion: towpath.dev/v1alpha1\nkind: Settings\nrepositories:\n  deploy: {{ url: \"{}\", plain-http: true, poll-interval: {poll_interval}, forge: none }}\nregistries:\n  {}: {{ {credentials}plain-http: true, poll-interval: {poll_interval} }}\npolicies: [policies]\ncache: cache\nlisten: 127.0.0.1:0\n",
            self.url(),
            self.registry.host(),
        );
        write(&password, PASSWORD);
        write(&self.path().join("towpath.yaml"), &settings);
        let folder = self.path().join("policies");
        std::fs::create_dir(&folder).expect("the folder can be written");
        for n in 0..policies {
            let image = self.image(n);
            let update = match tree {
                Tree::Applications => format!("apps/app-{n:04}/overlays/dev"),
                Tree::Values(count) => {
                    let sites: Vec<String> = (0..count).map(values_site).collect();
                    format!("[{}]", sites.join(", "))
                }
                Tree::Each => values_site(n),
            };
            let policy = format!(
                "apiVersion: towpath.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {{ name: app-{n:04} }}\nspec:\n  repository: deploy\n  images: {{ app: {image} }}\n  environments:\n    - name: dev\n      tags: {{ pattern: \"develop-{{number}}-{{sha}}\" }}\n      update: {update}\n"
            );
            write(&folder.join(format!("app-{n:04}.yaml")), &policy);
        }
    }
}

/// The program in `folder`, with the fleet's settings.
pub(crate) fn towpath(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.current_dir(folder).env_clear();
    command.env("TOWPATH_CONFIG", "towpath.yaml");
    command
}

fn tag(number: usize) -> String {
    format!("develop-{}-{:07x}", number + 1, number + 0x0abc_0000)
}

fn values_path(n: usize) -> String {
    format!("apps/app-{n:05}/values.yaml")
}

fn values_site(n: usize) -> String {
    format!("{{ helm: {}, at: image }}", values_path(n))
}

/// A values file of 25 lines with one image.
pub(crate) fn values(n: usize, image: &str) -> String {
    let text = format!(
        "# Values of app-{n:05}.\nfullnameOverride: app-{n:05}\nreplicaCount: 2\n\nimage:\n  repository: {image} # built by CI\n  tag: {}\n  pullPolicy: IfNotPresent\n\nservice:\n  type: ClusterIP\n  port: 8080\n\nresources:\n  requests:\n    cpu: 100m\n    memory: 128Mi\n  limits:\n    memory: 256Mi\n\nenv:\n  - name: LOG_LEVEL\n    value: info\n  - name: REGION\n    value: eu-{n}\n",
        tag(0)
    );
    assert_eq!(text.lines().count(), 25);
    text
}

fn add_file(stream: &mut String, path: &str, text: &str) {
    let length = text.len();
    writeln!(stream, "M 100644 inline {path}\ndata {length}\n{text}")
        .expect("a string can be written");
}

/// A manifest of some 40 lines that nobody edits.
fn part(application: usize, file: usize) -> String {
    let mut text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app-{application}-{file}\ndata:\n"
    );
    for line in 0..35 {
        writeln!(
            text,
            "  KEY_{line}: \"{}\"",
            application * 31 + file * 7 + line
        )
        .expect("a string can be written");
    }
    text
}

fn add(requests: &mut BTreeMap<Kind, u64>, more: BTreeMap<Kind, u64>) {
    for (kind, count) in more {
        *requests.entry(kind).or_default() += count;
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the folder can be written");
}
