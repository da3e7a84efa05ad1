//! Values that have several forms: `deliver: commit` or `deliver: { commit: { .. } }`.
//!
//! A form is chosen by what is written (a text, or the key of a map) before it is read, so that messages
//! speak of the form that was meant. Invariant: what stands where a secret belongs is never echoed.

use serde_json::{Value as Json, json};

use super::artifact::Artifact;
use super::nouns::{
    AccessKeyId, ApiUrl, AppId, HostName, InstallationId, ObjectName, ProxyUrl, RoleArn,
    Unauthenticated, VariableName, unknown_word,
};
use super::problem::Faults;
use super::raw::{
    ApplicationUpdate, CommitDelivery, HelmUpdate, ImageEntry, KustomizationUpdate, ManifestUpdate,
    MarkersUpdate, PullRequestDelivery, YamlUpdate,
};
use super::shape::{
    LATER, Placed, Shape, list, nearest, refuse, shape, text, unexpected, unknown_key,
};
use super::source::Span;
use super::tree::{Node, Scalar, Value};
use crate::manifest::RepoPath;

/// Keys of logins that are not supported yet, by manifests repositories and by registries.
const LOGINS_LATER: [&str; 2] = ["ssh-key", "github-app"];
const REGISTRY_LOGINS_LATER: [&str; 1] = ["ssh-key"];

/// Keys that name pull secrets of a cluster.
const CLUSTER: [&str; 3] = ["pull-secret", "pull-secrets", "service-account"];

/// One value or a list of them.
#[derive(Clone, Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<Placed<T>>);

impl<T: Shape> Shape for OneOrMany<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let values: Vec<_> = match &node.value {
            Value::List(items) => {
                if items.is_empty() {
                    faults.error(node.span, "expected at least one, found an empty list");
                }
                let read = |item| T::read(item, faults).map(|v| Placed::new(v, item.span));
                items.iter().filter_map(read).collect()
            }
            Value::Scalar(_) | Value::Map(_) | Value::Empty | Value::Refused => {
                let value = T::read(node, faults).map(|value| Placed::new(value, node.span));
                value.into_iter().collect()
            }
        };
        // Without a value, a fault says why; what stands beside it is looked at all the same.
        Some(Self(values))
    }

    fn schema() -> Option<Json> {
        let one = T::schema()?;
        Some(json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] }))
    }
}

/// Where a version is written.
#[derive(Clone, Debug)]
pub(super) enum Update {
    Kustomize(KustomizationUpdate),
    Helm(HelmUpdate),
    Yaml(YamlUpdate),
    Manifest(ManifestUpdate),
    Application(ApplicationUpdate),
    Markers(MarkersUpdate),
}

impl Shape for Update {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            let folder = |kustomization| KustomizationUpdate {
                kustomization,
                image: None,
            };
            return Placed::read(node, faults).map(|path| Self::Kustomize(folder(path)));
        };
        let forms = [
            "kustomization",
            "helm",
            "yaml",
            "manifest",
            "application",
            "markers",
        ];
        match choose(node, &forms, &[], faults)? {
            "kustomization" => KustomizationUpdate::read(node, faults).map(Self::Kustomize),
            "helm" => HelmUpdate::read(node, faults).map(Self::Helm),
            "manifest" => ManifestUpdate::read(node, faults).map(Self::Manifest),
            "application" => ApplicationUpdate::read(node, faults).map(Self::Application),
            "markers" => MarkersUpdate::read(node, faults).map(Self::Markers),
            _ => YamlUpdate::read(node, faults).map(Self::Yaml),
        }
    }

    fn schema() -> Option<Json> {
        let folder = <Placed<RepoPath> as Shape>::schema()?;
        Some(json!({ "anyOf": [
            folder,
            KustomizationUpdate::schema()?,
            HelmUpdate::schema()?,
            YamlUpdate::schema()?,
            ManifestUpdate::schema()?,
            ApplicationUpdate::schema()?,
            MarkersUpdate::schema()?,
        ] }))
    }
}

/// Who may tell that a tag was pushed.
#[derive(Clone, Debug)]
pub(super) enum HookSource {
    Token(TokenSource),
    Hmac(HmacSource),
    Open(OpenSource),
}

shape! {
    /// A registry that sends a token.
    struct TokenSource {
        /// Where the token is kept: it comes in `Authorization`, as it is, as `Bearer` or as the password of `Basic`, in `X-Gitlab-Token`, or as `?token=` in the URL.
        token: SecretPlace = "token",
        /// The host by which policies name the registry, where the registry calls itself otherwise.
        host: Option<Placed<HostName>> = "host",
    }

    /// A registry that signs what it sends, in `X-Hub-Signature-256` as GitHub does.
    struct HmacSource {
        /// Where the key is kept.
        hmac: SecretPlace = "hmac",
        /// The host by which policies name the registry, where the registry calls itself otherwise.
        host: Option<Placed<HostName>> = "host",
    }

    /// Anybody who can reach the address.
    struct OpenSource {
        /// `true`: there is no secret.
        unauthenticated: Placed<Unauthenticated> = "unauthenticated",
        /// The host by which policies name the registry, where the registry calls itself otherwise.
        host: Option<Placed<HostName>> = "host",
    }
}

impl Shape for HookSource {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            return never_written_here(node, "{ token: { env: NAME } }", faults);
        };
        match choose(node, &["token", "hmac", "unauthenticated"], &[], faults)? {
            "token" => TokenSource::read(node, faults).map(Self::Token),
            "hmac" => HmacSource::read(node, faults).map(Self::Hmac),
            _ => OpenSource::read(node, faults).map(Self::Open),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            TokenSource::schema()?,
            HmacSource::schema()?,
            OpenSource::schema()?,
        ] }))
    }
}

/// How a promotion is delivered.
#[derive(Clone, Debug)]
pub(super) enum Deliver {
    Commit(CommitDelivery),
    PullRequest,
}

impl Shape for Deliver {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if let Value::Map(_) = &node.value {
            return match choose(node, &["commit", "pull-request"], &[], faults)? {
                "commit" => CommitDelivery::read(node.get("commit")?, faults).map(Self::Commit),
                _ => PullRequestDelivery::read(node.get("pull-request")?, faults)
                    .map(|PullRequestDelivery {}| Self::PullRequest),
            };
        }
        let words = ["commit", "pull-request"];
        match word(node, &words, faults)? {
            "commit" => Some(Self::Commit(CommitDelivery { branch: None })),
            _ => Some(Self::PullRequest),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            { "enum": ["commit", "pull-request"] },
            keyed("commit", CommitDelivery::schema()?),
            keyed("pull-request", PullRequestDelivery::schema()?),
        ] }))
    }
}

/// An image, with or without rules of its own.
#[derive(Clone, Debug)]
pub(super) struct Image(pub(super) ImageEntry);

impl Shape for Image {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if let Value::Map(_) = &node.value {
            return ImageEntry::read(node, faults).map(Self);
        }
        Placed::read(node, faults).map(|repository| {
            Self(ImageEntry {
                repository,
                tags: None,
            })
        })
    }

    fn schema() -> Option<Json> {
        let short = <Placed<Artifact> as Shape>::schema()?;
        Some(json!({ "anyOf": [short, ImageEntry::schema()?] }))
    }
}

/// `none`, `any`, or a list of labels; each word with its place.
#[derive(Clone, Debug)]
pub(super) struct Prerelease(pub(super) Vec<Placed<String>>);

impl Shape for Prerelease {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::List(_) => Vec::read(node, faults).map(Self),
            Value::Scalar(_) => Placed::read(node, faults).map(|word| Self(vec![word])),
            Value::Empty | Value::Map(_) | Value::Refused => {
                unexpected(
                    node,
                    "`none`, `any`, or a list such as `[rc, beta]`",
                    faults,
                );
                None
            }
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            { "enum": ["none", "any"] },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] }))
    }
}

/// The value of `newest-by`; the rule itself knows which words there are.
#[derive(Clone, Debug)]
pub(super) struct Newest(pub(super) Placed<String>);

impl Shape for Newest {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        Placed::read(node, faults).map(Self)
    }

    fn schema() -> Option<Json> {
        Some(
            json!({ "enum": ["version", "number", "timestamp", "pushed", "created", "first-seen"] }),
        )
    }
}

/// How to log in to a registry.
#[derive(Clone, Debug)]
pub(super) enum RegistryCredentials {
    Own(Credentials),
    Aws(Box<AwsCredentials>),
    Azure(AzureCredentials),
    DockerConfig(DockerConfigCredentials),
    GithubApp(GithubAppCredentials),
    Google(GoogleCredentials),
    Cluster(ClusterCredentials),
}

impl Shape for RegistryCredentials {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let has = |key: &&str| node.get(key).is_some();
        let own = ["token", "username", "password"];
        let others = ["aws", "azure", "docker-config", "github-app", "google"];
        let others = [&others[..], &CLUSTER].concat();
        let is_map = matches!(node.value, Value::Map(_));
        if !is_map || (own.iter().any(has) && !others.iter().any(has)) {
            return Credentials::read(node, faults).map(Self::Own);
        }
        let forms = [&others[..], &own].concat();
        match choose(node, &forms, &REGISTRY_LOGINS_LATER, faults)? {
            "aws" => AwsCredentials::read(node, faults).map(|aws| Self::Aws(Box::new(aws))),
            "azure" => AzureCredentials::read(node, faults).map(Self::Azure),
            "github-app" => GithubAppCredentials::read(node, faults).map(Self::GithubApp),
            "google" => GoogleCredentials::read(node, faults).map(Self::Google),
            form if CLUSTER.contains(&form) => {
                ClusterCredentials::read(node, faults).map(Self::Cluster)
            }
            _ => DockerConfigCredentials::read(node, faults).map(Self::DockerConfig),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            TokenCredentials::schema()?,
            BasicCredentials::schema()?,
            AwsCredentials::schema()?,
            AzureCredentials::schema()?,
            DockerConfigCredentials::schema()?,
            GithubAppCredentials::schema()?,
            GoogleCredentials::schema()?,
            ClusterCredentials::schema()?,
        ] }))
    }
}

/// Pull secrets of a Kubernetes cluster.
#[derive(Clone, Debug)]
pub(super) enum ClusterCredentials {
    One(PullSecretCredentials),
    Several(PullSecretsCredentials),
    Account(ServiceAccountCredentials),
}

impl Shape for ClusterCredentials {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            unexpected(node, "a map such as `{ pull-secret: NAME }`", faults);
            return None;
        };
        match choose(node, &CLUSTER, &[], faults)? {
            "pull-secret" => PullSecretCredentials::read(node, faults).map(Self::One),
            "pull-secrets" => PullSecretsCredentials::read(node, faults).map(Self::Several),
            _ => ServiceAccountCredentials::read(node, faults).map(Self::Account),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            PullSecretCredentials::schema()?,
            PullSecretsCredentials::schema()?,
            ServiceAccountCredentials::schema()?,
        ] }))
    }
}

/// The proxy on the way to a registry.
#[derive(Clone, Debug)]
pub(super) enum Proxy {
    None,
    At(Placed<ProxyUrl>),
    WithLogin(ProxyWithLogin),
}

impl Shape for Proxy {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Map(_) => ProxyWithLogin::read(node, faults).map(Self::WithLogin),
            Value::Scalar(Scalar { text, .. }) if text == "none" => Some(Self::None),
            Value::Scalar(_) | Value::List(_) | Value::Empty | Value::Refused => {
                Placed::read(node, faults).map(Self::At)
            }
        }
    }

    fn schema() -> Option<Json> {
        let url = <Placed<ProxyUrl> as Shape>::schema()?;
        Some(json!({ "anyOf": [{ "enum": ["none"] }, url, ProxyWithLogin::schema()?] }))
    }
}

/// How to log in.
#[derive(Clone, Debug)]
pub(super) enum Credentials {
    Token(TokenCredentials),
    Basic(BasicCredentials),
}

shape! {
    /// A token.
    struct TokenCredentials {
        /// Where the token is kept.
        token: SecretPlace = "token",
    }

    /// A user name and a password.
    struct BasicCredentials {
        /// The user name.
        username: Placed<String> = "username",
        /// Where the password is kept.
        password: SecretPlace = "password",
    }

    /// An AWS identity, for ECR.
    struct AwsCredentials {
        /// Which identity. Default: the one that towpath runs as, found as AWS's SDKs do.
        aws: AwsIdentity = "aws",
    }

    /// Which AWS identity: nothing means the one that towpath runs as.
    struct AwsIdentity {
        /// The id of an access key.
        access_key_id: Option<Placed<AccessKeyId>> = "access-key-id",
        /// Where the key's secret is kept.
        secret_access_key: Option<SecretPlace> = "secret-access-key",
        /// Where the key's session token is kept, if it is a temporary one.
        session_token: Option<SecretPlace> = "session-token",
        /// A role that the identity takes on, such as one of another account.
        role: Option<Placed<RoleArn>> = "role",
        /// The external id that the role asks for.
        external_id: Option<Placed<String>> = "external-id",
        /// The region of the registry, where its host is none of ECR's own.
        region: Option<Placed<String>> = "region",
    }

    /// An identity in Azure, for its container registry.
    struct AzureCredentials {
        /// Which identity. Default: the one that towpath runs as: of its pod, its app or its machine.
        azure: AzureIdentity = "azure",
    }

    /// Which identity in Azure: nothing means the one that towpath runs as.
    struct AzureIdentity {
        /// The directory (tenant) id.
        tenant_id: Option<Placed<String>> = "tenant-id",
        /// The application (client) id.
        client_id: Option<Placed<String>> = "client-id",
        /// Where the application's client secret is kept.
        client_secret: Option<SecretPlace> = "client-secret",
        /// Where the application's certificate is kept, with its private RSA key, in PEM form.
        client_certificate: Option<SecretPlace> = "client-certificate",
    }

    /// A file with the logins of registries, as `docker login` and Kubernetes write it.
    struct DockerConfigCredentials {
        /// The Docker config file, relative to the settings file. It is read anew each time.
        docker_config: Placed<String> = "docker-config",
    }

    /// A GitHub App, for GitHub's container registry.
    struct GithubAppCredentials {
        /// Which app, and where it is installed.
        github_app: GithubAppInstallation = "github-app",
    }

    /// An installation of a GitHub App.
    struct GithubAppInstallation {
        /// The app's id or its client id.
        app_id: Placed<AppId> = "app-id",
        /// The installation. Default: the only one.
        installation_id: Option<Placed<InstallationId>> = "installation-id",
        /// Where the app's private key is kept, as GitHub gives it: in PEM form.
        private_key: SecretPlace = "private-key",
        /// The URL of the REST API of a GitHub Enterprise Server. Default: GitHub's own.
        api: Option<Placed<ApiUrl>> = "api",
    }

    /// A Google Cloud identity, for Artifact Registry and `gcr.io`.
    struct GoogleCredentials {
        /// Which identity. Default: the one that towpath runs as, by the file that GOOGLE_APPLICATION_CREDENTIALS names or
        /// by Google's metadata server.
        google: GoogleCloud = "google",
    }

    /// Which Google Cloud identity: nothing means the one that towpath runs as.
    struct GoogleCloud {
        /// The service account, of those that the machine has. Default: `default`.
        service_account: Option<Placed<String>> = "service-account",
        /// Where a credentials file in JSON is kept: a service account's key, or one for workload identity federation.
        key: Option<SecretPlace> = "key",
    }

    /// A proxy that asks who comes.
    struct ProxyWithLogin {
        /// Its URL: `http://proxy.example.com:3128`.
        url: Placed<ProxyUrl> = "url",
        /// The user name.
        username: Placed<String> = "username",
        /// Where the password is kept.
        password: SecretPlace = "password",
    }

    /// A pull secret of a Kubernetes cluster.
    struct PullSecretCredentials {
        /// The name of the secret, of the type `kubernetes.io/dockerconfigjson` or `kubernetes.io/dockercfg`.
        pull_secret: Placed<ObjectName> = "pull-secret",
        /// Its namespace. Default: that of the pod.
        namespace: Option<Placed<ObjectName>> = "namespace",
    }

    /// Pull secrets of a Kubernetes cluster.
    struct PullSecretsCredentials {
        /// The names of the secrets; the closest entry of all of them counts.
        pull_secrets: OneOrMany<Placed<ObjectName>> = "pull-secrets",
        /// Their namespace. Default: that of the pod.
        namespace: Option<Placed<ObjectName>> = "namespace",
    }

    /// The pull secrets of a service account of a Kubernetes cluster.
    struct ServiceAccountCredentials {
        /// The name of the service account, whose `imagePullSecrets` count.
        service_account: Placed<ObjectName> = "service-account",
        /// Its namespace. Default: that of the pod.
        namespace: Option<Placed<ObjectName>> = "namespace",
    }

    /// A secret in an environment variable.
    struct SecretEnv {
        /// The name of the environment variable that holds the secret.
        env: Placed<VariableName> = "env",
    }

    /// A secret in a file.
    struct SecretFile {
        /// The file that holds the secret, relative to the settings file. It is read anew each time.
        file: Placed<String> = "file",
    }
}

impl Shape for Credentials {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            return never_written_here(node, "{ token: { env: NAME } }", faults);
        };
        let forms = ["token", "username"];
        let form = match node.get("token").is_none() && node.get("password").is_some() {
            true => "username",
            false => choose(node, &forms, &LOGINS_LATER, faults)?,
        };
        match form {
            "token" => TokenCredentials::read(node, faults).map(Self::Token),
            _ => BasicCredentials::read(node, faults).map(Self::Basic),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [TokenCredentials::schema()?, BasicCredentials::schema()?] }))
    }
}

/// Where a secret is kept.
#[derive(Clone, Debug)]
pub(super) enum SecretPlace {
    Env(SecretEnv),
    File(SecretFile),
}

impl Shape for SecretPlace {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            return never_written_here(node, "{ env: NAME }", faults);
        };
        match choose(node, &["env", "file"], &[], faults)? {
            "env" => SecretEnv::read(node, faults).map(Self::Env),
            _ => SecretFile::read(node, faults).map(Self::File),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [SecretEnv::schema()?, SecretFile::schema()?] }))
    }
}

impl SecretPlace {
    /// Where the name of the place stands.
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Env(env) => env.env.span,
            Self::File(file) => file.file.span,
        }
    }
}

/// Refuses a secret that stands in the file, without a word of it.
fn never_written_here<T>(node: &Node, form: &str, faults: &mut Faults) -> Option<T> {
    match &node.value {
        Value::Empty => unexpected(node, &format!("a map such as `{form}`"), faults),
        Value::Refused => {}
        Value::Scalar(_) | Value::List(_) | Value::Map(_) => faults.error_with_hint(
            node.span,
            "a secret is never written in this file",
            "name where it is kept: `{ env: NAME }` or `{ file: PATH }`",
        ),
    }
    None
}

/// Finds the one key that tells which form a map has.
fn choose(
    node: &Node,
    known: &[&'static str],
    later: &[&str],
    faults: &mut Faults,
) -> Option<&'static str> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    if let Some(entry) = entries.iter().find(|e| later.contains(&&*e.key.text)) {
        let key = &entry.key;
        faults.error(key.span, format!("`{}` {LATER}", key.text));
        return None;
    }
    let mut found = known.iter().filter(|key| node.get(key).is_some());
    match (found.next(), found.next()) {
        (Some(first), None) => Some(first),
        (Some(first), Some(second)) => {
            let place = entries
                .iter()
                .rfind(|entry| known.contains(&&*entry.key.text));
            let span = place.map_or(node.owner, |entry| entry.key.span);
            faults.error(
                span,
                format!("`{first}` and `{second}` cannot stand together"),
            );
            None
        }
        (None, _) => {
            let unknown = entries
                .iter()
                .find(|e| nearest(&e.key.text, known).is_some());
            match unknown {
                Some(entry) => {
                    unknown_key(&entry.key, known, faults);
                }
                None => {
                    let message = format!("expected one of {}", list(known));
                    match known.contains(&"helm") {
                        true => faults.error_with_hint(
                            node.owner,
                            message,
                            "a kustomization is named by its folder alone: `update: apps/web`",
                        ),
                        false => faults.error(node.owner, message),
                    }
                }
            }
            None
        }
    }
}

/// Reads one of a few words.
fn word(node: &Node, words: &[&'static str], faults: &mut Faults) -> Option<&'static str> {
    let Scalar { text, .. } = text(node, faults)?;
    let found = words.iter().find(|word| *word == text);
    if found.is_none() {
        let refusal = unknown_word(text, words);
        refuse(faults, node.span, refusal);
    }
    found.copied()
}

fn keyed(key: &str, schema: Json) -> Json {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": { key: schema },
        "required": [key],
    })
}
