//! How a verb fails: what kind of failure, what happened, and what to do about it.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use crate::config::Problems;

/// Why a verb ended without doing its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    error: anyhow::Error,
    hint: Option<String>,
}

/// The kinds of failure, each with an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The work failed, or was refused.
    Failed,
    /// The command line asks for something that does not exist.
    Usage,
    /// The settings or policies are invalid.
    Config,
}

impl Failure {
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Usage,
            error: anyhow::anyhow!("{message}"),
            hint: None,
        }
    }

    /// What is wrong with the configuration, told in full by `problems`.
    pub(crate) fn config(problems: Problems) -> Self {
        Self {
            kind: Kind::Config,
            error: problems.into(),
            hint: None,
        }
    }

    /// Adds what a person can do.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What happened, and why, in one line.
    pub(crate) fn message(&self) -> String {
        format!("{:#}", self.error)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Config => 3,
        })
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            kind: Kind::Failed,
            error: error.into(),
            hint: None,
        }
    }
}

impl fmt::Display for Failure {
    /// `error:`, then each cause, then the hint, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == Kind::Config {
            // Each problem has its own `error:` and hint.
            writeln!(f, "{}", self.error)?;
            return match &self.hint {
                Some(hint) => writeln!(f, "\nhint: {hint}"),
                None => Ok(()),
            };
        }
        writeln!(f, "error: {}", self.error)?;
        let mut cause: Option<&dyn Error> = self.error.source();
        while let Some(error) = cause {
            writeln!(f, "caused by: {error}")?;
            cause = error.source();
        }
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let source = std::io::Error::other("disk full");
        let error = anyhow::Error::new(source).context("failed to save the world");
        let failure = Failure::from(error).with_hint("free some space");
        insta::assert_snapshot!(failure.to_string(), @r"
        error: failed to save the world
        caused by: disk full
        hint: free some space
        ");
    }
}
