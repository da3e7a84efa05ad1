//! Each product by the messages in `tests/forge-events`, which have the documented forms; and what no message may do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aws_lc_rs::hmac;
use proptest::prelude::{any, proptest};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{EventError, Kind, Message, event, news, signature};
use crate::forge::Place;
use crate::secret::{Guard, Secret};

#[test]
fn each_recorded_message_names_the_repository_with_news_and_no_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forge-events");
    let mut seen: BTreeMap<Kind, BTreeSet<bool>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let recorded: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name = recorded["kind"].as_str().unwrap();
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.unwrap_or_else(|| panic!("{file}"));
        assert!(file.starts_with(name), "{file}");
        let headers = headers(&recorded["headers"]);
        let body = recorded["body"].to_string();
        let message = Message {
            event: event(kind, &headers),
            body: body.as_bytes(),
        };
        let found = news(kind, message).unwrap().map(|news| news.path);
        assert_eq!(found.as_deref(), recorded["expected"].as_str(), "{file}");
        seen.entry(kind).or_default().insert(found.is_some());
    }
    let both = BTreeSet::from([false, true]);
    for kind in Kind::ALL {
        assert_eq!(seen.get(&kind), Some(&both), "{kind}");
    }
}

fn headers(told: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in told.as_object().into_iter().flatten() {
        let name: HeaderName = name.parse().unwrap();
        headers.insert(
            name,
            HeaderValue::from_str(value.as_str().unwrap()).unwrap(),
        );
    }
    headers
}

#[test]
fn news_are_of_the_repository_of_that_name_whatever_case_it_is_written_in() {
    let place = Place::parse(None, "git@github.com:Acme/deploy.git").unwrap();
    let of = |path: &str| super::News {
        path: path.to_owned(),
    };
    assert!(place.has(&of("acme/Deploy")));
    for other in ["acme/deploy2", "deploy", "acme/x/deploy", ""] {
        assert!(!place.has(&of(other)), "{other}");
    }
}

#[test]
fn the_signature_of_each_product_that_signs_is_taken() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2").unwrap();
    let guard = Guard::Hmac(Secret::File(file.path().to_owned()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"hunter2");
    let tag = hmac::sign(&key, b"{}");
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for (kind, name, value) in [
        (Kind::Github, "x-hub-signature-256", format!("sha256={hex}")),
        (Kind::Gitea, "x-gitea-signature", hex.clone()),
        (Kind::Gitea, "x-forgejo-signature", hex.clone()),
        (
            Kind::BitbucketCloud,
            "x-hub-signature",
            format!("sha256={hex}"),
        ),
        (
            Kind::BitbucketServer,
            "x-hub-signature",
            format!("sha256={hex}"),
        ),
    ] {
        let shown = |value: &str| {
            let told = serde_json::json!({ name: value });
            signature(kind, &headers(&told)).unwrap()
        };
        assert!(
            guard.takes_signature(&shown(&value), b"{}").unwrap(),
            "{kind}"
        );
        assert!(
            !guard.takes_signature(&shown(&value), b"[]").unwrap(),
            "{kind}"
        );
        for broken in ["", "sha256=", "sha1=00", "zz", &value[..value.len() - 1]] {
            assert!(
                !guard.takes_signature(&shown(broken), b"{}").unwrap(),
                "{broken}"
            );
        }
        assert_eq!(signature(kind, &HeaderMap::new()), None);
    }
}

#[test]
fn what_cannot_be_read_is_told_by_its_place_alone() {
    let told = |kind, body: &str| {
        let message = Message {
            event: None,
            body: body.as_bytes(),
        };
        news(kind, message).unwrap_err()
    };
    let (line, column) = (1, 2);
    for kind in Kind::ALL {
        assert_eq!(told(kind, "{"), EventError::NotJson { line: 1, column: 1 });
        assert_eq!(
            told(kind, "{hunter2}"),
            EventError::NotJson { line, column }
        );
        let error = told(kind, r#"["hunter2"]"#);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(bytes in any::<Vec<u8>>(), text in "[\\[\\]{}\":,a-z_0-9]{0,60}") {
        for kind in Kind::ALL {
            for body in [&bytes[..], text.as_bytes()] {
                let _ = news(kind, Message { event: None, body });
            }
        }
    }
}
