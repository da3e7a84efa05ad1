//! A path inside a manifests repository, which can never leave it.

use std::fmt;
use std::str::FromStr;

/// A relative path with `/` between its parts, such as `apps/portal/overlays/dev`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RepoPath(String); // Invariant: no empty part, no `.`, `..` or `.git`, no control character; empty is the root.

/// Why a text is not a path inside a repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path inside the repository: {reason}")]
pub(crate) struct ParseRepoPathError {
    path: String,
    reason: &'static str,
}

impl RepoPath {
    /// The path with `/` between its parts, without one at either end.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of `name` in this folder. `name` is one valid part, or several.
    pub(crate) fn join(&self, name: &str) -> Self {
        match self.0.as_str() {
            "" => Self(name.to_owned()),
            folder => Self(format!("{folder}/{name}")),
        }
    }
}

impl FromStr for RepoPath {
    type Err = ParseRepoPathError;

    /// Accepts `.` for the root, a leading `./` and a trailing `/`, as people write folders.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let refused = |reason| ParseRepoPathError {
            path: s.to_owned(),
            reason,
        };
        if s.is_empty() {
            return Err(refused("it is empty; the root is `.`"));
        }
        if s.starts_with('/') {
            return Err(refused(
                "it starts with `/`; paths are relative to the repository's root",
            ));
        }
        let trimmed = s.strip_prefix("./").unwrap_or(s).trim_end_matches('/');
        if matches!(trimmed, "" | ".") {
            return Ok(Self(String::new()));
        }
        if trimmed.chars().any(char::is_control) || trimmed.contains('\\') {
            return Err(refused(
                "control characters and backslashes are not allowed",
            ));
        }
        for part in trimmed.split('/') {
            match part {
                "" | "." => return Err(refused("a part of it is empty or `.`")),
                ".." => return Err(refused("`..` leads out of the repository")),
                _ if part.eq_ignore_ascii_case(".git") => {
                    return Err(refused("`.git` is git's own"));
                }
                _ => {}
            }
        }
        Ok(Self(trimmed.to_owned()))
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::RepoPath;

    #[test]
    fn folders_may_be_written_as_people_write_them() {
        for (written, meant) in [("./apps/", "apps"), ("apps/web", "apps/web"), (".", "")] {
            assert_eq!(written.parse::<RepoPath>().unwrap().as_str(), meant);
        }
    }

    #[test]
    fn a_path_that_leaves_the_repository_is_refused() {
        for bad in [
            "",
            "/etc",
            "../x",
            "a/../b",
            "a//b",
            "a/./b",
            ".git/config",
            "a/.GIT",
            "a\\b",
            "a\nb",
        ] {
            assert!(bad.parse::<RepoPath>().is_err(), "{bad:?}");
        }
    }
}
