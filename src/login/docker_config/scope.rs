//! Which repositories an entry of a Docker config file is for, and which of two is closer.

/// The names that Docker Hub has in these files, and the one that it has here.
const DOCKER_HUB: ([&str; 2], &str) = (["index.docker.io", "registry-1.docker.io"], "docker.io");

/// The name by which Docker asks its programs for the login of a registry.
///
/// <https://github.com/docker/cli/blob/master/cli/command/registry.go>: the index of Docker Hub, else the host.
pub(super) fn server(host: &str) -> &str {
    match host == DOCKER_HUB.1 {
        true => "https://index.docker.io/v1/",
        false => host,
    }
}

/// The repositories that an entry is for.
struct Scope {
    host: String,
    port: Option<String>,
    path: Vec<String>,
}

/// How closely an entry fits. The fields count in this order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::login) struct Fit {
    path_segments: usize,
    host: HostFit,
    /// Of two ways to spell the same, the one that says something.
    weight: Weight,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum HostFit {
    /// More letters, fewer repositories.
    Wildcard {
        letters: usize,
    },
    Exact,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    Empty,
    Entry,
    /// Docker asks a registry's helper first.
    Helper,
}

/// How closely the entry `name` fits a repository, if it does.
pub(super) fn fit(name: &str, (host, path): (&str, &str), weight: Weight) -> Option<Fit> {
    let scope = Scope::parse(name);
    let segments = path.split('/').take(scope.path.len());
    let path_fits = segments.eq(scope.path.iter().map(String::as_str));
    let (host, port) = split_port(host);
    let host_fits = scope.port.as_deref() == port && host_matches(&scope.host, host);
    let letters = scope.host.bytes().filter(|b| *b != b'*').count();
    let host = match letters == scope.host.len() {
        true => HostFit::Exact,
        false => HostFit::Wildcard { letters },
    };
    (path_fits && host_fits).then_some(Fit {
        path_segments: scope.path.len(),
        host,
        weight,
    })
}

impl Scope {
    /// A host, a host with the start of a path, or a URL; `https://index.docker.io/v1/` is Docker Hub.
    fn parse(name: &str) -> Self {
        let url = ["https://", "http://"].map(|scheme| name.strip_prefix(scheme));
        let url = url.into_iter().flatten().next();
        let (host, path) = match url.unwrap_or(name).split_once('/') {
            Some((host, path)) => (host, path),
            None => (url.unwrap_or(name), ""),
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.to_ascii_lowercase();
        let host = match DOCKER_HUB.0.contains(&&*host) {
            true => DOCKER_HUB.1.to_owned(),
            false => host,
        };
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut path: Vec<String> = segments.map(str::to_owned).collect();
        // The version of the registry's API, not a part of the repository's name.
        let version = path.first().is_some_and(|s| s == "v1" || s == "v2");
        if version && (url.is_some() || path.len() == 1) {
            path.remove(0);
        }
        let (host, port) = split_port(&host);
        Self {
            host: host.to_owned(),
            port: port.map(str::to_owned),
            path,
        }
    }
}

/// `[::1]` has no port, however many colons.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, Some(port)),
        Some(_) | None => (host, None),
    }
}

/// Whether a host is meant by a pattern: label by label, and `*` never goes over a dot, as with Kubernetes.
fn host_matches(pattern: &str, host: &str) -> bool {
    let (labels, found) = (pattern.split('.'), host.split('.'));
    labels.clone().count() == found.clone().count()
        && labels.zip(found).all(|(pattern, label)| {
            let Some((start, rest)) = pattern.split_once('*') else {
                return pattern == label;
            };
            let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
            let inner = label.strip_prefix(start).and_then(|l| l.strip_suffix(end));
            inner.is_some_and(|mut inner| {
                middle.split('*').all(|part| match inner.split_once(part) {
                    Some((_, after)) => {
                        inner = after;
                        true
                    }
                    None => false,
                })
            })
        })
}
