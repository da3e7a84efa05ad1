//! Exactly what may be written in the files, key by key. The doc comments are what editors show.
//!
//! Not here: values with several forms (`forms`, `logins`) or a grammar (`nouns`), and what keys mean together (`check_settings`,
//! `check_policy`).

use std::net::SocketAddr;
use std::time::Duration;

use super::applications::{WrittenArgoCd, WrittenOnDegraded};
use super::argo_cd::ArgoCdEntry;
use super::artifact::Artifact;
use super::blank::Blank;
use super::custom_resources::CustomResourcesEntry;
use super::forge_nouns::ApiUrl;
use super::forms::{
    AutoMerge, Deliver, Forge, Image, Newest, OneOrMany, Prerelease, Program, Proxy, Update,
};
use super::gates::{GatesEntry, SharedFreeze, TrustRootEntry};
use super::hooks::{ForgeHook, HookKind, HookSource};
use super::leadership::LeadershipEntry;
use super::log::LogEntry;
use super::logins::{
    ClusterCredentials, RegistryCredentials, RepositoryCredentials, SigningCredentials,
};
use super::nouns::{
    ApiVersion, BranchName, CommitSubject, Depth, HostName, MarkerPolicy, NoNamespace, Notes,
    PageSize, PolicyFiles, PushOption, RegistryName, RequestsInFlight, RequestsPerSecond,
    WrittenUrl,
};
use super::servers::{ServerEntry, ServerName};
use super::shape::{Block, Named, Placed, shape};
use super::tags::{Source, WrittenRule};
use super::templates::{BodyTemplate, TitleTemplate};
use crate::edit::{Document, Path as YamlPath};
use crate::forge::Kind as ForgeKind;
use crate::image::RegistryKind;
use crate::manifest::{RepoPath, Write};
use crate::policy::{
    ConnectionName, EnvironmentName, FolderPattern, Group, GroupName, ImageName, PolicyName,
    RepositoryName, RouteName, Same,
};

shape! {
    /// Settings of towpath: where manifests repositories and registries are, and where the policies lie.
    struct Settings {
        /// The manifests repositories, and source repositories whose history orders builds, by the names that policies use.
        repositories: Named<RepositoryName, RepositoryEntry> = "repositories",
        /// The registries that need credentials or other settings, by host; `HOST/PATH` gives `credentials` or `mirror-of` to what is below a path. Others are read over https, anonymously or with `docker-config` or `credentials`.
        registries: Option<Named<RegistryName, RegistryEntry>> = "registries",
        /// A Docker config file (`~/.docker/config.json`, a mounted `.dockerconfigjson`) with the logins of all registries that have no `credentials` of their own, relative to this file. It is read anew each time.
        docker_config: Option<Placed<String>> = "docker-config",
        /// Pull secrets of a Kubernetes cluster with the logins of all registries that have no `credentials` of their own; they stand instead of `docker-config`.
        credentials: Option<ClusterCredentials> = "credentials",
        /// Files and folders with policies, relative to this file. They are re-read when they change.
        policies: PolicyFiles = "policies",
        /// Times in which nothing moves, in all environments or in those that each names.
        freezes: Option<Vec<SharedFreeze>> = "freezes",
        /// Whose certificates and logs are believed where images are signed by an identity. Default: Sigstore's public instance, as it was when this version of towpath was made.
        trust_root: Option<TrustRootEntry> = "trust-root",
        /// How commits are written.
        commit: Option<Commit> = "commit",
        /// What shows reviewers what their merge would change in a cluster. Default: pull requests show the changed files.
        render: Option<Render> = "render",
        /// A folder for mirrors and metadata, relative to this file; it may be deleted at any time. Default: `towpath` in the user's cache folder.
        cache: Option<Placed<String>> = "cache",
        /// Address and port for health and metrics. Default: `127.0.0.1:8080`.
        listen: Option<Placed<SocketAddr>> = "listen",
        /// Where registries say that a tag was pushed, and forges that a repository or a pull request changed, so that it counts at once. Default: none is listened to.
        hooks: Option<Block<Hooks>> = "hooks",
        /// Which of several processes with these settings promotes: whoever holds a Lease of Kubernetes. The others follow. Default: this one is alone.
        leadership: Option<Block<LeadershipEntry>> = "leadership",
        /// Whether Kubernetes Events tell which pod leads, that new settings were taken or are invalid, and that a push failed: on what POD_OWNER names (`Deployment/towpath`), or else on the pod. Needs the variables POD_NAME and POD_NAMESPACE. Default: `false`.
        pod_events: Option<bool> = "pod-events",
        /// What the daemon logs, as long as `--log` and TOWPATH_LOG do not say. A change counts at once. Default: `level: info`.
        log: Option<Block<LogEntry>> = "log",
        /// Policies and routes that stand in a Kubernetes cluster as custom resources, beside those of the files. Default: none.
        custom_resources: Option<Block<CustomResourcesEntry>> = "custom-resources",
        /// Connections to Argo CD, by the names that policies use: what became of promotions in clusters. Default: none.
        argo_cd: Option<Named<ConnectionName, Block<ArgoCdEntry>>> = "argo-cd",
        /// The servers that checks ask and that need credentials or other settings, by host: `prometheus.example.com`, `prometheus:9090`. Others are asked over https, without a login.
        servers: Option<Named<ServerName, ServerEntry>> = "servers",
        /// Groups of people, by names that the gate `approvals` uses: their logins at the forge, or their names or addresses as git knows them.
        groups: Option<Named<GroupName, Vec<Placed<String>>>> = "groups",
    } also {
        /// The version of the language: `towpath.dev/v1alpha1`.
        Option<Placed<ApiVersion>> = "apiVersion",
        /// `Settings`.
        Placed<String> = "kind",
    }

    /// A manifests repository, or a source repository whose history orders builds.
    struct RepositoryEntry {
        /// An https URL, an http URL with `plain-http: true`, an SSH URL (`git@HOST:PATH` or `ssh://git@HOST:PORT/PATH`), or a local path relative to this file. Credentials never stand here.
        url: Placed<WrittenUrl> = "url",
        /// The branch that is read and promoted to. Default: `main`.
        branch: Option<Placed<BranchName>> = "branch",
        /// How to log in: a token, a user name and a password, a GitHub App, or a private key for SSH.
        credentials: Option<RepositoryCredentials> = "credentials",
        /// The keys by which the hosts of SSH URLs are known: a file as OpenSSH keeps it, relative to this file. It is read anew each time.
        known_hosts: Option<Placed<String>> = "known-hosts",
        /// Whether a URL without TLS may be used. Default: `false`.
        plain_http: Option<bool> = "plain-http",
        /// A file with the certificate authorities to trust, in PEM, relative to this file.
        ca_file: Option<Placed<String>> = "ca-file",
        /// How often the repository is fetched: `30s`, `5m`. Default: `1m`.
        poll_interval: Option<Placed<Duration>> = "poll-interval",
        /// How many commits of each branch are kept, for large repositories: 2 to 1000000. Default: all.
        depth: Option<Depth> = "depth",
        /// What the server's hooks are told with each push, if it takes options: `ci.skip`.
        push_options: Option<Vec<Placed<PushOption>>> = "push-options",
        /// Where its pull requests are: `github`, `gitlab`, `gitea`, `forgejo`, `bitbucket-cloud`, `bitbucket-server`, `azure-devops`, a map, or `none`: branches are pushed, and people merge them with git. Default: what the host's name tells; `none` for a local path.
        forge: Option<Forge> = "forge",
    }

    /// The forge of a repository.
    struct ForgeEntry {
        /// The product: `github`, `gitlab`, `gitea`, `forgejo`, `bitbucket-cloud`, `bitbucket-server`, `azure-devops`. Default: what the host's name tells.
        kind: Option<Placed<ForgeKind>> = "kind",
        /// The root of its API, where that is not where the product has it: `https://git.example.com/api/v4`.
        url: Option<Placed<ApiUrl>> = "url",
        /// The repository as the product names it, where the address of git does not tell: `acme/deploy`.
        repository: Option<Placed<String>> = "repository",
        /// How to log in to the API. Default: the `credentials` of the repository.
        credentials: Option<RepositoryCredentials> = "credentials",
    }

    /// A registry.
    struct RegistryEntry {
        /// How to log in: a token, a user name and a password, a Docker config file, pull secrets of a Kubernetes cluster, or an identity in a cloud. Default: the settings' `docker-config` or `credentials`.
        credentials: Option<RegistryCredentials> = "credentials",
        /// Whether the registry is spoken to without TLS. Default: `false`.
        plain_http: Option<bool> = "plain-http",
        /// A file with the certificate authorities to trust, in PEM, relative to this file.
        ca_file: Option<Placed<String>> = "ca-file",
        /// Our own certificate, for a registry that asks for one.
        client_certificate: Option<ClientCertificate> = "client-certificate",
        /// The proxy on the way: a URL, `none`, or a map with the proxy's login. Default: what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
        proxy: Option<Proxy> = "proxy",
        /// How often tags are listed: `30s`, `5m`. Default: `2m`.
        poll_interval: Option<Placed<Duration>> = "poll-interval",
        /// The product behind the host: `harbor`, `quay`, `gitlab`... Default: what the host's name tells.
        kind: Option<Placed<RegistryKind>> = "kind",
        /// How many tags one page of a listing holds. Default: by the kind, mostly `1000`.
        page_size: Option<PageSize> = "page-size",
        /// The registry, or part of one, that this is a mirror or a pull-through cache of: `docker.io`. Images named here are read there.
        mirror_of: Option<Placed<RegistryName>> = "mirror-of",
        /// How many requests the registry and its token service are sent in a second, listings of all policies together. Default: by the kind.
        requests_per_second: Option<RequestsPerSecond> = "requests-per-second",
        /// How many requests are under way at once. Default: `8`.
        requests_in_flight: Option<RequestsInFlight> = "requests-in-flight",
        /// Further hosts that may be sent these credentials, as the registry's token service.
        realms: Option<Vec<Placed<HostName>>> = "realms",
    }

    /// Our own certificate. Files that change are read anew.
    struct ClientCertificate {
        /// A file with the certificate, and those between it and the authority, in PEM, relative to this file.
        certificate: Placed<String> = "certificate",
        /// A file with its private key in PEM, relative to this file.
        key: Placed<String> = "key",
    }

    /// Where registries say that a tag was pushed, and forges that a repository or a pull request changed.
    struct Hooks {
        /// Address and port, apart from those of health and metrics. Default: `127.0.0.1:8081`.
        listen: Option<Placed<SocketAddr>> = "listen",
        /// Who may tell, by kind of registry; each is served at `/hooks/registry/KIND`.
        registry: Option<Named<HookKind, OneOrMany<HookSource>>> = "registry",
        /// Who may tell, by the product of the forge; each is served at `/hooks/forge/KIND`.
        forge: Option<Named<ForgeKind, OneOrMany<ForgeHook>>> = "forge",
    }

    /// How commits are written.
    struct Commit {
        /// Who made the change. Default: `towpath <towpath@localhost>`.
        author: Option<Author> = "author",
        /// Who committed it. Default: the author.
        committer: Option<Author> = "committer",
        /// The first line of a commit, with `{policy}`, `{environment}` and `{changes}`. Default: `promote {policy} to {environment}: {changes}`.
        subject: Option<Placed<CommitSubject>> = "subject",
        /// What signs commits: a key, or `forge`: GitHub or GitLab makes and signs them. Default: nothing.
        sign: Option<SigningCredentials> = "sign",
    }

    /// The programs that render manifests before and after a promotion, for the texts of pull requests.
    struct Render {
        /// `kustomize`, for kustomizations: `true` where it is in a folder of PATH, or its file, relative to this file. Default: `false`.
        kustomize: Option<Program> = "kustomize",
        /// `helm`, for values of charts that stand in the same repository: `true` where it is in a folder of PATH, or its file, relative to this file. Default: `false`.
        helm: Option<Program> = "helm",
    }

    /// Who makes or commits a change.
    struct Author {
        /// The name in the commit.
        name: Placed<String> = "name",
        /// The address in the commit.
        email: Placed<String> = "email",
    }

    /// How the images of one application move through its environments.
    struct PromotionPolicy {
        /// What the policy is called.
        metadata: Metadata = "metadata",
        /// What the policy says.
        spec: Block<Spec> = "spec",
    } also {
        /// The version of the language: `towpath.dev/v1alpha1`. Later documents of a file may leave it out.
        Option<Placed<ApiVersion>> = "apiVersion",
        /// `PromotionPolicy`.
        Placed<String> = "kind",
    }

    /// What the policy is called.
    struct Metadata {
        /// The policy's name, which is unique among all policies: lower-case letters, digits, `-` and `.`.
        name: Placed<PolicyName> = "name",
    } also {
        /// For other tools; towpath reads none.
        Option<Notes> = "labels",
        /// For other tools; towpath reads none.
        Option<Notes> = "annotations",
        /// Of custom resources alone.
        Option<NoNamespace> = "namespace",
    }

    /// An ordered set of environments that many policies share.
    struct Route {
        /// What the route is called.
        metadata: RouteMetadata = "metadata",
        /// What the route says.
        spec: Block<RouteSpec> = "spec",
    } also {
        /// The version of the language: `towpath.dev/v1alpha1`. Later documents of a file may leave it out.
        Option<Placed<ApiVersion>> = "apiVersion",
        /// `Route`.
        Placed<String> = "kind",
    }

    /// What the route is called.
    struct RouteMetadata {
        /// The route's name, which is unique among all routes: lower-case letters, digits, `-` and `.`.
        name: Placed<RouteName> = "name",
    } also {
        /// For other tools; towpath reads none.
        Option<Notes> = "labels",
        /// For other tools; towpath reads none.
        Option<Notes> = "annotations",
        /// Of custom resources alone.
        Option<NoNamespace> = "namespace",
    }

    /// What the route says.
    struct RouteSpec {
        /// The manifests repository, by its name in the settings. Default: that of each policy.
        repository: Option<Placed<RepositoryName>> = "repository",
        /// Where images go, each with what may come there.
        environments: Block<Vec<Block<Environment>>> = "environments",
    }

    /// What the policy says.
    struct Spec {
        /// The route whose repository and environments the policy has, by its name.
        route: Option<Placed<RouteName>> = "route",
        /// The folders of which each is an application with a policy of its own: `apps/{policy}`.
        for_each: Option<Placed<FolderPattern>> = "for-each",
        /// The manifests repository, by its name in the settings.
        repository: Option<Placed<RepositoryName>> = "repository",
        /// The images that move, each under a name of the policy's own: `web: ghcr.io/acme/portal-web`. A Helm chart's repository stands with `oci://` before it.
        images: Option<Named<ImageName, Image>> = "images",
        /// Whether all images move at once, to one tag that all of them have. Default: `false`.
        together: Option<Block<bool>> = "together",
        /// Where the images go, each with what may come there; with `route`, what this policy says otherwise.
        environments: Option<Block<Vec<Block<Environment>>>> = "environments",
    }

    /// One environment: what may come here, where it is written, and how it is delivered.
    struct Environment {
        /// The environment's name: `dev`, `production`.
        name: Placed<EnvironmentName> = "name",
        /// Which versions may come here, and which of two is newer. Default: with `after`, what ran there.
        tags: Option<WrittenRule> = "tags",
        /// The environment that a version must have run in before, or a list of these, of which it must have run in each.
        after: Option<OneOrMany<Placed<EnvironmentName>>> = "after",
        /// What makes a version that `tags` names the same build as one that ran before: one `digest`, or one `revision`. Default: `digest`.
        same: Option<Placed<Same>> = "same",
        /// Where the version is written, which each environment says, in its policy or in the route: the folder of a kustomization, a Helm values file, manifests, an Argo CD Application, Flux's markers, any YAML scalar, or a list of these. `{policy}` and `{environment}` stand for the names.
        update: Option<OneOrMany<Update>> = "update",
        /// What is written. Default: `tag`, and `digest` where a tag is followed.
        write: Option<Placed<Write>> = "write",
        /// How the change reaches the repository. Default: `commit`.
        deliver: Option<Block<Deliver>> = "deliver",
        /// Whether an older version than the one in git may be written. Default: `false`.
        allow_downgrade: Option<bool> = "allow-downgrade",
        /// What a version must meet to come here. Default: nothing.
        gates: Option<GatesEntry> = "gates",
        /// The Applications of Argo CD that deploy this environment, by name, or `false` for none. Default: those that read the places under `update`.
        argo_cd: Option<Block<WrittenArgoCd>> = "argo-cd",
        /// What to do where a promotion makes this environment degraded: `hold`, so that nothing goes on from here; or `rollback`, so that the version before comes back after a time and the degraded one is rejected. Default: `hold`.
        on_degraded: Option<Block<WrittenOnDegraded>> = "on-degraded",
    }

    /// Which tags are candidates, and which of two is newer: one of `semver`, `pattern`, `regex` and `follow`; `semver` may stand beside a pattern or a regex.
    struct Tags or "write `tags: { semver: \">=1.0\" }`; `pattern`, `regex` and `follow` say it of tags of other forms" {
        /// A range of semantic versions: `>=1.2 <2`, `^1.4`, `1.x || 2.x`.
        semver: Option<Placed<String>> = "semver",
        /// The shape of a tag with named parts: `{sha}`, `{number}`, `{timestamp}`, `{version}`, `{major}`, `{minor}`, `{patch}`, `{branch}`, `{any}`.
        pattern: Option<Placed<String>> = "pattern",
        /// The shape of a tag as a regular expression with the same names as groups; the whole tag must match.
        regex: Option<Placed<String>> = "regex",
        /// One moving tag, such as `latest`, whose digest is promoted.
        follow: Option<Placed<String>> = "follow",
        /// Which pre-releases are taken: `none`, `any`, or a list such as `[rc, beta]`. Default: `none`.
        prerelease: Option<Prerelease> = "prerelease",
        /// What orders the candidates. Default: the first of these that the pattern or the registry gives.
        newest_by: Option<Newest> = "newest-by",
        /// The source repository whose history orders by `commits`, by its name in the settings; `{ repository: code, branch: main }` names the branch too.
        source: Option<Source> = "source",
        /// Tags that never count, as globs: `["*-debug"]`.
        ignore: Option<Vec<Placed<String>>> = "ignore",
    }

    /// A branch of a source repository.
    struct SourceEntry {
        /// The repository, by its name in the settings.
        repository: Placed<RepositoryName> = "repository",
        /// The branch. Default: the repository's branch.
        branch: Option<Placed<BranchName>> = "branch",
    }

    /// An image with rules of its own.
    struct ImageEntry {
        /// The repository in its registry, without a tag: `ghcr.io/acme/web`; a Helm chart's with `oci://` before it: `oci://ghcr.io/acme/charts/web`.
        repository: Placed<Blank<Artifact>> = "repository",
        /// Which versions of this image are candidates; it overrides what the environments say.
        tags: Option<WrittenRule> = "tags",
    }

    /// A kustomization, which a path alone names too.
    struct KustomizationUpdate {
        /// The folder, or the file, from the root of the repository.
        kustomization: Placed<Blank<RepoPath>> = "kustomization",
        /// Which image of the policy stands here. Default: every image of the policy.
        image: Option<Placed<ImageName>> = "image",
    }

    /// A Helm values file.
    struct HelmUpdate {
        /// The values file, from the root of the repository.
        helm: Placed<Blank<RepoPath>> = "helm",
        /// The path to a map with `repository` or `name` and `tag` or `version`, to a list of such maps, or to one scalar: `image`, `web.image.tag`.
        at: Placed<Blank<YamlPath>> = "at",
        /// Whether a value that is an alias, or comes by a merge key, is changed where it is anchored, for all that share it. Default: `false`.
        through_alias: Option<bool> = "through-alias",
        /// Which image of the policy stands here; needed where it has several.
        image: Option<Placed<ImageName>> = "image",
    }

    /// One scalar in a YAML file.
    struct YamlUpdate {
        /// The file, from the root of the repository.
        yaml: Placed<Blank<RepoPath>> = "yaml",
        /// The path to the scalar: `spec.web.version`, `containers[name=web].image`.
        at: Placed<Blank<YamlPath>> = "at",
        /// The document of the file: its number from 0, or `KIND/NAME`. Default: the one that has the path.
        document: Option<Placed<Blank<Document>>> = "document",
        /// Whether a value that is an alias, or comes by a merge key, is changed where it is anchored, for all that share it. Default: `false`.
        through_alias: Option<bool> = "through-alias",
        /// Which image of the policy stands here; needed where it has several.
        image: Option<Placed<ImageName>> = "image",
    }

    /// Kubernetes manifests.
    struct ManifestUpdate {
        /// The file, from the root of the repository.
        manifest: Placed<Blank<RepoPath>> = "manifest",
        /// The path to the image of a custom kind: `spec.image`. Default: the containers and image volumes that use the image.
        at: Option<Placed<Blank<YamlPath>>> = "at",
        /// The document of the file: its number from 0, or `KIND/NAME`. Default: all of them.
        document: Option<Placed<Blank<Document>>> = "document",
        /// Whether a value that is an alias, or comes by a merge key, is changed where it is anchored, for all that share it. Default: `false`.
        through_alias: Option<bool> = "through-alias",
        /// Which image of the policy stands here; needed beside `at` where it has several. Default: every image of the policy.
        image: Option<Placed<ImageName>> = "image",
    }

    /// An Argo CD Application or ApplicationSet.
    struct ApplicationUpdate {
        /// The file, from the root of the repository.
        application: Placed<Blank<RepoPath>> = "application",
        /// The path to the image in the chart's values: `image`, `web.image.tag`. Default: wherever the sources name the image.
        at: Option<Placed<Blank<YamlPath>>> = "at",
        /// The document of the file: its number from 0, or `KIND/NAME`. Default: all of them.
        document: Option<Placed<Blank<Document>>> = "document",
        /// Whether a value that is an alias, or comes by a merge key, is changed where it is anchored, for all that share it. Default: `false`.
        through_alias: Option<bool> = "through-alias",
        /// Which image of the policy stands here; needed beside `at` where it has several. Default: every image of the policy.
        image: Option<Placed<ImageName>> = "image",
    }

    /// A file with the comments by which Flux knows what to update.
    struct MarkersUpdate {
        /// The file, from the root of the repository.
        markers: Placed<Blank<RepoPath>> = "markers",
        /// The image of this policy that each of Flux's image policies stands for: `"flux-system:web": web`.
        policies: Named<Blank<MarkerPolicy>, Placed<ImageName>> = "policies",
        /// Whether a marked value that is an alias is changed where it is anchored, for all that share it. Default: `false`.
        through_alias: Option<bool> = "through-alias",
    }

    /// A commit on a branch.
    struct CommitDelivery {
        /// The branch that gets the commit. Default: the repository's branch.
        branch: Option<Placed<Blank<BranchName>>> = "branch",
    }

    /// A pull request that people merge.
    struct PullRequestDelivery {
        /// The branch that it goes to. Default: the repository's branch.
        branch: Option<Placed<Blank<BranchName>>> = "branch",
        /// `environment`: one pull request for each environment. Default: `policy`, one for each policy and environment.
        group: Option<Placed<Group>> = "group",
        /// A template of the title, such as `[{{ environment }}] {{ subject }}`. Default: the subject of the commit.
        title: Option<Placed<TitleTemplate>> = "title",
        /// A template of the body, of which `{{ body }}` is the one that is written without. Default: `{{ body }}`.
        body: Option<Placed<BodyTemplate>> = "body",
        /// Labels for the pull request.
        labels: Option<Vec<Placed<Blank<String>>>> = "labels",
        /// Who is asked for a review, by login; a team is `organisation/team` where the forge has teams.
        reviewers: Option<Vec<Placed<Blank<String>>>> = "reviewers",
        /// Who it is assigned to, by login.
        assignees: Option<Vec<Placed<Blank<String>>>> = "assignees",
        /// The milestone that it belongs to, by its title.
        milestone: Option<Placed<Blank<String>>> = "milestone",
        /// Whether it is opened as a draft. Default: `false`.
        draft: Option<bool> = "draft",
        /// How the forge merges it once all that it requires is there: `merge`, `squash`, `rebase`, or `true` for `merge`. Default: `false`, people merge it.
        auto_merge: Option<AutoMerge> = "auto-merge",
    }
}

impl PullRequestDelivery {
    /// That nothing is said.
    pub(super) const DEFAULT: Self = Self {
        branch: None,
        group: None,
        title: None,
        body: None,
        labels: None,
        reviewers: None,
        assignees: None,
        milestone: None,
        draft: None,
        auto_merge: None,
    };
}
