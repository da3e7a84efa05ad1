//! What is kept of the `status` of a custom resource: enough to say whether it is to be written anew, and since when its conditions hold.
//!
//! Not here: what it says (`daemon`).
//! Invariant: it takes a few kilobytes, however much stands there.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

/// Keys that are known apart: twice as many as we write. The others are nobody's business of ours.
const KEYS_MAX: usize = 16;

/// Largest `conditions` that are kept: twice ours, of which each of two has a message of 1,024 bytes.
const CONDITIONS_BYTES_MAX: usize = 8 * 1024;

/// How a custom resource stands by its `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownStatus {
    /// `Null` where there are none, or far more than ours.
    conditions: Json,
    /// A digest of what stands under each key.
    digests: BTreeMap<String, [u8; 32]>,
}

impl KnownStatus {
    pub(crate) fn of(status: &Json) -> Self {
        let conditions = &status["conditions"];
        let is_small = conditions.to_string().len() <= CONDITIONS_BYTES_MAX;
        let entries = status.as_object().into_iter().flatten();
        let digests = entries.map(|(key, value)| (key.clone(), digest(value)));
        Self {
            conditions: conditions.as_array().filter(|_| is_small).cloned().into(),
            digests: digests.take(KEYS_MAX).collect(),
        }
    }

    /// Since when the condition `kind` has this `status`, if it does.
    pub(crate) fn since(&self, kind: &str, status: &str) -> Option<&str> {
        let conditions = self.conditions.as_array().into_iter().flatten();
        let mut same = conditions.filter(|one| one["type"] == kind && one["status"] == status);
        same.find_map(|one| one["lastTransitionTime"].as_str())
    }

    /// Whether all that `status` says stands there. `null` and an empty list stand for nothing.
    pub(crate) fn says(&self, status: &Json) -> bool {
        let nothing = digest(&Json::Null);
        let mut entries = status.as_object().into_iter().flatten();
        entries.all(|(key, value)| *self.digests.get(key).unwrap_or(&nothing) == digest(value))
    }
}

fn digest(value: &Json) -> [u8; 32] {
    let value = match value.as_array().is_some_and(Vec::is_empty) {
        true => Json::Null,
        false => without_nulls(value),
    };
    Sha256::digest(value.to_string()).into()
}

fn without_nulls(value: &Json) -> Json {
    match value {
        Json::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            let entries = entries.map(|(key, value)| (key.clone(), without_nulls(value)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
        Json::Array(items) => items.iter().map(without_nulls).collect(),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::KnownStatus;

    #[test]
    fn what_stands_there_is_known_by_its_keys_and_nothing_is_like_null() {
        let there = json!({
            "summary": "1 newest", "environments": [{ "name": "dev", "images": [] }], "of-others": 1,
            "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": "2026-03-01T00:00:00Z" }],
        });
        let known = KnownStatus::of(&there);
        let same = json!({
            "summary": "1 newest", "nextTime": null, "applications": [],
            "environments": [{ "images": [], "name": "dev", "more": null }],
        });
        assert!(known.says(&same));
        for other in [
            json!({ "summary": "2 newest" }),
            json!({ "environments": [] }),
            json!({ "nextTime": "2026-03-01T00:00:00Z" }),
        ] {
            assert!(!known.says(&other), "{other}");
        }
        assert_eq!(known.since("Ready", "True"), Some("2026-03-01T00:00:00Z"));
        assert_eq!(known.since("Ready", "False"), None);
    }

    #[test]
    fn however_much_stands_there_little_is_kept() {
        let mut there: Json = (0..1000)
            .map(|number| (format!("key-{number}"), json!("x".repeat(100))))
            .collect();
        there["conditions"] = (0..1000).map(|_| json!({ "type": "Ready" })).collect();
        let known = KnownStatus::of(&there);
        assert!(known.digests.len() <= 16);
        assert_eq!(known.conditions, Json::Null);
    }
}
