//! The changed files in as much room as there is: whole; as many of them as fit, the others by name; all by name.
//!
//! Invariant: what is shown fits, and what is left out is said.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::markdown::{block, code, escaped_html};
use super::{Dialect, units};
use crate::manifest::RepoPath;
use crate::plan::change::FileChange;

/// Lines around a change that are shown with it.
const CONTEXT_LINES: usize = 3;

const HEADING: &str = "### Changed files\n";

/// A file in both of its forms.
struct Shown {
    /// `apps/portal/values.yaml` (+1 −1)
    name: String,
    diff: String,
}

/// The section, in at most `room` units; empty where there is no room to say how many there are.
pub(super) fn section(
    files: &BTreeMap<RepoPath, FileChange>,
    dialect: Dialect,
    room: usize,
) -> String {
    let files: Vec<Shown> = files
        .iter()
        .map(|(path, file)| Shown::of(path, file, dialect))
        .collect();
    let Some(mut left) = room.checked_sub(units(HEADING)) else {
        return String::new();
    };
    let whole: usize = files.iter().map(|file| units(&file.diff)).sum();
    if whole <= left {
        let diffs: String = files.iter().map(|file| file.diff.as_str()).collect();
        return finished(&diffs);
    }
    let names: usize = files.iter().map(|file| units(&file.name)).sum();
    if names > left {
        return finished(&some_names(&files, left));
    }
    left -= names;
    let mut diffs = String::new();
    let mut named = String::new();
    for Shown { name, diff } in &files {
        // Its name is not needed any more where it is shown.
        match units(diff) <= left + units(name) {
            true => {
                left = left + units(name) - units(diff);
                diffs.push_str(diff);
            }
            false => named.push_str(name),
        }
    }
    if !diffs.is_empty() {
        diffs.push('\n');
    }
    finished(&(diffs + &named))
}

fn finished(files: &str) -> String {
    match files.is_empty() {
        true => String::new(),
        false => format!("{HEADING}{}", files.trim_end()),
    }
}

/// As many names as fit, and how many do not.
fn some_names(files: &[Shown], room: usize) -> String {
    let more = |left: usize| format!("\n* and {left} more");
    let Some(mut left) = room.checked_sub(units(&more(files.len()))) else {
        return String::new();
    };
    let mut names = String::new();
    for (place, Shown { name, .. }) in files.iter().enumerate() {
        match left.checked_sub(units(name)) {
            Some(rest) => {
                left = rest;
                names.push_str(name);
            }
            None => return names + &more(files.len() - place),
        }
    }
    names
}

impl Shown {
    fn of(path: &RepoPath, FileChange { before, after }: &FileChange, dialect: Dialect) -> Self {
        let diff = TextDiff::from_lines(&**before, &**after);
        let mut text = String::new();
        let (mut added, mut removed) = (0, 0);
        for group in diff.grouped_ops(CONTEXT_LINES) {
            let [Some(first), Some(last)] = [group.first(), group.last()] else {
                continue;
            };
            let old = first.old_range().start..last.old_range().end;
            let new = first.new_range().start..last.new_range().end;
            let [old, new] = [old, new].map(|lines| format!("{},{}", lines.start + 1, lines.len()));
            writeln!(text, "@@ -{old} +{new} @@").expect("a string can be written");
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                };
                added += usize::from(sign == '+');
                removed += usize::from(sign == '-');
                let line = change.value().trim_end_matches(['\n', '\r']);
                writeln!(text, "{sign}{line}").expect("a string can be written");
            }
        }
        let counts = format!("+{added} −{removed}");
        let block = block("diff", &text);
        let path = path.as_str();
        let diff = match dialect.folds {
            true => format!(
                "\n<details>\n<summary><code>{}</code> ({counts})</summary>\n\n{block}\n\n</details>\n",
                escaped_html(path)
            ),
            false => format!("\n{} ({counts})\n\n{block}\n", code(path)),
        };
        Self {
            name: format!("\n* {} ({counts})", code(path)),
            diff,
        }
    }
}
