//! The part of a world file that is about promotions and holds.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::image::Reference;
use crate::ledger::{Hold, HoldKind, Ledger, Moved, Recorded, Resumed, Target};
use crate::world::Fact;
use crate::world::saved::{LoadWorldError, parse};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::world) struct SavedPromotion {
    commit: String,
    at: String,
    policy: String,
    environment: String,
    image: String,
    reference: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rejects: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merge: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pull_request: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    since_resumed: bool,
}

/// The latest resumption of one environment.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedResumed {
    commit: String,
    at: String,
    policy: String,
    environment: String,
    /// As `IMAGE TEXT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stands: Option<Vec<String>>,
}

/// One hold, in the words of the file that it stands in.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedHold {
    line: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approve: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reject: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stop: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

pub(in crate::world) fn save_promotions(ledger: &Ledger) -> Vec<SavedPromotion> {
    let mut promotions = Vec::new();
    for ((policy, environment, image), recorded) in ledger.iter() {
        let Recorded {
            commit,
            at,
            merge,
            pull_request,
            is_since_resumed,
            moved:
                Moved {
                    repository,
                    tag,
                    digest,
                    replaced,
                    rejects,
                },
        } = recorded.clone();
        promotions.push(SavedPromotion {
            commit: commit.to_string(),
            at: at.to_string(),
            policy: policy.to_string(),
            environment: environment.to_string(),
            image: image.to_string(),
            reference: Reference {
                repository,
                tag: Some(tag),
                digest,
            }
            .to_string(),
            replaced,
            rejects,
            merge: merge.map(|merge| merge.to_string()),
            pull_request,
            since_resumed: is_since_resumed,
        });
    }
    promotions
}

pub(in crate::world) fn save_resumed(ledger: &Ledger) -> Vec<SavedResumed> {
    let resumed = ledger.resumptions();
    let saved = resumed.map(|((policy, environment), resumed)| {
        let Resumed { commit, at, stands } = resumed;
        let text = |(image, text): &(_, String)| format!("{image} {text}");
        SavedResumed {
            commit: commit.to_string(),
            at: at.to_string(),
            policy: policy.to_string(),
            environment: environment.to_string(),
            stands: stands
                .as_ref()
                .map(|stands| stands.iter().map(text).collect()),
        }
    });
    saved.collect()
}

pub(in crate::world) fn load_promotions(
    promotions: Vec<SavedPromotion>,
) -> Result<Ledger, LoadWorldError> {
    let mut ledger = Ledger::default();
    for saved in promotions {
        let Reference {
            repository,
            tag,
            digest,
        } = parse(&saved.reference, "an image reference")?;
        let untagged = || LoadWorldError::Value {
            text: saved.reference.clone(),
            what: "a reference with a tag",
        };
        let moved = Moved {
            repository,
            tag: tag.ok_or_else(untagged)?,
            digest,
            replaced: saved.replaced,
            rejects: saved.rejects,
        };
        let key = (
            parse(&saved.policy, "a policy's name")?,
            parse(&saved.environment, "an environment's name")?,
            parse(&saved.image, "an image's name")?,
        );
        let merge = saved.merge.map(|merge| parse(&merge, "a commit"));
        let recorded = Recorded {
            commit: parse(&saved.commit, "a commit")?,
            at: parse(&saved.at, "a time")?,
            merge: merge.transpose()?,
            pull_request: saved.pull_request,
            is_since_resumed: saved.since_resumed,
            moved,
        };
        ledger.record(key, recorded);
    }
    Ok(ledger)
}

pub(in crate::world) fn load_resumed(
    ledger: &mut Ledger,
    resumed: Vec<SavedResumed>,
) -> Result<(), LoadWorldError> {
    for saved in resumed {
        let stood = |text: String| {
            let (image, stood) = text.split_once(' ').unwrap_or((&text, ""));
            Ok((parse(image, "an image's name")?, stood.to_owned()))
        };
        let stands = saved
            .stands
            .map(|stands| stands.into_iter().map(stood).collect());
        let key = (
            parse(&saved.policy, "a policy's name")?,
            parse(&saved.environment, "an environment's name")?,
        );
        let resumed = Resumed {
            commit: parse(&saved.commit, "a commit")?,
            at: parse(&saved.at, "a time")?,
            stands: stands.transpose()?,
        };
        ledger.resume(key, resumed);
    }
    Ok(())
}

/// Why the holds are unknown, or the holds.
pub(in crate::world) fn save_holds(holds: &Fact<Vec<Hold>>) -> (Option<String>, Vec<SavedHold>) {
    match holds {
        Fact::Known(holds) => (None, holds.iter().map(save_hold).collect()),
        Fact::Unknown { why } => (Some(why.clone()), Vec::new()),
    }
}

fn save_hold(hold: &Hold) -> SavedHold {
    fn text(value: Option<&impl Display>) -> Option<String> {
        value.map(ToString::to_string)
    }
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
        line,
    } = hold;
    let saved = SavedHold {
        line: *line,
        policy: text(policy.as_ref()),
        environment: text(environment.as_ref()),
        image: text(image.as_ref()),
        reason: reason.clone(),
        by: by.clone(),
        until: text(until.as_ref()),
        ..SavedHold::default()
    };
    match kind {
        HoldKind::Pin(version) => SavedHold {
            pin: Some(version.to_string()),
            ..saved
        },
        HoldKind::Reject(versions) => SavedHold {
            reject: versions.iter().map(ToString::to_string).collect(),
            ..saved
        },
        HoldKind::Stop => SavedHold {
            stop: true,
            ..saved
        },
        HoldKind::Approve(version) => SavedHold {
            approve: Some(version.to_string()),
            ..saved
        },
    }
}

pub(in crate::world) fn load_holds(
    unknown: Option<String>,
    holds: Vec<SavedHold>,
) -> Result<Fact<Vec<Hold>>, LoadWorldError> {
    match unknown {
        Some(why) => Ok(Fact::Unknown { why }),
        None => Ok(Fact::Known(
            holds.into_iter().map(load_hold).collect::<Result<_, _>>()?,
        )),
    }
}

fn load_hold(saved: SavedHold) -> Result<Hold, LoadWorldError> {
    fn value<T: FromStr>(
        text: Option<String>,
        what: &'static str,
    ) -> Result<Option<T>, LoadWorldError> {
        text.map(|text| parse(&text, what)).transpose()
    }
    let SavedHold {
        line,
        policy,
        environment,
        image,
        pin,
        approve,
        reject,
        stop,
        reason,
        by,
        until,
    } = saved;
    let kind = match (pin, approve, &reject[..], stop) {
        (Some(pin), None, [], false) => HoldKind::Pin(parse(&pin, "a version")?),
        (None, Some(approve), [], false) => HoldKind::Approve(parse(&approve, "a version")?),
        (None, None, [_, ..], false) => {
            let versions = reject.iter().map(|version| parse(version, "a version"));
            HoldKind::Reject(versions.collect::<Result<_, _>>()?)
        }
        (None, None, [], true) => HoldKind::Stop,
        _ => {
            return Err(LoadWorldError::Value {
                text: format!("line: {line}"),
                what: "a hold: exactly one of `pin`, `reject`, `stop` and `approve`",
            });
        }
    };
    Ok(Hold {
        target: Target {
            policy: value(policy, "a policy's name")?,
            environment: value(environment, "an environment's name")?,
            image: value(image, "an image's name")?,
        },
        kind,
        reason,
        by,
        until: value(until, "a time")?,
        line,
    })
}
