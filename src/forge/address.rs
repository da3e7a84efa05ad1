//! From the address that git uses to the repository on its forge.
//!
//! Forms of addresses: <https://git-scm.com/docs/git-clone#_git_urls>. Not here: which products there are (`place`).

use url::Url;

use super::place::{Kind, Place, PlaceError};

/// The one host of Bitbucket Cloud, whose API is at another.
const BITBUCKET: &str = "bitbucket.org";

/// What stands in an address.
struct Address {
    /// Scheme, host and port at which the API is. By ssh, https at the same name.
    origin: Url,
    /// What the path names, decoded, without `.git`.
    segments: Vec<String>,
    is_ssh: bool,
}

impl Place {
    /// Reads off `address` where the repository is; `kind` where the settings say it.
    pub(crate) fn parse(kind: Option<Kind>, address: &str) -> Result<Self, PlaceError> {
        let address = Address::parse(address).ok_or(PlaceError::NoServer)?;
        let host = address.origin.host_str().unwrap_or_default().to_owned();
        let kind = kind.or_else(|| Kind::of_host(&host));
        let kind = kind.ok_or_else(|| PlaceError::KindUnknown { host: host.clone() })?;
        if kind == Kind::BitbucketCloud && host != BITBUCKET {
            let at = BITBUCKET;
            return Err(PlaceError::Elsewhere { kind, at, host });
        }
        let found = match kind {
            Kind::Github => address.github(&host),
            Kind::Gitlab => address.gitlab(),
            Kind::Gitea => address.gitea(),
            Kind::BitbucketCloud => address.bitbucket_cloud(),
            Kind::BitbucketServer => address.bitbucket_server(),
            Kind::AzureDevops => address.azure(&host),
        };
        let (api, path) = found.ok_or_else(|| PlaceError::Path {
            kind,
            path: address.segments.join("/"),
            shape: shape(kind),
        })?;
        Ok(Self { kind, api, path })
    }
}

impl Address {
    fn parse(address: &str) -> Option<Self> {
        if !address.contains("://") {
            return Self::like_scp(address);
        }
        let url = Url::parse(address).ok()?;
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let (origin, is_ssh) = match url.scheme() {
            "http" | "https" => {
                let port = url.port().map(|port| format!(":{port}"));
                let port = port.unwrap_or_default();
                (format!("{}://{host}{port}", url.scheme()), false)
            }
            "ssh" | "git+ssh" | "ssh+git" => (format!("https://{}", without_ssh(host)), true),
            _ => return None,
        };
        Some(Self {
            origin: origin.parse().ok()?,
            segments: segments(url.path())?,
            is_ssh,
        })
    }

    /// `git@HOST:PATH`.
    fn like_scp(address: &str) -> Option<Self> {
        let (host, path) = address.split_once(':')?;
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if host.is_empty() || host.contains('/') {
            return None;
        }
        Some(Self {
            origin: format!("https://{}", without_ssh(host)).parse().ok()?,
            segments: segments(path)?,
            is_ssh: true,
        })
    }

    /// The API below the origin at `path`.
    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.origin.clone();
        url.set_path(&path.join("/"));
        url
    }

    /// <https://docs.github.com/en/enterprise-server@latest/rest/quickstart>, and for `*.ghe.com`
    /// <https://docs.github.com/en/enterprise-cloud@latest/rest/quickstart>.
    fn github(&self, host: &str) -> Option<(Url, String)> {
        let [owner, name] = &self.segments[..] else {
            return None;
        };
        let api = match host {
            "github.com" => "https://api.github.com".parse().ok()?,
            host if host.ends_with(".ghe.com") => format!("https://api.{host}").parse().ok()?,
            _ => self.at(&["api", "v3"]),
        };
        Some((api, format!("{owner}/{name}")))
    }

    /// Groups lie in groups: <https://docs.gitlab.com/api/rest/#namespaced-paths>.
    fn gitlab(&self) -> Option<(Url, String)> {
        let path = (self.segments.len() >= 2).then(|| self.segments.join("/"))?;
        Some((self.at(&["api", "v4"]), path))
    }

    /// Gitea may live below a path of its host, which addresses of ssh do not show.
    fn gitea(&self) -> Option<(Url, String)> {
        let [below @ .., owner, name] = &self.segments[..] else {
            return None;
        };
        if self.is_ssh && !below.is_empty() {
            return None;
        }
        let api = [&texts(below)[..], &["api", "v1"]].concat();
        Some((self.at(&api), format!("{owner}/{name}")))
    }

    fn bitbucket_cloud(&self) -> Option<(Url, String)> {
        let [workspace, name] = &self.segments[..] else {
            return None;
        };
        let api = "https://api.bitbucket.org/2.0".parse().ok()?;
        Some((api, format!("{workspace}/{name}")))
    }

    /// `/scm/PROJECT/NAME` by http, below the path at which it is served, and `PROJECT/NAME` by ssh; `~USER` is a project too.
    fn bitbucket_server(&self) -> Option<(Url, String)> {
        let (below, project, name) = match &self.segments[..] {
            [project, name] if self.is_ssh => (&[][..], project, name),
            [below @ .., scm, project, name] if !self.is_ssh && scm == "scm" => {
                (below, project, name)
            }
            _ => return None,
        };
        let api = [&texts(below)[..], &["rest", "api", "latest"]].concat();
        Some((self.at(&api), format!("{project}/{name}")))
    }

    /// `ORGANISATION/PROJECT/_git/NAME`, where a repository that is called as its project may stand without it;
    /// `v3/ORGANISATION/PROJECT/NAME` by ssh; `ORGANISATION.visualstudio.com` as it was called before; and collections of an
    /// Azure DevOps Server, below whatever path.
    fn azure(&self, host: &str) -> Option<(Url, String)> {
        let cloud: Url = "https://dev.azure.com".parse().ok()?;
        let all = texts(&self.segments);
        let old = host.strip_suffix(".visualstudio.com");
        let (below, organisation, project, name) = match (&all[..], old) {
            ([below @ .., "v3", organisation, project, name], _) if self.is_ssh => {
                (below, *organisation, project, name)
            }
            ([rest @ .., "_git", name], Some(organisation)) => match rest {
                [] | ["DefaultCollection"] => (&[][..], organisation, name, name),
                [project] | ["DefaultCollection", project] => {
                    (&[][..], organisation, project, name)
                }
                [..] => return None,
            },
            ([organisation, "_git", name], None) => (&[][..], *organisation, name, name),
            ([below @ .., organisation, project, "_git", name], None) => {
                (below, *organisation, project, name)
            }
            _ => return None,
        };
        let is_cloud = host == "dev.azure.com" || old.is_some();
        let api = match (is_cloud, below) {
            (true, []) => cloud,
            (true, [_, ..]) => return None,
            (false, below) => self.at(below),
        };
        Some((api, format!("{organisation}/{project}/{name}")))
    }
}

/// What the product calls the repository, for whoever wrote it otherwise.
fn shape(kind: Kind) -> &'static str {
    match kind {
        Kind::Github | Kind::Gitea => "`OWNER/NAME`",
        Kind::Gitlab => "`GROUP/NAME`, or `GROUP/SUBGROUP/NAME`",
        Kind::BitbucketCloud => "`WORKSPACE/NAME`",
        Kind::BitbucketServer => "`/scm/PROJECT/NAME` by http, and `PROJECT/NAME` by ssh",
        Kind::AzureDevops => {
            "`ORGANISATION/PROJECT/_git/NAME` by https, and `v3/ORGANISATION/PROJECT/NAME` by ssh"
        }
    }
}

/// The name of the API's host, where ssh has one of its own.
fn without_ssh(host: &str) -> &str {
    match host {
        "ssh.github.com" => "github.com",
        "altssh.gitlab.com" => "gitlab.com",
        "altssh.bitbucket.org" => "bitbucket.org",
        "ssh.dev.azure.com" => "dev.azure.com",
        other => other,
    }
}

/// What `path` names, without `.git`; `None` where a segment is none.
fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let is_name =
        |text: &String| !matches!(&**text, "" | "." | "..") && !text.contains(['/', '\\', '\0']);
    let decode = |segment| decoded(segment).filter(is_name);
    path.split('/').map(decode).collect()
}

/// Names with spaces come percent-encoded.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match (first, after.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn texts(segments: &[String]) -> Vec<&str> {
    segments.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::{Kind, Place, PlaceError};

    /// Address, kind if it is set, and what is read off it: kind, API, path.
    type Case = (
        &'static str,
        Option<Kind>,
        (Kind, &'static str, &'static str),
    );

    const ADDRESSES: [Case; 40] = {
        use Kind::{AzureDevops, BitbucketCloud, BitbucketServer, Gitea, Github, Gitlab};
        const GITHUB: &str = "https://api.github.com";
        const GHE: &str = "https://github.example.com/api/v3";
        const CLOUD: &str = "https://api.bitbucket.org/2.0";
        const SERVER: &str = "https://bitbucket.example.com/rest/api/latest";
        const AZURE: &str = "https://dev.azure.com";
        [
            (
                "https://github.com/acme/deploy.git",
                None,
                (Github, GITHUB, "acme/deploy"),
            ),
            (
                "https://github.com/acme/deploy/",
                None,
                (Github, GITHUB, "acme/deploy"),
            ),
            (
                "https://user:secret@github.com/acme/deploy",
                None,
                (Github, GITHUB, "acme/deploy"),
            ),
            (
                "git@github.com:acme/deploy.git",
                None,
                (Github, GITHUB, "acme/deploy"),
            ),
            (
                "github.com:/acme/deploy",
                None,
                (Github, GITHUB, "acme/deploy"),
            ),
            (
                "ssh://git@github.com/acme/deploy.git",
                None,
                (Github, GITHUB, "acme/deploy"),
            ),
            (
                "ssh://git@ssh.github.com:443/acme/deploy.git",
                None,
                (Github, GITHUB, "acme/deploy"),
            ),
            (
                "https://github.com/acme/deploy.github.io.git",
                None,
                (Github, GITHUB, "acme/deploy.github.io"),
            ),
            (
                "https://acme.ghe.com/acme/deploy",
                None,
                (Github, "https://api.acme.ghe.com", "acme/deploy"),
            ),
            (
                "git@github.example.com:acme/deploy.git",
                None,
                (Github, GHE, "acme/deploy"),
            ),
            (
                "https://github.example.com/acme/deploy",
                None,
                (Github, GHE, "acme/deploy"),
            ),
            (
                "https://git.example.com:8443/a/b",
                Some(Github),
                (Github, "https://git.example.com:8443/api/v3", "a/b"),
            ),
            (
                "https://gitlab.com/acme/deploy.git",
                None,
                (Gitlab, "https://gitlab.com/api/v4", "acme/deploy"),
            ),
            (
                "git@gitlab.com:acme/team/sub/deploy.git",
                None,
                (Gitlab, "https://gitlab.com/api/v4", "acme/team/sub/deploy"),
            ),
            (
                "ssh://git@altssh.gitlab.com:443/acme/deploy.git",
                None,
                (Gitlab, "https://gitlab.com/api/v4", "acme/deploy"),
            ),
            (
                "ssh://git@gitlab.example.com:2222/a/my%20team/d%C3%A4%25.git",
                None,
                (Gitlab, "https://gitlab.example.com/api/v4", "a/my team/dä%"),
            ),
            (
                "ssh://git@gitlab.example.com:2222/a/b.git",
                None,
                (Gitlab, "https://gitlab.example.com/api/v4", "a/b"),
            ),
            (
                "http://git.example.com/a/b",
                Some(Gitlab),
                (Gitlab, "http://git.example.com/api/v4", "a/b"),
            ),
            (
                "https://codeberg.org/acme/deploy.git",
                None,
                (Gitea, "https://codeberg.org/api/v1", "acme/deploy"),
            ),
            (
                "https://gitea.example.com/acme/deploy",
                None,
                (Gitea, "https://gitea.example.com/api/v1", "acme/deploy"),
            ),
            (
                "https://example.com/git/acme/deploy.git",
                Some(Gitea),
                (Gitea, "https://example.com/git/api/v1", "acme/deploy"),
            ),
            (
                "http://127.0.0.1:3000/acme/deploy.git",
                Some(Gitea),
                (Gitea, "http://127.0.0.1:3000/api/v1", "acme/deploy"),
            ),
            (
                "ssh://forgejo@forgejo.example.com:2222/a/b",
                None,
                (Gitea, "https://forgejo.example.com/api/v1", "a/b"),
            ),
            (
                "https://user@bitbucket.org/acme/deploy.git",
                None,
                (BitbucketCloud, CLOUD, "acme/deploy"),
            ),
            (
                "git@bitbucket.org:acme/deploy.git",
                None,
                (BitbucketCloud, CLOUD, "acme/deploy"),
            ),
            (
                "ssh://git@altssh.bitbucket.org:443/acme/deploy",
                None,
                (BitbucketCloud, CLOUD, "acme/deploy"),
            ),
            (
                "https://bitbucket.example.com/scm/PROJ/deploy.git",
                None,
                (BitbucketServer, SERVER, "PROJ/deploy"),
            ),
            (
                "ssh://git@bitbucket.example.com:7999/PROJ/deploy.git",
                None,
                (BitbucketServer, SERVER, "PROJ/deploy"),
            ),
            (
                "https://bitbucket.example.com/scm/~ada/deploy.git",
                None,
                (BitbucketServer, SERVER, "~ada/deploy"),
            ),
            (
                "ssh://git@bitbucket.example.com:7999/~ada/deploy.git",
                None,
                (BitbucketServer, SERVER, "~ada/deploy"),
            ),
            (
                "https://example.com/bitbucket/scm/P/r.git",
                Some(BitbucketServer),
                (
                    BitbucketServer,
                    "https://example.com/bitbucket/rest/api/latest",
                    "P/r",
                ),
            ),
            (
                "https://dev.azure.com/acme/shop/_git/deploy",
                None,
                (AzureDevops, AZURE, "acme/shop/deploy"),
            ),
            (
                "https://acme@dev.azure.com/acme/My%20Shop/_git/deploy",
                None,
                (AzureDevops, AZURE, "acme/My Shop/deploy"),
            ),
            (
                "https://dev.azure.com/acme/_git/deploy",
                None,
                (AzureDevops, AZURE, "acme/deploy/deploy"),
            ),
            (
                "git@ssh.dev.azure.com:v3/acme/shop/deploy",
                None,
                (AzureDevops, AZURE, "acme/shop/deploy"),
            ),
            (
                "https://acme.visualstudio.com/shop/_git/deploy",
                None,
                (AzureDevops, AZURE, "acme/shop/deploy"),
            ),
            (
                "https://acme.visualstudio.com/DefaultCollection/shop/_git/deploy",
                None,
                (AzureDevops, AZURE, "acme/shop/deploy"),
            ),
            (
                "https://acme.visualstudio.com/_git/deploy",
                None,
                (AzureDevops, AZURE, "acme/deploy/deploy"),
            ),
            (
                "acme@vs-ssh.visualstudio.com:v3/acme/shop/deploy",
                None,
                (AzureDevops, AZURE, "acme/shop/deploy"),
            ),
            (
                "https://tfs.example.com/tfs/Main/shop/_git/deploy",
                Some(AzureDevops),
                (
                    AzureDevops,
                    "https://tfs.example.com/tfs",
                    "Main/shop/deploy",
                ),
            ),
        ]
    };

    #[test]
    fn the_repository_on_its_forge_is_read_off_the_address_that_git_uses() {
        for (address, kind, (found, api, path)) in ADDRESSES {
            let place = Place::parse(kind, address).unwrap();
            let text = place.api.as_str().trim_end_matches('/');
            assert_eq!(
                (place.kind, text, &*place.path),
                (found, api, path),
                "{address}"
            );
        }
    }

    #[test]
    fn what_cannot_be_told_is_said_and_not_guessed() {
        for (address, kind, told) in [
            (
                "https://git.example.com/a/b",
                None,
                "which product hosts `git.example.com` cannot be told from its name",
            ),
            (
                "git@github.com:deploy.git",
                None,
                "`deploy` is not how GitHub names a repository: `OWNER/NAME`",
            ),
            (
                "https://github.com/a/b/c",
                None,
                "`a/b/c` is not how GitHub names a repository: `OWNER/NAME`",
            ),
            (
                "https://gitlab.com/a",
                None,
                "`a` is not how GitLab names a repository: `GROUP/NAME`, or `GROUP/SUBGROUP/NAME`",
            ),
            (
                "ssh://git@codeberg.org/x/a/b",
                None,
                "`x/a/b` is not how Gitea names a repository: `OWNER/NAME`",
            ),
            (
                "https://bitbucket.example.com/PROJ/deploy.git",
                None,
                "`PROJ/deploy` is not how Bitbucket Server names a repository: `/scm/PROJECT/NAME` by http, and `PROJECT/NAME` by ssh",
            ),
            (
                "https://git.example.com/acme/deploy",
                Some(Kind::BitbucketCloud),
                "Bitbucket Cloud is at `bitbucket.org`, and not at `git.example.com`",
            ),
            (
                "https://dev.azure.com/acme/deploy",
                None,
                "`acme/deploy` is not how Azure DevOps names a repository: `ORGANISATION/PROJECT/_git/NAME` by https, and `v3/ORGANISATION/PROJECT/NAME` by ssh",
            ),
            (
                "/srv/git/deploy.git",
                Some(Kind::Github),
                "a repository that is at no server has no forge",
            ),
            (
                "file:///srv/git/deploy.git",
                Some(Kind::Github),
                "a repository that is at no server has no forge",
            ),
        ] {
            let error = Place::parse(kind, address).unwrap_err();
            assert_eq!(error.to_string(), told, "{address}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_address_makes_it_panic(address in "(https?://|ssh://|git@)?[a-z%@:/._~ 0-9-]{0,40}") {
            for kind in Kind::ALL {
                let found = Place::parse(Some(kind), &address);
                let is_name = |name: &str| !matches!(name, "" | "." | "..");
                let is_whole = match &found {
                    Ok(place) => place.path.split('/').all(is_name),
                    Err(PlaceError::Path { .. } | PlaceError::NoServer) => true,
                    Err(PlaceError::Elsewhere { .. }) => kind == Kind::BitbucketCloud,
                    Err(PlaceError::KindUnknown { .. }) => false,
                };
                proptest::prop_assert!(is_whole, "{found:?}");
            }
        }
    }
}
