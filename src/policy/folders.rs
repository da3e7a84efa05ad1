//! Folders of a manifests repository, of which each is an application of a fleet.

use std::fmt;
use std::str::FromStr;

use crate::manifest::{ParseRepoPathError, RepoPath};

/// What stands for the name of the policy.
const NAME: &str = "{policy}";

/// Folders that are alike but for a name: `apps/{policy}`, `teams/payments/app-{policy}/deploy`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FolderPattern {
    /// The folder that they are in.
    parent: RepoPath,
    /// What their own names start and end with.
    around: (String, String),
    /// The folder in each of them that must be there; the root is each of them itself.
    within: RepoPath,
}

/// Why a text is not a pattern of folders.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseFolderPatternError {
    #[error(transparent)]
    Path(#[from] ParseRepoPathError),
    #[error(
        "`{pattern}` does not name `{{policy}}` once, and nothing else in braces: `apps/{{policy}}`"
    )]
    Names { pattern: String },
}

impl FolderPattern {
    /// The folder that the folders are in.
    pub(crate) fn parent(&self) -> &RepoPath {
        &self.parent
    }

    /// The name that a folder of the parent gives, if it is of the pattern by its own name.
    pub(crate) fn name_in<'a>(&self, folder: &'a str) -> Option<&'a str> {
        let (before, behind) = &self.around;
        let name = folder.strip_prefix(before.as_str())?;
        name.strip_suffix(behind.as_str())
            .filter(|name| !name.is_empty())
    }

    /// The folder that must be there for `name`.
    pub(crate) fn folder_of(&self, name: &str) -> RepoPath {
        let (before, behind) = &self.around;
        let folder = self.parent.join(&format!("{before}{name}{behind}"));
        match self.within.as_str() {
            "" => folder,
            within => folder.join(within),
        }
    }
}

impl FromStr for FolderPattern {
    type Err = ParseFolderPatternError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let path: RepoPath = s.parse()?;
        let refused = || ParseFolderPatternError::Names {
            pattern: s.to_owned(),
        };
        let (before, behind) = path.as_str().split_once(NAME).ok_or_else(refused)?;
        if [before, behind].concat().contains(['{', '}']) {
            return Err(refused());
        }
        let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
        let (suffix, within) = behind.split_once('/').unwrap_or((behind, "."));
        Ok(Self {
            parent: parent.parse()?,
            around: (prefix.to_owned(), suffix.to_owned()),
            within: within.parse()?,
        })
    }
}

impl fmt::Display for FolderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.folder_of(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::FolderPattern;

    #[test]
    fn a_pattern_finds_its_folders_by_one_part_of_their_path() {
        let pattern: FolderPattern = "./teams/app-{policy}.d/deploy/".parse().unwrap();
        assert_eq!(pattern.to_string(), "teams/app-{policy}.d/deploy");
        assert_eq!(pattern.parent().as_str(), "teams");
        assert_eq!(pattern.name_in("app-web.d"), Some("web"));
        assert_eq!(pattern.name_in("app-.d"), None);
        assert_eq!(pattern.name_in("lib-web.d"), None);
        let folder = pattern.folder_of("web");
        assert_eq!(folder.as_str(), "teams/app-web.d/deploy");
        let plain: FolderPattern = "{policy}".parse().unwrap();
        assert_eq!(plain.parent().as_str(), "");
        assert_eq!(plain.folder_of("web").as_str(), "web");
    }

    #[test]
    fn a_pattern_names_the_policy_once_and_nothing_else() {
        for bad in [
            "apps",
            "{policy}/{policy}",
            "{policy}/{environment}",
            "a{",
            "",
        ] {
            assert!(bad.parse::<FolderPattern>().is_err(), "{bad:?}");
        }
    }
}
