//! Changes of the file with the holds, byte for byte: an entry more, or some fewer; comments and order stay.
//!
//! Not here: what the entries mean (`holds`). Invariant: what comes out is read as the holds that were asked for.

use crate::edit::{self, Draft, New, NodeId, Reason, Refusal, Scan};
use crate::ledger::{Hold, HoldKind, Target};

/// What a new file begins with.
const HEADER: &str = "\
# What people decided of versions: `towpath pin`, `reject`, `stop`, `approve` and `resume` write here, and so may you.
";

/// The keys of the kinds of holds.
const KINDS: [&str; 3] = ["pin", "reject", "stop"];

/// `text` with `hold` at the end of the list; of a pin, in the place of one that it contradicts, and of an approval, of what its
/// author approved there before. No text is a new file.
pub(crate) fn with_hold(text: Option<&str>, hold: &Hold) -> Result<String, Refusal> {
    let text = text.unwrap_or(HEADER);
    let text = match hold.kind {
        HoldKind::Pin(_) => taken_out(text, &hold.target, &["pin"])?,
        HoldKind::Approve(_) => without_approvals(text, hold)?,
        HoldKind::Reject(_) | HoldKind::Stop => text.to_owned(),
    };
    let scan = Scan::new(&text)?;
    let entry = entry(hold);
    edit::edited(&scan, |draft| append(draft, &entry))
}

/// `text` without the entries of exactly `target`.
pub(crate) fn without_holds(text: &str, target: &Target) -> Result<String, Refusal> {
    taken_out(text, target, &KINDS)
}

/// `text` without what the author of `hold` approved in the same place.
fn without_approvals(text: &str, hold: &Hold) -> Result<String, Refusal> {
    let scan = Scan::new(text)?;
    edit::edited(&scan, |draft| {
        let scan = draft.scan();
        let is_theirs = |item| {
            let by = scan.pair(item, "by").ok().flatten();
            let by = by.and_then(|(_, value)| scan.scalar(value));
            is_about(scan, item, (&hold.target, &["approve"])) && by == hold.by.as_deref()
        };
        match place(scan)? {
            Place::List(list) => draft.take_out(list, is_theirs),
            Place::Text | Place::Map(_) | Place::Empty(_) => Ok(()),
        }
    })
}

fn taken_out(text: &str, target: &Target, kinds: &[&str]) -> Result<String, Refusal> {
    let scan = Scan::new(text)?;
    edit::edited(&scan, |draft| {
        let scan = draft.scan();
        match place(scan)? {
            Place::List(list) => draft.take_out(list, |item| is_about(scan, item, (target, kinds))),
            Place::Text | Place::Map(_) | Place::Empty(_) => Ok(()),
        }
    })
}

/// Where the entries stand or would.
enum Place {
    /// Nothing but comments.
    Text,
    /// A map without the key.
    Map(NodeId),
    Empty(NodeId),
    List(NodeId),
}

fn place(scan: &Scan<'_>) -> Result<Place, Refusal> {
    let Some(root) = scan.documents().find_map(|document| scan.root(document)) else {
        return Ok(Place::Text);
    };
    let Some((_, value)) = scan.pair(root, "holds")? else {
        return Ok(Place::Map(root));
    };
    match scan.is_sequence(value) {
        true => Ok(Place::List(value)),
        false if scan.is_null(value) => Ok(Place::Empty(value)),
        false => Err(Refusal::at(scan.line(value), Reason::Layout)),
    }
}

fn append(draft: &mut Draft<'_, '_>, entry: &New) -> Result<(), Refusal> {
    let scan = draft.scan();
    let list = || New::List(vec![entry.clone()]);
    let pair = || ("holds".to_owned(), list());
    match place(scan)? {
        Place::Text => draft.fill_text(&New::Map(vec![pair()])),
        Place::Map(root) => draft.insert(root, None, &[pair()]),
        Place::Empty(value) => draft.fill(value, &list()),
        Place::List(list) if scan.items(list).any(|item| says(scan, item, entry)) => Ok(()),
        Place::List(list) => draft.append(list, entry),
    }
}

/// Whether an item says all that `new` says, and nothing else.
fn says(scan: &Scan<'_>, node: NodeId, new: &New) -> bool {
    match new {
        New::Scalar(text) => scan.scalar(node) == Some(text),
        New::Word(word) => scan.scalar(node) == Some(word),
        New::List(items) => {
            let nodes: Vec<NodeId> = scan.items(node).collect();
            nodes.len() == items.len()
                && nodes
                    .iter()
                    .zip(items)
                    .all(|(node, new)| says(scan, *node, new))
        }
        New::Map(pairs) => {
            let has = |(key, new): &(String, New)| {
                let pair = scan.pair(node, key).ok().flatten();
                pair.is_some_and(|(_, value)| says(scan, value, new))
            };
            scan.pairs(node).count() == pairs.len() && pairs.iter().all(has)
        }
    }
}

/// Whether an entry is about exactly `target`, and of one of `kinds`.
fn is_about(scan: &Scan<'_>, item: NodeId, (target, kinds): (&Target, &[&str])) -> bool {
    let Target {
        policy,
        environment,
        image,
    } = target;
    let value = |key: &str| {
        let pair = scan.pair(item, key).ok().flatten();
        pair.and_then(|(_, value)| scan.scalar(value))
    };
    value("policy") == policy.as_ref().map(|name| name.as_str())
        && value("environment") == environment.as_ref().map(|name| name.as_str())
        && value("image") == image.as_ref().map(|name| name.as_str())
        && kinds
            .iter()
            .any(|kind| scan.pair(item, kind).is_ok_and(|pair| pair.is_some()))
}

fn entry(hold: &Hold) -> New {
    let Hold {
        target: Target {
            policy,
            environment,
            image,
        },
        kind,
        reason,
        by,
        until,
        line: _,
    } = hold;
    let mut pairs = Vec::new();
    let mut text = |key: &str, value: Option<String>| {
        pairs.extend(value.map(|value| (key.to_owned(), New::Scalar(value))));
    };
    text("policy", policy.as_ref().map(ToString::to_string));
    text("environment", environment.as_ref().map(ToString::to_string));
    text("image", image.as_ref().map(ToString::to_string));
    match kind {
        HoldKind::Pin(version) => text("pin", Some(version.to_string())),
        HoldKind::Approve(version) => text("approve", Some(version.to_string())),
        HoldKind::Reject(_) | HoldKind::Stop => {}
    }
    match kind {
        HoldKind::Pin(_) | HoldKind::Approve(_) => {}
        HoldKind::Reject(versions) => {
            let versions = versions
                .iter()
                .map(|version| New::Scalar(version.to_string()));
            pairs.push(("reject".to_owned(), New::List(versions.collect())));
        }
        HoldKind::Stop => pairs.push(("stop".to_owned(), New::Word("true"))),
    }
    let mut text = |key: &str, value: Option<String>| {
        pairs.extend(value.map(|value| (key.to_owned(), New::Scalar(value))));
    };
    text("reason", reason.clone());
    text("by", by.clone());
    text("until", until.map(|until| until.to_string()));
    New::Map(pairs)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{with_hold, without_holds};
    use crate::config::holds;
    use crate::ledger::{HOLDS_FILE, Hold, HoldKind, Target};

    fn target(policy: Option<&str>, environment: Option<&str>) -> Target {
        Target {
            policy: policy.map(|name| name.parse().unwrap()),
            environment: environment.map(|name| name.parse().unwrap()),
            image: None,
        }
    }

    fn hold(kind: HoldKind) -> Hold {
        Hold {
            target: target(Some("portal"), Some("production")),
            kind,
            reason: Some("INC-123: login #2 is broken".to_owned()),
            by: Some("Ada".to_owned()),
            until: Some("2026-12-27T06:00:00Z".parse().unwrap()),
            line: 0,
        }
    }

    fn pin(version: &str) -> Hold {
        hold(HoldKind::Pin(version.parse().unwrap()))
    }

    const WRITTEN: &str = "\
# Ours.
holds:
  # Since the incident.
  - { policy: portal, environment: production, pin: v1.4.2 } # Ada
  - policy: portal
    environment: staging
    reject: [v1, v2]

  # Until they are back.
  - { environment: production, stop: true }
";

    #[test]
    fn a_new_file_says_who_writes_it() {
        let stop = Hold {
            target: target(None, Some("production")),
            ..hold(HoldKind::Stop)
        };
        insta::assert_snapshot!(with_hold(None, &stop).unwrap(), @r#"
        # What people decided of versions: `towpath pin`, `reject`, `stop`, `approve` and `resume` write here, and so may you.
        holds:
        - environment: production
          stop: true
          reason: "INC-123: login #2 is broken"
          by: Ada
          until: "2026-12-27T06:00:00Z"
        "#);
    }

    #[test]
    fn a_hold_is_added_at_the_end_and_all_else_stays() {
        let reject = hold(HoldKind::Reject(vec![
            "1.10".parse().unwrap(),
            "v2".parse().unwrap(),
        ]));
        let after = with_hold(Some(WRITTEN), &reject).unwrap();
        insta::assert_snapshot!(after.strip_prefix(WRITTEN).unwrap(), @r#"
        - policy: portal
          environment: production
          reject:
            - "1.10"
            - v2
          reason: "INC-123: login #2 is broken"
          by: Ada
          until: "2026-12-27T06:00:00Z"
        "#);
    }

    #[test]
    fn a_pin_takes_the_place_of_the_one_that_it_contradicts() {
        let after = with_hold(Some(WRITTEN), &pin("v1.4.1")).unwrap();
        insta::assert_snapshot!(after, @r#"
        # Ours.
        holds:
          # Since the incident.
          - policy: portal
            environment: staging
            reject: [v1, v2]

          # Until they are back.
          - { environment: production, stop: true }
          - policy: portal
            environment: production
            pin: v1.4.1
            reason: "INC-123: login #2 is broken"
            by: Ada
            until: "2026-12-27T06:00:00Z"
        "#);
    }

    #[test]
    fn a_resumption_takes_out_exactly_the_entries_of_its_target() {
        let portal = target(Some("portal"), Some("production"));
        insta::assert_snapshot!(without_holds(WRITTEN, &portal).unwrap(), @"
        # Ours.
        holds:
          # Since the incident.
          - policy: portal
            environment: staging
            reject: [v1, v2]

          # Until they are back.
          - { environment: production, stop: true }
        ");
        let other = target(Some("shop"), Some("production"));
        assert_eq!(without_holds(WRITTEN, &other).unwrap(), WRITTEN);
    }

    #[test]
    fn what_was_added_to_any_file_is_taken_out_again() {
        for text in [
            "",
            "# a\n",
            "holds:\n",
            "holds: []\n",
            "holds: # none\n",
            WRITTEN,
            "apiVersion: towpath.dev/v1alpha1\n",
            "holds: [{ stop: true }]\n",
        ] {
            let stop = Hold {
                target: target(Some("shop"), Some("dev")),
                ..hold(HoldKind::Stop)
            };
            let before = holds(Path::new(HOLDS_FILE), text).map_or(0, |holds| holds.len());
            let added = with_hold(Some(text), &stop).unwrap();
            let read = holds(Path::new(HOLDS_FILE), &added).unwrap();
            let last = read.last().unwrap();
            let line = last.line;
            assert_eq!(*last, Hold { line, ..stop }, "{added}");
            let removed = without_holds(&added, &last.target).unwrap();
            let left = holds(Path::new(HOLDS_FILE), &removed).unwrap();
            assert_eq!(left.len(), before, "{removed}");
        }
    }
}
