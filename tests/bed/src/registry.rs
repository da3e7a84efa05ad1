//! Distribution's registry, as Debian has it and as its authors build it now, with its two logins: htpasswd behind TLS,
//! and tokens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::aws::{ECR_PASSWORD, ECR_USER};
use crate::tokens::{ISSUER, SERVICE, TokenService};
use crate::{Authority, Process, Pusher, built, free_port, program, wait_until};

/// The user of these registries; those with passwords know ECR's too.
pub const USERNAME: &str = "alice";
pub const PASSWORD: &str = "s3cret";

/// A registry to start: which release, and where it listens.
#[derive(Clone, Debug)]
pub struct Distribution {
    program: PathBuf,
    ip: IpAddr,
    /// The end of its configuration.
    notifications: String,
}

/// A running registry.
#[must_use = "the registry ends when this is dropped"]
pub struct DockerRegistry {
    program: PathBuf,
    process: Option<Process>,
    tokens: Option<TokenService>,
    folder: tempfile::TempDir,
    ca_file: Option<PathBuf>,
    /// Host and port, as they stand in image names.
    pub host: String,
}

impl Distribution {
    /// Debian's docker-registry: distribution 2.8.
    pub fn debian() -> Self {
        Self::of(program("docker-registry"))
    }

    /// Distribution v3, or `None` where it is left out on purpose.
    pub fn v3() -> Option<Self> {
        built("registry").map(Self::of)
    }

    fn of(program: PathBuf) -> Self {
        Self {
            program,
            ip: Ipv4Addr::LOCALHOST.into(),
            notifications: String::new(),
        }
    }

    pub fn on(self, ip: impl Into<IpAddr>) -> Self {
        let ip = ip.into();
        Self { ip, ..self }
    }

    /// Lets it tell `url` of pushes and pulls, with this `Authorization`, twice before it waits for a moment.
    pub fn telling(self, url: &str, authorization: &str) -> Self {
        let notifications = format!(
            "notifications:\n  endpoints:\n    - name: bed\n      url: '{url}'\n      headers: {{Authorization: ['{authorization}']}}\n      timeout: 5s\n      threshold: 2\n      backoff: 200ms\n"
        );
        Self {
            notifications,
            ..self
        }
    }

    /// Starts it with https by `authority` and the password in every request.
    pub fn with_password(self, authority: &Authority) -> DockerRegistry {
        let folder = folder();
        let certificate = authority.issue(&[&self.ip.to_string()]);
        let file = write_passwords(folder.path());
        let tls = format!(
            "  tls: {{certificate: '{}', key: '{}'}}\n",
            certificate.certificate.display(),
            certificate.key.display()
        );
        let auth = format!("  htpasswd: {{realm: bed, path: '{}'}}\n", file.display());
        let mut registry = self.start(folder, None, (&tls, &auth));
        registry.ca_file = Some(authority.ca_file.clone());
        registry
    }

    /// Starts it without TLS and with tokens.
    pub fn with_tokens(self) -> DockerRegistry {
        let folder = folder();
        let bundle = folder.path().join("tokens.pem");
        let tokens = TokenService::start(&bundle);
        let auth = format!(
            "  token: {{realm: '{}', service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: '{}'}}\n",
            tokens.realm(),
            bundle.display()
        );
        self.start(folder, Some(tokens), ("", &auth))
    }

    fn start(
        self,
        folder: tempfile::TempDir,
        tokens: Option<TokenService>,
        (tls, auth): (&str, &str),
    ) -> DockerRegistry {
        let host = SocketAddr::new(self.ip, free_port()).to_string();
        let data = folder.path().join("data");
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: '{}'}}\n  delete: {{enabled: true}}\nhttp:\n  addr: '{host}'\n  secret: bed\n{tls}auth:\n{auth}{}",
            data.display(),
            self.notifications
        );
        std::fs::write(folder.path().join("config.yml"), config)
            .expect("the folder can be written");
        let mut registry = DockerRegistry {
            program: self.program,
            process: None,
            tokens,
            folder,
            ca_file: None,
            host,
        };
        registry.resume();
        registry
    }
}

impl DockerRegistry {
    /// Debian's, with https by `authority` and the password in every request.
    pub fn with_password(authority: &Authority) -> Self {
        Distribution::debian().with_password(authority)
    }

    /// Debian's, without TLS and with tokens.
    pub fn with_tokens() -> Self {
        Distribution::debian().with_tokens()
    }

    /// A client that may push.
    pub fn pusher(&self) -> Pusher {
        let token_url = self.tokens.as_ref().map(TokenService::url);
        Pusher::new(&self.host, self.ca_file.as_deref(), token_url)
    }

    /// Puts `tags` on what `tag` names, in the storage itself: over HTTP each costs a handful of synced files, and
    /// thousands of them half a minute. The layout stands in
    /// <https://github.com/distribution/distribution/blob/v3.1.1/registry/storage/paths.go>.
    pub fn store_tags(&self, repository: &str, tag: &str, tags: &[String]) {
        let repositories = self
            .folder
            .path()
            .join("data/docker/registry/v2/repositories");
        let stored = repositories.join(repository).join("_manifests/tags");
        let link = |tag: &str| stored.join(tag).join("current/link");
        for new in tags {
            let place = link(new);
            let folder = place.parent().expect("a link is in a folder");
            std::fs::create_dir_all(folder).expect("the folder can be written");
            std::fs::hard_link(link(tag), place).expect("the tag is there to be linked");
        }
    }

    /// Ends the registry; its images stay, and its tokens are given out as before.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts what [`DockerRegistry::stop`] ended, at the same address.
    pub fn resume(&mut self) {
        let folder = self.folder.path();
        let mut command = Command::new(&self.program);
        command.arg("serve").arg(folder.join("config.yml"));
        // Version 3 would send traces to whatever listens on the collector's usual port.
        command.env("OTEL_TRACES_EXPORTER", "none");
        let mut process = Process::start(command, &folder.join("log"));
        wait_until("the registry to listen", || {
            assert!(
                !process.has_ended(),
                "the registry ended: {}",
                process.log()
            );
            TcpStream::connect(&self.host).is_ok()
        });
        self.process = Some(process);
    }
}

/// User and secret as they stand in an `Authorization` header.
pub fn basic(user: &str, secret: &str) -> String {
    STANDARD.encode(format!("{user}:{secret}"))
}

/// The file of those who have a password, as `htpasswd` writes it.
pub(crate) fn write_passwords(folder: &Path) -> PathBuf {
    let mut lines = Vec::new();
    for (user, password) in [(USERNAME, PASSWORD), (ECR_USER, ECR_PASSWORD)] {
        let mut command = Command::new(program("htpasswd"));
        // The least work that bcrypt knows: each request is held against it.
        command.args(["-BbnC", "4", user, password]);
        let output = command.output().expect("`htpasswd` can be run");
        lines.extend(output.stdout);
    }
    let file = folder.join("htpasswd");
    std::fs::write(&file, lines).expect("the folder can be written");
    file
}

/// A folder in memory where the system has a place for that: what the tests store is small, and many files.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.expect("a temporary folder can be made")
}
