//! Each kind by the messages in `tests/events`, which have the documented form of each registry's; and what no message
//! may do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::{any, proptest};
use serde_json::Value;

use super::{EventError, EventKind, Extent, Message, Named, pushed};

/// `host/path`, with `*` for a host that is not told and `/**` for all below.
fn written(named: &Named) -> String {
    let host = named.host.as_deref().unwrap_or("*");
    let below = match named.extent {
        Extent::Alone => "",
        Extent::AndBelow => "/**",
    };
    format!("{host}/{}{below}", named.path)
}

fn names(kind: EventKind, body: &str) -> Result<Vec<String>, EventError> {
    let message = Message {
        event_type: None,
        body: body.as_bytes(),
    };
    Ok(pushed(kind, message)?.iter().map(written).collect())
}

#[test]
fn each_recorded_message_names_the_repositories_that_were_pushed_to_and_no_others() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events");
    let mut seen: BTreeMap<EventKind, BTreeSet<bool>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let recorded: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let kind = EventKind::named(recorded["kind"].as_str().unwrap()).unwrap();
        assert!(file.starts_with(kind.name()), "{file}");
        let body = recorded["body"].to_string();
        let message = Message {
            event_type: recorded["ce-type"].as_str(),
            body: body.as_bytes(),
        };
        let found: Vec<String> = pushed(kind, message).unwrap().iter().map(written).collect();
        let expected = recorded["expected"].as_array().unwrap();
        let expected: Vec<&str> = expected.iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(found, expected, "{file}");
        seen.entry(kind).or_default().insert(expected.is_empty());
    }
    let both = BTreeSet::from([false, true]);
    for kind in EventKind::ALL {
        assert_eq!(seen.get(&kind), Some(&both), "{}", kind.name());
    }
}

#[test]
fn a_name_of_a_kind_is_found_again_and_others_are_not() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::named(kind.name()), Some(kind));
    }
    assert_eq!(EventKind::named("Harbor"), None);
}

#[test]
fn what_is_told_of_an_unreadable_message_is_a_place_and_never_a_value() {
    let told = |kind, body| names(kind, body).unwrap_err().to_string();
    assert_eq!(
        told(EventKind::Harbor, "{\"type\": hunter2}"),
        "the body is not JSON at line 1, column 10"
    );
    assert_eq!(
        told(EventKind::Harbor, "{\n\"type\": [\"hunter2\"]}"),
        "the body is not an event of the kind `harbor` at line 2, column 8"
    );
    assert_eq!(
        told(EventKind::Google, r#"{"message": {"data": "hunter2!"}}"#),
        "the `data` of the Pub/Sub message is not base64"
    );
    assert_eq!(
        told(EventKind::Generic, "{}"),
        "the body is not an event of the kind `generic` at line 1, column 2"
    );
}

#[test]
fn brackets_however_deep_end_in_words_or_are_passed_over() {
    for kind in EventKind::ALL {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(60_000), close.repeat(60_000));
            for key in [
                "events",
                "detail",
                "data",
                "message",
                "other",
                "updated_tags",
            ] {
                let body = format!("{{\"{key}\": {deep}, \"repository\": \"a.example.com/b\"}}");
                if let Ok(names) = names(kind, &body) {
                    assert!(names.len() <= 1, "{names:?}");
                }
            }
        }
    }
}

#[test]
fn docker_hub_is_one_host_however_it_is_spelled() {
    for name in [
        "nginx",
        "docker.io/nginx",
        "index.docker.io/library/nginx:1.29",
    ] {
        let body = format!("{{\"repository\": \"{name}\"}}");
        let found = names(EventKind::Generic, &body).unwrap();
        assert_eq!(found, ["docker.io/library/nginx"]);
    }
}

#[test]
fn names_that_are_none_name_nothing() {
    let body = r#"{"repository": ["", "/", "a b", "ghcr.io/acme/web:", "ghcr.io/../web"]}"#;
    let found = names(EventKind::Generic, body).unwrap();
    assert_eq!(found, Vec::<String>::new());
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_and_no_panic(body in any::<Vec<u8>>(), header in any::<Option<String>>()) {
        for kind in EventKind::ALL {
            let message = Message { event_type: header.as_deref(), body: &body };
            drop(pushed(kind, message));
        }
    }
}
