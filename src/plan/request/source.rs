//! What lies between two versions of an image, and where it can be seen: read off the labels of both.
//!
//! Invariant: a link is https, names no user, and holds no character that a page or Markdown reads as something else. Labels that a
//! base image may have left are not believed.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use crate::image::version::Version;
use crate::policy::RepositoryName;
use crate::world::{CommitRange, Labels, RangeCommits};

/// Digits that a short name of a commit has at least: what git shows by default.
const REVISION_LENGTH_MIN: usize = 7;

/// What lies between two versions of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Between {
    pub(super) page: Page,
    /// The commit that the version was built from that goes, where that is known.
    pub(super) from: Option<Revision>,
    pub(super) to: Revision,
    /// `None` where they are not known.
    pub(crate) commits: Option<Arc<RangeCommits>>,
}

/// The name of a commit, or the start of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision(String); // Invariant: 7 to 64 lower-case hex digits.

/// The page of a source repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// https, without a slash at its end.
    url: String,
    /// `None` where the product is not known, and so not where its commits are shown.
    web: Option<Web>,
}

/// How the pages of a product are addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Web {
    /// <https://docs.github.com/en/pull-requests/committing-changes-to-your-project/viewing-and-comparing-commits/comparing-commits>
    Github,
    /// <https://docs.gitlab.com/user/project/repository/compare_revisions/>
    Gitlab,
    /// Gitea and Forgejo.
    Gitea,
    BitbucketCloud,
    BitbucketServer,
    AzureDevops,
}

/// A version of an image with what it says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labelled<'a> {
    /// As it is written: a tag, or a digest.
    pub(crate) version: &'a str,
    pub(crate) labels: &'a Labels,
}

/// What the settings tell of where images come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins {
    /// The products behind hosts whose names do not tell.
    hosts: BTreeMap<String, Web>,
    /// The repositories whose history is kept, by their pages in lower case, as products compare them.
    histories: BTreeMap<String, RepositoryName>,
}

impl Origins {
    /// Takes in that `web` is behind the host of `address`.
    pub(crate) fn add_host(&mut self, address: &str, web: Web) {
        if let Some(Address { host, .. }) = Address::of(address) {
            self.hosts.insert(host, web);
        }
    }

    /// Takes in that the history of the repository at `address` is kept as `name`. Its host has to be known by then.
    pub(crate) fn add_history(&mut self, address: &str, name: &RepositoryName) {
        if let Some(Page { url, .. }) = Page::of(address, &self.hosts) {
            let known = self.histories.entry(url.to_ascii_lowercase());
            known.or_insert_with(|| name.clone());
        }
    }

    /// Where the commits of `between` can be read.
    pub(crate) fn range(&self, between: &Between) -> Option<CommitRange> {
        let url = between.page.url.to_ascii_lowercase();
        let Revision(from) = between.from.clone()?;
        let Revision(to) = between.to.clone();
        Some(CommitRange {
            repository: self.histories.get(&url)?.clone(),
            from,
            to,
        })
    }
}

/// What lies between `from` and `to`, where their labels tell and can be believed; without the commits themselves.
pub(crate) fn between(
    from: Option<Labelled<'_>>,
    to: Labelled<'_>,
    origins: &Origins,
) -> Option<Between> {
    let page = to.labels.source.as_deref().or(to.labels.url.as_deref());
    let page = Page::of(page?, &origins.hosts)?;
    let revision = Revision::of(to)?;
    let is_alike = |from: Labelled<'_>| from.labels.revision == to.labels.revision;
    let is_elsewhere =
        |from: Labelled<'_>| from.labels.source.is_some() && from.labels.source != to.labels.source;
    let is_inherited =
        names_other_version(to) || from.is_some_and(|from| is_alike(from) || is_elsewhere(from));
    if is_inherited && !is_named(to) {
        return None;
    }
    // What says another version than its tag tells nothing of its commit either.
    let from = from.filter(|from| is_named(*from) || !names_other_version(*from));
    let from = from.filter(|from| from.labels.source == to.labels.source);
    let from = from.and_then(Revision::of).filter(|from| *from != revision);
    Some(Between {
        page,
        from,
        to: revision,
        commits: None,
    })
}

/// Whether the tag names the commit of the label, so that no base image can have left it.
fn is_named(version: Labelled<'_>) -> bool {
    let Some(Revision(revision)) = Revision::of(version) else {
        return false;
    };
    let words = version.version.split(|c: char| !c.is_ascii_alphanumeric());
    let mut words = words.filter(|word| word.len() >= REVISION_LENGTH_MIN);
    words.any(|word| revision.starts_with(word.strip_prefix('g').unwrap_or(word)))
}

/// Whether tag and label are versions, and different ones: then the label is that of a base image.
fn names_other_version(version: Labelled<'_>) -> bool {
    let tag = version.version.parse::<Version>();
    let label = version.labels.version.as_deref().map(str::parse::<Version>);
    matches!((tag, label), (Ok(tag), Some(Ok(label))) if tag != label)
}

impl Revision {
    fn of(version: Labelled<'_>) -> Option<Self> {
        Self::parse(version.labels.revision.as_deref()?)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        let is_one = (REVISION_LENGTH_MIN..=64).contains(&text.len()) && text.chars().all(hex);
        is_one.then(|| Self(text.to_owned()))
    }

    /// The first digits, for people.
    pub(super) fn short(&self) -> &str {
        &self.0[..REVISION_LENGTH_MIN]
    }
}

impl Between {
    /// The page with all that changed, or of the one commit that is known; `None` where the product has none that we know.
    pub(super) fn link(&self) -> Option<String> {
        let Self {
            page,
            from,
            to: Revision(to),
            commits: _,
        } = self;
        let Page { url, web } = page;
        let Some(Revision(from)) = from else {
            return page.commit(to);
        };
        Some(match (*web)? {
            Web::Github | Web::Gitea => format!("{url}/compare/{from}...{to}"),
            Web::Gitlab => format!("{url}/-/compare/{from}...{to}"),
            // The newer first, and a carriage return between.
            Web::BitbucketCloud => format!("{url}/branches/compare/{to}%0D{from}"),
            Web::BitbucketServer => {
                format!("{url}/compare/commits?sourceBranch={to}&targetBranch={from}")
            }
            Web::AzureDevops => {
                format!("{url}/branchCompare?baseVersion=GC{from}&targetVersion=GC{to}")
            }
        })
    }
}

impl Page {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The repository without the host, for people.
    pub(super) fn name(&self) -> &str {
        let url = self.url.strip_prefix("https://").unwrap_or(&self.url);
        url.split_once('/').map_or(url, |(_, path)| path)
    }

    /// The page of one commit.
    pub(super) fn commit(&self, commit: &str) -> Option<String> {
        let url = &self.url;
        Some(match self.web? {
            Web::Github | Web::Gitea | Web::AzureDevops => format!("{url}/commit/{commit}"),
            Web::Gitlab => format!("{url}/-/commit/{commit}"),
            Web::BitbucketCloud | Web::BitbucketServer => format!("{url}/commits/{commit}"),
        })
    }

    /// The page behind an address that git or a browser uses.
    fn of(text: &str, hosts: &BTreeMap<String, Web>) -> Option<Self> {
        let address = Address::of(text.trim())?;
        let web = Web::of_host(&address.host).or_else(|| hosts.get(&address.host).copied());
        let path: Vec<&str> = address.path.iter().map(String::as_str).collect();
        let (host, path) = match web {
            Some(web) => (web.host(&address.host), web.path(&path)?),
            None if address.is_page => (address.host.as_str(), path.join("/")),
            // An address for git alone tells nothing of pages.
            None => return None,
        };
        let url = format!("https://{host}/{path}");
        Some(Self { url, web })
    }
}

/// An address in its parts.
struct Address {
    /// With the port where it is one of https.
    host: String,
    /// Not empty; each part is free of what has a meaning in an address or in Markdown.
    path: Vec<String>,
    /// Whether browsers understand it.
    is_page: bool,
}

impl Address {
    fn of(text: &str) -> Option<Self> {
        let url = Url::parse(text.strip_prefix("git+").unwrap_or(text)).ok();
        // `git@github.com:acme/web.git`: what git reads as ssh, <https://git-scm.com/docs/git-clone#_git_urls>
        let url = match url.filter(Url::has_host) {
            Some(url) => url,
            None => {
                let (host, path) = text.split_once(':')?;
                Url::parse(&format!("ssh://{host}/{}", path.trim_start_matches('/'))).ok()?
            }
        };
        let is_https = url.scheme() == "https";
        let is_known = matches!(url.scheme(), "https" | "http" | "ssh" | "git");
        let port = url.port().filter(|_| is_https || url.scheme() == "http");
        let host = url.host_str()?.to_ascii_lowercase();
        let host = match port {
            // Who speaks http there may speak no https.
            Some(_) if !is_https => return None,
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        let harmless = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
        let is_harmless = |part: &str| !part.is_empty() && part.chars().all(harmless);
        let path = url.path().trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let path: Vec<String> = path.split('/').map(str::to_owned).collect();
        let host_is_harmless = host.chars().all(|c| harmless(c) || c == ':') && !host.contains('%');
        let is_good = is_known && host_is_harmless && path.iter().all(|part| is_harmless(part));
        is_good.then_some(Self {
            host,
            path,
            is_page: matches!(url.scheme(), "https" | "http"),
        })
    }
}

impl Web {
    /// The product behind `host`, where its name tells.
    fn of_host(host: &str) -> Option<Self> {
        let starts = |with: &str| host.starts_with(with);
        match host {
            "github.com" | "ssh.github.com" => Some(Self::Github),
            "gitlab.com" | "altssh.gitlab.com" => Some(Self::Gitlab),
            "bitbucket.org" | "altssh.bitbucket.org" => Some(Self::BitbucketCloud),
            "codeberg.org" | "gitea.com" => Some(Self::Gitea),
            "dev.azure.com" | "ssh.dev.azure.com" | "vs-ssh.visualstudio.com" => {
                Some(Self::AzureDevops)
            }
            _ if host.ends_with(".ghe.com") || starts("github.") => Some(Self::Github),
            _ if starts("gitlab.") => Some(Self::Gitlab),
            _ if starts("gitea.") || starts("forgejo.") => Some(Self::Gitea),
            _ if starts("bitbucket.") => Some(Self::BitbucketServer),
            _ => None,
        }
    }

    /// The host of the pages, where git may use another.
    fn host(self, host: &str) -> &str {
        match self {
            Self::Github if host == "ssh.github.com" => "github.com",
            Self::Gitlab if host == "altssh.gitlab.com" => "gitlab.com",
            Self::BitbucketCloud => "bitbucket.org",
            Self::AzureDevops => "dev.azure.com",
            Self::Github | Self::Gitlab | Self::Gitea | Self::BitbucketServer => host,
        }
    }

    /// The path of the repository's page, of a path that git or a page below it has.
    fn path(self, path: &[&str]) -> Option<String> {
        match (self, path) {
            (Self::Github | Self::Gitea | Self::BitbucketCloud, [owner, name, ..]) => {
                let name = name.strip_suffix(".git").unwrap_or(name);
                Some(format!("{owner}/{name}"))
            }
            // Groups nest, and pages of a project stand behind a dash.
            (Self::Gitlab, path) => {
                let end = path.iter().position(|part| *part == "-");
                let path = &path[..end.unwrap_or(path.len())];
                (path.len() >= 2).then(|| path.join("/"))
            }
            (Self::BitbucketServer, ["projects" | "users", _, "repos", _, ..]) => {
                Some(path[..4].join("/"))
            }
            (Self::BitbucketServer, ["scm", project, name] | [project, name]) => {
                Some(match project.strip_prefix('~') {
                    Some(user) => format!("users/{user}/repos/{name}"),
                    None => format!("projects/{project}/repos/{name}"),
                })
            }
            (
                Self::AzureDevops,
                ["v3", organisation, project, name] | [organisation, project, "_git", name, ..],
            ) => Some(format!("{organisation}/{project}/_git/{name}")),
            // A repository that has the name of its project.
            (Self::AzureDevops, [organisation, "_git", name, ..]) => {
                Some(format!("{organisation}/{name}/_git/{name}"))
            }
            (
                Self::Github
                | Self::Gitea
                | Self::BitbucketCloud
                | Self::BitbucketServer
                | Self::AzureDevops,
                _,
            ) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Labelled, Origins, Page, Revision, Web, between};
    use crate::world::Labels;

    const OLD: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
    const NEW: &str = "1b2c3d4e5f60718293a4b5c6d7e8f9012345678a";

    fn labels(source: &str, revision: &str) -> Labels {
        Labels {
            source: Some(source.to_owned()),
            revision: Some(revision.to_owned()),
            ..Labels::default()
        }
    }

    fn version(labels: &Labels) -> Labelled<'_> {
        Labelled {
            version: "v1.5.0",
            labels,
        }
    }

    fn link(source: &str) -> Option<String> {
        let (from, to) = (labels(source, OLD), labels(source, NEW));
        let mut origins = Origins::default();
        origins.add_host("ssh://git@git.acme.com:2222/acme/deploy.git", Web::Gitlab);
        between(Some(version(&from)), version(&to), &origins)?.link()
    }

    #[test]
    fn each_product_shows_what_changed_under_an_address_of_its_own() {
        let links = [
            "https://github.com/acme/web",
            "https://gitlab.com/acme/team/web",
            "https://codeberg.org/acme/web",
            "https://bitbucket.org/acme/web",
            "https://bitbucket.acme.com/scm/ACME/web.git",
            "https://dev.azure.com/acme/Shop/_git/web",
            "https://git.acme.com/acme/web",
        ]
        .map(|source| {
            link(source)
                .unwrap()
                .replace(OLD, "OLD")
                .replace(NEW, "NEW")
        });
        insta::assert_snapshot!(links.join("\n"), @"
        https://github.com/acme/web/compare/OLD...NEW
        https://gitlab.com/acme/team/web/-/compare/OLD...NEW
        https://codeberg.org/acme/web/compare/OLD...NEW
        https://bitbucket.org/acme/web/branches/compare/NEW%0DOLD
        https://bitbucket.acme.com/projects/ACME/repos/web/compare/commits?sourceBranch=NEW&targetBranch=OLD
        https://dev.azure.com/acme/Shop/_git/web/branchCompare?baseVersion=GCOLD&targetVersion=GCNEW
        https://git.acme.com/acme/web/-/compare/OLD...NEW
        ");
    }

    #[test]
    fn every_spelling_of_an_address_leads_to_the_page() {
        let page = |text: &str| Page::of(text, &BTreeMap::new()).map(|page| page.url);
        for (texts, expected) in [
            (
                &[
                    "https://github.com/acme/web.git",
                    "http://github.com/acme/web/",
                    "git+https://github.com/acme/web.git",
                    "https://user:secret@github.com/acme/web",
                    "https://github.com/acme/web/tree/main/app?tab=readme#top",
                    "git@github.com:acme/web.git",
                    "ssh://git@github.com:22/acme/web.git",
                    "ssh://git@ssh.github.com:443/acme/web.git",
                    "git+ssh://git@github.com/acme/web.git",
                    "git://github.com/acme/web.git",
                    " https://GitHub.com/acme/web ",
                ][..],
                "https://github.com/acme/web",
            ),
            (
                &[
                    "git@gitlab.com:acme/team/web.git",
                    "https://gitlab.com/acme/team/web/-/tree/main",
                ],
                "https://gitlab.com/acme/team/web",
            ),
            (
                &[
                    "git@ssh.dev.azure.com:v3/acme/Shop/web",
                    "https://acme@dev.azure.com/acme/Shop/_git/web",
                ],
                "https://dev.azure.com/acme/Shop/_git/web",
            ),
            (
                &["https://dev.azure.com/acme/_git/web"],
                "https://dev.azure.com/acme/web/_git/web",
            ),
            (
                &[
                    "ssh://git@bitbucket.acme.com:7999/~ann/web.git",
                    "https://bitbucket.acme.com/users/ann/repos/web/browse",
                ],
                "https://bitbucket.acme.com/users/ann/repos/web",
            ),
            (
                &["https://gitlab.acme.com:8443/a/b"],
                "https://gitlab.acme.com:8443/a/b",
            ),
            (&["https://code.acme.com/web"], "https://code.acme.com/web"),
        ] {
            for text in texts {
                assert_eq!(page(text).as_deref(), Some(expected), "{text}");
            }
        }
    }

    #[test]
    fn the_commits_are_read_where_the_settings_name_the_repository_however_it_is_spelled() {
        let mut origins = Origins::default();
        origins.add_host("ssh://git@git.acme.com:2222/acme/deploy.git", Web::Gitea);
        let (web, api) = ("web".parse().unwrap(), "api".parse().unwrap());
        origins.add_history("git@git.acme.com:acme/Web.git", &web);
        origins.add_history("https://github.com/acme/api", &api);
        let range = |source: &str, from: Option<&str>| {
            let (to, from) = (labels(source, NEW), from.map(|from| labels(source, from)));
            let between = between(from.as_ref().map(version), version(&to), &origins)?;
            let range = origins.range(&between)?;
            assert_eq!((range.from.as_str(), range.to.as_str()), (OLD, NEW));
            Some(range.repository)
        };
        let of_web = range("https://git.acme.com/acme/web/src/branch/main", Some(OLD));
        assert_eq!(of_web, Some(web));
        assert_eq!(
            range("https://github.com/Acme/API.git", Some(OLD)),
            Some(api)
        );
        assert_eq!(range("https://github.com/acme/other", Some(OLD)), None);
        assert_eq!(range("https://github.com/acme/api", None), None);
    }

    #[test]
    fn what_could_lead_astray_is_no_page() {
        let page = |text: &str| Page::of(text, &BTreeMap::new()).map(|page| page.url);
        for text in [
            "",
            "web",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://github.com/acme",
            "https://github.com/acme/web)[x](y",
            "https://github.com/acme/we`b",
            "https://github.com/acme/<b>",
            "git@code.acme.com:acme/web.git",
            "http://code.acme.com:8080/web",
            "https://evil.example/a b|c",
        ] {
            let found = page(text);
            let is_harmless = found.as_ref().is_none_or(|url| {
                url.chars()
                    .all(|c| c.is_ascii_alphanumeric() || ":/.-_~%".contains(c))
            });
            assert!(is_harmless, "{text}: {found:?}");
        }
        assert_eq!(page("git@code.acme.com:acme/web.git"), None);
        assert_eq!(page("javascript:alert(1)"), None);
        assert_eq!(page("http://code.acme.com:8080/web"), None);
        assert_eq!(page("https://github.com/acme"), None);
    }

    #[test]
    fn labels_that_a_base_image_may_have_left_are_not_believed() {
        let app = "https://github.com/acme/web";
        let base = "https://github.com/docker-library/python";
        let origins = Origins::default();
        let found = |from: &Labels, to: &Labels| {
            between(Some(version(from)), version(to), &origins).is_some()
        };
        let (old, new) = (labels(app, OLD), labels(app, NEW));
        assert!(found(&old, &new));
        assert!(!found(&new, &new), "two versions of one commit");
        assert!(!found(&labels(base, OLD), &new), "another project");
        let of_python = Labels {
            version: Some("3.12.1".to_owned()),
            ..new.clone()
        };
        assert!(!found(&old, &of_python), "the version of another thing");
        let named = Labelled {
            version: "main-20-1b2c3d4",
            labels: &new,
        };
        let sure = between(Some(version(&new)), named, &origins).unwrap();
        assert_eq!(
            sure.from, None,
            "the tag names its commit, the other's says the same"
        );
        assert_eq!(sure.link().unwrap(), format!("{app}/commit/{NEW}"));
        assert!(!found(
            &old,
            &Labels {
                revision: Some("v1.5".to_owned()),
                ..new.clone()
            }
        ));
        assert_eq!(Revision::parse("0a1b2c"), None);
    }
}
