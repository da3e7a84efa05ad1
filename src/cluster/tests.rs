//! How long a reading is believed. What is read over the wire is tried in `tests/contract/cluster.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::error::ClusterError;
use super::kept::Kept;
use crate::world::{Application, Fact};

const STALE_AFTER: Duration = Duration::from_secs(180);

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn silent() -> ClusterError {
    ClusterError::Silent {
        server: "Kubernetes".to_owned(),
        what: "list applications".to_owned(),
    }
}

fn why(kept: &Kept, seconds: i64) -> Option<String> {
    match kept.shown(at(seconds)) {
        Some(Fact::Unknown { why }) => Some(why),
        Some(Fact::Known(_)) | None => None,
    }
}

#[test]
fn a_reading_is_believed_until_it_is_stale_and_again_when_it_was_confirmed() {
    let kept = Kept::new(1, STALE_AFTER);
    assert!(kept.shown(at(0)).is_none());
    kept.put_all::<Application>(0, BTreeMap::new(), at(0));
    assert_eq!(why(&kept, 180), None);
    insta::assert_snapshot!(why(&kept, 181).unwrap(), @"nothing was heard since 1970-01-01T00:00:00Z");
    kept.fail::<Application>(0, &silent(), at(100));
    assert_eq!(why(&kept, 180), None);
    insta::assert_snapshot!(why(&kept, 181).unwrap(), @"Kubernetes took too long to list applications; the last reading is of 1970-01-01T00:00:00Z");
    kept.hear::<Application>(0, at(200));
    assert_eq!(why(&kept, 380), None);
}

#[test]
fn a_refusal_ends_belief_at_once() {
    let kept = Kept::new(1, STALE_AFTER);
    kept.put_all::<Application>(0, BTreeMap::new(), at(0));
    let refused = ClusterError::Unauthorized {
        server: "Kubernetes".to_owned(),
        what: "list applications".to_owned(),
    };
    kept.fail::<Application>(0, &refused, at(1));
    assert!(why(&kept, 1).is_some());
}

#[test]
fn the_age_of_several_places_is_that_of_the_oldest() {
    let kept = Kept::new(2, STALE_AFTER);
    kept.put_all::<Application>(0, BTreeMap::new(), at(100));
    assert!(kept.shown(at(100)).is_none(), "the other is not there yet");
    kept.put_all::<Application>(1, BTreeMap::new(), at(50));
    match kept.shown(at(100)) {
        Some(Fact::Known(known)) => assert_eq!(known.at, at(50)),
        other => panic!("{other:?}"),
    }
}
