//! What registries tell of pushes: a payload in, the image repositories that it names out.
//!
//! Reading order: `kinds` (what each registry means by a push), `wire` (what its JSON looks like). Not here: who may tell
//! (`web`), and what follows (`daemon`). Invariant: nothing of a payload is believed but names of repositories, and
//! they can only make one be listed that is watched anyway.

mod kinds;
mod wire;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

use wire::{
    Artifact, DockerHub, Ecr, Envelope, Generic, GitHub, GitLab, Google, Harbor, Quay, Registry,
    Zot,
};

/// Who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EventKind {
    Acr,
    Distribution,
    DockerHub,
    Ecr,
    Generic,
    Ghcr,
    Gitlab,
    Google,
    Harbor,
    Quay,
    Zot,
}

/// One message as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// The header `Ce-Type`, which a CloudEvent in binary mode has instead of a field.
    pub(crate) event_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// The image repositories that a message names, by the path and, where it tells, by the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    /// As [`crate::image::Repository::registry`] spells it. `None` where the registry does not tell its own name: the
    /// path alone decides then.
    pub(crate) host: Option<String>,
    pub(crate) path: String,
    pub(crate) extent: Extent,
}

/// How many repositories a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    /// The one of that path.
    Alone,
    /// That one and all below: whoever tells knows the project and not the image.
    AndBelow,
}

/// Why a message cannot be read. Holds nothing of the message but a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    #[error("the body is not JSON at line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("the body is not an event of the kind `{kind}` at line {line}, column {column}")]
    OtherKind {
        kind: &'static str,
        line: usize,
        column: usize,
    },
    #[error("the `data` of the Pub/Sub message is not base64")]
    NotBase64,
}

impl EventKind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Acr,
        Self::Distribution,
        Self::DockerHub,
        Self::Ecr,
        Self::Generic,
        Self::Ghcr,
        Self::Gitlab,
        Self::Google,
        Self::Harbor,
        Self::Quay,
        Self::Zot,
    ];

    /// The name in settings, URLs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Acr => "acr",
            Self::Distribution => "distribution",
            Self::DockerHub => "docker-hub",
            Self::Ecr => "ecr",
            Self::Generic => "generic",
            Self::Ghcr => "ghcr",
            Self::Gitlab => "gitlab",
            Self::Google => "google",
            Self::Harbor => "harbor",
            Self::Quay => "quay",
            Self::Zot => "zot",
        }
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The repositories to which `message` says that a tag was pushed; none where it speaks of anything else.
pub(crate) fn pushed(kind: EventKind, message: Message<'_>) -> Result<BTreeSet<Named>, EventError> {
    let Message { event_type, body } = message;
    let named = match kind {
        EventKind::Acr => kinds::distribution([read::<Registry>(kind, body)?]),
        EventKind::Distribution => {
            let Envelope { events } = read(kind, body)?;
            kinds::distribution(events.into_iter().flatten())
        }
        EventKind::DockerHub => kinds::docker_hub(read::<DockerHub>(kind, body)?),
        EventKind::Ecr => kinds::ecr(read::<Ecr>(kind, body)?),
        EventKind::Generic => kinds::generic(read::<Generic>(kind, body)?),
        EventKind::Ghcr => kinds::ghcr(read::<GitHub>(kind, body)?),
        EventKind::Gitlab => kinds::gitlab(read::<GitLab>(kind, body)?),
        EventKind::Google => {
            let Google {
                message,
                action,
                tag,
            } = read(kind, body)?;
            let artifact = match message.and_then(|message| message.data) {
                Some(data) => read(kind, &decoded(&data)?)?,
                None => Artifact { action, tag },
            };
            kinds::google(artifact)
        }
        EventKind::Harbor => kinds::harbor(read::<Harbor>(kind, body)?),
        EventKind::Quay => kinds::quay(read::<Quay>(kind, body)?),
        EventKind::Zot => kinds::zot(event_type, read::<Zot>(kind, body)?),
    };
    Ok(named.into_iter().collect())
}

/// Reads JSON, as deep as serde_json goes: 128 levels where a value is kept, and without recursion where it is not.
fn read<T: DeserializeOwned>(kind: EventKind, body: &[u8]) -> Result<T, EventError> {
    // What serde_json says of a value may hold the value, so only the place is passed on.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.is_data() {
            true => EventError::OtherKind {
                kind: kind.name(),
                line,
                column,
            },
            false => EventError::NotJson { line, column },
        }
    })
}

/// The data of a message of Pub/Sub.
fn decoded(data: &str) -> Result<Vec<u8>, EventError> {
    STANDARD.decode(data).map_err(|_| EventError::NotBase64)
}

#[cfg(test)]
mod tests;
