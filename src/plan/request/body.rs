//! The sections of a body, in the order in which reviewers need them, and what goes first where a forge takes less.
//!
//! Invariant: what is shown fits into the room that there is, and what is left out is said.

use std::fmt::Write as _;

use super::markdown::{anywhere, cell, code, prose};
use super::source::Between;
use super::warning::warnings;
use super::{Dialect, Evidence, GateVerdict, Proposed, RequestFacts, diff, units};
use crate::image::Tag;
use crate::ledger::Moved;
use crate::plan::short;
use crate::policy::ImageName;
use crate::policy::gate::Condition;
use crate::policy::template::{
    Template, TemplateError, TemplateImage, TemplateSections, TemplateValues,
};
use crate::world::RangeCommits;

/// How much of what is open to the top is shown.
#[derive(Clone, Copy)]
struct Sizes {
    /// Images, in each list of them.
    images: usize,
    /// Commits of each image.
    commits: usize,
    warnings: usize,
    platforms: usize,
}

/// From the most generous to the tightest; the first with which the body fits is taken. A page of images and commits is more than
/// anybody reads; the last is for the 4,000 characters of Azure DevOps, of which each image takes about 200.
const LADDER: [Sizes; 4] = [
    Sizes {
        images: 200,
        commits: 50,
        warnings: 100,
        platforms: 8,
    },
    Sizes {
        images: 50,
        commits: 10,
        warnings: 20,
        platforms: 4,
    },
    Sizes {
        images: 10,
        commits: 0,
        warnings: 10,
        platforms: 4,
    },
    Sizes {
        images: 3,
        commits: 0,
        warnings: 3,
        platforms: 2,
    },
];

/// Commits of an image that are seen without a click: what is read at a glance.
const UNFOLDED_COMMITS_MAX: usize = 5;

/// Room for the changed files below which less is shown of the rest: three names.
const FILES_ROOM_MIN: usize = 300;

/// Said where not even the least fits.
const CUT: &str = "\n\n…";

/// What a body shows, in at most `room` units.
pub(super) fn shown(
    facts: &RequestFacts,
    (dialect, room): (Dialect, usize),
    template: Option<&Template>,
    complaints: &[String],
) -> Result<String, TemplateError> {
    let mut least = String::new();
    for (step, sizes) in LADDER.into_iter().enumerate() {
        let sections = sections(facts, (dialect, sizes), complaints);
        let without = filled(facts, &sections, template)?;
        let left = room.saturating_sub(units(&without) + 2);
        let is_last = step + 1 == LADDER.len();
        if units(&without) > room || (left < FILES_ROOM_MIN && !is_last) {
            least = without;
            continue;
        }
        let diff = diff::section(facts, dialect, left);
        let with = filled(facts, &with_diff(sections, diff), template)?;
        // A template may show the files twice.
        return Ok(if units(&with) <= room { with } else { without });
    }
    Ok(cut(&least, room))
}

/// What the policy's template makes of `sections`, or all of them.
fn filled(
    facts: &RequestFacts,
    sections: &TemplateSections,
    template: Option<&Template>,
) -> Result<String, TemplateError> {
    match template {
        Some(template) => template.fill(&values(facts, sections.clone(), anywhere)),
        None => Ok(sections.body.clone()),
    }
}

/// What a template may name, what others wrote made `harmless`.
pub(super) fn values(
    facts: &RequestFacts,
    sections: TemplateSections,
    harmless: fn(&str) -> String,
) -> TemplateValues {
    let policies = facts.promotions.iter();
    let image = |(proposed, name, moved): (&Proposed, &ImageName, &Moved)| TemplateImage {
        policy: proposed.promotion.policy.to_string(),
        name: name.to_string(),
        repository: moved.repository.to_string(),
        from: moved.replaced.as_deref().map(|from| harmless(short(from))),
        to: moved.tag.to_string(),
        digest: moved.digest.as_ref().map(ToString::to_string),
    };
    TemplateValues {
        policies: policies
            .map(|proposed| proposed.promotion.policy.to_string())
            .collect(),
        environment: facts.environment.to_string(),
        repository: facts.base.repository.to_string(),
        branch: harmless(&facts.base.branch),
        subject: harmless(&facts.subject),
        images: facts.images().map(image).collect(),
        sections,
    }
}

fn sections(
    facts: &RequestFacts,
    (dialect, sizes): (Dialect, Sizes),
    complaints: &[String],
) -> TemplateSections {
    let mut warnings = warnings(facts);
    warnings.extend(complaints.iter().map(|complaint| prose(complaint)));
    let sections = TemplateSections {
        body: String::new(),
        changes: changes(facts, sizes),
        commits: commits(facts, sizes, dialect),
        running: running(facts, sizes),
        gates: gates(facts, sizes),
        diff: String::new(),
        warnings: listed("### Warnings", warnings, sizes.warnings),
        actions: actions(facts),
    };
    with_diff(sections, String::new())
}

fn with_diff(sections: TemplateSections, diff: String) -> TemplateSections {
    let sections = TemplateSections { diff, ..sections };
    let TemplateSections {
        body: _,
        changes,
        commits,
        running,
        gates,
        diff,
        warnings,
        actions,
    } = &sections;
    let parts = [changes, commits, running, gates, diff, warnings, actions];
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).collect();
    let said = parts.into_iter().filter(|part| !part.is_empty());
    TemplateSections {
        body: said.collect::<Vec<_>>().join("\n\n"),
        ..sections
    }
}

/// `lines` as a list, at most `max` of them.
fn listed(heading: &str, lines: Vec<String>, max: usize) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("{heading}\n");
    for line in lines.iter().take(max) {
        write!(text, "\n* {line}").expect("a string can be written");
    }
    if lines.len() > max {
        let left = lines.len() - max;
        write!(text, "\n* and {left} more").expect("a string can be written");
    }
    text
}

/// What goes where, as a table. Columns of which nothing is known are left out.
fn changes(facts: &RequestFacts, sizes: Sizes) -> String {
    let is_group = facts.promotions.len() > 1;
    let rows: Vec<[String; 7]> = facts
        .images()
        .map(|(proposed, image, moved)| {
            let evidence = proposed.evidence.get(image);
            let policy = code(proposed.promotion.policy.as_str());
            [
                if is_group { policy } else { String::new() },
                format!(
                    "{} {}",
                    cell(image.as_str()),
                    cell(&moved.repository.to_string())
                ),
                cell(moved.replaced.as_deref().map_or("nothing", short)),
                format!("**{}**", cell(moved.tag.as_str())),
                digest(moved, evidence),
                dated(evidence),
                platforms(evidence, sizes),
            ]
        })
        .collect();
    let headings = [
        "Policy",
        "Image",
        "From",
        "To",
        "Digest",
        "Made",
        "Platforms",
    ];
    let has_text = |column: &usize| rows.iter().any(|row| !row[*column].is_empty());
    let columns: Vec<usize> = (0..headings.len()).filter(has_text).collect();
    let line = |cells: Vec<&str>| format!("| {} |", cells.join(" | "));
    let of_row =
        |row: &[String; 7]| line(columns.iter().map(|column| row[*column].as_str()).collect());
    let mut lines = vec![
        line(columns.iter().map(|column| headings[*column]).collect()),
        line(columns.iter().map(|_| "---").collect()),
    ];
    lines.extend(rows.iter().take(sizes.images).map(of_row));
    let mut text = format!(
        "### What changes in {}\n\n",
        code(facts.environment.as_str())
    );
    text.push_str(&lines.join("\n"));
    if rows.len() > sizes.images {
        let left = rows.len() - sizes.images;
        write!(
            text,
            "\n\nAnd {left} more images, which the changed files tell."
        )
        .expect("a string can be written");
    }
    text
}

fn digest(moved: &Moved, evidence: Option<&Evidence>) -> String {
    let known = evidence.and_then(|evidence| evidence.digest.as_ref());
    let digest = moved.digest.as_ref().or(known);
    digest.map_or_else(String::new, |digest| cell(digest.short()))
}

fn dated(evidence: Option<&Evidence>) -> String {
    let dated = evidence.and_then(|evidence| evidence.dated.as_ref());
    dated.map_or_else(String::new, ToString::to_string)
}

fn platforms(evidence: Option<&Evidence>, sizes: Sizes) -> String {
    let all = evidence.map_or(&[][..], |evidence| &evidence.platforms);
    let mut shown: Vec<String> = all
        .iter()
        .take(sizes.platforms)
        .map(|name| cell(name))
        .collect();
    if all.len() > sizes.platforms {
        shown.push(format!("and {} more", all.len() - sizes.platforms));
    }
    shown.join(", ")
}

/// What lies between the versions.
fn commits(facts: &RequestFacts, sizes: Sizes, dialect: Dialect) -> String {
    let between = facts.images().filter_map(|(proposed, image, _)| {
        let between = proposed.evidence.get(image)?.between.as_ref()?;
        let name = facts.name_of(proposed, image);
        Some(format!("{name}: {}", of_between(between, sizes, dialect)))
    });
    listed("### Commits", between.collect(), sizes.images)
}

fn of_between(between: &Between, sizes: Sizes, dialect: Dialect) -> String {
    let Between {
        page,
        from,
        to,
        commits,
    } = between;
    let range = match from {
        Some(from) => format!("`{}` to `{}`", from.short(), to.short()),
        None => format!("built from `{}`", to.short()),
    };
    let range = match between.link() {
        Some(link) => format!("[{range}]({link})"),
        None => range,
    };
    let text = format!("{range} of [{}]({})", code(page.name()), page.url());
    let RangeCommits { newest, count } = match commits.as_deref() {
        Some(commits) if commits.count > 0 && sizes.commits > 0 => commits,
        Some(_) | None => return text,
    };
    let mut list = String::new();
    let shown = newest.iter().take(sizes.commits);
    for commit in shown.clone() {
        let id = format!("`{}`", commit.id.short());
        let id = match page.commit(commit.id.as_str()) {
            Some(link) => format!("[{id}]({link})"),
            None => id,
        };
        let (subject, author) = (code(&commit.subject), code(&commit.author));
        write!(list, "\n  * {id} {subject} by {author}").expect("a string can be written");
    }
    let left = count.saturating_sub(shown.len());
    if left > 0 {
        write!(list, "\n  * and {left} more").expect("a string can be written");
    }
    match dialect.folds && *count > UNFOLDED_COMMITS_MAX {
        // The indent keeps it within the item of the list, and the empty lines end the HTML.
        true => format!(
            "{text}\n  <details>\n  <summary>{count} commits</summary>\n{list}\n\n  </details>"
        ),
        false => text + &list,
    }
}

/// Where the versions run already.
fn running(facts: &RequestFacts, sizes: Sizes) -> String {
    let mut lines = Vec::new();
    for (proposed, image, moved) in facts.images() {
        let Some(evidence) = proposed.evidence.get(image) else {
            continue;
        };
        for runs in &evidence.runs_in {
            let mut line = format!(
                "{} {} runs in {}",
                facts.name_of(proposed, image),
                code(moved.tag.as_str()),
                code(runs.environment.as_str())
            );
            if let Some((at, commit)) = &runs.since {
                let at = at.strftime("%Y-%m-%d %H:%M UTC");
                write!(line, " since {at}, by commit `{}`", commit.short())
                    .expect("a string can be written");
            }
            line.extend(runs.health.as_ref().and_then(health));
            lines.push(line);
        }
    }
    listed("### Where it runs already", lines, sizes.images)
}

/// What follows the place where a version runs.
fn health(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Healthy { since } => {
            let since = since.strftime("%Y-%m-%d %H:%M UTC");
            Some(format!("; **healthy** since {since}"))
        }
        Condition::NotYet { why, .. } => Some(format!("; **not healthy**: {}", prose(why))),
        Condition::Unknown { why } => Some(format!("; health unknown: {}", prose(why))),
        Condition::NeverSeen => None,
    }
}

fn gates(facts: &RequestFacts, sizes: Sizes) -> String {
    let is_group = facts.promotions.len() > 1;
    let mut lines = Vec::new();
    for proposed in &facts.promotions {
        for gate in &proposed.gates {
            let verdict = match gate.verdict {
                GateVerdict::Passed => "passed",
                GateVerdict::Waits => "waits",
            };
            let policy = match is_group {
                true => format!("{} ", code(proposed.promotion.policy.as_str())),
                false => String::new(),
            };
            let name = code(&gate.name);
            let evidence = prose(&gate.evidence);
            lines.push(format!("{policy}{name} **{verdict}**: {evidence}"));
        }
    }
    listed("### Gates", lines, sizes.images)
}

/// What a person can do.
fn actions(facts: &RequestFacts) -> String {
    let environment = code(facts.environment.as_str());
    let all: Vec<_> = facts.images().collect();
    let (them, newer) = match &all[..] {
        [(_, _, moved)] => (code(moved.tag.as_str()), "a newer one"),
        _ => ("these versions".to_owned(), "newer ones"),
    };
    let mut lines = vec![
        format!("**Merge** to bring {them} to {environment}."),
        format!(
            "**Close** without merging to reject {them} in {environment}: {newer} will get a new pull request. Reopening it, or `towpath resume`, takes that back."
        ),
    ];
    if let [(proposed, _, moved)] = &all[..] {
        let policy = &proposed.promotion.policy;
        let from = moved
            .replaced
            .as_deref()
            .and_then(|from| from.parse::<Tag>().ok());
        if let Some(from) = from {
            let pin = format!(
                "towpath pin {policy} {} {from} --reason WHY",
                facts.environment
            );
            lines.push(format!(
                "**Pin** what runs there, whatever comes: {}",
                code(&pin)
            ));
        }
    }
    lines.push(
        "**Undo** it after the merge by reverting that: what was undone is held until there is a newer version."
            .to_owned(),
    );
    let mut text = listed("### How to act", lines, usize::MAX);
    text.push_str("\n\nThis text and the one commit of the branch follow what passes; a commit of somebody else on the branch stops that.");
    text
}

/// As many lines as fit.
fn cut(text: &str, room: usize) -> String {
    let mut kept = String::new();
    let Some(room) = room.checked_sub(units(CUT)) else {
        return kept;
    };
    for line in text.split_inclusive('\n') {
        if units(&kept) + units(line) > room {
            break;
        }
        kept.push_str(line);
    }
    kept.truncate(kept.trim_end().len());
    kept + CUT
}
