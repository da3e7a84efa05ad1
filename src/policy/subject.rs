//! How the subject of a promotion commit is written.

use std::fmt;
use std::str::FromStr;

use super::EnvironmentName;

/// The placeholders of a subject template.
const PLACEHOLDERS: [&str; 3] = ["{policy}", "{environment}", "{changes}"];

/// How the subject of a promotion commit is written: `promote {policy} to {environment}: {changes}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectTemplate(String); // Invariant: one line; the only braces are placeholders.

/// Why a text is not a subject template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{template}` is not a subject: one line, with `{{policy}}`, `{{environment}}` and `{{changes}}` as its only braces"
)]
pub(crate) struct ParseSubjectTemplateError {
    template: String,
}

impl SubjectTemplate {
    /// The subject of a promotion of `policy`, or of several as its words say.
    pub(crate) fn fill(
        &self,
        policy: &str,
        environment: &EnvironmentName,
        changes: &str,
    ) -> String {
        self.0
            .replace("{policy}", policy)
            .replace("{environment}", environment.as_str())
            .replace("{changes}", changes)
    }
}

impl FromStr for SubjectTemplate {
    type Err = ParseSubjectTemplateError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let literal = PLACEHOLDERS.iter().fold(s.to_owned(), |text, placeholder| {
            text.replace(placeholder, "")
        });
        if s.trim().is_empty() || s.contains(char::is_control) || literal.contains(['{', '}']) {
            return Err(ParseSubjectTemplateError {
                template: s.to_owned(),
            });
        }
        Ok(Self(s.to_owned()))
    }
}

impl Default for SubjectTemplate {
    fn default() -> Self {
        Self("promote {policy} to {environment}: {changes}".to_owned())
    }
}

impl fmt::Display for SubjectTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::SubjectTemplate;

    #[test]
    fn a_template_with_another_brace_is_refused() {
        assert!("promote {policy}".parse::<SubjectTemplate>().is_ok());
        for bad in ["", "{polcy}", "a\nb", "{"] {
            assert!(bad.parse::<SubjectTemplate>().is_err(), "{bad:?}");
        }
    }
}
