//! How a choice is told to people.

use std::fmt;

use super::choose::{Over, Selection, SelectionHold};
use super::{Fact, Number};

/// Most tied tags that a reason names: builds without a creation time of their own all tie.
const TIED_SHOWN_MAX: usize = 2;

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choose { tag, over, dated } => {
                write!(f, "`{tag}` is the newest candidate")?;
                if let Some(dated) = dated {
                    write!(f, ", {dated}")?;
                }
                match over {
                    Over::Nothing | Over::Older => Ok(()),
                    Over::Newer => f.write_str(", and a downgrade"),
                    Over::Unordered => f.write_str(", and replaces what the rule cannot order"),
                }
            }
            Self::Newest { tag } => write!(f, "nothing is newer than `{tag}`"),
            Self::Hold(hold) => hold.fmt(f),
        }
    }
}

impl fmt::Display for SelectionHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCandidate { seen: 0, .. } => f.write_str("the listing holds no tags"),
            Self::NoCandidate { seen, excluded } => {
                match seen {
                    1 => f.write_str("the only tag is no candidate:")?,
                    seen => write!(f, "none of the {seen} tags is a candidate:")?,
                }
                for (place, (count, exclusion)) in excluded.iter().enumerate() {
                    let comma = if place > 0 { "," } else { "" };
                    write!(f, "{comma} {count} ")?;
                    let number = if *count == 1 {
                        Number::One
                    } else {
                        Number::Many
                    };
                    exclusion.write(f, number)?;
                }
                Ok(())
            }
            Self::Tie { tags, fact } => {
                let named: Vec<String> = tags
                    .iter()
                    .take(TIED_SHOWN_MAX)
                    .map(|tag| format!("`{tag}`"))
                    .collect();
                match tags.len() - named.len() {
                    0 => f.write_str(&named.join(" and "))?,
                    more => write!(f, "{} and {more} more", named.join(", "))?,
                }
                write!(f, " have the same {fact}, so none is the newest")
            }
            Self::Unknown {
                tag,
                fact: Fact::Commits,
            } => write!(
                f,
                "`{tag}` names several commits, so the newest is not known; `ignore` it, or build tags with more digits"
            ),
            Self::Unknown { tag, fact } => {
                write!(
                    f,
                    "the {fact} of `{tag}` is not known, so the newest is not known either"
                )
            }
            Self::Strayed { current, source } => write!(
                f,
                "`{current}` stands there and names no commit of {source}, so what is newer is not known; write a version of that branch to go on"
            ),
            Self::Below { current, newest } => {
                write!(
                    f,
                    "the newest candidate `{newest}` is older than `{current}`, which stands there"
                )
            }
            Self::Vanished { current } => {
                write!(
                    f,
                    "the listing no longer has `{current}`, which stands there"
                )
            }
        }
    }
}
