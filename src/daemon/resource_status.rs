//! What stands under `status` of a custom resource: whether it counts, and how its environments stand.
//!
//! <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>.
//! Plain functions; the time is a parameter. Not here: when it is written (`resources`), and its schema (`config/crd`).
//! Invariant: it is bounded, however large a policy is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::cluster::resources::{KnownStatus, ResourceKind};
use crate::config::{Judged, Verdict};
use crate::plan::{Decided, Decision};
use crate::policy::EnvironmentName;

/// Images of environments that are shown one by one, the first ones: with a reason of 256 bytes each has 600, so these are 120 kB of
/// the 1.5 MB that an object may have.
const IMAGES_MAX: usize = 200;

/// Bytes of a reason that are kept: what people read in one glance.
const REASON_LENGTH_MAX: usize = 256;

/// Bytes of a condition's message that are kept; Kubernetes' own limit is 32,768 characters.
const MESSAGE_LENGTH_MAX: usize = 1024;

/// What is known of a custom resource.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) judged: &'a Judged,
    /// What keeps it, or some of its applications, from counting.
    pub(super) troubles: &'a [String],
    /// What was decided last; of a fleet, for each of its applications.
    pub(super) decided: &'a [Vec<Decided>],
}

/// How one image of an environment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Failing,
    Waiting,
    Promoting,
    Newest,
}

/// A condition, but for since when it is so.
struct Condition {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl State {
    const ALL: [Self; 4] = [Self::Failing, Self::Waiting, Self::Promoting, Self::Newest];

    fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Promote(_) => Self::Promoting,
            Decision::Hold(reason) if reason.kind() == "newest" => Self::Newest,
            // What ends by itself within one round is no news.
            Decision::Hold(reason) if reason.is_fault() && !reason.is_passing() => Self::Failing,
            Decision::Hold(_) => Self::Waiting,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Failing => "Failing",
            Self::Waiting => "Waiting",
            Self::Promoting => "Promoting",
            Self::Newest => "Newest",
        }
    }
}

/// What is to stand there, where `before` does. Keys without a value are `null`, which a merge patch takes away.
pub(super) fn status(known: Known<'_>, before: &KnownStatus, now: Timestamp) -> Json {
    let Known {
        judged,
        troubles,
        decided,
    } = known;
    let mut status = json!({ "observedGeneration": judged.generation });
    let accepted = accepted(&judged.verdict, troubles);
    let counts = accepted.status == "True";
    let mut conditions = vec![accepted];
    if judged.id.kind == ResourceKind::Policy {
        let decided: &[Vec<Decided>] = if counts { decided } else { &[] };
        conditions.push(ready(counts, troubles, decided));
        tell_environments(&mut status, &judged.verdict, decided);
    }
    let conditions = conditions.into_iter();
    let conditions = conditions.map(|one| one.since(before, judged.generation, now));
    status["conditions"] = conditions.collect();
    status
}

fn accepted(verdict: &Verdict, troubles: &[String]) -> Condition {
    let condition = |status, reason, message: String| Condition {
        kind: "Accepted",
        status,
        reason,
        message,
    };
    match (verdict, troubles) {
        (Verdict::Refused(problems), _) => {
            condition("False", "Invalid", problems.by_key(MESSAGE_LENGTH_MAX))
        }
        (Verdict::Taken(problems), _) => {
            condition("False", "NameTaken", problems.by_key(MESSAGE_LENGTH_MAX))
        }
        (Verdict::Policy, [why, ..]) => condition("False", "NameTaken", why.clone()),
        (Verdict::Policy, []) => condition("True", "Accepted", "it counts".to_owned()),
        (Verdict::Fleet, _) => condition("True", "Accepted", "its applications count".to_owned()),
        (Verdict::Route, _) => condition(
            "True",
            "Accepted",
            "policies of this namespace may name it".to_owned(),
        ),
    }
}

fn ready(counts: bool, troubles: &[String], decided: &[Vec<Decided>]) -> Condition {
    let condition = |status, reason, message: String| Condition {
        kind: "Ready",
        status,
        reason,
        message,
    };
    if !counts {
        return condition(
            "False",
            "NotAccepted",
            "nothing is promoted until it is accepted".to_owned(),
        );
    }
    let all = || decided.iter().flatten();
    let failing = all().find(|one| State::of(&one.decision) == State::Failing);
    match (failing, troubles) {
        (Some(one), _) => {
            // Which application of a fleet it is.
            let application = match decided {
                [_, _, ..] => format!("{} ", one.policy),
                [] | [_] => String::new(),
            };
            let place = format!("{application}{} {}", one.environment, one.image);
            let message = format!("{place}: {}", reason(one));
            condition("False", "Failing", message)
        }
        (None, [why, ..]) => condition("False", "Failing", why.clone()),
        (None, []) if all().next().is_none() => {
            condition("Unknown", "Pending", "nothing was decided yet".to_owned())
        }
        (None, []) => condition(
            "True",
            "Ready",
            "everything that it rests on is known".to_owned(),
        ),
    }
}

fn tell_environments(status: &mut Json, verdict: &Verdict, decided: &[Vec<Decided>]) {
    let all = || decided.iter().flatten();
    let counts = counts(all().map(|one| State::of(&one.decision)));
    let summary = counts
        .iter()
        .map(|(state, count)| format!("{count} {}", state.name().to_lowercase()));
    let summary: Vec<String> = summary.collect();
    status["summary"] = json!(summary.join(", "));
    let next = all().filter_map(|one| one.next).min();
    status["nextTime"] = json!(next.map(|next| next.to_string()));
    status["applications"] = Json::Null;
    status["environments"] = json!([]);
    match verdict {
        Verdict::Fleet => {
            let worst = decided.iter().filter_map(|of_one| {
                let states = of_one.iter().map(|one| State::of(&one.decision));
                states.min()
            });
            let mut applications = json!({ "total": decided.len() });
            for (state, count) in self::counts(worst) {
                applications[state.name().to_lowercase()] = json!(count);
            }
            // A merge patch leaves what it does not name.
            for state in State::ALL {
                let name = state.name().to_lowercase();
                if applications.get(&name).is_none() {
                    applications[name] = json!(0);
                }
            }
            status["applications"] = applications;
        }
        Verdict::Policy => status["environments"] = environments(all()),
        Verdict::Route | Verdict::Refused(_) | Verdict::Taken(_) => {}
    }
}

/// How often each state is there, those that people should see first.
fn counts(states: impl Iterator<Item = State>) -> Vec<(State, usize)> {
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    counts.into_iter().collect()
}

fn environments<'a>(decided: impl Iterator<Item = &'a Decided>) -> Json {
    let mut environments: Vec<(&EnvironmentName, Vec<Json>)> = Vec::new();
    for one in decided.take(IMAGES_MAX) {
        let shown = image(one);
        match environments.last_mut() {
            Some((name, images)) if **name == one.environment => images.push(shown),
            Some(_) | None => environments.push((&one.environment, vec![shown])),
        }
    }
    let shown = environments
        .into_iter()
        .map(|(name, images)| json!({ "name": name.as_str(), "images": images }));
    shown.collect()
}

fn image(decided: &Decided) -> Json {
    let Decided {
        policy: _,
        environment: _,
        image,
        repository: _,
        current,
        candidate,
        decision,
        health: _,
        next,
    } = decided;
    json!({
        "name": image.as_str(),
        "current": current.as_ref().map(|current| cut(current, REASON_LENGTH_MAX)),
        "candidate": candidate.as_ref().map(ToString::to_string),
        "state": State::of(decision).name(),
        "reason": cut(&reason(decided), REASON_LENGTH_MAX),
        "nextTime": next.map(|next| next.to_string()),
    })
}

fn reason(decided: &Decided) -> String {
    match &decided.decision {
        Decision::Promote(promote) => promote.to_string(),
        Decision::Hold(reason) => reason.to_string(),
    }
}

/// The beginning of a text, on one line.
fn cut(text: &str, length_max: usize) -> String {
    let is_between = |c: char| c.is_whitespace() || c.is_control();
    let words = text.split(is_between).filter(|word| !word.is_empty());
    let text = words.collect::<Vec<_>>().join(" ");
    match text.len() > length_max {
        true => format!("{}…", &text[..text.floor_char_boundary(length_max)]),
        false => text,
    }
}

impl Condition {
    /// With since when it is so: as long as `before` says the same.
    fn since(self, before: &KnownStatus, generation: i64, now: Timestamp) -> Json {
        let Self {
            kind,
            status,
            reason,
            message,
        } = self;
        let since = before.since(kind, status).map(str::to_owned);
        json!({
            "type": kind,
            "status": status,
            "observedGeneration": generation,
            // Whole seconds, as Kubernetes writes it.
            "lastTransitionTime": since.unwrap_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            "reason": reason,
            "message": cut(&message, MESSAGE_LENGTH_MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value as Json, json};

    use super::{IMAGES_MAX, Known, KnownStatus, status};
    use crate::cluster::resources::{ResourceId, ResourceKind};
    use crate::config::{Judged, Verdict};
    use crate::plan::{Decided, Decision, HoldReason};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_772_000_000 + second).unwrap()
    }

    fn judged(verdict: Verdict) -> Judged {
        let kind = match verdict {
            Verdict::Route => ResourceKind::Route,
            Verdict::Policy | Verdict::Fleet | Verdict::Refused(_) | Verdict::Taken(_) => {
                ResourceKind::Policy
            }
        };
        Judged {
            id: ResourceId {
                kind,
                namespace: "team-a".to_owned(),
                name: "portal".to_owned(),
            },
            uid: "u".to_owned(),
            generation: 3,
            verdict,
        }
    }

    fn decided(environment: &str, reason: HoldReason) -> Decided {
        Decided {
            policy: "portal".parse().unwrap(),
            environment: environment.parse().unwrap(),
            image: "web".parse().unwrap(),
            repository: "ghcr.io/acme/web".parse().unwrap(),
            current: Some("v1.0.0".to_owned()),
            candidate: "v1.1.0".parse().ok(),
            decision: Decision::Hold(reason),
            health: None,
            next: Some(at(60)),
        }
    }

    fn unknown() -> HoldReason {
        HoldReason::RegistryUnknown {
            repository: "ghcr.io/acme/web".parse().unwrap(),
            why: "no\nanswer ".repeat(100),
        }
    }

    fn told(verdict: Verdict, troubles: &[String], decided: &[Vec<Decided>]) -> Json {
        let judged = judged(verdict);
        let known = Known {
            judged: &judged,
            troubles,
            decided,
        };
        status(known, &KnownStatus::default(), at(0))
    }

    fn conditions(status: &Json) -> Vec<String> {
        let conditions = status["conditions"].as_array().unwrap().iter();
        let line = |one: &Json| {
            let text = |key: &str| one[key].as_str().unwrap().to_owned();
            format!("{}={} {}", text("type"), text("status"), text("reason"))
        };
        conditions.map(line).collect()
    }

    #[test]
    fn a_policy_says_how_each_of_its_environments_stands() {
        let all = vec![
            decided("dev", HoldReason::Newest),
            decided("next", unknown()),
        ];
        let status = told(Verdict::Policy, &[], &[all]);
        assert_eq!(
            conditions(&status),
            ["Accepted=True Accepted", "Ready=False Failing"]
        );
        assert_eq!(status["summary"], "1 failing, 1 newest");
        let image = &status["environments"][0]["images"][0];
        assert_eq!(
            (&image["current"], &image["state"]),
            (&json!("v1.0.0"), &json!("Newest"))
        );
        let reason = status["environments"][1]["images"][0]["reason"]
            .as_str()
            .unwrap();
        assert_eq!(reason.chars().count(), 257);
        assert!(!reason.contains('\n'));
    }

    #[test]
    fn what_is_not_accepted_is_not_ready_and_a_name_that_is_taken_is_not_accepted() {
        let taken = ["taken".to_owned()];
        let status = told(
            Verdict::Policy,
            &taken,
            &[vec![decided("dev", HoldReason::Newest)]],
        );
        assert_eq!(
            conditions(&status),
            ["Accepted=False NameTaken", "Ready=False NotAccepted"]
        );
        assert_eq!(status["environments"], json!([]));
        let status = told(Verdict::Policy, &[], &[vec![]]);
        assert_eq!(
            conditions(&status),
            ["Accepted=True Accepted", "Ready=Unknown Pending"]
        );
        assert_eq!(
            conditions(&told(Verdict::Route, &[], &[])),
            ["Accepted=True Accepted"]
        );
    }

    #[test]
    fn a_fleet_counts_its_applications_by_the_worst_of_each() {
        let well = vec![decided("dev", HoldReason::Newest)];
        let ill = vec![
            decided("dev", HoldReason::Newest),
            decided("next", unknown()),
        ];
        let status = told(Verdict::Fleet, &[], &[well.clone(), ill, well]);
        let expected =
            json!({ "total": 3, "failing": 1, "waiting": 0, "promoting": 0, "newest": 2 });
        assert_eq!(status["applications"], expected);
        assert_eq!(status["environments"], json!([]));
    }

    #[test]
    fn the_time_of_a_condition_stays_as_long_as_it_says_the_same() {
        let judged = judged(Verdict::Policy);
        let told = |reason, before: &KnownStatus, second| {
            let decided = [vec![decided("dev", reason)]];
            let known = Known {
                judged: &judged,
                troubles: &[],
                decided: &decided,
            };
            status(known, before, at(second))
        };
        let first = told(HoldReason::Newest, &KnownStatus::default(), 0);
        let standing = KnownStatus::of(&first);
        let same = told(HoldReason::Newest, &standing, 10);
        assert!(standing.says(&same));
        let other = told(unknown(), &standing, 10);
        assert!(!standing.says(&other));
        let since =
            |status: &Json, index: usize| status["conditions"][index]["lastTransitionTime"].clone();
        assert_eq!(since(&other, 0), since(&first, 0));
        assert_ne!(since(&other, 1), since(&first, 1));
    }

    #[test]
    fn the_status_of_the_largest_policy_is_bounded() {
        let all: Vec<Decided> = (0..10 * IMAGES_MAX)
            .map(|number| decided(&format!("e{number}"), unknown()))
            .collect();
        let status = told(Verdict::Policy, &[], &[all]);
        assert!(status.to_string().len() < 200_000);
        assert_eq!(status["summary"], "2000 failing");

        let mut worst = decided("dev", unknown());
        worst.current = Some("\"\u{1}\u{10ffff}".repeat(1000));
        let status = told(Verdict::Policy, &[], &[vec![worst; IMAGES_MAX]]);
        assert!(status.to_string().len() < 400_000);
    }
}
