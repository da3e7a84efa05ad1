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

/// What a product makes of the markup in a pull request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Markup {
    /// Whether `<details>` and `<summary>` fold. Where they do not, tags are shown as they are written.
    pub(crate) folds: bool,
    pub(crate) hiding: Hiding,
}

/// How text stands in a body without being shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hiding {
    /// `<!-- text -->`
    Comment,
    /// `[name]: # (text)`, the definition of a link that nothing refers to: what remains where comments are shown. It is a
    /// line of its own, after an empty one, and its text has no bracket unless a backslash stands before it.
    /// <https://spec.commonmark.org/0.31.2/#link-reference-definitions>
    LinkDefinition,
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
    #[error("a repository that is at no server has no forge")]
    NoServer,
    #[error("which product hosts `{host}` cannot be told from its name")]
    KindUnknown { host: String },
    /// A login for the product itself may not go there unless that is what the address says.
    #[error("{kind} is at `{at}`, and not at `{host}`")]
    Elsewhere {
        kind: Kind,
        at: &'static str,
        host: String,
    },
    #[error("`{path}` is not how {kind} names a repository: {shape}")]
    Path {
        kind: Kind,
        path: String,
        shape: &'static str,
    },
}

impl PlaceError {
    /// What to write in the settings of the repository.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Elsewhere { .. } => {
                "write `kind: bitbucket-server` under `forge` for a Bitbucket of your own, or say by `url` and `repository` where the API is"
            }
            Self::NoServer | Self::KindUnknown { .. } | Self::Path { .. } => {
                "name the product, such as `forge: gitlab`, or write `forge: none`: people merge its branches with git"
            }
        }
    }
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

    /// The kind of this name. Forgejo speaks as Gitea does.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "forgejo" => Some(Self::Gitea),
            _ => Self::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }

    /// Whether labels, people and a milestone are part of the request that opens a pull request.
    pub(crate) fn wishes_with_opening(self) -> bool {
        match self {
            Self::Github | Self::Gitea => false,
            Self::Gitlab | Self::BitbucketCloud | Self::BitbucketServer | Self::AzureDevops => true,
        }
    }

    /// Whether statuses are told on pull requests, so that one has to be there first.
    pub(crate) fn tells_pull_requests(self) -> bool {
        match self {
            Self::AzureDevops => true,
            Self::Github
            | Self::Gitlab
            | Self::Gitea
            | Self::BitbucketCloud
            | Self::BitbucketServer => false,
        }
    }

    /// Whether the product signs what it sends to a webhook. The others show a token, or a password.
    pub(crate) fn signs_events(self) -> bool {
        match self {
            Self::Github | Self::Gitea | Self::BitbucketCloud | Self::BitbucketServer => true,
            Self::Gitlab | Self::AzureDevops => false,
        }
    }

    /// Whether the product signs commits that it is asked to make.
    pub(crate) fn signs_commits(self) -> bool {
        match self {
            Self::Github | Self::Gitlab => true,
            Self::Gitea | Self::BitbucketCloud | Self::BitbucketServer | Self::AzureDevops => false,
        }
    }

    /// Characters that a body may have. A longer one is refused whole, by those with a limit.
    pub(crate) fn body_length_max(self) -> usize {
        match self {
            // <https://github.com/orgs/community/discussions/27190>
            Self::Github => 65_536,
            // <https://docs.gitlab.com/administration/instance_limits/#size-of-comments-and-descriptions-of-issues-merge-requests-and-epics>
            Self::Gitlab => 1_048_576,
            // Kept as `LONGTEXT` without a limit of its own (models/issues/issue.go); as much as a comment may have on GitHub
            // is more than anybody reads.
            Self::Gitea => 65_536,
            // Took 1,310,720 and then showed the page badly; four times as much as GitHub is what the same person advised.
            // <https://github.com/dependabot/dependabot-core/issues/7678>
            Self::BitbucketCloud => 262_144,
            // <https://jira.atlassian.com/browse/BSERV-14135>
            Self::BitbucketServer => 32_768,
            // `A description for a pull request must not be longer than 4000 characters.`
            // <https://developercommunity.visualstudio.com/t/raise-the-character-limit-for-pull-request-descrip/365708>
            Self::AzureDevops => 4_000,
        }
    }

    /// What becomes of markup in a body.
    pub(crate) fn markup(self) -> Markup {
        match self {
            // Azure DevOps folds too, and hides comments on its pages, if not in its mails.
            // <https://github.com/dependabot/dependabot-core/pull/6455>,
            // <https://github.com/oxsecurity/megalinter/issues/2519>
            Self::Github | Self::Gitlab | Self::Gitea | Self::AzureDevops => Markup {
                folds: true,
                hiding: Hiding::Comment,
            },
            // All HTML is escaped.
            // <https://support.atlassian.com/bitbucket-cloud/docs/readme-content/>,
            // <https://confluence.atlassian.com/bitbucketserver/markdown-syntax-guide-776639995.html>
            Self::BitbucketCloud | Self::BitbucketServer => Markup {
                folds: false,
                hiding: Hiding::LinkDefinition,
            },
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
