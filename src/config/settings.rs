//! Settings as the program uses them. How they are written is in `raw`; secrets are named here, never held.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::limits::Limits;
use crate::cluster;
use crate::forge::{Kind as ForgeKind, Place, PlaceError};
use crate::image::RegistryKind;
use crate::login::{ClusterWay, Source, SourcesByPath};
use crate::manifest::SshAddress;
use crate::policy::{ConnectionName, RepositoryName, SubjectTemplate};
use crate::probe::Server;
use crate::secret::{Guard, Secret, SigningKey, SshLogin};

/// What is true for all policies. Paths are relative to the process's folder, or absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) repositories: BTreeMap<RepositoryName, RepositorySettings>,
    /// By host, as [`crate::image::Repository::registry`] spells it.
    pub(crate) registries: BTreeMap<String, RegistrySettings>,
    /// The starts of names whose images are copies, `harbor.example.com/hub`, each with that of what they are copies of,
    /// `docker.io`.
    pub(crate) mirrors: BTreeMap<String, String>,
    /// Where the logins come from for the registries that have none of their own.
    pub(crate) shared_login: Option<Source>,
    pub(crate) commit: CommitSettings,
    pub(crate) render: RenderSettings,
    /// A folder for mirrors and metadata, which may be deleted at any time.
    pub(crate) cache: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) hooks: Option<HookSettings>,
    /// `None`: this process is the only one.
    pub(crate) leadership: Option<LeadershipSettings>,
    /// Whether Events on our own pod tell of us.
    pub(crate) pod_events: bool,
    /// `None`: nobody said.
    pub(crate) log: Option<LogSettings>,
    /// `None`: all policies stand in files.
    pub(crate) custom_resources: Option<CustomResourcesSettings>,
    pub(crate) argo_cd: BTreeMap<ConnectionName, ArgoCdSettings>,
    /// Those that checks ask and that need something, by host.
    pub(crate) servers: BTreeMap<String, Server>,
    /// The people of each group.
    pub(crate) groups: BTreeMap<String, BTreeSet<String>>,
}

/// Which of several processes promotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeadershipSettings {
    /// The name of the Lease.
    pub(crate) lease: String,
    /// `None`: that of the pod, or of the kubeconfig's context.
    pub(crate) namespace: Option<String>,
    pub(crate) way: ClusterWay,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogSettings {
    pub(crate) level: LogLevel,
    /// By the name of a room.
    pub(crate) rooms: BTreeMap<&'static str, LogLevel>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(crate) const ALL: [Self; 6] = [
        Self::Off,
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl LogSettings {
    /// The same as a filter of `tracing`. Libraries speak up where they have something to warn of, and never louder than towpath.
    pub(crate) fn filter(&self) -> String {
        let Self { level, rooms } = self;
        let libraries = (*level).min(LogLevel::Warn).as_str();
        let rooms = rooms
            .iter()
            .map(|(room, level)| format!(",towpath::{room}={}", level.as_str()));
        let rooms: String = rooms.collect();
        format!("{libraries},towpath={}{rooms}", level.as_str())
    }
}

/// Which custom resources count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CustomResourcesSettings {
    /// How far the policies of each namespace may go.
    pub(crate) namespaces: BTreeMap<String, Limits>,
    pub(crate) way: ClusterWay,
}

/// A connection to Argo CD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArgoCdSettings {
    pub(crate) server: cluster::Server,
    pub(crate) selector: Option<String>,
    pub(crate) refresh: cluster::Refresh,
    pub(crate) events: cluster::Events,
    /// Of Argo CD's own API.
    pub(crate) poll_interval: Duration,
}

/// Where registries tell of pushes, and forges of what people do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookSettings {
    pub(crate) listen: SocketAddr,
    /// By the name of the kind of registry, each with at least one.
    pub(crate) registries: BTreeMap<&'static str, Vec<HookSource>>,
    /// The same of forges.
    pub(crate) forges: BTreeMap<ForgeKind, Vec<Guard>>,
}

/// A registry that may tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookSource {
    pub(crate) guard: Guard,
    /// The host by which policies name the registry.
    pub(crate) host: Option<String>,
}

/// A manifests repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepositorySettings {
    pub(crate) url: RepositoryUrl,
    pub(crate) branch: String,
    /// Over HTTP.
    pub(crate) credentials: Option<Source>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) poll_interval: Duration,
    /// How many commits of each branch are kept; `None` for all.
    pub(crate) depth: Option<u32>,
    pub(crate) push_options: Vec<String>,
    pub(crate) forge: ForgeSettings,
}

/// Where the pull requests of a repository are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForgeSettings {
    /// Nowhere: people merge branches with git.
    None,
    At {
        place: Place,
        /// `None`: those of the repository.
        credentials: Option<Box<Source>>,
    },
    /// It cannot be told, which matters only where somebody wants a pull request.
    Unknown(PlaceError),
}

/// Where a manifests repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RepositoryUrl {
    /// `https`, or `http` where the settings allow it; never with credentials in it.
    Http(Url),
    Ssh {
        address: SshAddress,
        login: SshLogin,
    },
    Local(PathBuf),
}

/// A registry that needs something, or the defaults for one that needs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegistrySettings {
    pub(crate) logins: SourcesByPath,
    pub(crate) plain_http: bool,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) client_certificate: Option<ClientCertificate>,
    pub(crate) proxy: Proxy,
    pub(crate) poll_interval: Duration,
    /// The product behind the host, where its name does not tell.
    pub(crate) kind: Option<RegistryKind>,
    pub(crate) page_size: Option<u32>,
    /// The time between two requests.
    pub(crate) pace: Option<Duration>,
    pub(crate) requests_in_flight: Option<u32>,
    /// Further hosts that may be sent the credentials.
    pub(crate) realms: Vec<String>,
}

/// Our own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The proxy on the way to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// As the environment says.
    Environment,
    None,
    At {
        url: Url,
        login: Option<(String, Secret)>,
    },
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            logins: SourcesByPath::default(),
            plain_http: false,
            ca_file: None,
            client_certificate: None,
            proxy: Proxy::Environment,
            poll_interval: Duration::from_secs(2 * 60),
            kind: None,
            page_size: None,
            pace: None,
            requests_in_flight: None,
            realms: Vec::new(),
        }
    }
}

/// How commits are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitSettings {
    pub(crate) author: Person,
    pub(crate) committer: Person,
    pub(crate) subject: SubjectTemplate,
    /// What signs commits.
    pub(crate) sign: Option<Signing>,
}

/// What signs commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    Key(SigningKey),
    /// The forge of each repository, which makes them.
    Forge,
}

/// The programs that render manifests; nothing is rendered by those that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RenderSettings {
    pub(crate) kustomize: Option<ProgramPlace>,
    pub(crate) helm: Option<ProgramPlace>,
}

/// Where a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProgramPlace {
    /// In a folder of PATH.
    InPath,
    At(PathBuf),
}

/// Who makes or commits a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
}
