//! The changed files, and the objects that they render to, in as much room as there is: whole; as many of them as fit, the others by
//! name with how many lines change; as many names as fit.
//!
//! Invariant: what is shown fits, and what is left out is said.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use similar::{ChangeTag, TextDiff};

use super::markdown::{block, code, escaped_html, prose};
use super::{Dialect, RequestFacts, units};
use crate::manifest::RepoPath;
use crate::plan::change::FileChange;
use crate::world::{Fact, Rendered, RenderedObject};

/// Lines around a change that are shown with it.
const CONTEXT_LINES: usize = 3;

const OBJECTS: &str = "### Changed objects\n";
const FILES: &str = "### Changed files\n";

/// Empty lines between two parts.
const GAP: usize = 2;

/// What changes, in both of its forms.
struct Shown {
    /// `apps/portal/values.yaml` (+1 −1)
    name: String,
    /// `None` for what is named and no more.
    diff: Option<String>,
}

/// What changes in a cluster, where that is known, and in files; in at most `room` units. Empty where there is no room to say how many
/// there are.
pub(super) fn section(facts: &RequestFacts, dialect: Dialect, room: usize) -> String {
    let (objects, rendered) = objects(facts.rendered.as_ref(), dialect);
    let files = facts.files.iter().map(|(path, file)| {
        let shown = Shown::of((path.as_str(), ""), file, dialect);
        match rendered.contains(path) {
            // The objects tell more, and the forge shows the files anyway.
            true => Shown {
                diff: None,
                ..shown
            },
            false => shown,
        }
    });
    let files: Vec<Shown> = files.collect();
    if objects.is_empty() {
        return listed(FILES, &files, room);
    }
    let names: usize = files.iter().map(|file| units(&file.name)).sum();
    let for_files = units(FILES) + names + GAP;
    let objects = listed(OBJECTS, &objects, room.saturating_sub(for_files + GAP));
    let files = listed(FILES, &files, room.saturating_sub(units(&objects) + GAP));
    let parts = [objects, files];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// The objects that change, and what is to be said of their folders; and the files that show in them.
fn objects(
    rendered: Option<&Fact<Arc<Rendered>>>,
    dialect: Dialect,
) -> (Vec<Shown>, BTreeSet<&RepoPath>) {
    let note = |text: String| Shown {
        name: format!("\n* {text}"),
        diff: None,
    };
    let folders = match rendered {
        None => return Default::default(),
        Some(Fact::Known(rendered)) => &rendered.folders,
        Some(Fact::Unknown { .. }) => {
            let words = "what this renders to is not known, since the repository could not be read";
            return (vec![note(words.to_owned())], BTreeSet::new());
        }
    };
    let (mut shown, mut notes, mut files) = (Vec::new(), Vec::new(), BTreeSet::new());
    for rendered in folders {
        let folder = match rendered.folder.as_str() {
            "" => ".",
            folder => folder,
        };
        match &rendered.objects {
            Fact::Unknown { why } => {
                let (folder, why) = (code(folder), prose(why));
                notes.push(note(format!("{folder} could not be rendered: {why}")));
            }
            Fact::Known(objects) => {
                files.extend(&rendered.files);
                if objects.is_empty() {
                    let same = "renders to the same objects as before";
                    notes.push(note(format!("{} {same}", code(folder))));
                }
                shown.extend(objects.iter().map(|object| {
                    let RenderedObject {
                        name,
                        before,
                        after,
                    } = object.clone();
                    Shown::of((&name, folder), &FileChange { before, after }, dialect)
                }));
            }
        }
    }
    shown.extend(notes);
    (shown, files)
}

/// `shown` below `heading`: with as many diffs as fit, the others by name.
fn listed(heading: &str, shown: &[Shown], room: usize) -> String {
    let Some(mut left) = room.checked_sub(units(heading)) else {
        return String::new();
    };
    let names: usize = shown.iter().map(|one| units(&one.name)).sum();
    if names > left {
        return finished(heading, &some_names(shown, left));
    }
    left -= names;
    let mut diffs = String::new();
    let mut named = String::new();
    for Shown { name, diff } in shown {
        // Its name is not needed any more where it is shown.
        match diff {
            Some(diff) if units(diff) <= left + units(name) => {
                left = left + units(name) - units(diff);
                diffs.push_str(diff);
            }
            Some(_) | None => named.push_str(name),
        }
    }
    finished(heading, &(diffs + &named))
}

fn finished(heading: &str, shown: &str) -> String {
    match shown.is_empty() {
        true => String::new(),
        false => format!("{heading}{}", shown.trim_end()),
    }
}

/// As many names as fit, and how many do not.
fn some_names(shown: &[Shown], room: usize) -> String {
    let more = |left: usize| format!("\n* and {left} more");
    let Some(mut left) = room.checked_sub(units(&more(shown.len()))) else {
        return String::new();
    };
    let mut names = String::new();
    for (place, Shown { name, .. }) in shown.iter().enumerate() {
        match left.checked_sub(units(name)) {
            Some(rest) => {
                left = rest;
                names.push_str(name);
            }
            None => return names + &more(shown.len() - place),
        }
    }
    names
}

impl Shown {
    /// What is called `name`, and where it stands, if that is said.
    fn of(
        (name, place): (&str, &str),
        FileChange { before, after }: &FileChange,
        dialect: Dialect,
    ) -> Self {
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
        let said = |code: fn(&str) -> String| match place {
            "" => code(name),
            place => format!("{} of {}", code(name), code(place)),
        };
        let diff = match dialect.folds {
            true => {
                let name = said(|text| format!("<code>{}</code>", escaped_html(text)));
                format!(
                    "\n<details>\n<summary>{name} ({counts})</summary>\n\n{block}\n\n</details>\n"
                )
            }
            false => format!("\n{} ({counts})\n\n{block}\n", said(code)),
        };
        Self {
            name: format!("\n* {} ({counts})", said(code)),
            diff: Some(diff),
        }
    }
}
