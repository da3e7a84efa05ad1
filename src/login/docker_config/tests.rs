//! What the entries of Docker config files say, and what is said of those that cannot be used.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use insta::assert_snapshot;
use secrecy::ExposeSecret as _;
use tempfile::NamedTempFile;

use super::{BYTES_MAX, DockerConfig, DockerConfigError, DockerLogin, Place, Written};
use crate::login::{Environment, Found, Login};

fn file(text: &str) -> (NamedTempFile, DockerConfig) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let config = DockerConfig::new(file.path().to_owned());
    (file, config)
}

fn login(text: &str, image: &str) -> Result<Option<DockerLogin>, DockerConfigError> {
    let (host, path) = image.split_once('/').unwrap();
    file(text).1.login(host, path)
}

/// The user, the password and the entry for `image`, or the program and the server that it is asked for.
fn found(text: &str, image: &str) -> String {
    match login(text, image).unwrap() {
        None => "nothing".to_owned(),
        Some(DockerLogin::Helper { helper, server }) => {
            format!("{} for {server}", helper.program())
        }
        Some(DockerLogin::Entry(Found { login, place })) => {
            let entry = place.split('`').nth(1).unwrap();
            let login = match login {
                Login::Anonymous => "nobody".to_owned(),
                Login::Basic { username, password } => {
                    format!("{username} {}", password.expose_secret())
                }
                Login::Bearer(token) => format!("bearer {}", token.expose_secret()),
                Login::Identity(token) => format!("identity {}", token.expose_secret()),
            };
            format!("{login} by {entry}")
        }
    }
}

/// A file whose entries have their own place in the list as the password.
fn entries(names: &[&str]) -> String {
    let entry = |(i, name): (usize, &&str)| {
        format!(
            "\"{name}\": {{\"auth\": \"{}\"}}",
            STANDARD.encode(format!("u:{i}"))
        )
    };
    let entries: Vec<_> = names.iter().enumerate().map(entry).collect();
    format!("{{\"auths\": {{{}}}}}", entries.join(", "))
}

/// What is said about the login of `r.example.com/acme/web`, with what to do.
fn told(text: &str) -> String {
    let (file, config) = file(text);
    let error = config.login("r.example.com", "acme/web").unwrap_err();
    let hint = error
        .hint()
        .map_or_else(String::new, |hint| format!(" [{hint}]"));
    let path = file.path().display().to_string();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    format!("{error}{hint}").replace(&path, "FILE")
}

#[test]
fn a_login_is_an_auth_or_a_user_and_a_password_and_auth_counts_first() {
    let padded = STANDARD.encode("alice:a:b");
    let unpadded = STANDARD_NO_PAD.encode("alice:secret1");
    let zeroes = STANDARD.encode("alice:old\0\0");
    let kubernetes = STANDARD.encode("alice:from-auth");
    for (entry, expected) in [
        (format!(r#"{{"auth": "{padded}"}}"#), "alice a:b"),
        (format!(r#"{{"auth": "{unpadded}"}}"#), "alice secret1"),
        (format!("{{\"auth\": \"{zeroes}\\n\"}}"), "alice old"),
        (
            format!(
                r#"{{"username": "bob", "password": "x", "email": "b@x.org", "auth": "{kubernetes}"}}"#
            ),
            "alice from-auth",
        ),
        (
            r#"{"username": "bob", "password": " p:w ", "auth": ""}"#.to_owned(),
            "bob  p:w ",
        ),
    ] {
        let text = format!(r#"{{"auths": {{"r.example.com": {entry}}}}}"#);
        let found = found(&text, "r.example.com/acme/web");
        assert_eq!(found, format!("{expected} by r.example.com"), "{entry}");
    }
}

#[test]
fn a_file_without_a_login_for_the_registry_gives_none() {
    for text in [
        "{}",
        r#"{"currentContext": "default"}"#,
        r#"{"auths": null, "credsStore": ""}"#,
        r#"{"auths": {"r.example.com": {}, "other.example.com": {"auth": "?"}}}"#,
        r#"{"auths": {"r.example.com": null}}"#,
        r#"{"credHelpers": {"other.example.com": "ecr-login"}}"#,
    ] {
        assert_eq!(found(text, "r.example.com/acme/web"), "nothing", "{text}");
    }
}

#[test]
fn an_entry_may_be_a_host_a_start_of_a_path_or_a_url() {
    for (name, image) in [
        ("r.example.com", "r.example.com/acme/web"),
        ("R.Example.COM/", "r.example.com/acme/web"),
        ("https://r.example.com", "r.example.com/acme/web"),
        ("http://r.example.com/v2/", "r.example.com/acme/web"),
        ("https://r.example.com/v1/acme", "r.example.com/acme/web"),
        ("r.example.com/v2/app", "r.example.com/v2/app"),
        ("r.example.com/acme", "r.example.com/acme/web"),
        ("r.example.com/acme/web/", "r.example.com/acme/web"),
        ("r.example.com:5000", "r.example.com:5000/web"),
        ("[::1]:5000", "[::1]:5000/web"),
        ("[::1]", "[::1]/web"),
        ("https://index.docker.io/v1/", "docker.io/library/nginx"),
        ("index.docker.io", "docker.io/library/nginx"),
        ("docker.io/acme", "docker.io/acme/web"),
        ("registry-1.docker.io", "docker.io/acme/web"),
        ("*.example.com", "r.example.com/acme/web"),
        ("r.*.com/acme", "r.example.com/acme/web"),
        ("r*.ex*m*le.com:5000", "r.example.com:5000/acme/web"),
        ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu.amazonaws.com/a"),
    ] {
        let text = entries(&[name]);
        assert_eq!(found(&text, image), format!("u 0 by {name}"), "{image}");
    }
    for (name, image) in [
        ("r.example.com", "r.example.com:5000/web"),
        ("r.example.com:5000", "r.example.com/web"),
        ("r.example.com", "r.example.com.evil.org/web"),
        ("example.com", "r.example.com/web"),
        ("r.example.com/acme", "r.example.com/acmecorp/web"),
        ("r.example.com/acme/web", "r.example.com/acme"),
        ("r.example.com/v2/app", "r.example.com/app"),
        ("*.example.com", "example.com/web"),
        ("*.example.com", "a.b.example.com/web"),
        ("*.example.com", "r.example.com:5000/web"),
        ("r.*", "r.example:5000/web"),
        ("*", "r.example.com/web"),
        ("a*a.example.com", "a.example.com/web"),
        ("", "r.example.com/web"),
    ] {
        let text = entries(&[name]);
        assert_eq!(found(&text, image), "nothing", "{name} {image}");
    }
}

#[test]
fn the_most_specific_path_wins_then_the_host_without_a_wildcard() {
    let names = [
        "r.example.com",
        "*.example.com/acme/web",
        "r.example.com/acme",
        "*.example.com",
        "r.*.com",
        "*.example.com/acme",
    ];
    for (image, expected) in [
        ("r.example.com/acme/web", "u 1 by *.example.com/acme/web"),
        ("r.example.com/acme/api", "u 2 by r.example.com/acme"),
        ("r.example.com/other", "u 0 by r.example.com"),
        ("s.example.com/acme/api", "u 5 by *.example.com/acme"),
        ("s.example.com/other", "u 3 by *.example.com"),
        ("r.elsewhere.com/other", "u 4 by r.*.com"),
    ] {
        assert_eq!(found(&entries(&names), image), expected);
        let reversed: Vec<_> = names.iter().rev().copied().collect();
        let name = expected.rsplit(' ').next().unwrap();
        let found = found(&entries(&reversed), image);
        assert!(found.ends_with(&format!(" by {name}")), "{found}");
    }
    // Two spellings of one host: the one that says something, else the first by name.
    let text = entries(&["https://r.example.com", "r.example.com"]);
    assert_eq!(
        found(&text, "r.example.com/a"),
        "u 0 by https://r.example.com"
    );
    let text = text.replacen(&STANDARD.encode("u:0"), "", 1);
    assert_eq!(found(&text, "r.example.com/a"), "u 1 by r.example.com");
}

#[test]
fn what_is_malformed_is_told_by_its_place_and_never_by_its_value() {
    let entry = |entry: &str| {
        format!("{{\n  \"auths\": {{\n    \"https://bot:hunter2@r.example.com\": {entry}\n  }}\n}}")
    };
    let no_colon = STANDARD.encode("hunter2");
    let no_password = STANDARD.encode("hunter2:");
    let no_text = STANDARD.encode([0xff, b':', b'x']);
    let texts = [
        String::new(),
        "{\n  \"auths\": {\n    \"r\": {\"auth\": \"hunter2\" \"\"}}}".to_owned(),
        "{\n  \"auths\": {\n    \"r\": {\"auth\": [\"hunter2\"]}}}".to_owned(),
        "{\n  \"auths\": {\n    \"r\": \"hunter2\"}}".to_owned(),
        "{\n  \"r.example.com\": {\"auth\": \"hunter2\"}}".to_owned(),
        entry("{\"auth\": \"hunter2!\"}"),
        entry(&format!("{{\"auth\": \"{no_colon}\"}}")),
        entry(&format!("{{\"auth\": \"{no_password}\"}}")),
        entry(&format!("{{\"auth\": \"{no_text}\"}}")),
        entry("{\"username\": \"hunter2\"}"),
        entry("{\"password\": \"hunter2\"}"),
    ];
    let told: Vec<_> = texts.iter().map(|text| told(text)).collect();
    assert_snapshot!(told.join("\n"), @"
    the Docker config file `FILE` is not JSON at line 1, column 0
    the Docker config file `FILE` is not JSON at line 3, column 29
    the Docker config file `FILE` has a value of the wrong type at line 3, column 18
    the Docker config file `FILE` has a value of the wrong type at line 3, column 18
    the Docker config file `FILE` has the form of the old `.dockercfg`, without `auths` [put its entries under `auths`]
    the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has an `auth` that is not base64 [write the entry anew with `docker login`]
    the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has an `auth` that is not a user, a colon and a password in base64 [write the entry anew with `docker login`]
    the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has an `auth` that is not a user, a colon and a password in base64 [write the entry anew with `docker login`]
    the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has an `auth` that is not a user, a colon and a password in base64 [write the entry anew with `docker login`]
    the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has a `username` without a `password`, or the other way round [write the entry anew with `docker login`]
    the entry `https://***@r.example.com` of the Docker config file `FILE`, line 3, has a `username` without a `password`, or the other way round [write the entry anew with `docker login`]
    ");
}

#[test]
fn a_token_counts_before_a_user_and_the_registrys_own_before_that_of_its_token_service() {
    for (entry, expected) in [
        (
            r#"{"auth": "dTo=", "identitytoken": "abc"}"#,
            "identity abc",
        ),
        (r#"{"auth": "?", "registrytoken": "def"}"#, "bearer def"),
        (
            r#"{"identitytoken": "abc", "registrytoken": "def"}"#,
            "bearer def",
        ),
    ] {
        let text = format!(r#"{{"auths": {{"r.example.com": {entry}}}}}"#);
        let found = found(&text, "r.example.com/acme/web");
        assert_eq!(found, format!("{expected} by r.example.com"), "{entry}");
    }
}

#[test]
fn a_program_is_asked_for_its_registries_and_one_for_those_whose_entry_has_no_login() {
    let web = "r.example.com/acme/web";
    let auth = r#""r.example.com": {"auth": "dTpw"}"#;
    for (text, image, expected) in [
        (
            format!(
                r#"{{"auths": {{{auth}}}, "credHelpers": {{"r.example.com": "ecr-login"}}, "credsStore": "x"}}"#
            ),
            web,
            "docker-credential-ecr-login for r.example.com",
        ),
        (
            format!(r#"{{"auths": {{{auth}}}, "credsStore": "x"}}"#),
            web,
            "u p by r.example.com",
        ),
        (
            r#"{"auths": {"https://r.example.com:5000/v2/": {}}, "credsStore": "pass"}"#.to_owned(),
            "r.example.com:5000/web",
            "docker-credential-pass for r.example.com:5000",
        ),
        (
            r#"{"credsStore": "ecr-login"}"#.to_owned(),
            web,
            "docker-credential-ecr-login for r.example.com",
        ),
        (
            r#"{"credHelpers": {"https://index.docker.io/v1/": "pass"}}"#.to_owned(),
            "docker.io/library/nginx",
            "docker-credential-pass for https://index.docker.io/v1/",
        ),
        (
            r#"{"auths": {"r.example.com/acme": {"auth": "dTpw"}}, "credHelpers": {"r.example.com": "x"}}"#.to_owned(),
            web,
            "u p by r.example.com/acme",
        ),
    ] {
        assert_eq!(found(&text, image), expected, "{text}");
    }
}

#[test]
fn a_program_is_named_by_no_path_and_the_check_says_where_there_is_none() {
    for name in ["../sh", "/bin/sh", "a b", "a\\u0000", ""] {
        let text = format!(r#"{{"credHelpers": {{"r.example.com": "{name}"}}}}"#);
        let (_file, config) = file(&text);
        let error = config.login("r.example.com", "web").unwrap_err();
        assert!(
            matches!(error, DockerConfigError::BadProgram { .. }),
            "{name}: {error}"
        );
    }
    let (file, config) = file(
        r#"{"credHelpers": {"a.example.com": "x", "b.example.com": "x", "c": "a/b"}, "credsStore": "y"}"#,
    );
    let problems = config.problems(&Environment::Given(std::collections::BTreeMap::new()));
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let path = file.path().display().to_string();
    assert_snapshot!(told.join("\n").replace(&path, "FILE"), @"
    the Docker config file `FILE` leaves logins to a program whose name is no name of a file
    the Docker config file `FILE` leaves logins to the program `docker-credential-x`, which is in no folder of PATH
    the Docker config file `FILE` leaves logins to the program `docker-credential-y`, which is in no folder of PATH
    ");
}

#[test]
fn the_old_form_is_read_where_it_belongs_and_programs_of_a_secret_are_not_entries() {
    let place = || Place::Secret("acme/pull".to_owned());
    let old = "{\n\"r.example.com\": {\"auth\": \"dTpw\"},\n\"s.example.com\": {\"auth\": \"?\"}}";
    let written = Written::parse_old(place(), old.to_owned()).ok().unwrap();
    let names: Vec<_> = written.fitting(("r.example.com", "web")).collect();
    assert_eq!(names.len(), 1);
    assert!(written.entry("r.example.com").unwrap().is_some());
    let error = written.entry("s.example.com").unwrap_err();
    assert_snapshot!(error, @"the entry `s.example.com` of the secret `acme/pull`, line 3, has an `auth` that is not base64");
    let text = r#"{"credHelpers": {"r.example.com": "x"}, "credsStore": "x"}"#;
    let written = Written::parse(place(), text.to_owned()).ok().unwrap();
    assert_eq!(written.fitting(("r.example.com", "web")).count(), 0);
}

#[test]
fn the_file_is_read_anew_each_time_and_its_problems_are_all_told() {
    let (file, config) = file("{}");
    let login = || config.login("r.example.com", "web").unwrap();
    assert!(login().is_none());
    for password in ["one", "two"] {
        let auth = STANDARD.encode(format!("alice:{password}"));
        let text = format!(r#"{{"auths": {{"r.example.com": {{"auth": "{auth}"}}}}}}"#);
        std::fs::write(file.path(), text).unwrap();
        match login() {
            Some(DockerLogin::Entry(Found {
                login: Login::Basic { password: read, .. },
                ..
            })) => assert_eq!(read.expose_secret(), password),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(config.problems(&Environment::default()).len(), 0);
    let text = r#"{"auths": {"a": {"auth": "?"}, "b": {}, "c": {"username": "x"}}}"#;
    std::fs::write(file.path(), text).unwrap();
    assert_eq!(config.problems(&Environment::default()).len(), 2);
    let size = usize::try_from(BYTES_MAX).unwrap() + 1;
    std::fs::write(file.path(), " ".repeat(size)).unwrap();
    let problems = config.problems(&Environment::default());
    assert!(matches!(problems[..], [DockerConfigError::TooLarge { .. }]));
    let folder = file.path().parent().unwrap().to_owned();
    let problems = DockerConfig::new(folder).problems(&Environment::default());
    assert!(matches!(
        problems[..],
        [DockerConfigError::Unreadable { .. }]
    ));
}
