//! A git server: nginx in front of fcgiwrap and git's own `git-http-backend`.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::nginx::Nginx;
use crate::process::{Process, free_port, program};
use crate::tls::Authority;

const USER: &str = "bot";
const PASSWORD: &str = "s3cret";

/// A server for the repositories in one folder: over plain HTTP for everybody, and over TLS for one user.
#[must_use = "the server ends when this is dropped"]
pub struct GitServer {
    running: Option<(Nginx, Process)>,
    folder: TempDir,
    /// Of nginx's configuration.
    servers: String,
    http: u16,
    https: u16,
    ca_file: PathBuf,
}

impl GitServer {
    pub const USER: &str = USER;
    pub const PASSWORD: &str = PASSWORD;

    /// Starts the server with no repository.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::new(folder.path());
        std::fs::create_dir(folder.path().join("repositories")).expect("the folder can be written");
        let mut server = Self {
            running: None,
            servers: String::new(),
            http: free_port(),
            https: free_port(),
            ca_file: authority.ca_file.clone(),
            folder,
        };
        server.write_servers(&authority);
        server.resume();
        server
    }

    /// Starts what [`GitServer::stop`] ended, at the same addresses.
    pub fn resume(&mut self) {
        let folder = self.folder.path();
        let socket = folder.join("cgi.sock");
        let _ = std::fs::remove_file(&socket);
        let mut cgi = Command::new(program("fcgiwrap"));
        cgi.arg("-s").arg(format!("unix:{}", socket.display()));
        cgi.args(["-c", "4"]);
        let cgi = Process::start(cgi, &folder.join("cgi.log"));
        let nginx = Nginx::start(folder, &self.servers, &[self.http, self.https]);
        cgi.wait_until("fcgiwrap's socket", || socket.exists());
        self.running = Some((nginx, cgi));
    }

    /// Ends the server; the repositories stay.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// The authority that signed the server's certificate.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The address of a repository for everybody.
    pub fn http(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.http)
    }

    /// The address of a repository for [`GitServer::USER`].
    pub fn https(&self, name: &str) -> String {
        format!("https://localhost:{}/{name}", self.https)
    }

    /// The requests so far, a line each: method, path with query, status.
    pub fn requests(&self) -> Vec<String> {
        let (nginx, _) = self.running.as_ref().expect("the git server is running");
        nginx.requests()
    }

    /// Makes an empty bare repository and gives its folder.
    pub fn create(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("repositories").join(name);
        create_bare(&folder);
        git(&folder, &["config", "http.receivepack", "true"]);
        folder
    }

    /// What nginx serves, with its passwords and its certificate written beside it.
    fn write_servers(&mut self, authority: &Authority) {
        let folder = self.folder.path();
        let hash = Command::new(program("htpasswd"))
            .args(["-Bbn", USER, PASSWORD])
            .output()
            .expect("`htpasswd` can be run");
        std::fs::write(folder.join("htpasswd"), hash.stdout).expect("the folder can be written");
        let certificate = authority.issue(&["localhost", "127.0.0.1"]);
        let backend = program("git-http-backend").display().to_string();
        self.servers = include_str!("git-nginx.conf")
            .replace("BACKEND", &backend)
            .replace("HTTPS_PORT", &self.https.to_string())
            .replace("HTTP_PORT", &self.http.to_string())
            .replace(
                "CERTIFICATE",
                &certificate.certificate.display().to_string(),
            )
            .replace("KEY", &certificate.key.display().to_string());
    }
}

/// Makes an empty bare repository whose branch will be `main`.
pub fn create_bare(folder: &Path) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    git(
        folder,
        &["init", "--quiet", "--bare", "--initial-branch=main", "."],
    );
}

/// Runs `git` in `folder`, untouched by the settings of whoever runs the tests, and gives what it printed.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    run(command(folder), arguments)
}

/// The same at a time, in seconds since 1970.
pub fn git_at(folder: &Path, seconds: i64, arguments: &[&str]) -> String {
    let mut command = command(folder);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_DATE"), format!("{seconds} +0000"));
    }
    run(command, arguments)
}

/// The same with another variable in its environment.
pub(crate) fn git_with(folder: &Path, (name, value): (&str, &Path), arguments: &[&str]) -> String {
    let mut command = command(folder);
    command.env(name, value);
    run(command, arguments)
}

/// A commit as it is, to its last byte.
pub(crate) fn raw_commit(folder: &Path, id: &str) -> String {
    let mut command = command(folder);
    let output = command.args(["cat-file", "commit", id]).output();
    let output = output.expect("`git` can be run");
    assert!(output.status.success(), "there is no commit `{id}`");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes an object and gives its name.
pub(crate) fn object(folder: &Path, kind: &str, bytes: &[u8]) -> String {
    let mut child = command(folder)
        .args(["hash-object", "-t", kind, "-w", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`git` can be run");
    let mut input = child.stdin.take().expect("the input is piped");
    input.write_all(bytes).expect("git reads its input");
    drop(input);
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "the object is none");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn run(mut command: Command, arguments: &[&str]) -> String {
    let output = command.args(arguments).output().expect("`git` can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// Feeds `stream` to `git fast-import` in `folder`.
pub fn import(folder: &Path, stream: &[u8]) {
    let mut child = command(folder)
        .args(["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("`git` can be run");
    let mut input = child.stdin.take().expect("the input is piped");
    input.write_all(stream).expect("git reads its input");
    drop(input);
    assert!(
        child.wait().expect("git ends").success(),
        "the import failed"
    );
}

/// Installs a hook.
pub fn install_hook(repository: &Path, name: &str, script: &str) {
    let hook = repository.join("hooks").join(name);
    std::fs::write(&hook, format!("#!/bin/sh\n{script}\n")).expect("the hook can be written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&hook, executable).expect("the hook can be made executable");
}

pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(program("git"));
    command.current_dir(folder);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ada");
        command.env(format!("GIT_{who}_EMAIL"), "ada@example.com");
        command.env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
    }
    command
}
