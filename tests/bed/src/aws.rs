//! A fake AWS: moto, which holds requests against their signatures (Signature Version 4) as AWS does.
//!
//! Not here: the registry behind ECR's token, which is [`DockerRegistry`](crate::registry::DockerRegistry) and takes
//! [`ECR_USER`] with [`ECR_PASSWORD`].

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::built::built;
use crate::process::{Process, free_port};
use crate::push::client;

/// Where the repositories are.
pub const REGION: &str = "eu-west-1";

/// What ECR's token says, in moto always: <https://docs.getmoto.org/en/latest/docs/services/ecr.html>.
pub const ECR_USER: &str = "AWS";
pub const ECR_PASSWORD: &str = "123456789012-auth-token";

/// What the key may do.
const ALLOWED: [&str; 2] = ["ecr:*", "sts:*"];

/// Requests of [`Moto::start`] that moto takes without a signature, since no key is there to sign with: the user, its
/// key, and what that may do. <https://docs.getmoto.org/en/latest/docs/iam.html>
const SETUP_REQUESTS: &str = "3";

/// A running moto with one key.
#[must_use = "the server ends when this is dropped"]
pub struct Moto {
    _process: Process,
    _folder: TempDir,
    client: Client,
    program: PathBuf,
    /// Where every service is: `http://127.0.0.1:41213`.
    pub endpoint: String,
    pub access_key: String,
    pub secret_key: String,
}

impl Moto {
    /// A fake AWS without a repository, or `None` where moto is left out on purpose.
    pub async fn start() -> Option<Self> {
        let program = built("moto")?;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port().to_string();
        let mut command = Command::new(&program);
        command
            .args(["-H", "127.0.0.1", "-p", &port])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", SETUP_REQUESTS);
        let process = Process::start(command, &folder.path().join("log"));
        let address = format!("127.0.0.1:{port}");
        process.wait_until("moto to listen", || TcpStream::connect(&address).is_ok());
        let mut moto = Self {
            _process: process,
            _folder: folder,
            client: client(None),
            program,
            endpoint: format!("http://{address}"),
            access_key: String::new(),
            secret_key: String::new(),
        };
        moto.make_key().await;
        Some(moto)
    }

    /// Makes an empty repository.
    pub async fn create_repository(&self, name: &str) {
        self.ecr("CreateRepository", &json!({ "repositoryName": name }))
            .await;
    }

    /// Puts a manifest under `tag` and gives its digest; the config that it names is nowhere.
    pub async fn put_image(&self, repository: &str, tag: &str) -> String {
        let config = json!({
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": format!("sha256:{}", "0".repeat(64)),
            "size": 2,
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [],
            // Two tags are two images.
            "annotations": { "org.opencontainers.image.ref.name": tag },
        });
        let request = json!({
            "repositoryName": repository,
            "imageTag": tag,
            "imageManifest": manifest.to_string(),
        });
        let answer = self.ecr("PutImage", &request).await;
        let digest = answer["image"]["imageId"]["imageDigest"].as_str();
        digest.expect("moto tells the digest").to_owned()
    }

    /// Takes the next `requests` whatever their signature, and none after them: for what AWS takes unsigned and moto
    /// does not, such as `AssumeRoleWithWebIdentity`.
    pub async fn trust(&self, requests: u32) {
        let url = format!("{}/moto-api/reset-auth", self.endpoint);
        let request = self.client.post(url).body(requests.to_string());
        answer(request).await;
    }

    /// The Python that has moto's own packages, botocore among them.
    pub fn python(&self) -> PathBuf {
        self.program.with_file_name("bin").join("python")
    }

    async fn make_key(&mut self) {
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Action": ALLOWED, "Resource": "*" }],
        });
        let policy = policy.to_string();
        self.iam("CreateUser", &[]).await;
        let key = self.iam("CreateAccessKey", &[]).await;
        self.access_key = element(&key, "AccessKeyId");
        self.secret_key = element(&key, "SecretAccessKey");
        let policy = [("PolicyName", "bed"), ("PolicyDocument", &policy)];
        self.iam("PutUserPolicy", &policy).await;
    }

    async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let mut url = reqwest::Url::parse(&self.endpoint).expect("the endpoint is a URL");
        url.query_pairs_mut()
            .extend_pairs([
                ("Action", action),
                ("Version", "2010-05-08"),
                ("UserName", "bed"),
            ])
            .extend_pairs(parameters);
        let body = url.query().unwrap_or_default().to_owned();
        let request = self.client.post(&self.endpoint);
        let request = request
            .header("authorization", unsigned("us-east-1", "iam"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        answer(request).await
    }

    async fn ecr(&self, action: &str, body: &Value) -> Value {
        self.trust(1).await;
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{action}");
        let request = self.client.post(&self.endpoint);
        let request = request
            .header("authorization", unsigned(REGION, "ecr"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(body.to_string());
        let text = answer(request).await;
        serde_json::from_str(&text).expect("moto sends JSON")
    }
}

/// What tells moto the service and the region of a request whose signature it does not look at.
fn unsigned(region: &str, service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=bed/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

async fn answer(request: reqwest::RequestBuilder) -> String {
    let answer = request.send().await.expect("moto answers");
    let status = answer.status();
    let text = answer.text().await.expect("moto's answer is text");
    assert!(status.is_success(), "moto answered {status}: {text}");
    text
}

/// The text of the first `name` in an answer in XML.
fn element(xml: &str, name: &str) -> String {
    let (_, rest) = xml
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("moto's answer has no `{name}`: {xml}"));
    rest.split('<').next().unwrap_or_default().to_owned()
}
