//! Logins and secrets as they are written: where each is kept or comes from, never what it is.
//!
//! Invariant: what stands where a secret belongs is never echoed.

use serde_json::{Value as Json, json};
use url::Url;

use super::forms::{OneOrMany, choose};
use super::problem::Faults;
use super::shape::{Leaf, Placed, Refusal, Shape, shape, unexpected};
use super::source::Span;
use super::tree::{Node, Value};
use crate::login::{is_object_name, secure_url};

/// Clouds whose identity towpath may run as.
const CLOUDS: [&str; 3] = ["aws", "azure", "google"];

/// How it is written that the forge signs commits.
const FORGE: &str = "forge";

/// Keys that name pull secrets of a cluster.
const CLUSTER: [&str; 3] = ["pull-secret", "pull-secrets", "service-account"];

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
        if let Value::Scalar(word) = &node.value
            && let Some(cloud) = CLOUDS.iter().find(|cloud| **cloud == word.text)
        {
            let form = format!("write `{{ {cloud}: {{}} }}` for the identity that towpath runs as");
            faults.error_with_hint(node.span, "expected a map, found a text", form);
            return None;
        }
        let is_map = matches!(node.value, Value::Map(_));
        if !is_map || (own.iter().any(has) && !others.iter().any(has)) {
            return Credentials::read(node, faults).map(Self::Own);
        }
        let forms = [&others[..], &own].concat();
        match choose(node, &forms, faults)? {
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

/// How to log in to a manifests repository.
#[derive(Clone, Debug)]
pub(super) enum RepositoryCredentials {
    Own(Credentials),
    GithubApp(GithubAppCredentials),
    Ssh(SshCredentials),
}

impl Shape for RepositoryCredentials {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let own = ["token", "username", "password"];
        let others = ["github-app", "ssh-key"];
        let has = |key: &&str| node.get(key).is_some();
        let is_map = matches!(node.value, Value::Map(_));
        if !is_map || (own.iter().any(has) && !others.iter().any(has)) {
            return Credentials::read(node, faults).map(Self::Own);
        }
        let forms = [&others[..], &own].concat();
        match choose(node, &forms, faults)? {
            "github-app" => GithubAppCredentials::read(node, faults).map(Self::GithubApp),
            _ => SshCredentials::read(node, faults).map(Self::Ssh),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            TokenCredentials::schema()?,
            BasicCredentials::schema()?,
            GithubAppCredentials::schema()?,
            SshCredentials::schema()?,
        ] }))
    }
}

/// What signs commits.
#[derive(Clone, Debug)]
pub(super) enum SigningCredentials {
    /// `forge`, which stands there.
    Forge(Span),
    Ssh(SshCredentials),
    OpenPgp(OpenPgpCredentials),
}

impl Shape for SigningCredentials {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if let Value::Scalar(word) = &node.value
            && word.text == FORGE
        {
            return Some(Self::Forge(node.span));
        }
        let Value::Map(_) = &node.value else {
            let forms = "`forge`, or a map such as `{ ssh-key: { file: PATH } }`";
            unexpected(node, forms, faults);
            return None;
        };
        match choose(node, &["ssh-key", "gpg-key"], faults)? {
            "ssh-key" => SshCredentials::read(node, faults).map(Self::Ssh),
            _ => OpenPgpCredentials::read(node, faults).map(Self::OpenPgp),
        }
    }

    fn schema() -> Option<Json> {
        let forge = json!({ "const": FORGE });
        Some(json!({ "anyOf": [forge, SshCredentials::schema()?, OpenPgpCredentials::schema()?] }))
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
        match choose(node, &CLUSTER, faults)? {
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

    /// A private key for SSH, or for signatures.
    struct SshCredentials {
        /// Where the private key is kept, as `ssh-keygen` writes it.
        ssh_key: SecretPlace = "ssh-key",
        /// Where its passphrase is kept, if it has one.
        passphrase: Option<SecretPlace> = "passphrase",
    }

    /// An OpenPGP private key, for signatures.
    struct OpenPgpCredentials {
        /// Where the private key is kept, as `gpg --armor --export-secret-keys` writes it.
        gpg_key: SecretPlace = "gpg-key",
        /// Where its passphrase is kept, if it has one.
        passphrase: Option<SecretPlace> = "passphrase",
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

    /// A GitHub App, for GitHub's container registry and for repositories there.
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
            false => choose(node, &forms, faults)?,
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
        match choose(node, &["env", "file"], faults)? {
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
pub(super) fn never_written_here<T>(node: &Node, form: &str, faults: &mut Faults) -> Option<T> {
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

/// The name of an environment variable.
#[derive(Clone, Debug)]
pub(super) struct VariableName(pub(super) String);

impl Leaf for VariableName {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let valid = !text.is_empty() && text.chars().all(allowed);
        match valid && !text.starts_with(|c: char| c.is_ascii_digit()) {
            true => Ok(Self(text.to_owned())),
            // The text may be the secret itself.
            false => Err(
                Refusal::new("this is not the name of an environment variable")
                    .hint("letters, digits and `_`, such as `DEPLOY_TOKEN`"),
            ),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
    }
}

/// The id of an AWS access key.
#[derive(Clone, Debug)]
pub(super) struct AccessKeyId(pub(super) String);

impl Leaf for AccessKeyId {
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html>
    fn parse(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
        match (16..=128).contains(&text.len()) && text.chars().all(allowed) {
            true => Ok(Self(text.to_owned())),
            // The text may be the secret itself.
            false => Err(Refusal::new("this is not the id of an access key")
                .hint("capital letters and digits, such as `AKIAIOSFODNN7EXAMPLE`")),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[A-Z0-9]{16,128}$" })
    }
}

/// The name of an AWS role.
#[derive(Clone, Debug)]
pub(super) struct RoleArn(pub(super) String);

impl Leaf for RoleArn {
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>
    fn parse(text: &str) -> Result<Self, Refusal> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts[..] {
            ["arn", partition, "iam", "", account, role]
                if partition.starts_with("aws")
                    && account.len() == 12
                    && role.starts_with("role/") =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Refusal::new(format!("`{text}` is not the ARN of a role"))
                .hint("such as `arn:aws:iam::123456789012:role/towpath`")),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^arn:aws[a-z-]*:iam::[0-9]{12}:role/" })
    }
}

/// The id of a GitHub App, a number, or its client id.
#[derive(Clone, Debug)]
pub(super) struct AppId(pub(super) String);

impl Leaf for AppId {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.';
        match !text.is_empty() && text.chars().all(allowed) {
            true => Ok(Self(text.to_owned())),
            // Somebody may have written the key here.
            false => Err(Refusal::new("this is not the id of a GitHub App")
                .hint("its settings page shows the app id, such as `123456`, and the client id")),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 1 },
            { "type": "string", "pattern": "^[A-Za-z0-9.]+$" },
        ] })
    }
}

/// The number of an installation of a GitHub App.
#[derive(Clone, Debug)]
pub(super) struct InstallationId(pub(super) u64);

impl Leaf for InstallationId {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        let refusal = || {
            Refusal::new("this is not the number of an installation")
                .hint("it stands at the end of the URL of the installation's page")
        };
        text.parse().map(Self).map_err(|_| refusal())
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 1 })
    }
}

/// The URL of an API that is sent secrets.
#[derive(Clone, Debug)]
pub(super) struct ApiUrl(pub(super) Url);

impl Leaf for ApiUrl {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let url = secure_url(text).filter(|url| {
            let has_login = !url.username().is_empty() || url.password().is_some();
            !has_login && url.query().is_none() && url.fragment().is_none()
        });
        url.map(Self).ok_or_else(|| {
            Refusal::new("this is not the URL of an API over https")
                .hint("that of a GitHub Enterprise Server is `https://HOST/api/v3`")
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^https?://" })
    }
}

/// The name of an object in a Kubernetes cluster.
#[derive(Clone, Debug)]
pub(super) struct ObjectName(pub(super) String);

impl Leaf for ObjectName {
    /// What is no name is not echoed: a secret may stand there instead of its name.
    fn parse(text: &str) -> Result<Self, Refusal> {
        match is_object_name(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(Refusal::new("this is no name of a Kubernetes object")
                .hint("a name has lower-case letters, digits, `-` and `.`")),
        }
    }
}
