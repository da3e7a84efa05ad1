//! The holds of a manifests repository: what may be written in the file, and what it means.
//!
//! Not here: where the file stands and what follows from a hold (`ledger`, `plan`).
//! Invariant: holds exist only where nothing is wrong with any, since a decision that is read wrongly is as bad as one that
//! is not read at all.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::fleet::Fleet;
use super::forms::OneOrMany;
use super::mask;
use super::nouns::ApiVersion;
use super::problem::{Faults, Problems};
use super::shape::{Block, Leaf, Placed, Refusal, Shape, shape, unexpected};
use super::source::{Source, Span, Whence};
use super::tree::{self, Node, Value};
use crate::ledger::{HeldVersion, Hold, HoldKind, Target};
use crate::policy::{EnvironmentName, ImageName, Policy, PolicyName};

shape! {
    /// What people decided of versions: `.towpath/holds.yaml` in a manifests repository.
    struct File {
        /// The holds, in any order.
        holds: Entries = "holds",
    } also {
        /// The version of the language: `towpath.dev/v1alpha1`.
        Option<Placed<ApiVersion>> = "apiVersion",
    }

    /// One decision: exactly one of `pin`, `reject`, `stop` and `approve`.
    struct Entry {
        /// The policy. Without it, a `stop` is for all of them.
        policy: Option<Placed<PolicyName>> = "policy",
        /// The environment. Without it, a `reject` or `stop` is for all of them.
        environment: Option<Placed<EnvironmentName>> = "environment",
        /// One image of the policy. Default: all of them.
        image: Option<Placed<ImageName>> = "image",
        /// Exactly this version stands there, older or newer: a tag, or a digest where a tag is followed.
        pin: Option<Placed<HeldVersion>> = "pin",
        /// Versions that are no candidates there: tags, or digests where a tag is followed.
        reject: Option<OneOrMany<Placed<HeldVersion>>> = "reject",
        /// `true`: nothing moves there.
        stop: Option<bool> = "stop",
        /// Somebody agrees that this version comes there, which the gate `approvals` counts: a tag, or a digest where a tag is followed.
        approve: Option<Placed<HeldVersion>> = "approve",
        /// Why; `towpath` says it wherever the hold counts.
        reason: Option<Placed<String>> = "reason",
        /// When the hold ends by itself: `2026-12-27T06:00:00Z`. Default: never.
        until: Option<Placed<Timestamp>> = "until",
        /// Who decided.
        by: Option<Placed<String>> = "by",
    }
}

/// The entries; none where nothing stands below the key, as where the last one was taken out.
#[derive(Clone, Debug)]
pub(super) struct Entries(Vec<Block<Entry>>);

impl Shape for Entries {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Empty => Some(Self(Vec::new())),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) | Value::Refused => {
                Vec::read(node, faults).map(Self)
            }
        }
    }

    fn schema() -> Option<Json> {
        let entries = <Vec<Block<Entry>>>::schema()?;
        Some(json!({ "anyOf": [entries, { "type": "null" }] }))
    }
}

/// The JSON Schema of the file.
pub(super) fn schema() -> Option<Json> {
    File::schema()
}

impl Leaf for Timestamp {
    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|_| {
            Refusal::new(format!("`{text}` is not a time"))
                .hint("write date, time and zone: `2026-12-27T06:00:00Z`")
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "format": "date-time" })
    }
}

impl Leaf for HeldVersion {
    fn parse(text: &str) -> Result<Self, Refusal> {
        Ok(text.parse()?)
    }
}

/// Reads the holds in `text`, which stands in `file`.
pub(crate) fn holds(file: &Path, text: &str) -> Result<Vec<Hold>, Problems> {
    Ok(read(file, text, (&[], &[]))?.0)
}

/// The same, and what of it speaks of nothing that the policies know: those of another configuration are left alone.
pub(crate) fn check_holds(
    file: &Path,
    text: &str,
    known: (&[Policy], &[Fleet]),
) -> Result<(Vec<Hold>, Problems), Problems> {
    read(file, text, known)
}

fn read(
    file: &Path,
    text: &str,
    known: (&[Policy], &[Fleet]),
) -> Result<(Vec<Hold>, Problems), Problems> {
    let mut faults = Faults::default();
    let documents = tree::parse(0, text, &mut faults);
    let source = Source {
        whence: Whence::File,
        first_line: 1,
        path: file.to_owned(),
        masks: mask::find(text, &documents),
        text: text.to_owned(),
        documents,
    };
    let filled = |document: &&Node| !matches!(document.value, Value::Empty);
    let mut documents = source.documents.iter().filter(filled);
    let mut holds: Vec<Hold> = Vec::new();
    if let Some(document) = documents.next() {
        let entries = match &document.value {
            Value::Map(_) => File::read(document, &mut faults).map(
                |File {
                     holds: Entries(entries),
                 }| entries,
            ),
            Value::Empty | Value::Scalar(_) | Value::List(_) | Value::Refused => {
                unexpected(document, "a map with the key `holds`", &mut faults);
                None
            }
        };
        for entry in entries.into_iter().flatten() {
            check_names(&entry.value, known, &mut faults);
            let line = source.position(entry.span.start).0;
            let Some(hold) = hold(&entry, line, &mut faults) else {
                continue;
            };
            let pins_the_same = |other: &&Hold| {
                let are_pins = matches!(
                    (&other.kind, &hold.kind),
                    (HoldKind::Pin(_), HoldKind::Pin(_))
                );
                are_pins && other.target == hold.target
            };
            if let Some(first) = holds.iter().find(pins_the_same) {
                let message = format!(
                    "a second pin of {}; the first is in line {}",
                    hold.target, first.line
                );
                faults.error(entry.owner, message);
            }
            holds.push(hold);
        }
    }
    if let Some(second) = documents.next() {
        faults.error(second.owner, "a second document; the holds are one list");
    }
    let errors = faults.errors();
    let problems = faults.into_problems(&[source]);
    match errors {
        0 => Ok((holds, problems)),
        _ => Err(problems),
    }
}

/// What one entry means.
fn hold(entry: &Block<Entry>, line: usize, faults: &mut Faults) -> Option<Hold> {
    let kind = kind(entry, faults)?;
    let Entry {
        policy,
        environment,
        image,
        pin: _,
        reject: _,
        stop: _,
        approve: _,
        reason,
        until,
        by,
    } = &entry.value;
    let mut needs = |what: &str, key: &str, is_there: bool| {
        if !is_there && !faults.touch(entry.span) {
            faults.error(entry.owner, format!("{what} names its `{key}`"));
        }
    };
    match kind {
        HoldKind::Pin(_) => {
            needs("a pin", "policy", policy.is_some());
            needs("a pin", "environment", environment.is_some());
        }
        HoldKind::Approve(_) => {
            needs("an approval", "policy", policy.is_some());
            needs("an approval", "environment", environment.is_some());
            needs("an approval", "by", by.is_some());
        }
        HoldKind::Reject(_) => needs("a rejection", "policy", policy.is_some()),
        HoldKind::Stop => {
            let is_named = policy.is_some() || image.is_none();
            needs("a hold of one image", "policy", is_named);
        }
    }
    fn of<T: Clone>(placed: Option<&Placed<T>>) -> Option<T> {
        placed.map(|placed| placed.value.clone())
    }
    Some(Hold {
        target: Target {
            policy: of(policy.as_ref()),
            environment: of(environment.as_ref()),
            image: of(image.as_ref()),
        },
        kind,
        reason: of(reason.as_ref()),
        by: of(by.as_ref()),
        until: of(until.as_ref()),
        line,
    })
}

/// Which of the four an entry is.
fn kind(Block { value, owner, span }: &Block<Entry>, faults: &mut Faults) -> Option<HoldKind> {
    let kinds = [
        value
            .pin
            .as_ref()
            .map(|pin| HoldKind::Pin(pin.value.clone())),
        value.reject.as_ref().map(|OneOrMany(versions)| {
            let versions = versions.iter().map(|version| version.value.value.clone());
            HoldKind::Reject(versions.collect())
        }),
        value.stop.map(|_| HoldKind::Stop),
        value
            .approve
            .as_ref()
            .map(|approve| HoldKind::Approve(approve.value.clone())),
    ];
    let mut kinds = kinds.into_iter().flatten();
    match (kinds.next(), kinds.next()) {
        (Some(HoldKind::Stop), None) if value.stop == Some(false) => {
            let hint = "to go on, remove the entry";
            faults.error_with_hint(*owner, "`stop` is `true` or not there", hint);
        }
        (Some(kind), None) => return Some(kind),
        // What is missing beside something wrong may only be misspelled.
        (None, _) if faults.touch(*span) => {}
        (None, _) | (Some(_), Some(_)) => {
            let message = "a hold is exactly one of `pin`, `reject`, `stop` and `approve`";
            let hint =
                "write `pin: VERSION`, `reject: [VERSION]`, `stop: true` or `approve: VERSION`";
            faults.error_with_hint(*owner, message, hint);
        }
    }
    None
}

/// Says where an entry names what the policies do not have: it would hold nothing.
fn check_names(entry: &Entry, (policies, fleets): (&[Policy], &[Fleet]), faults: &mut Faults) {
    if policies.is_empty() && fleets.is_empty() {
        return;
    }
    let named = entry.policy.as_ref();
    let of_name =
        |name: &Placed<PolicyName>| policies.iter().find(|policy| policy.name == name.value);
    let policy = named.and_then(of_name);
    if let (Some(name), None, []) = (named, policy, fleets) {
        let message = format!(
            "there is no policy `{}` here; this holds nothing that is promoted from here",
            name.value
        );
        faults.warning(name.span, message);
        return;
    }
    // Which policies a fleet has, only the folders tell.
    let of_fleets = fleets.iter().map(|fleet| &fleet.sample);
    let among: Vec<&Policy> = match (named, policy) {
        (_, Some(policy)) => vec![policy],
        (Some(_), None) => of_fleets.collect(),
        (None, None) => policies.iter().chain(of_fleets).collect(),
    };
    let mut unknown = |span: Span, what: &str, name: &str| {
        let of = named.map_or_else(
            || "no policy has".to_owned(),
            |policy| format!("policy `{}` does not have", policy.value),
        );
        faults.warning(span, format!("{of} an {what} `{name}`; this holds nothing"));
    };
    if let Some(environment) = &entry.environment
        && !among.iter().any(|policy| {
            policy
                .environments
                .iter()
                .any(|known| known.name == environment.value)
        })
    {
        unknown(environment.span, "environment", environment.value.as_str());
    }
    if let Some(image) = &entry.image
        && !among
            .iter()
            .any(|policy| policy.images.contains_key(&image.value))
    {
        unknown(image.span, "image", image.value.as_str());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::holds;
    use crate::ledger::HOLDS_FILE;

    fn told(text: &str) -> String {
        match holds(Path::new(HOLDS_FILE), text) {
            Ok(holds) => {
                let lines = holds.iter().map(|hold| {
                    let super::Hold {
                        target,
                        kind,
                        reason,
                        by,
                        until,
                        line,
                    } = hold;
                    let until = until.map(|until| until.to_string());
                    format!("{line}: {kind} | {target} | {reason:?} {by:?} {until:?}")
                });
                lines.collect::<Vec<_>>().join("\n")
            }
            Err(problems) => problems.to_string(),
        }
    }

    #[test]
    fn each_kind_of_hold_is_read() {
        insta::assert_snapshot!(told("
holds:
  - { policy: portal, environment: production, pin: v1.4.2, reason: INC-123 }
  - { policy: portal, environment: staging, reject: [staging-0a1b2c3], reason: broken login }
  - { environment: production, stop: true, until: 2026-12-27T06:00:00Z, reason: year-end freeze }
  - policy: portal
    image: web
    reject: v2
    by: Ada
  - { stop: true }
"), @r#"
        3: pin v1.4.2 | portal in production | Some("INC-123") None None
        4: reject staging-0a1b2c3 | portal in staging | Some("broken login") None None
        5: stop | everything in production | Some("year-end freeze") None Some("2026-12-27T06:00:00Z")
        6: reject v2 | portal everywhere, image web | None Some("Ada") None
        10: stop | everything | None None None
        "#);
    }

    #[test]
    fn a_file_without_holds_holds_nothing() {
        for text in [
            "",
            "# nothing\n",
            "holds: []\n",
            "holds:\n",
            "apiVersion: towpath.dev/v1alpha1\nholds: []\n",
        ] {
            assert_eq!(told(text), "", "{text}");
        }
    }

    #[test]
    fn every_problem_is_told_at_its_place() {
        insta::assert_snapshot!(told("
holds:
  - { polcy: portal, environment: production, pin: v1 }
  - { policy: portal, environment: production }
  - { policy: portal, environment: production, pin: v1, stop: true }
  - { environment: production, pin: 1.10 }
  - { environment: production, reject: [v1] }
  - { image: web, stop: true }
  - { stop: false }
  - { policy: portal, environment: production, stop: true, until: tomorrow }
"), @r#"
        error: unknown key `polcy`
          --> .towpath/holds.yaml:3:7
            |
          3 |   - { polcy: portal, environment: production, pin: v1 }
            |       ^^^^^
          at: holds[0].polcy
          hint: did you mean `policy`?

        error: a hold is exactly one of `pin`, `reject`, `stop` and `approve`
          --> .towpath/holds.yaml:4:3
            |
          4 |   - { policy: portal, environment: production }
            |   ^
          at: holds[1]
          hint: write `pin: VERSION`, `reject: [VERSION]`, `stop: true` or `approve: VERSION`

        error: a hold is exactly one of `pin`, `reject`, `stop` and `approve`
          --> .towpath/holds.yaml:5:3
            |
          5 |   - { policy: portal, environment: production, pin: v1, stop: true }
            |   ^
          at: holds[2]
          hint: write `pin: VERSION`, `reject: [VERSION]`, `stop: true` or `approve: VERSION`

        error: expected a text, found a number
          --> .towpath/holds.yaml:6:37
            |
          6 |   - { environment: production, pin: 1.10 }
            |                                     ^^^^
          at: holds[3].pin
          hint: write it in quotes: "1.10"

        error: a rejection names its `policy`
          --> .towpath/holds.yaml:7:3
            |
          7 |   - { environment: production, reject: [v1] }
            |   ^
          at: holds[4]

        error: a hold of one image names its `policy`
          --> .towpath/holds.yaml:8:3
            |
          8 |   - { image: web, stop: true }
            |   ^
          at: holds[5]

        error: `stop` is `true` or not there
          --> .towpath/holds.yaml:9:3
            |
          9 |   - { stop: false }
            |   ^
          at: holds[6]
          hint: to go on, remove the entry

        error: `tomorrow` is not a time
          --> .towpath/holds.yaml:10:67
            |
         10 |   - { policy: portal, environment: production, stop: true, until: tomorrow }
            |                                                                   ^^^^^^^^
          at: holds[7].until
          hint: write date, time and zone: `2026-12-27T06:00:00Z`
        "#);
    }

    #[test]
    fn two_pins_that_contradict_each_other_are_a_problem() {
        insta::assert_snapshot!(told("
holds:
  - { policy: portal, environment: dev, pin: v1 }
  - { policy: portal, environment: dev, pin: v2 }
"), @"
        error: a second pin of portal in dev; the first is in line 3
          --> .towpath/holds.yaml:4:3
            |
          4 |   - { policy: portal, environment: dev, pin: v2 }
            |   ^
          at: holds[1]
        ");
    }

    #[test]
    fn a_file_that_is_no_map_is_told() {
        insta::assert_snapshot!(told("- a\n"), @"
        error: expected a map with the key `holds`, found a list
          --> .towpath/holds.yaml:1:1
            |
          1 | - a
            | ^^^
        ");
    }
}
