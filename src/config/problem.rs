//! Problems: what is wrong in the files, where, and what to do about it.
//!
//! Inside this room a problem is a [`Fault`] with a byte span; people get [`Problem`]s with lines,
//! snippets and key paths.

use std::fmt;
use std::path::PathBuf;

use super::source::{Snippet, Source, Span};
use super::tree;
use crate::policy::PolicyName;

/// Most faults that one load keeps; further ones are only counted. A person fixes a screenful at a time,
/// and a file of a million wrong keys must not cost a million snippets.
const FAULTS_MAX: usize = 200;

/// Whether the files can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) file: PathBuf,
    /// `None` where the file itself is the problem.
    pub(crate) place: Option<Place>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// One-based.
    pub(crate) line: usize,
    /// One-based, in characters.
    pub(crate) column: usize,
    /// The keys that lead there: `spec.environments[1].tags`; empty at the top of a document.
    pub(crate) key: String,
    pub(crate) snippet: Snippet,
}

/// Everything that is wrong, by file and place; at least one is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problems {
    pub(crate) list: Vec<Problem>,
    /// How many more there are than `list` holds.
    pub(crate) omitted: usize,
}

/// A problem of the readers and checks in this room.
pub(super) struct Fault {
    pub(super) span: Span,
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// All faults found so far.
#[derive(Default)]
pub(super) struct Faults {
    list: Vec<Fault>,
    omitted: usize,
    errors: usize,
    user: Option<User>,
}

/// A policy that is looked at with what its route says.
struct User {
    policy: PolicyName,
    /// What the policy says itself.
    own: Span,
}

impl Faults {
    /// From here on it is looked at what `policy`, which says `own` itself, makes of its route. What is wrong in the route then
    /// is told with the name of the policy, and of all policies that share the route with that of the first.
    pub(super) fn enter(&mut self, policy: PolicyName, own: Span) {
        self.user = Some(User { policy, own });
    }

    pub(super) fn leave(&mut self) {
        self.user = None;
    }

    /// Notes what makes the files unusable.
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Error, (span, message.into(), None));
    }

    /// Notes what makes the files unusable, and what to do about it.
    pub(super) fn error_with_hint(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Error, (span, message.into(), Some(hint.into())));
    }

    /// Notes what a person should know, though the files can be used.
    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Warning, (span, message.into(), None));
    }

    fn push(&mut self, severity: Severity, (span, message, hint): (Span, String, Option<String>)) {
        let mut message = message;
        if let Some(user) = self.user.as_ref().filter(|user| !user.own.holds(span)) {
            let says_as_much = |fault: &Fault| fault.span == span && fault.severity <= severity;
            if self.list.iter().any(says_as_much) {
                return;
            }
            message = format!("{message} (in policy `{}`)", user.policy);
        }
        self.errors += usize::from(severity == Severity::Error);
        if self.are_full() {
            self.omitted += 1;
            return;
        }
        self.list.push(Fault {
            span,
            severity,
            message,
            hint,
        });
    }

    /// The first error, with what to do about it.
    pub(super) fn first_error(&self) -> Option<String> {
        let is_error = |fault: &&Fault| fault.severity == Severity::Error;
        let Fault { message, hint, .. } = self.list.iter().find(is_error)?;
        Some(match hint {
            Some(hint) => format!("{message} ({hint})"),
            None => message.clone(),
        })
    }

    /// How many errors were found.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// Whether further faults are only counted, so that no work should go into their words.
    pub(super) fn are_full(&self) -> bool {
        self.list.len() >= FAULTS_MAX
    }

    /// Whether something within `span` is wrong already, so that what is missing there may be a consequence.
    pub(super) fn touch(&self, span: Span) -> bool {
        self.list.iter().any(|fault| span.holds(fault.span))
    }

    /// Turns the faults into problems, by file and place.
    pub(super) fn into_problems(mut self, sources: &[Source]) -> Problems {
        self.list
            .sort_by(|a, b| (a.span, &a.message).cmp(&(b.span, &b.message)));
        Problems {
            list: self
                .list
                .into_iter()
                .map(|fault| fault.into_problem(sources))
                .collect(),
            omitted: self.omitted,
        }
    }
}

impl Fault {
    fn into_problem(self, sources: &[Source]) -> Problem {
        let source = &sources[self.span.file];
        let (line, column) = source.position(self.span.start);
        Problem {
            severity: self.severity,
            file: source.path.clone(),
            place: Some(Place {
                line,
                column,
                key: tree::key_path(&source.documents, self.span),
                snippet: source.snippet(self.span),
            }),
            message: self.message,
            hint: self.hint,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            file,
            place,
            message,
            hint,
        } = self;
        write!(f, "{severity}: {message}\n  --> {}", file.display())?;
        if let Some(place) = place {
            let Place {
                line,
                column,
                key,
                snippet,
            } = place;
            let (before, length) = snippet.mark;
            let width = line.to_string().len().max(3);
            writeln!(f, ":{line}:{column}")?;
            writeln!(f, "{:width$} |", "")?;
            writeln!(f, "{line:width$} | {}", snippet.text)?;
            write!(f, "{:width$} | {:before$}{:^<length$}", "", "", "")?;
            if !key.is_empty() {
                write!(f, "\n  at: {key}")?;
            }
        }
        match hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Problems {
    /// The first problem and how many more there are, in one line.
    pub(crate) fn in_short(&self) -> String {
        let Self { list, omitted } = self;
        let is_error = |problem: &&Problem| problem.severity == Severity::Error;
        let mut errors = list.iter().filter(is_error);
        let Some(Problem {
            file,
            place,
            message,
            hint,
            ..
        }) = errors.next()
        else {
            return String::new();
        };
        let at = place
            .as_ref()
            .map(|place| format!(":{}:{}", place.line, place.column));
        let hint = hint.as_ref().map(|hint| format!(" ({hint})"));
        let more = match errors.count() + omitted {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        format!(
            "{}{}: {message}{}{more}",
            file.display(),
            at.unwrap_or_default(),
            hint.unwrap_or_default()
        )
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { list, omitted } = self;
        for (index, problem) in list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n\n" };
            write!(f, "{separator}{problem}")?;
        }
        match omitted {
            0 => Ok(()),
            omitted => write!(f, "\n\nand {omitted} more"),
        }
    }
}

impl std::error::Error for Problems {}
