//! What towpath hides in the body of a pull request and reads back: what it promotes, and what was done about it.
//!
//! Invariant: what [`Hidden::block`] writes, [`read`] reads back, whatever stands around it; a block that was edited, cut or doubled is not
//! believed. The checksum has no key: it tells accidents and careless edits, and whoever may write the body can make another one.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::HidesBy;
use crate::ledger::{Promotion, without_trailers};
use crate::manifest::CommitId;
use crate::policy::PullRequests;

/// The version of the format.
const VERSION: &str = "1";

/// What every block is known by.
const NAME: &str = "towpath-data";

const COMMENT_START: &str = "<!-- towpath-data ";
const COMMENT_END: &str = "-->";
const DEFINITION_START: &str = "[towpath-data]: # (";
const DEFINITION_END: &str = ")";

const IN_COMMIT: &str = "Promotions: in-commit";
const CLOSED: &str = "Closed: by-towpath";
const HANDS_OFF: &str = "Hands-Off: ";
const TOLD_ON: &str = "Told-On: ";
const HELD: &str = "Held: ";
const WISHED: &str = "Wished: yes";
const MERGES: &str = "Merges: ";
const SHOWN: &str = "Shown: ";
const CHECKSUM: &str = "Checksum: sha256:";

/// What is hidden in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hidden {
    pub(crate) promotions: Promotions,
    pub(crate) flags: Flags,
    /// The checksum of what towpath told: title, body without this, and how the gates stand.
    pub(super) shown: String,
}

/// The promotions of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Promotions {
    Here(Vec<Promotion>),
    /// They take more room than the forge gives; the message of the commit has them.
    InCommit,
}

/// What was done about a pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Towpath closes it itself, so that nobody rejected anything.
    pub(crate) closed_by_us: bool,
    /// The commit of somebody else at the branch's tip, of which it was said that towpath leaves the branch alone.
    pub(crate) hands_off: Option<CommitId>,
    /// The commit of which its statuses tell how the gates stand.
    pub(crate) told_on: Option<CommitId>,
    /// The gate of which the statuses tell that it holds everything here.
    pub(crate) held: Option<String>,
    /// Labels, people and a milestone were wished, and are people's from then on.
    pub(crate) wished: bool,
    /// The commit that the forge was told to merge once it can.
    pub(crate) merges: Option<CommitId>,
}

impl Flags {
    /// Whether anything that `options` wish was not wished yet.
    pub(crate) fn lack_wishes(&self, options: &PullRequests) -> bool {
        options.has_wishes() && !self.wished
    }

    /// Whether the forge is still to be told that it merges `tip`.
    pub(crate) fn lack_the_merge(&self, options: &PullRequests, tip: &CommitId) -> bool {
        options.auto_merge.is_some() && self.merges.as_ref() != Some(tip)
    }

    /// Whether the forge is to be told that it merges no more what it was told to.
    pub(crate) fn merge_too_much(&self, options: &PullRequests) -> bool {
        options.auto_merge.is_none() && self.merges.is_some()
    }

    /// As many as there can be: what is noted later needs its room from the start.
    pub(super) fn all() -> Self {
        let commit: CommitId = "0".repeat(40).parse().expect("40 digits name a commit");
        Self {
            closed_by_us: true,
            hands_off: Some(commit.clone()),
            told_on: Some(commit.clone()),
            held: Some("attestations".to_owned()),
            wished: true,
            merges: Some(commit),
        }
    }
}

impl Hidden {
    /// The block, as the end of a body.
    pub(super) fn block(&self, hides_by: HidesBy) -> String {
        let lines = self.lines();
        let lines = lines.iter().map(|line| encoded(line));
        match hides_by {
            HidesBy::Comment => {
                let mut text = format!("{COMMENT_START}{VERSION}\n");
                for line in lines {
                    text.push_str(&line);
                    text.push('\n');
                }
                text + COMMENT_END
            }
            HidesBy::LinkDefinition => {
                let version = std::iter::once(VERSION.to_owned());
                let lines = version.chain(lines);
                let lines = lines.map(|line| format!("{DEFINITION_START}{line}{DEFINITION_END}"));
                lines.collect::<Vec<_>>().join("\n")
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let Self {
            promotions,
            flags:
                Flags {
                    closed_by_us,
                    hands_off,
                    told_on,
                    held,
                    wished,
                    merges,
                },
            shown,
        } = self;
        let mut lines: Vec<String> = Vec::new();
        match promotions {
            Promotions::Here(promotions) => {
                let trailers = promotions.iter().map(Promotion::trailers);
                for trailers in trailers {
                    lines.extend(trailers.lines().map(str::to_owned));
                }
            }
            Promotions::InCommit => lines.push(IN_COMMIT.to_owned()),
        }
        if *closed_by_us {
            lines.push(CLOSED.to_owned());
        }
        if let Some(commit) = hands_off {
            lines.push(format!("{HANDS_OFF}{commit}"));
        }
        if let Some(commit) = told_on {
            lines.push(format!("{TOLD_ON}{commit}"));
        }
        if let Some(gate) = held {
            lines.push(format!("{HELD}{gate}"));
        }
        if *wished {
            lines.push(WISHED.to_owned());
        }
        if let Some(commit) = merges {
            lines.push(format!("{MERGES}{commit}"));
        }
        lines.push(format!("{SHOWN}{shown}"));
        let checksum = checksum(&lines);
        lines.push(format!("{CHECKSUM}{checksum}"));
        lines
    }

    fn of_lines(mut lines: Vec<String>) -> Option<Self> {
        let told = lines.pop()?;
        if told.strip_prefix(CHECKSUM)? != checksum(&lines) {
            return None;
        }
        let mut trailers = String::new();
        let mut hidden = Self {
            promotions: Promotions::InCommit,
            flags: Flags::default(),
            shown: String::new(),
        };
        for line in &lines {
            if line == IN_COMMIT {
                continue;
            } else if line == CLOSED {
                hidden.flags.closed_by_us = true;
            } else if let Some(gate) = line.strip_prefix(HELD) {
                hidden.flags.held = Some(gate.to_owned());
            } else if line == WISHED {
                hidden.flags.wished = true;
            } else if let Some(commit) = line.strip_prefix(MERGES) {
                hidden.flags.merges = Some(commit.parse().ok()?);
            } else if let Some(commit) = line.strip_prefix(TOLD_ON) {
                hidden.flags.told_on = Some(commit.parse().ok()?);
            } else if let Some(commit) = line.strip_prefix(HANDS_OFF) {
                hidden.flags.hands_off = Some(commit.parse().ok()?);
            } else if let Some(shown) = line.strip_prefix(SHOWN) {
                shown.clone_into(&mut hidden.shown);
            } else {
                trailers.push_str(line);
                trailers.push('\n');
            }
        }
        if !trailers.is_empty() {
            // A message has a subject before its trailers.
            let promotions = Promotion::read(&format!("_\n\n{trailers}"));
            hidden.promotions = Promotions::Here(promotions);
        }
        Some(hidden)
    }
}

/// What `body` hides, if there is exactly one block and it is as it was written. Forges may change the ends of lines.
pub(crate) fn read(body: &str) -> Option<Hidden> {
    let (_, lines) = split(body);
    let [version, lines @ ..] = &lines?[..] else {
        return None;
    };
    let lines: Option<Vec<String>> = lines.iter().map(|line| decoded(line)).collect();
    Hidden::of_lines(lines.filter(|_| *version == VERSION)?)
}

/// `body` with `flags` in place of its own, and all else as it is; `None` where nothing is hidden there that can be believed.
pub(crate) fn with_flags(body: &str, flags: Flags, hides_by: HidesBy) -> Option<String> {
    let hidden = Hidden {
        flags,
        ..read(body)?
    };
    let (around, _) = split(body);
    Some(joined(&around.join("\n"), &hidden.block(hides_by)))
}

/// The block after what is shown.
pub(super) fn joined(shown: &str, block: &str) -> String {
    format!("{}\n\n{block}\n", shown.trim_end())
}

/// `text` without what could be taken for a block, or in the message of a squash for one of our trailers.
pub(super) fn unmarked(text: &str) -> String {
    without_trailers(&text.replace(NAME, "towpath data"))
}

/// The checksum of a text.
pub(in crate::plan) fn checksum_of(text: &str) -> String {
    let mut told = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        write!(told, "{byte:02x}").expect("a string can be written");
    }
    told
}

fn checksum(lines: &[String]) -> String {
    checksum_of(&format!("{NAME} {VERSION}\n{}", lines.join("\n")))
}

/// The lines around the block and those within, its version first; none where there are several blocks, or one is not ended.
fn split(body: &str) -> (Vec<&str>, Option<Vec<&str>>) {
    let mut around = Vec::new();
    let mut comments: Vec<Vec<&str>> = Vec::new();
    let mut definitions = Vec::new();
    let mut is_within = false;
    for line in body.lines() {
        let line = line.trim_end();
        if is_within && line == COMMENT_END {
            is_within = false;
        } else if let Some(version) = line.strip_prefix(COMMENT_START) {
            is_within = true;
            comments.push(vec![version]);
        } else if is_within {
            comments.last_mut().expect("one was begun").push(line);
        } else if let Some(line) = line.strip_prefix(DEFINITION_START) {
            definitions.push(line.strip_suffix(DEFINITION_END));
        } else {
            around.push(line);
        }
    }
    let lines = match (comments.pop(), comments.is_empty(), definitions.is_empty()) {
        (Some(lines), true, true) if !is_within => Some(lines),
        (None, true, false) => definitions.into_iter().collect(),
        _ => None,
    };
    (around, lines)
}

/// A line in letters that no dialect reads as anything, and that a forge that looks through raw text reads as nothing of its own.
fn encoded(line: &str) -> String {
    let mut told = String::with_capacity(line.len());
    let mut before = '\n';
    let mut spaces = 0;
    for c in line.chars() {
        let is_kept = match c {
            // The one behind the key. Others might stand between a word that closes issues and a number.
            ' ' => {
                spaces += 1;
                spaces == 1
            }
            '-' | '/' => before != c,
            c => c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '@' | '+' | ','),
        };
        if is_kept {
            told.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                write!(told, "%{byte:02X}").expect("a string can be written");
            }
        }
        before = c;
    }
    told
}

fn decoded(line: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
