//! Which repository a URL names, whichever way it leads there.

use crate::manifest::SshAddress;

/// Hosts that forges have beside their own for SSH through firewalls, and for SSH at all.
///
/// <https://docs.github.com/en/authentication/troubleshooting-ssh/using-ssh-over-the-https-port>,
/// <https://docs.gitlab.com/user/ssh/#use-ssh-on-port-443>,
/// <https://support.atlassian.com/bitbucket-cloud/docs/use-ssh-with-bitbucket-cloud/>,
/// <https://learn.microsoft.com/en-us/azure/devops/repos/git/use-ssh-keys-to-authenticate>
const OTHER_NAMES: [(&str, &str); 4] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
    ("ssh.dev.azure.com", "dev.azure.com"),
];

/// The place of a git repository, without what differs between the ways to it: login, `.git`, and the case of letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepositoryAddress {
    way: Way,
    /// Empty for this machine.
    host: String,
    /// Where one is written.
    port: Option<u16>,
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Https,
    Http,
    Ssh,
    Local,
}

impl RepositoryAddress {
    /// Reads the URL of a repository in any form that git has; `None` for what is none.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let url = url.trim();
        let (way, rest) = match url.split_once("://") {
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "https" => (Way::Https, rest),
                "http" => (Way::Http, rest),
                "ssh" | "git+ssh" => (Way::Ssh, rest),
                "file" => (Way::Local, rest),
                _ => return None,
            },
            None if url.starts_with('/') => (Way::Local, url),
            // `registry.example.com/charts` is a registry of charts.
            None if url.contains(':') => (Way::Ssh, url),
            None => return None,
        };
        let (host, port, path) = match way {
            Way::Local => (String::new(), None, rest.to_owned()),
            Way::Ssh => {
                let SshAddress {
                    host, port, path, ..
                } = url.parse().ok()?;
                (host, (port != 22).then_some(port), path)
            }
            Way::Https | Way::Http => {
                let (server, path) = rest.split_once('/')?;
                let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
                let (host, port) = match server.rsplit_once(':') {
                    Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
                    Some(_) | None => (server, None),
                };
                let usual = if way == Way::Https { 443 } else { 80 };
                let port = port.filter(|port| *port != usual);
                (host.to_owned(), port, path.to_owned())
            }
        };
        let host = host.to_lowercase();
        let known = OTHER_NAMES.iter().find(|(other, _)| *other == host);
        let (host, port) = match known {
            Some((_, host)) => ((*host).to_owned(), None),
            None => (host, port),
        };
        let path = path_on(&host, way, &path);
        (!path.is_empty()).then_some(Self {
            way,
            host,
            port,
            path,
        })
    }

    /// Whether both lead to one repository. Ports tell only where the way is the same: each way has its own.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let Self {
            way,
            host,
            port,
            path,
        } = self;
        let other_way = *way != other.way;
        let is_elsewhere = (*way == Way::Local) != (other.way == Way::Local);
        *host == other.host
            && *path == other.path
            && !is_elsewhere
            && (other_way || *port == other.port)
    }
}

/// Argo CD compares URLs without regard to case, and forges take either:
/// <https://github.com/argoproj/argo-cd/blob/master/util/git/git.go>.
fn path_on(host: &str, way: Way, path: &str) -> String {
    let path = match way {
        Way::Local => path.to_owned(),
        Way::Https | Way::Http | Way::Ssh => path.to_lowercase(),
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    match (way, &parts[..]) {
        // `/scm/PROJECT/NAME` over HTTP is `/PROJECT/NAME` over SSH in Bitbucket Data Center.
        (Way::Https | Way::Http, ["scm", project, name]) => format!("{project}/{name}"),
        // `/ORGANISATION/PROJECT/_git/NAME` is `v3/ORGANISATION/PROJECT/NAME` over SSH.
        (Way::Ssh, ["v3", rest @ ..]) if host == "dev.azure.com" => rest.join("/"),
        (Way::Https, [organisation, project, "_git", name]) if host == "dev.azure.com" => {
            format!("{organisation}/{project}/{name}")
        }
        _ => path.to_owned(),
    }
}
