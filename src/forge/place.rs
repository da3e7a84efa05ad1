//! Which product a forge is, and where the repository is on it: read off the address that git uses.
//!
//! Invariant: what cannot be told from the address is an error that says what to write; nothing is guessed.

use std::fmt;

use url::Url;

/// The products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// GitHub, and GitHub Enterprise Server.
    Github,
    Gitlab,
    /// Gitea, and Forgejo, which speaks the same.
    Gitea,
    BitbucketCloud,
    /// Bitbucket Server and Data Center.
    BitbucketServer,
    AzureDevops,
}

/// A repository on a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// The root of the API, without a slash at its end: `https://api.github.com`, `https://git.example.com/api/v3`.
    pub(crate) api: Url,
    /// The repository as the product names it: `acme/deploy`, `group/sub/deploy`, `PROJ/deploy`,
    /// `organisation/project/deploy`.
    pub(crate) path: String,
}

/// Why no forge is known behind an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("which product hosts `{host}` cannot be told from its name")]
    KindUnknown { host: String },
    #[error("`{path}` is not how {kind} names a repository: {shape}")]
    Path {
        kind: Kind,
        path: String,
        shape: &'static str,
    },
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Github,
        Self::Gitlab,
        Self::Gitea,
        Self::BitbucketCloud,
        Self::BitbucketServer,
        Self::AzureDevops,
    ];

    /// As the settings name it. `forgejo` is understood too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::BitbucketCloud => "bitbucket-cloud",
            Self::BitbucketServer => "bitbucket-server",
            Self::AzureDevops => "azure-devops",
        }
    }

    /// The product behind `host`, where its name tells.
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        let starts = |with: &str| host.starts_with(with);
        match host {
            "github.com" | "ssh.github.com" => Some(Self::Github),
            "gitlab.com" | "altssh.gitlab.com" => Some(Self::Gitlab),
            "bitbucket.org" | "altssh.bitbucket.org" => Some(Self::BitbucketCloud),
            "codeberg.org" | "gitea.com" => Some(Self::Gitea),
            "dev.azure.com" | "ssh.dev.azure.com" => Some(Self::AzureDevops),
            _ if host.ends_with(".visualstudio.com") => Some(Self::AzureDevops),
            // GitHub Enterprise Cloud with data residency.
            _ if host.ends_with(".ghe.com") => Some(Self::Github),
            _ if starts("github.") => Some(Self::Github),
            _ if starts("gitlab.") => Some(Self::Gitlab),
            _ if starts("gitea.") || starts("forgejo.") => Some(Self::Gitea),
            _ if starts("bitbucket.") => Some(Self::BitbucketServer),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Github => "GitHub",
            Self::Gitlab => "GitLab",
            Self::Gitea => "Gitea",
            Self::BitbucketCloud => "Bitbucket Cloud",
            Self::BitbucketServer => "Bitbucket Server",
            Self::AzureDevops => "Azure DevOps",
        })
    }
}
