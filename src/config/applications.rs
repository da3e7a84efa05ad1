//! Which Applications of Argo CD deploy an environment, as policies write it.
//!
//! Not here: the connections to Argo CD (`argo_cd`).

use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use super::blank::{Blank, Fill, Names};
use super::check_policy::Check;
use super::forms::{OneOrMany, choose, keyed, word};
use super::gates::Age;
use super::problem::Faults;
use super::shape::{Block, Leaf, Placed, Refusal, Shape, list, nearest, shape};
use super::tree::{Node, PlainKind, Value, plain_kind};
use crate::policy::{ApplicationName, ArgoCd, ConnectionName, OnDegraded};

/// How long an environment must have been degraded unless the policy says otherwise: a node that goes away takes its pods with it for
/// less, and Kubernetes gives a rollout up after ten minutes by itself.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

shape! {
    /// Applications of one connection.
    struct ApplicationsEntry {
        /// The connection to Argo CD that shows them, by its name in the settings. Default: whichever does.
        connection: Option<Placed<ConnectionName>> = "connection",
        /// Their names, with the namespace where several have one name: `portal-dev`, `argocd/portal-dev`.
        applications: OneOrMany<Placed<Blank<ApplicationName>>> = "applications",
    }
}

/// What `argo-cd` of an environment says.
#[derive(Clone, Debug)]
pub(super) enum WrittenArgoCd {
    Nothing,
    Named(ApplicationsEntry),
}

impl Shape for WrittenArgoCd {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Map(_) => ApplicationsEntry::read(node, faults).map(Self::Named),
            Value::Scalar(scalar)
                if scalar.plain && plain_kind(&scalar.text) == PlainKind::Boolean =>
            {
                if bool::read(node, faults)? {
                    let message = "expected the name of an Application, or `false`";
                    faults.error(node.span, message);
                    return None;
                }
                Some(Self::Nothing)
            }
            Value::Scalar(_) | Value::List(_) | Value::Empty | Value::Refused => {
                let applications = OneOrMany::read(node, faults)?;
                Some(Self::Named(ApplicationsEntry {
                    connection: None,
                    applications,
                }))
            }
        }
    }

    fn schema() -> Option<Json> {
        let names = <OneOrMany<Placed<Blank<ApplicationName>>> as Shape>::schema()?;
        Some(json!({ "anyOf": [{ "const": false }, names, ApplicationsEntry::schema()?] }))
    }
}

/// What `on-degraded` of an environment says.
#[derive(Clone, Debug)]
pub(super) enum WrittenOnDegraded {
    Hold,
    Rollback(Option<Placed<Age>>),
}

shape! {
    /// How an environment comes back.
    struct RollbackEntry {
        /// How long it must have been degraded: `5m`, `30s`. Default: `5m`.
        grace: Option<Placed<Age>> = "grace",
    }
}

impl Shape for WrittenOnDegraded {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if let Value::Map(_) = &node.value {
            choose(node, &["rollback"], faults)?;
            let entry = RollbackEntry::read(node.get("rollback")?, faults)?;
            return Some(Self::Rollback(entry.grace));
        }
        match word(node, &["hold", "rollback"], faults)? {
            "hold" => Some(Self::Hold),
            _ => Some(Self::Rollback(None)),
        }
    }

    fn schema() -> Option<Json> {
        let rollback = keyed("rollback", RollbackEntry::schema()?);
        Some(json!({ "anyOf": [{ "enum": ["hold", "rollback"] }, rollback] }))
    }
}

impl Leaf for ApplicationName {
    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|error| {
            Refusal::from(error)
                .hint("write `portal-dev`, or `argocd/portal-dev` with its namespace")
        })
    }
}

impl Fill for ApplicationName {}

impl Check<'_> {
    /// Which Applications deploy an environment; notes a connection that the settings do not have.
    pub(super) fn argo_cd(
        &mut self,
        written: Option<&Block<WrittenArgoCd>>,
        names: Names<'_>,
    ) -> ArgoCd {
        let Some(Block { value, span, .. }) = written else {
            return ArgoCd::default();
        };
        if self
            .connections
            .is_some_and(|connections| connections.is_empty())
        {
            let message = "the settings have no connection to Argo CD, so this changes nothing";
            self.faults.warning(*span, message);
        }
        let ApplicationsEntry {
            connection,
            applications: OneOrMany(applications),
        } = match value {
            WrittenArgoCd::Nothing => return ArgoCd::Nothing,
            WrittenArgoCd::Named(entry) => entry,
        };
        if let (Some(named), Some(known)) = (connection, self.connections)
            && !known.is_empty()
            && !known.contains(&named.value)
        {
            let known: Vec<&str> = known.iter().map(ConnectionName::as_str).collect();
            let near = nearest(named.value.as_str(), &known);
            let hint = match (&self.scope, near) {
                // What else the settings have is nothing to those who write resources.
                (Some(_), _) => "whoever keeps the settings knows its name".to_owned(),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => format!("known: {}", list(&known)),
            };
            let message = format!(
                "the settings have no connection `{}` to Argo CD",
                named.value
            );
            self.faults.error_with_hint(named.span, message, hint);
        }
        let filled = applications
            .iter()
            .filter_map(|name| name.value.filled(names, self.faults));
        ArgoCd::Named {
            connection: connection.as_ref().map(|named| named.value.clone()),
            applications: filled.collect(),
        }
    }

    /// What to do where a promotion makes an environment degraded that `argo_cd` deploys.
    pub(super) fn on_degraded(
        &mut self,
        written: Option<&Block<WrittenOnDegraded>>,
        argo_cd: &ArgoCd,
    ) -> OnDegraded {
        let Some(Block { value, span, .. }) = written else {
            return OnDegraded::Hold;
        };
        let WrittenOnDegraded::Rollback(grace) = value else {
            return OnDegraded::Hold;
        };
        let is_connected = self
            .connections
            .is_none_or(|connections| !connections.is_empty());
        if !is_connected || *argo_cd == ArgoCd::Nothing {
            self.faults.error_with_hint(
                *span,
                "no Argo CD tells when this environment is degraded",
                "add a connection under `argo-cd` in the settings, or leave `on-degraded` out",
            );
        }
        let grace = grace.as_ref().map_or(GRACE, |grace| grace.value.0);
        OnDegraded::Rollback { grace }
    }
}
