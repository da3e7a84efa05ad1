//! The part of a world file that is about signatures and attestations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Claims;
use crate::image::Digest;
use crate::policy::gate::{ClaimName, Report, Severity, Vouched};
use crate::world::Fact;
use crate::world::saved::{LoadWorldError, parse};

/// By their digests, and by what was asked.
pub(in crate::world) type SavedClaims = BTreeMap<String, BTreeMap<String, SavedClaim>>;

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedClaim {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vouched: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    report: Option<SavedReport>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedReport {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scanned: Option<String>,
    /// By their severity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    findings: BTreeMap<String, Vec<String>>,
}

pub(in crate::world) fn save(vouched: &BTreeMap<Digest, Claims>) -> SavedClaims {
    let of_digest = |(digest, claims): (&Digest, &Claims)| {
        let claims = claims.iter();
        let saved = claims.map(|(name, fact)| (name.to_string(), save_one(fact)));
        (digest.to_string(), saved.collect())
    };
    vouched.iter().map(of_digest).collect()
}

pub(in crate::world) fn load(
    saved: SavedClaims,
) -> Result<BTreeMap<Digest, Claims>, LoadWorldError> {
    let of_digest = |(digest, claims): (String, BTreeMap<String, SavedClaim>)| {
        let claims = claims.into_iter();
        let loaded = claims.map(|(name, saved)| {
            let fact = load_one(&name, saved)?;
            Ok((ClaimName(name), fact))
        });
        Ok((
            parse(&digest, "a digest")?,
            loaded.collect::<Result<_, _>>()?,
        ))
    };
    saved.into_iter().map(of_digest).collect()
}

fn save_one(fact: &Fact<Vouched>) -> SavedClaim {
    match fact {
        Fact::Unknown { why } => SavedClaim {
            unknown: Some(why.clone()),
            ..SavedClaim::default()
        },
        Fact::Known(Vouched::No { why }) => SavedClaim {
            vouched: Some(false),
            why: Some(why.clone()),
            ..SavedClaim::default()
        },
        Fact::Known(Vouched::Yes { by, report }) => SavedClaim {
            vouched: Some(true),
            by: by.clone(),
            report: report.as_ref().map(save_report),
            ..SavedClaim::default()
        },
    }
}

fn save_report(Report { scanned, findings }: &Report) -> SavedReport {
    let mut by_severity: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, severity) in findings {
        let ids = by_severity.entry(severity.to_string()).or_default();
        ids.push(id.clone());
    }
    SavedReport {
        scanned: scanned.map(|at| at.to_string()),
        findings: by_severity,
    }
}

fn load_one(name: &str, saved: SavedClaim) -> Result<Fact<Vouched>, LoadWorldError> {
    let SavedClaim {
        unknown,
        vouched,
        why,
        by,
        report,
    } = saved;
    if let Some(why) = unknown {
        return Ok(Fact::Unknown { why });
    }
    Ok(Fact::Known(match vouched {
        Some(true) => Vouched::Yes {
            by,
            report: report.map(load_report).transpose()?,
        },
        Some(false) => Vouched::No {
            why: why.unwrap_or_default(),
        },
        None => {
            return Err(LoadWorldError::Value {
                text: name.to_owned(),
                what: "a claim, since it has neither `vouched` nor `unknown`",
            });
        }
    }))
}

fn load_report(saved: SavedReport) -> Result<Report, LoadWorldError> {
    let SavedReport { scanned, findings } = saved;
    let mut loaded = BTreeMap::new();
    for (word, ids) in findings {
        let severity = Severity::ALL
            .into_iter()
            .find(|severity| severity.as_str() == word);
        let severity = severity.ok_or(LoadWorldError::Value {
            text: word,
            what: "a severity",
        })?;
        loaded.extend(ids.into_iter().map(|id| (id, severity)));
    }
    Ok(Report {
        scanned: scanned.map(|at| parse(&at, "a time")).transpose()?,
        findings: loaded,
    })
}
