//! Holds: what people decide about versions. They stand in a file of the manifests repository, and the commits that change it
//! tell who decided what and why.
//!
//! Not here: how the file is written (`config`) and what follows from a hold (`plan`).

use std::fmt::{self, Write as _};
use std::str::FromStr;

use jiff::Timestamp;

use super::message::{Block, ENVIRONMENT, HOLD, HOLD_IMAGE, POLICY, REASON, STANDS, UNTIL, blocks};
use crate::image::{Digest, Tag};
use crate::policy::{EnvironmentName, ImageName, PolicyName};

/// Where the holds of a manifests repository stand, on its own branch.
pub(crate) const HOLDS_FILE: &str = ".towpath/holds.yaml";

/// What a hold is about. What is `None` holds for all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) policy: Option<PolicyName>,
    pub(crate) environment: Option<EnvironmentName>,
    pub(crate) image: Option<ImageName>,
}

/// A version as people name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HeldVersion {
    Tag(Tag),
    /// Where a tag is followed, its digests are the versions.
    Digest(Digest),
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HoldKind {
    /// Exactly this version stands there.
    Pin(HeldVersion),
    /// These versions are no candidates.
    Reject(Vec<HeldVersion>),
    /// Nothing moves.
    Stop,
    /// Somebody agrees to this version, which holds nothing: it may come once enough do.
    Approve(HeldVersion),
}

/// An entry of the file: a hold, or an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) target: Target,
    pub(crate) kind: HoldKind,
    pub(crate) reason: Option<String>,
    pub(crate) by: Option<String>,
    /// When it ends by itself.
    pub(crate) until: Option<Timestamp>,
    /// One-based, in the file.
    pub(crate) line: usize,
}

/// A commit that says what a person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HoldEvent {
    pub(crate) target: Target,
    pub(crate) act: Act,
    pub(crate) reason: Option<String>,
    pub(crate) until: Option<Timestamp>,
}

/// What a commit does to the holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Hold(HoldKind),
    /// Ends what was held. `stands`: the texts that stood there then, by image; `None` where the commit does not tell.
    Resume {
        stands: Option<Vec<(ImageName, String)>>,
    },
}

impl Target {
    /// Whether it is about `image` of `policy` in `environment`.
    pub(crate) fn covers(
        &self,
        policy: &PolicyName,
        environment: &EnvironmentName,
        image: &ImageName,
    ) -> bool {
        self.policy.as_ref().is_none_or(|named| named == policy)
            && self
                .environment
                .as_ref()
                .is_none_or(|named| named == environment)
            && self.image.as_ref().is_none_or(|named| named == image)
    }
}

impl Hold {
    /// Whether it holds nothing, and lets something come.
    pub(crate) fn is_approval(&self) -> bool {
        matches!(self.kind, HoldKind::Approve(_))
    }

    /// Whether it counts at `now`; it ends exactly at `until`.
    pub(crate) fn is_in_force(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl HoldEvent {
    /// The trailers of the commit, one per line, the last line ended.
    pub(crate) fn trailers(&self) -> String {
        let Self {
            target:
                Target {
                    policy,
                    environment,
                    image,
                },
            act,
            reason,
            until,
        } = self;
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn fmt::Display| {
            writeln!(text, "{key}: {value}").expect("a string can be written");
        };
        if let Some(policy) = policy {
            line(POLICY, policy);
        }
        if let Some(environment) = environment {
            line(ENVIRONMENT, environment);
        }
        line(HOLD, act);
        if let Some(image) = image {
            line(HOLD_IMAGE, image);
        }
        if let Act::Resume {
            stands: Some(stands),
        } = act
        {
            for (image, stands) in stands {
                line(STANDS, &format_args!("{image} {stands}"));
            }
        }
        if let Some(reason) = reason {
            line(REASON, reason);
        }
        if let Some(until) = until {
            line(UNTIL, until);
        }
        text
    }

    /// Reads what the commit message tells of holds.
    pub(crate) fn read(message: &str) -> Vec<Self> {
        blocks(message).iter().filter_map(Self::of_block).collect()
    }

    fn of_block(block: &Block<'_>) -> Option<Self> {
        let act = block.one(HOLD)?.parse().ok()?;
        let act = match act {
            Act::Resume { .. } => Act::Resume {
                stands: stands(block),
            },
            Act::Hold(_) => act,
        };
        let target = Target {
            policy: parsed(block.one(POLICY)).ok()?,
            environment: parsed(block.one(ENVIRONMENT)).ok()?,
            image: parsed(block.one(HOLD_IMAGE)).ok()?,
        };
        Some(Self {
            target,
            act,
            reason: block.one(REASON).map(str::to_owned),
            until: parsed(block.one(UNTIL)).ok()?,
        })
    }
}

fn parsed<T: FromStr>(text: Option<&str>) -> Result<Option<T>, T::Err> {
    text.map(str::parse).transpose()
}

fn stands(block: &Block<'_>) -> Option<Vec<(ImageName, String)>> {
    let stands: Vec<_> = block
        .all(STANDS)
        .filter_map(|value| {
            let (image, stands) = value.split_once(' ')?;
            Some((image.parse().ok()?, stands.to_owned()))
        })
        .collect();
    (!stands.is_empty()).then_some(stands)
}

/// Why a text is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version: a tag, or a digest such as `sha256:...`")]
pub(crate) struct ParseVersionError {
    text: String,
}

impl FromStr for HeldVersion {
    type Err = ParseVersionError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let tag = s.parse().map(Self::Tag).ok();
        let version = tag.or_else(|| s.parse().map(Self::Digest).ok());
        version.ok_or_else(|| ParseVersionError { text: s.to_owned() })
    }
}

impl HeldVersion {
    /// The tag, or the digest in its short form, for people.
    pub(crate) fn short(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.short(),
        }
    }
}

impl fmt::Display for HeldVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin(version) => write!(f, "pin {version}"),
            Self::Reject(versions) => {
                f.write_str("reject")?;
                versions
                    .iter()
                    .try_for_each(|version| write!(f, " {version}"))
            }
            Self::Stop => f.write_str("stop"),
            Self::Approve(version) => write!(f, "approve {version}"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(kind) => kind.fmt(f),
            Self::Resume { stands: _ } => f.write_str("resume"),
        }
    }
}

impl FromStr for Act {
    type Err = ParseActError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let no_act = || ParseActError { text: s.to_owned() };
        let mut words = s.split_ascii_whitespace();
        let act = words.next().ok_or_else(no_act)?;
        let versions: Result<Vec<HeldVersion>, _> = words.map(str::parse).collect();
        let versions = versions.map_err(|_| no_act())?;
        match (act, &versions[..]) {
            ("pin", [version]) => Ok(Self::Hold(HoldKind::Pin(version.clone()))),
            ("reject", [_, ..]) => Ok(Self::Hold(HoldKind::Reject(versions))),
            ("stop", []) => Ok(Self::Hold(HoldKind::Stop)),
            ("approve", [version]) => Ok(Self::Hold(HoldKind::Approve(version.clone()))),
            ("resume", []) => Ok(Self::Resume { stands: None }),
            _ => Err(no_act()),
        }
    }
}

/// Why a text does not say what becomes of holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is none of `pin VERSION`, `reject VERSION`, `stop`, `approve VERSION` and `resume`"
)]
pub(crate) struct ParseActError {
    text: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            policy,
            environment,
            image,
        } = self;
        match (policy, environment) {
            (None, None) => f.write_str("everything"),
            (Some(policy), None) => write!(f, "{policy} everywhere"),
            (None, Some(environment)) => write!(f, "everything in {environment}"),
            (Some(policy), Some(environment)) => write!(f, "{policy} in {environment}"),
        }?;
        match image {
            Some(image) => write!(f, ", image {image}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, HoldEvent, HoldKind, Target};

    fn event(act: Act) -> HoldEvent {
        HoldEvent {
            target: Target {
                policy: Some("portal".parse().unwrap()),
                environment: Some("production".parse().unwrap()),
                image: None,
            },
            act,
            reason: Some("INC-123: login is broken".to_owned()),
            until: Some("2026-12-27T06:00:00Z".parse().unwrap()),
        }
    }

    #[test]
    fn what_a_hold_commit_says_is_read_back() {
        let stands = Some(vec![("web".parse().unwrap(), "v1.4.2".to_owned())]);
        let all = [
            Act::Hold(HoldKind::Pin("v1.4.2".parse().unwrap())),
            Act::Hold(HoldKind::Reject(vec![
                "v1".parse().unwrap(),
                "v2".parse().unwrap(),
            ])),
            Act::Hold(HoldKind::Stop),
            Act::Hold(HoldKind::Approve("v1.4.2".parse().unwrap())),
            Act::Resume { stands: None },
            Act::Resume { stands },
        ];
        for act in all {
            let event = event(act);
            let message = format!("subject\n\n{}", event.trailers());
            assert_eq!(HoldEvent::read(&message), vec![event], "{message}");
        }
        let trailers = event(Act::Hold(HoldKind::Pin("v1.4.2".parse().unwrap()))).trailers();
        insta::assert_snapshot!(trailers, @"
        Towpath-Policy: portal
        Towpath-Environment: production
        Towpath-Hold: pin v1.4.2
        Towpath-Reason: INC-123: login is broken
        Towpath-Until: 2026-12-27T06:00:00Z
        ");
    }

    #[test]
    fn a_stop_may_name_an_environment_alone_or_nothing() {
        for (trailers, told) in [
            ("Towpath-Hold: stop", "everything"),
            (
                "Towpath-Environment: production\nTowpath-Hold: stop",
                "everything in production",
            ),
        ] {
            let events = HoldEvent::read(&format!("stop\n\n{trailers}\n"));
            let [event] = &events[..] else {
                panic!("{events:?}")
            };
            assert_eq!(event.target.to_string(), told);
            assert_eq!(event.act, Act::Hold(HoldKind::Stop));
        }
    }

    #[test]
    fn words_that_are_no_act_are_not_read() {
        for act in ["pin", "pin v1 v2", "stop now", "go", "reject", "pin !"] {
            let message = format!("x\n\nTowpath-Policy: portal\nTowpath-Hold: {act}\n");
            assert_eq!(HoldEvent::read(&message), vec![], "{act}");
        }
    }
}
