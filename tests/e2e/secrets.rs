//! Secrets never appear: not in output, not in logs at any level, not in commits, and not in the cache.

use bed::GitServer;
use bed::registry::{DockerRegistry, PASSWORD, USERNAME, basic};
use towpath::demo_registry::{Access, Fault, Image, MemoryRegistry};

use crate::lab::{Lab, kustomization, portal_policy};

const OLD: &str = "develop-1-0a1b2c3";
const NEW: &str = "develop-2-1b2c3d4";

/// A secret that is right nowhere.
const WRONG: &str = "hunter2-hunter2";

/// [`PASSWORD`] and [`WRONG`] as they stand in a log or a header, each user's included.
fn forms() -> Vec<String> {
    let users = [USERNAME, GitServer::USER, "x-access-token"];
    let pairs = users
        .into_iter()
        .flat_map(|user| [PASSWORD, WRONG].map(|secret| basic(user, secret)));
    [PASSWORD, WRONG]
        .map(str::to_owned)
        .into_iter()
        .chain(pairs)
        .collect()
}

/// Fails if one of `forms` stands in `text`.
fn check(what: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "`{form}` stands in {what}:\n{text}");
    }
}

/// Checks every file under the cache and the whole history.
fn check_traces(lab: &Lab) {
    check(
        "the history",
        &lab.git(&["-C", "deploy.git", "log", "-p", "main"]),
    );
    let mut folders = vec![lab.path().join("cache")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                check("the cache", &String::from_utf8_lossy(&bytes));
            }
        }
    }
}

/// A lab of `portal` with the image at `host`, its manifests on `git` behind a login.
fn lab(host: &str, git: &GitServer, git_password: &str) -> Lab {
    let mut lab = Lab::new(&[]);
    lab.serve_from(git);
    lab.set("GIT_PASSWORD", git_password);
    let (url, ca_file) = (git.https("deploy.git"), git.ca_file().display());
    lab.repository(&format!(
        "url: '{url}', ca-file: '{ca_file}', credentials: {{ username: bot, password: {{ env: GIT_PASSWORD }} }}"
    ));
    let image = format!("{host}/acme/web");
    lab.commit(
        "portal",
        &[(
            "apps/portal/kustomization.yaml",
            &kustomization(&image, OLD),
        )],
    );
    lab.policies(&portal_policy("portal", &image, "apps/portal"));
    lab
}

/// Names the registry at `host` with a password from the environment.
fn log_in(lab: &mut Lab, host: &str, password: &str) {
    lab.set("REGISTRY_PASSWORD", password);
    lab.registry_settings(
        host,
        &format!("plain-http: true, credentials: {{ username: {USERNAME}, password: {{ env: REGISTRY_PASSWORD }} }}"),
    );
}

/// Runs every verb that asks servers, at the loudest level.
fn run_all(lab: &Lab) {
    for verb in [
        &["plan", "--diff", "--log-format", "json"][..],
        &["explain", "portal", "dev"],
        &["observe", "--save", "world.yaml"],
        &["apply"],
    ] {
        let ran = lab.run(&[verb, &["--log", "trace"]].concat());
        check("stdout", &ran.stdout);
        check("stderr", &ran.stderr);
    }
    let world = std::fs::read_to_string(lab.path().join("world.yaml")).unwrap();
    check("the saved world", &world);
    check_traces(lab);
}

#[test]
fn no_secret_appears_where_all_works() {
    let (git, docker) = (GitServer::start(), DockerRegistry::with_tokens());
    let mut lab = lab(&docker.host, &git, GitServer::PASSWORD);
    log_in(&mut lab, &docker.host, PASSWORD);
    lab.push(&[OLD, NEW]);
    let source = lab.registry.host();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(docker.pusher().copy(&source, "acme/web", &[OLD, NEW]));
    let mut command = lab.command(&["run", "--log", "trace"]);
    command.env("RUST_BACKTRACE", "1");
    let mut daemon = bed::Process::start(command, &lab.log_file());
    daemon.wait_until("the promotion", || daemon.log().contains("promoted"));
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    check("the daemon's log", &daemon.log());
    assert!(daemon.log().contains("TRACE"));
    run_all(&lab);
}

#[test]
fn no_secret_appears_where_logins_fail() {
    let (git, docker) = (GitServer::start(), DockerRegistry::with_tokens());
    let mut lab = lab(&docker.host, &git, WRONG);
    log_in(&mut lab, &docker.host, WRONG);
    run_all(&lab);
}

#[test]
fn no_secret_appears_where_servers_fail() {
    let access = Access::Token {
        username: USERNAME.to_owned(),
        password: PASSWORD.to_owned(),
        life: std::time::Duration::from_secs(60),
    };
    let registry = MemoryRegistry::start(access).unwrap();
    registry.push("acme/web", OLD, &Image::default());
    let mut git = GitServer::start();
    let mut lab = lab(&registry.host(), &git, GitServer::PASSWORD);
    log_in(&mut lab, &registry.host(), PASSWORD);
    registry.fail(Fault::TokenBroken);
    run_all(&lab);
    registry.fail(Fault::WebPage);
    git.stop();
    run_all(&lab);
}
