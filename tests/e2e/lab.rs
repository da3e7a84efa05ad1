//! The test environment: a folder with a bare git repository and a settings file, and a registry in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bed::{GitServer, Process};
use tempfile::TempDir;
use towpath::demo_registry::{Access, Image, MemoryRegistry};

/// Everything that one test has.
#[must_use = "all of it ends when this is dropped"]
pub(crate) struct Lab {
    pub(crate) registry: MemoryRegistry,
    pub(crate) folder: TempDir,
    /// What stands behind `repositories: deploy:` besides the interval.
    repository: String,
    /// What stands behind `code:`, a source repository, if there is one.
    source: Option<String>,
    /// What stands behind each host of `registries:` besides the interval.
    registries: BTreeMap<String, String>,
    /// How often everything is read.
    interval: &'static str,
    /// What stands behind `hooks:`, if anything.
    hooks: Option<String>,
    /// What stands behind `commit:`, if anything.
    commit: Option<String>,
    /// What stands behind `render:`, if anything.
    render: Option<String>,
    /// What stands behind `argo-cd:`, if anything.
    argo_cd: Option<String>,
    /// What stands behind `leadership:`, if anything.
    leadership: Option<String>,
    /// What stands behind `custom-resources:`, if anything.
    custom_resources: Option<String>,
    /// What stands behind `servers:`, if anything.
    servers: Option<String>,
    /// What the program finds in its environment.
    environment: BTreeMap<String, String>,
}

/// What a run of the program printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    /// A repository with `files` on `main`, and an empty registry.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let registry = MemoryRegistry::start(Access::Anonymous).unwrap();
        let repository = format!("url: {}", folder.path().join("deploy.git").display());
        let registries = BTreeMap::from([(registry.host(), "plain-http: true".to_owned())]);
        let lab = Self {
            registry,
            folder,
            repository,
            source: None,
            registries,
            interval: "1s",
            hooks: None,
            commit: None,
            render: None,
            argo_cd: None,
            leadership: None,
            custom_resources: None,
            servers: None,
            environment: BTreeMap::new(),
        };
        lab.git(&["init", "-q", "--bare", "-b", "main", "deploy.git"]);
        lab.git(&["clone", "-q", "deploy.git", "work"]);
        lab.commit("first", files);
        lab.configure();
        lab
    }

    /// A kustomization in `apps/portal/overlays/dev` that runs `develop-1-0a1b2c3` of `acme/web`, and a policy for it.
    pub(crate) fn portal() -> Self {
        let lab = Self::new(&[]);
        lab.push(&["develop-1-0a1b2c3"]);
        let image = lab.image("acme/web");
        lab.commit(
            "portal",
            &[(
                "apps/portal/overlays/dev/kustomization.yaml",
                &kustomization(&image, "develop-1-0a1b2c3"),
            )],
        );
        lab.policies(&portal_policy("portal", &image, "apps/portal/overlays/dev"));
        lab
    }

    /// The name of an image in this lab's registry.
    pub(crate) fn image(&self, repository: &str) -> String {
        format!("{}/{repository}", self.registry.host())
    }

    /// Pushes `tags` of `acme/web`.
    pub(crate) fn push(&self, tags: &[&str]) {
        for tag in tags {
            self.registry.push("acme/web", tag, &Image::default());
        }
    }

    /// Pushes `tag` of `acme/web`, built from `revision` of `source`.
    pub(crate) fn push_built(&self, tag: &str, (source, revision): (&str, &str)) {
        let label = |name: &str, value: &str| {
            let name = format!("org.opencontainers.image.{name}");
            (name, value.to_owned())
        };
        let image = Image {
            created: Some("2026-03-01T09:00:00Z".parse().unwrap()),
            labels: [label("source", source), label("revision", revision)].into(),
        };
        self.registry.push("acme/web", tag, &image);
    }

    /// Sets what stands behind `render:`.
    pub(crate) fn renders_by(&mut self, settings: &str) {
        self.render = Some(settings.to_owned());
        self.configure();
    }

    /// Sets what stands behind `argo-cd:`.
    pub(crate) fn argo_cd(&mut self, settings: &str) {
        self.argo_cd = Some(settings.to_owned());
        self.configure();
    }

    /// Sets what stands behind `leadership:`.
    pub(crate) fn leadership(&mut self, settings: &str) {
        self.leadership = Some(settings.to_owned());
        self.configure();
    }

    /// Sets what stands behind `custom-resources:`.
    pub(crate) fn custom_resources(&mut self, settings: &str) {
        self.custom_resources = Some(settings.to_owned());
        self.configure();
    }

    /// Sets what stands behind `servers:`.
    pub(crate) fn servers(&mut self, settings: &str) {
        self.servers = Some(settings.to_owned());
        self.configure();
    }

    /// Replaces the repository's settings: flow or block YAML behind `deploy:`, indented by the caller's own.
    pub(crate) fn repository(&mut self, settings: &str) {
        settings.clone_into(&mut self.repository);
        self.configure();
    }

    /// Sets what stands behind `repositories: code:`, which is read seldom.
    pub(crate) fn source(&mut self, settings: &str) {
        self.source = Some(settings.to_owned());
        self.configure();
    }

    /// Reads registries and repositories every hour.
    pub(crate) fn reads_seldom(&mut self) {
        self.interval = "1h";
        self.configure();
    }

    /// Sets what stands behind `host` in `registries:`.
    pub(crate) fn registry_settings(&mut self, host: &str, settings: &str) {
        self.registries.insert(host.to_owned(), settings.to_owned());
        self.configure();
    }

    /// Reads registries and repository every hour and waits for events from these sources, as `hooks: registry:` has
    /// them, at `address`.
    pub(crate) fn waits_for_events(&mut self, address: &str, sources: &str) {
        self.interval = "1h";
        self.hooks = Some(format!("{{ listen: '{address}', registry: {sources} }}"));
        self.configure();
    }

    /// Sets what stands behind `commit:`.
    pub(crate) fn commit_settings(&mut self, settings: &str) {
        self.commit = Some(settings.to_owned());
        self.configure();
    }

    /// Puts a variable into the program's environment.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// `count` applications, each with a kustomization that runs `tag` of its image and a policy that moves it.
    pub(crate) fn applications(&self, count: usize, image: impl Fn(usize) -> String, tag: &str) {
        let folder = |n: usize| format!("apps/app-{n}");
        let files: Vec<(String, String)> = (0..count)
            .map(|n| {
                let path = format!("{}/kustomization.yaml", folder(n));
                (path, kustomization(&image(n), tag))
            })
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        self.commit("apps", &files);
        let policies: Vec<String> = (0..count)
            .map(|n| portal_policy(&format!("app-{n}"), &image(n), &folder(n)))
            .collect();
        self.policies(&policies.join("---\n"));
    }

    /// Moves the bare repository to `server` as `deploy.git`; the settings name it there, open to everybody.
    pub(crate) fn serve_from(&mut self, server: &GitServer) {
        let there = server.create("deploy.git");
        let here = self.path().join("deploy.git");
        self.git(&[
            "-C",
            "deploy.git",
            "push",
            "-q",
            "--mirror",
            &there.display().to_string(),
        ]);
        std::fs::remove_dir_all(&here).unwrap();
        std::os::unix::fs::symlink(there, here).unwrap();
        let url = server.http("deploy.git");
        self.repository(&format!("url: '{url}', plain-http: true"));
    }

    fn configure(&self) {
        let interval = self.interval;
        let registries: String = self
            .registries
            .iter()
            .map(|(host, settings)| {
                format!("  {host}: {{ {settings}, poll-interval: {interval} }}\n")
            })
            .collect();
        let source = self.source.as_ref().map_or_else(String::new, |source| {
            format!("  code: {{ {source}, poll-interval: 1h }}\n")
        });
        let hooks = self.hooks.as_ref();
        let hooks = hooks.map_or_else(String::new, |hooks| format!("hooks: {hooks}\n"));
        let commit = self.commit.as_ref();
        let commit = commit.map_or_else(String::new, |commit| format!("commit: {commit}\n"));
        let render = self.render.as_ref();
        let render = render.map_or_else(String::new, |render| format!("render: {render}\n"));
        let argo_cd = self.argo_cd.as_ref();
        let argo_cd = argo_cd.map_or_else(String::new, |argo_cd| format!("argo-cd: {argo_cd}\n"));
        let custom_resources = self.custom_resources.as_ref();
        let custom_resources = custom_resources.map_or_else(String::new, |settings| {
            format!("custom-resources: {settings}\n")
        });
        let leadership = self.leadership.as_ref();
        let leadership = leadership.map_or_else(String::new, |leadership| {
            format!("leadership: {leadership}\n")
        });
        let servers = self.servers.as_ref();
        let servers = servers.map_or_else(String::new, |servers| format!("servers: {servers}\n"));
        let text = format!(
            "apiVersion: towpath.dev/v1alpha1\nkind: Settings\npolicies: [policies]\ncache: cache\nlisten: 127.0.0.1:0\nrepositories:\n  deploy: {{ {}, poll-interval: {interval} }}\n{source}registries:\n{registries}{hooks}{commit}{render}{argo_cd}{leadership}{custom_resources}{servers}",
            self.repository,
        );
        self.write("towpath.yaml", &text);
        std::fs::create_dir_all(self.folder.path().join("policies")).unwrap();
    }

    /// Writes `policies/all.yaml`.
    pub(crate) fn policies(&self, documents: &str) {
        self.write(
            "policies/all.yaml",
            &format!("apiVersion: towpath.dev/v1alpha1\n{documents}"),
        );
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Commits `files` in the work clone, on top of what is pushed, and pushes them.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) {
        let work = self.folder.path().join("work");
        if self.try_git(&["-C", "work", "fetch", "-q", "origin", "main"]) {
            self.git(&["-C", "work", "reset", "-q", "--hard", "origin/main"]);
        }
        for (path, text) in files {
            let path = work.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.git(&["-C", "work", "add", "-A"]);
        self.git(&["-C", "work", "commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    }

    /// Runs git in the folder and gives what it printed.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = self.git_command(args).output().unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn try_git(&self, args: &[&str]) -> bool {
        self.git_command(args).output().unwrap().status.success()
    }

    fn git_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(bed::program("git"));
        command
            .current_dir(self.folder.path())
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "A Person")
                .env(format!("GIT_{role}_EMAIL"), "person@example.com");
        }
        command
    }

    /// A file at the head of the pushed `main`.
    pub(crate) fn pushed(&self, path: &str) -> String {
        self.git(&["-C", "deploy.git", "show", &format!("main:{path}")])
    }

    /// The subjects of the pushed `main`, newest first.
    pub(crate) fn subjects(&self) -> Vec<String> {
        self.git(&["-C", "deploy.git", "log", "--format=%s", "main"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// A run of the program, with nothing of ours in its environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
        command
            .current_dir(self.folder.path())
            .args(args)
            .env_clear()
            .envs(&self.environment);
        command.env("TOWPATH_CONFIG", "towpath.yaml");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| self.without_places(&String::from_utf8(bytes).unwrap());
        Ran {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Starts the daemon.
    pub(crate) fn start(&self) -> Process {
        Process::start(self.command(&["run"]), &self.log_file())
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// `text` with the folder and the registry replaced by their names.
    fn without_places(&self, text: &str) -> String {
        let folder = self.folder.path().to_string_lossy().into_owned();
        text.replace(&folder, "FOLDER")
            .replace(&self.registry.host(), "REGISTRY")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A kustomization with one image entry.
pub(crate) fn kustomization(image: &str, tag: &str) -> String {
    format!(
        "# The overlay of dev.\nresources:\n  - ../../base\n\nimages:\n  - name: {image}   # built by CI\n    newTag: {tag}   # moves by itself\n"
    )
}

/// A policy that moves `web` in `folder` by build number.
pub(crate) fn portal_policy(name: &str, image: &str, folder: &str) -> String {
    format!(
        "kind: PromotionPolicy\nmetadata: {{ name: {name} }}\nspec:\n  repository: deploy\n  images: {{ web: {image} }}\n  environments:\n    - {{ name: dev, tags: {{ pattern: \"develop-{{number}}-{{sha}}\" }}, update: {folder} }}\n"
    )
}

/// The promotions of a branch, as its trailers tell them: image reference by how often it was promoted.
pub(crate) fn promotions(lab: &Lab) -> BTreeMap<String, usize> {
    let log = lab.git(&[
        "-C",
        "deploy.git",
        "log",
        "--format=%(trailers:key=Towpath-Image,valueonly)",
        "main",
    ]);
    let mut counts = BTreeMap::new();
    for line in log.lines().filter(|line| !line.is_empty()) {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}
