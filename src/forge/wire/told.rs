//! What stands in the answers of several products.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::manifest::CommitId;

/// A time as text with its offset, such as `2026-09-21T12:53:20.000+02:00`.
#[derive(Clone, Copy, Debug)]
pub(in crate::forge) struct Time(pub(in crate::forge) Timestamp);

/// A commit's name; `None` where what stands there is none, as in lists that cut it short.
#[derive(Clone, Debug)]
pub(in crate::forge) struct Commit(pub(in crate::forge) Option<CommitId>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Commit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(Self(text.and_then(|text| text.parse().ok())))
    }
}
