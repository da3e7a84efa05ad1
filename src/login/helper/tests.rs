//! Programs that keep logins, as scripts: what they are told, what is made of what they write, and their bounds.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::{Helper, HelperError};
use crate::login::{Clock, DockerConfig, Environment, Login, Logins, Source, Target};

/// A folder with the program `docker-credential-test`, which does `script`.
fn program(script: &str) -> (TempDir, Environment) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), script);
    let path = format!("relative::{}", folder.path().display());
    let variables = BTreeMap::from([("PATH".to_owned(), path)]);
    (folder, Environment::Given(variables))
}

fn write(folder: &Path, script: &str) {
    let (text, file) = (folder.join("text"), folder.join("docker-credential-test"));
    std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
    // A file that is open for writing cannot be run, and with one of ours a test beside this may fork at any time.
    let copied = Command::new("cp").args([&text, &file]).status();
    assert!(copied.unwrap().success());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn get(script: &str) -> Result<Option<Login>, HelperError> {
    let (_folder, environment) = program(script);
    let helper = Helper::parse("test").unwrap();
    helper.get("r.example.com", &environment).await
}

async fn told(script: &str) -> String {
    let error = get(script).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2"), "{text}");
    error.to_string()
}

#[tokio::test]
async fn a_program_is_asked_for_a_server_and_gives_a_user_or_an_identity_token() {
    let script = r#"read server; test "$1" = get && test $# = 1 || exit 1
        echo "{\"ServerURL\": \"https://$server\", \"Username\": \"alice\", \"Secret\": \"for $server\"}""#;
    match get(script).await.unwrap().unwrap() {
        Login::Basic { username, password } => {
            assert_eq!(username, "alice");
            assert_eq!(password.expose_secret(), "for r.example.com");
        }
        other => panic!("{other:?}"),
    }
    let script = r#"echo '{"Username": "<token>", "Secret": "abc"}'"#;
    match get(script).await.unwrap().unwrap() {
        Login::Identity(token) => assert_eq!(token.expose_secret(), "abc"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_without_a_login_is_no_failure() {
    let script = "echo 'credentials not found in native keychain'; exit 1";
    assert!(get(script).await.unwrap().is_none());
    let script = r#"echo '{"Username": "", "Secret": ""}'"#;
    assert!(get(script).await.unwrap().is_none());
}

#[tokio::test]
async fn what_goes_wrong_with_a_program_is_told_without_what_may_be_a_secret() {
    let token = "hunter2".repeat(40);
    let mut all = Vec::new();
    for script in [
        "echo 'the keychain\tis locked'; exit 3".to_owned(),
        "echo 'no session' >&2; exit 1".to_owned(),
        format!("echo 'token {token} is bad' >&2; exit 1"),
        r#"echo '{"Username": "u", "Secret": "hunter2"}'; echo late >&2; exit 1"#.to_owned(),
        "kill -9 $$".to_owned(),
        "echo hunter2".to_owned(),
        r#"echo '{"Username": "hunter2"}'"#.to_owned(),
        r#"echo '{"Secret": "hunter2"}'"#.to_owned(),
        "yes hunter2".to_owned(),
        "exit 0".to_owned(),
    ] {
        all.push(told(&script).await);
    }
    assert_snapshot!(all.join("\n"), @"
    the program `docker-credential-test` ended with exit status: 3, saying `the keychain is locked`
    the program `docker-credential-test` ended with exit status: 1, saying `no session`
    the program `docker-credential-test` ended with exit status: 1, saying `token *** is bad`
    the program `docker-credential-test` ended with exit status: 1, saying `late`
    the program `docker-credential-test` ended with signal: 9 (SIGKILL)
    the program `docker-credential-test` did not write a login: JSON with `Username` and `Secret`
    the program `docker-credential-test` did not write a login: JSON with `Username` and `Secret`
    the program `docker-credential-test` did not write a login: JSON with `Username` and `Secret`
    the program `docker-credential-test` wrote more than 65536 bytes
    the program `docker-credential-test` did not write a login: JSON with `Username` and `Secret`
    ");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_with_what_to_do() {
    let (folder, environment) = program("exit 0");
    let helper = Helper::parse("other").unwrap();
    let error = helper.get("r.example.com", &environment).await.unwrap_err();
    assert_snapshot!(error, @"there is no program `docker-credential-other` in any folder of PATH");
    assert!(error.hint().unwrap().contains("container image"));
    // Neither a folder, nor a file that may not be run, nor what a relative path finds.
    std::fs::create_dir(folder.path().join("docker-credential-other")).unwrap();
    assert!(helper.find(&environment).is_none());
    let plain = folder.path().join("docker-credential-test");
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    let helper = Helper::parse("test").unwrap();
    assert!(helper.find(&environment).is_none());
}

#[tokio::test]
async fn a_program_that_does_not_end_is_stopped() {
    let (folder, environment) = program("echo $$ >\"$0.pid\"; exec sleep 3600");
    let helper = Helper::parse("test").unwrap();
    let pid = folder.path().join("docker-credential-test.pid");
    let mut asking = Box::pin(helper.get("r.example.com", &environment));
    // Runs until the program is there, then the clock stands where its time is up.
    while std::fs::read_to_string(&pid).map_or(true, |pid| !pid.ends_with('\n')) {
        tokio::select! {
            _ = &mut asking => panic!("the program does not end by itself"),
            () = tokio::task::yield_now() => {}
        }
    }
    tokio::time::pause();
    let error = asking.await.unwrap_err();
    tokio::time::resume();
    assert!(matches!(error, HelperError::Slow { .. }), "{error}");
    let pid = std::fs::read_to_string(pid).unwrap();
    let status = format!("/proc/{}/stat", pid.trim());
    // Gone, or dead and not yet waited for.
    while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_repositories_run_a_program_once_and_a_refusal_runs_it_again() {
    let script = r#"read server; echo x >>"$0.runs"
        echo "{\"Username\": \"u\", \"Secret\": \"$(wc -l <"$0.runs")\"}""#;
    let (folder, environment) = program(script);
    let file = folder.path().join("config.json");
    std::fs::write(&file, r#"{"credsStore": "test"}"#).unwrap();
    let source = Source::DockerConfig(DockerConfig::new(file)).into();
    let logins = Logins::new(
        Target::of_host("r.example.com"),
        source,
        environment,
        Clock::default(),
    );
    let password = async |path: &str| match logins.find(path).await.unwrap().login {
        Login::Basic { password, .. } => password.expose_secret().trim().to_owned(),
        other => panic!("{other:?}"),
    };
    let paths: Vec<String> = (0..100).map(|n| format!("acme/app-{n}")).collect();
    let all = futures_util::future::join_all(paths.iter().map(|path| password(path))).await;
    assert!(all.iter().all(|password| password == "1"), "{all:?}");
    // Fresh: who is refused with it lacks a right.
    let first = logins.find("acme/app-1").await.unwrap().login;
    assert!(!logins.refused("acme/app-1", &first).await);
    tokio::time::pause();
    tokio::time::advance(super::super::recent::REFUSED_AFTER).await;
    tokio::time::resume();
    assert!(logins.refused("acme/app-1", &first).await);
    // Others were refused with the first one too, and come with the news a little later.
    assert!(logins.refused("acme/app-2", &first).await);
    assert_eq!(password("acme/app-2").await, "2");
    tokio::time::pause();
    tokio::time::advance(super::super::recent::LIFE).await;
    tokio::time::resume();
    assert_eq!(password("acme/app-1").await, "3");
    let place = logins.place("acme/app-1").await;
    assert!(place.starts_with("the program `docker-credential-test` of the Docker config file"));
}
