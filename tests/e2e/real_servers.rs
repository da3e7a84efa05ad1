//! The whole way on real servers: docker-registry with logins and TLS, nginx with git's own back end.

use std::path::Path;

use bed::registry::{DockerRegistry, PASSWORD, USERNAME};
use bed::{Authority, GitServer};
use towpath::demo_registry::Image;

use crate::lab::{Lab, Ran, kustomization, portal_policy, promotions};

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";
const VALUES: &str = "apps/worker/values-dev.yaml";
const OLD: &str = "develop-1-0a1b2c3";
const NEW: &str = "develop-2-1b2c3d4";

/// A lab whose repository and images are on real servers, both with logins behind TLS.
struct Servers {
    lab: Lab,
    git: GitServer,
    docker: DockerRegistry,
    authority: Authority,
}

impl Servers {
    /// docker-registry with a password, given by a file; the git server's password by the environment.
    fn start() -> Self {
        let lab = Lab::new(&[]);
        let authority = Authority::new(lab.path());
        let docker = DockerRegistry::with_password(&authority);
        let mut servers = Self {
            git: GitServer::start(),
            lab,
            docker,
            authority,
        };
        servers.lab.serve_from(&servers.git);
        let ca_file = servers.git.ca_file().to_owned();
        servers.use_git(&ca_file, GitServer::PASSWORD);
        servers
            .lab
            .write("registry-password", &format!("{PASSWORD}\n"));
        servers.use_registry("password: { file: registry-password }");
        servers
    }

    /// Names the git server over TLS with this authority and password.
    fn use_git(&mut self, ca_file: &Path, password: &str) {
        let (url, user) = (self.git.https("deploy.git"), GitServer::USER);
        let ca_file = ca_file.display();
        self.lab.set("GIT_PASSWORD", password);
        self.lab.repository(&format!(
            "url: '{url}', ca-file: '{ca_file}', credentials: {{ username: {user}, password: {{ env: GIT_PASSWORD }} }}"
        ));
    }

    /// Names docker-registry over TLS with this password.
    fn use_registry(&mut self, password: &str) {
        let ca_file = self.authority.ca_file.display();
        let settings =
            format!("ca-file: '{ca_file}', credentials: {{ username: {USERNAME}, {password} }}");
        self.lab.registry_settings(&self.docker.host, &settings);
    }

    /// The application `portal` by kustomize, which runs [`OLD`], with its policy.
    fn with_portal(self) -> Self {
        let image = self.image("acme/web");
        self.push("acme/web", OLD);
        self.lab
            .commit("portal", &[(OVERLAY, &kustomization(&image, OLD))]);
        self.lab
            .policies(&portal_policy("portal", &image, "apps/portal/overlays/dev"));
        self
    }

    fn image(&self, repository: &str) -> String {
        format!("{}/{repository}", self.docker.host)
    }

    /// Pushes an image to docker-registry and gives the digest that it says.
    fn push(&self, repository: &str, tag: &str) -> String {
        let created = "2026-01-01T12:00:00Z".parse().ok();
        let image = Image {
            created,
            ..Image::default()
        };
        self.lab.registry.push(repository, tag, &image);
        let source = self.lab.registry.host();
        let pusher = self.docker.pusher();
        block_on(async {
            pusher.copy(&source, repository, &[tag]).await;
            let answer = pusher.get(repository, &format!("manifests/{tag}")).await;
            answer.headers()["docker-content-digest"]
                .to_str()
                .unwrap()
                .to_owned()
        })
    }

    /// Runs `apply` and gives its code and the last column of its only policy.
    fn apply(&self) -> (Option<i32>, String) {
        let ran = self.lab.run(&["apply"]);
        let text = reason(&ran, "portal");
        let text = text.replace(&self.docker.host, "DOCKER");
        (ran.code, self.without_ports(&text))
    }

    fn without_ports(&self, text: &str) -> String {
        let url = self.git.https("deploy.git");
        text.replace(&url, "GIT/deploy.git")
    }
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

/// The last column of the row of `policy`.
fn reason(ran: &Ran, policy: &str) -> String {
    let row = ran.stdout.lines().find(|line| line.starts_with(policy));
    let row = row.unwrap_or_else(|| panic!("no row of `{policy}`: {ran:?}"));
    row.rsplit("  ")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[test]
fn images_of_a_real_registry_reach_a_real_repository_by_every_form_of_site() {
    let servers = Servers::start().with_portal();
    let (lab, web, worker) = (
        &servers.lab,
        servers.image("acme/web"),
        servers.image("acme/worker"),
    );
    let first = servers.push("acme/worker", "1.8.3");
    let values = format!(
        "replicaCount: 1\nimage:\n  repository: {worker}\n  # Tag and digest.\n  tag: '1.8.3'\n  digest: {first}\n"
    );
    lab.commit("worker", &[(VALUES, &values)]);
    let policy = format!(
        "---\nkind: PromotionPolicy\nmetadata: {{ name: worker }}\nspec:\n  repository: deploy\n  images: {{ worker: {worker} }}\n  environments:\n    - {{ name: dev, tags: {{ semver: ^1 }}, write: tag@digest, update: {{ helm: {VALUES}, at: image }} }}\n"
    );
    lab.policies(&(portal_policy("portal", &web, "apps/portal/overlays/dev") + &policy));
    let web_digest = servers.push("acme/web", NEW);
    let worker_digest = servers.push("acme/worker", "1.10.0");
    servers.push("acme/worker", "2.0.0");

    assert_eq!(lab.run(&["plan", "--exit-code"]).code, Some(4));
    let ran = lab.run(&["apply"]);

    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(lab.pushed(OVERLAY), kustomization(&web, NEW));
    let moved = values
        .replace("1.8.3", "1.10.0")
        .replace(&first, &worker_digest);
    assert_eq!(lab.pushed(VALUES), moved);
    let expected = [
        (format!("web {web}:{NEW}@{web_digest}"), 1),
        (format!("worker {worker}:1.10.0@{worker_digest}"), 1),
    ];
    assert_eq!(promotions(lab), expected.into());
    assert_eq!(lab.git(&["-C", "deploy.git", "fsck", "--strict"]), "");
    assert_eq!(lab.run(&["plan", "--exit-code"]).code, Some(0));
}

#[test]
fn a_followed_tag_of_a_real_registry_writes_the_digest_that_it_says() {
    let servers = Servers::start();
    let (lab, image) = (&servers.lab, servers.image("acme/web"));
    let first = servers.push("acme/web", "latest");
    let text = format!("images:\n  - name: {image}\n    digest: {first}\n");
    lab.commit("portal", &[(OVERLAY, &text)]);
    let policy = portal_policy("portal", &image, "apps/portal/overlays/dev").replace(
        "tags: { pattern: \"develop-{number}-{sha}\" }",
        "tags: { follow: latest }, write: digest",
    );
    lab.policies(&policy);
    assert_eq!(lab.run(&["plan", "--exit-code"]).code, Some(0));

    // Another image under the same tag.
    lab.registry.push("acme/web", "latest", &Image::default());
    let source = lab.registry.host();
    block_on(
        servers
            .docker
            .pusher()
            .copy(&source, "acme/web", &["latest"]),
    );
    let second = lab.registry.push("acme/web", "latest", &Image::default());
    assert_ne!(first, second);
    let ran = lab.run(&["apply"]);

    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(lab.pushed(OVERLAY), text.replace(&first, &second));
    let trailer = format!("web {image}:latest@{second}");
    assert_eq!(promotions(lab), [(trailer, 1)].into());
}

#[test]
fn a_registry_that_hands_out_tokens_is_read_by_the_daemon() {
    let docker = DockerRegistry::with_tokens();
    let mut lab = Lab::new(&[]);
    let git = GitServer::start();
    lab.serve_from(&git);
    lab.set("REGISTRY_PASSWORD", PASSWORD);
    lab.registry_settings(
        &docker.host,
        &format!("plain-http: true, credentials: {{ username: {USERNAME}, password: {{ env: REGISTRY_PASSWORD }} }}"),
    );
    let image = format!("{}/acme/web", docker.host);
    lab.commit("portal", &[(OVERLAY, &kustomization(&image, OLD))]);
    lab.policies(&portal_policy("portal", &image, "apps/portal/overlays/dev"));
    let push = |tag| {
        lab.push(&[tag]);
        let source = lab.registry.host();
        block_on(docker.pusher().copy(&source, "acme/web", &[tag]));
    };
    push(OLD);
    let mut daemon = lab.start();
    for tag in [NEW, "develop-3-2c3d4e5"] {
        push(tag);
        daemon.wait_until(tag, || lab.pushed(OVERLAY).contains(tag));
    }
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
    assert_eq!(promotions(&lab).len(), 2);
}

#[test]
fn a_docker_config_file_logs_in_to_a_registry_and_says_which_entry_was_refused() {
    let mut servers = Servers::start().with_portal();
    servers.push("acme/web", NEW);
    let ca_file = servers.authority.ca_file.display().to_string();
    let host = servers.docker.host.clone();
    servers
        .lab
        .registry_settings(&host, &format!("ca-file: '{ca_file}'"));
    let settings = std::fs::read_to_string(servers.lab.path().join("towpath.yaml")).unwrap();
    let settings = format!("docker-config: docker/config.json\n{settings}");
    servers.lab.write("towpath.yaml", &settings);
    let write = |entry: &str| {
        let text = format!("{{\"auths\": {{\n  \"https://{host}/v2/\": {entry}\n}}}}\n");
        servers.lab.write("docker/config.json", &text);
    };
    let mut told = Vec::new();
    for entry in [
        "{}",
        "{ \"auth\": \"hunter2!\" }",
        "{ \"username\": \"alice\", \"password\": \"hunter2\" }",
    ] {
        write(entry);
        let (code, text) = servers.apply();
        assert_eq!(code, Some(1), "{text}");
        told.push(text);
    }
    insta::assert_snapshot!(told.join("\n"), @"
    the tags of `DOCKER/acme/web` are unknown: `DOCKER` refused anonymous access (no login in the Docker config file `./docker/config.json`) for `acme/web`, saying `UNAUTHORIZED: authentication required` (check that the repository exists, and the `credentials` of `DOCKER` in the settings)
    the tags of `DOCKER/acme/web` are unknown: failed to read the credentials for `DOCKER`: the entry `https://DOCKER/v2/` of the Docker config file `./docker/config.json`, line 2, has an `auth` that is not base64 (write the entry anew with `docker login`)
    the tags of `DOCKER/acme/web` are unknown: `DOCKER` refused the entry `https://DOCKER/v2/` of the Docker config file `./docker/config.json` for `acme/web`, saying `UNAUTHORIZED: authentication required` (check that the repository exists, and the `credentials` of `DOCKER` in the settings)
    ");
    write(&format!(
        "{{ \"username\": \"{USERNAME}\", \"password\": \"{PASSWORD}\" }}"
    ));
    assert_eq!(servers.apply().0, Some(0));
    assert_eq!(promotions(&servers.lab).len(), 1);
}

#[test]
fn logins_and_authorities_that_do_not_fit_are_told_and_mended_by_the_settings_alone() {
    let mut servers = Servers::start().with_portal();
    servers.push("acme/web", NEW);
    let mut told = Vec::new();
    let mut held = |servers: &Servers| {
        let (code, text) = servers.apply();
        assert_eq!(code, Some(1), "{text}");
        told.push(text);
    };

    servers.lab.write("registry-password", "hunter2");
    held(&servers);
    servers.use_registry("password: { env: UNSET }");
    held(&servers);
    servers.lab.write("registry-password", PASSWORD);
    let file = servers.lab.path().join("registry-password");
    let file = file.display();
    servers.lab.registry_settings(
        &servers.docker.host,
        &format!("credentials: {{ username: {USERNAME}, password: {{ file: '{file}' }} }}"),
    );
    held(&servers);
    servers.use_registry("password: { file: registry-password }");

    let ca_file = servers.git.ca_file().to_owned();
    servers.use_git(&ca_file, "hunter2");
    held(&servers);
    let other = servers.authority.ca_file.clone();
    servers.use_git(&other, GitServer::PASSWORD);
    held(&servers);
    insta::assert_snapshot!(told.join("\n"), @"
    the tags of `DOCKER/acme/web` are unknown: `DOCKER` refused the user `alice` with the password in file `./registry-password` for `acme/web`, saying `UNAUTHORIZED: authentication required` (check that the repository exists, and the `credentials` of `DOCKER` in the settings)
    the tags of `DOCKER/acme/web` are unknown: failed to read the credentials for `DOCKER`: the environment variable `UNSET` is not set
    the tags of `DOCKER/acme/web` are unknown: failed to agree on TLS with `DOCKER`: its certificate is signed by no authority that is trusted (if it is an authority of your own, name its `ca-file` under `DOCKER` in the settings)
    the manifests repository is unknown: failed to fetch from `GIT/deploy.git`: the server refused the credentials (set `credentials` of the repository; a token may have expired)
    the manifests repository is unknown: failed to fetch from `GIT/deploy.git`: failed to reach the server: error sending request: client error (Connect): invalid peer certificate: BadSignature (if the server has a certificate of your own authority, name it as `ca-file` of the repository)
    ");

    servers.use_git(&ca_file, GitServer::PASSWORD);
    assert_eq!(servers.apply().0, Some(0));
    assert_eq!(promotions(&servers.lab).len(), 1);
}
