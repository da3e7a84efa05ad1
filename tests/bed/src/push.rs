//! Reads and pushes over the registry API, as `docker push` would: independent of the code under test.

use std::path::Path;

use reqwest::{Certificate, Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::registry::{PASSWORD, USERNAME};

/// docker-registry gives a manifest of OCI's own kinds only to those who name them.
const ACCEPT: &str =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*";

/// A client of one registry that gives [`USERNAME`] and [`PASSWORD`].
pub struct Pusher {
    client: Client,
    /// Scheme and host.
    origin: String,
    token_url: Option<String>,
}

impl Pusher {
    /// A client for `host`: over https where `ca_file` is given, with tokens from `token_url` where it is.
    pub fn new(host: &str, ca_file: Option<&Path>, token_url: Option<String>) -> Self {
        let scheme = if ca_file.is_some() { "https" } else { "http" };
        Self {
            client: client(ca_file),
            origin: format!("{scheme}://{host}"),
            token_url,
        }
    }

    /// What the registry answers to a GET of `rest` in `repository`.
    pub async fn get(&self, repository: &str, rest: &str) -> Response {
        let url = self.url(repository, rest);
        let request = self.request(Method::GET, repository, &url).await;
        let request = request.header("accept", ACCEPT);
        request.send().await.expect("the registry answers")
    }

    /// Pushes `references` of `repository` as the open registry at `source` has them, with their configs.
    pub async fn copy(&self, source: &str, repository: &str, references: &[&str]) {
        let source = Self::new(source, None, None);
        for reference in references {
            let rest = format!("manifests/{reference}");
            let manifest = source.get(repository, &rest).await;
            let media_type = manifest.headers()["content-type"].clone();
            let bytes = manifest.bytes().await.expect("the manifest is whole");
            let value: Value = serde_json::from_slice(&bytes).expect("a manifest is JSON");
            if let Some(digest) = value["config"]["digest"].as_str() {
                let config = source.get(repository, &format!("blobs/{digest}")).await;
                let config = config.bytes().await.expect("the config is whole");
                self.upload(repository, digest, config.to_vec()).await;
            }
            let url = self.url(repository, &rest);
            let request = self.request(Method::PUT, repository, &url).await;
            let request = request.header("content-type", media_type).body(bytes);
            expect(request, StatusCode::CREATED).await;
        }
    }

    /// Puts further tags on what `reference` names.
    pub async fn tag(&self, repository: &str, reference: &str, tags: &[String]) {
        let manifest = self
            .get(repository, &format!("manifests/{reference}"))
            .await;
        let media_type = manifest.headers()["content-type"].clone();
        let bytes = manifest.bytes().await.expect("the manifest is whole");
        for tag in tags {
            let url = self.url(repository, &format!("manifests/{tag}"));
            let request = self.request(Method::PUT, repository, &url).await;
            let request = request.header("content-type", media_type.clone());
            expect(request.body(bytes.clone()), StatusCode::CREATED).await;
        }
    }

    /// Deletes the manifest that `reference` names: where that is a digest, with the tags that name it if the registry
    /// takes no tag.
    pub async fn delete(&self, repository: &str, reference: &str) {
        let url = self.url(repository, &format!("manifests/{reference}"));
        let request = self.request(Method::DELETE, repository, &url).await;
        expect(request, StatusCode::ACCEPTED).await;
    }

    /// Pushes a manifest as it is, of blobs that the repository has, and gives the answer.
    pub async fn put(&self, repository: &str, reference: &str, manifest: &Value) -> Response {
        let url = self.url(repository, &format!("manifests/{reference}"));
        let request = self.request(Method::PUT, repository, &url).await;
        let media_type = manifest["mediaType"].as_str();
        let media_type = media_type.expect("a manifest says what it is");
        let request = request.header("content-type", media_type);
        expect(request.body(manifest.to_string()), StatusCode::CREATED).await
    }

    /// Pushes a blob.
    pub async fn upload(&self, repository: &str, digest: &str, bytes: Vec<u8>) {
        let url = self.url(repository, "blobs/uploads/");
        let start = self.request(Method::POST, repository, &url).await;
        let answer = expect(start, StatusCode::ACCEPTED).await;
        let place = answer.headers()["location"].to_str();
        let place = answer.url().join(place.expect("the place is text"));
        let mut place = place.expect("the place is a URL");
        place.query_pairs_mut().append_pair("digest", digest);
        let request = self.request(Method::PUT, repository, place.as_str()).await;
        expect(request.body(bytes), StatusCode::CREATED).await;
    }

    fn url(&self, repository: &str, rest: &str) -> String {
        format!("{}/v2/{repository}/{rest}", self.origin)
    }

    async fn request(&self, method: Method, repository: &str, url: &str) -> RequestBuilder {
        let actions = match method {
            Method::GET => "pull",
            Method::DELETE => "pull,delete",
            _ => "pull,push",
        };
        let token = self.token(repository, actions).await;
        let request = self.client.request(method, url);
        match token {
            Some(token) => request.bearer_auth(token),
            None => request.basic_auth(USERNAME, Some(PASSWORD)),
        }
    }

    async fn token(&self, repository: &str, actions: &str) -> Option<String> {
        let url = self.token_url.as_ref()?;
        let url = format!("{url}&scope=repository:{repository}:{actions}");
        let request = self.client.get(url);
        let request = request.basic_auth(USERNAME, Some(PASSWORD));
        let answer = request.send().await.expect("the token service answers");
        let answer: Value = answer.json().await.expect("the token service sends JSON");
        answer["token"].as_str().map(str::to_owned)
    }
}

/// A client that trusts the authority of `ca_file` and no other.
pub(crate) fn client(ca_file: Option<&Path>) -> Client {
    // Whoever comes first in the process installs it; a second time changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let authorities = ca_file.map_or(Vec::new(), |path| {
        let pem = std::fs::read(path).expect("the authority's file can be read");
        Certificate::from_pem_bundle(&pem).expect("the authority's file is PEM")
    });
    let client = Client::builder().tls_certs_only(authorities).build();
    client.expect("a client can be made")
}

async fn expect(request: RequestBuilder, wanted: StatusCode) -> Response {
    let answer = request.send().await.expect("the registry answers");
    let status = answer.status();
    if status != wanted {
        let words = answer.text().await.unwrap_or_default();
        panic!("the registry answered {status}: {words}");
    }
    answer
}
