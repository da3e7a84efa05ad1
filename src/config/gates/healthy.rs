//! The gate `healthy` as it is written: `true`, `false`, or how long it must have been so.

use serde_json::{Value as Json, json};

use super::super::problem::Faults;
use super::super::shape::{Block, Placed, Shape, shape};
use super::super::tree::{Node, Value};
use super::Age;
use crate::policy::gate::Healthy;

/// Whether an environment asks for the health of what it comes after.
#[derive(Clone, Debug)]
pub(in crate::config) enum HealthyGate {
    Asked(Option<Placed<Age>>),
    NotAsked,
}

shape! {
    /// How the Applications of Argo CD must be.
    struct HealthyEntry {
        /// How long they must have been healthy with the version: `10s`, `2m`. Default: `10s`.
        settle: Option<Placed<Age>> = "settle",
    }
}

impl Shape for HealthyGate {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Map(_) => {
                HealthyEntry::read(node, faults).map(|entry| Self::Asked(entry.settle))
            }
            Value::Scalar(_) | Value::List(_) | Value::Empty | Value::Refused => {
                bool::read(node, faults).map(|is_asked| match is_asked {
                    true => Self::Asked(None),
                    false => Self::NotAsked,
                })
            }
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [{ "type": "boolean" }, HealthyEntry::schema()?] }))
    }
}

/// What is asked of an environment that comes after another (`is_after`) where Argo CD is connected (`is_connected`; `None` where that is
/// not known, since the settings cannot be read).
pub(super) fn healthy(
    written: Option<Block<HealthyGate>>,
    (is_after, is_connected): (bool, Option<bool>),
    faults: &mut Faults,
) -> Option<Healthy> {
    let Some(Block { value, span, .. }) = written else {
        return (is_after && is_connected == Some(true)).then(Healthy::default);
    };
    let HealthyGate::Asked(settle) = value else {
        return None;
    };
    if !is_after {
        faults.error_with_hint(
            span,
            "`healthy` is about how a version is in the environment before, and there is none",
            "name it with `after`, or leave `healthy` out",
        );
    } else if is_connected == Some(false) {
        faults.error_with_hint(
            span,
            "no Argo CD tells what is healthy",
            "add a connection under `argo-cd` in the settings, or leave `healthy` out",
        );
    }
    let settle = settle.map(
        |Placed {
             value: Age(settle), ..
         }| Healthy { settle },
    );
    Some(settle.unwrap_or_default())
}
