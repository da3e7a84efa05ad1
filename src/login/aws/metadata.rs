//! Keys from servers beside the program: those of containers (EKS Pod Identity, ECS) and of instances (EC2).
//!
//! Not here: version 1 of EC2's service, without a token; AWS has switched it off in new images since 2023.
//! Invariant: nothing is asked by way of a proxy.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::error::NoInstance;
use super::place::is_true;
use super::wire::RoleKeys;
use super::{AwsError, Keys};
use crate::login::LoginError;
use crate::login::ask::Asker;
use crate::secret::Secret;

/// Where ECS gives its tasks their keys.
pub(super) const ECS_ADDRESS: &str = "169.254.170.2";

/// Where EKS Pod Identity does.
const EKS_ADDRESSES: [&str; 2] = ["169.254.170.23", "fd00:ec2::23"];

/// Where an instance asks, unless variables say otherwise.
const INSTANCE: &str = "http://169.254.169.254";
const INSTANCE_IPV6: &str = "http://[fd00:ec2::254]";

/// How long such a server may take. It answers in milliseconds, and one that is not there not at all; AWS's SDKs wait 1 s.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How long the token is good that an instance asks with, in seconds: for the two requests that follow.
const TOKEN_SECONDS: &str = "60";

const CONTAINER_SERVICE: &str = "the container's credentials server";
const INSTANCE_SERVICE: &str = "the instance's metadata server";

/// The keys of the container's role: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>.
pub(super) async fn of_container(
    asker: &Asker,
    (variable, url): (&'static str, &str),
) -> Result<Keys, LoginError> {
    let url: Url = url.parse().map_err(|_| AwsError::NoUrl { variable })?;
    if !is_trusted(&url) {
        let host = url.host_str().unwrap_or_default().to_owned();
        return Err(AwsError::UntrustedHost { variable, host }.into());
    }
    let environment = &asker.environment;
    let token = match environment.var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => Some(Secret::File(file.into()).read()?),
        None => environment
            .var("AWS_CONTAINER_AUTHORIZATION_TOKEN")
            .map(Into::into),
    };
    let authorization = token.map(|token| header(&token)).transpose()?;
    let client = asker.near_client(CONTAINER_SERVICE)?;
    let request = || {
        let request = client.get(url.clone()).timeout(TIMEOUT);
        match &authorization {
            Some(authorization) => request.header("authorization", authorization.clone()),
            None => request,
        }
    };
    let body = asker.send(CONTAINER_SERVICE, request).await?;
    keys(CONTAINER_SERVICE, &body)
}

/// The keys of the instance's role, by version 2 of the service:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>.
pub(super) async fn of_instance(asker: &Asker) -> Result<Keys, LoginError> {
    let environment = &asker.environment;
    if is_true(environment, "AWS_EC2_METADATA_DISABLED") {
        return Err(none_found(NoInstance::SwitchedOff, None));
    }
    let mode = environment.var("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    let default = match mode {
        Some(mode) if mode.eq_ignore_ascii_case("ipv6") => INSTANCE_IPV6,
        Some(_) | None => INSTANCE,
    };
    let origin = environment.var("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let origin = origin.unwrap_or_else(|| default.to_owned());
    let latest = format!("{}/latest", origin.trim_end_matches('/'));
    let service = INSTANCE_SERVICE;
    let client = asker.near_client(service)?;

    let url = format!("{latest}/api/token");
    let request = || {
        let request = client.put(&url).timeout(TIMEOUT);
        request.header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)
    };
    // The one request that shows whether there is such a server at all, and whether its answer gets as far as here.
    let token = asker.send(service, request).await;
    let token = token.map_err(|error| none_found(NoInstance::Unreachable, Some(error)))?;
    let token = header(&String::from_utf8_lossy(&token).trim().into())?;
    let ask = |rest: &str| {
        let url = format!("{latest}/meta-data/iam/security-credentials/{rest}");
        let token = token.clone();
        move || {
            let request = client.get(&url).timeout(TIMEOUT);
            request.header("x-aws-ec2-metadata-token", token.clone())
        }
    };
    let reply = asker.exchange(service, ask("")).await?;
    let listed = String::from_utf8_lossy(&reply.body).into_owned();
    let role = listed.lines().next().unwrap_or_default().trim();
    if reply.status == StatusCode::NOT_FOUND || (reply.status.is_success() && role.is_empty()) {
        return Err(none_found(NoInstance::WithoutRole, None));
    }
    let body = asker.send(service, ask(role)).await?;
    keys(service, &body)
}

/// Whether keys may come from there: over TLS, from this machine, or from the addresses that AWS has set aside.
fn is_trusted(url: &Url) -> bool {
    let is_own = |address: IpAddr| {
        let text = address.to_string();
        address.is_loopback() || text == ECS_ADDRESS || EKS_ADDRESSES.contains(&text.as_str())
    };
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => is_own(address.into()),
        ("http", Some(Host::Ipv6(address))) => is_own(address.into()),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

fn header(token: &SecretString) -> Result<HeaderValue, AwsError> {
    let value = HeaderValue::from_str(token.expose_secret());
    let mut value = value.map_err(|_| AwsError::UnusableKeys)?;
    value.set_sensitive(true);
    Ok(value)
}

fn none_found(instance: NoInstance, source: Option<LoginError>) -> LoginError {
    let source = source.map(Box::new);
    AwsError::NoneFound { instance, source }.into()
}

fn keys(service: &'static str, body: &[u8]) -> Result<Keys, LoginError> {
    let read: Option<RoleKeys> = serde_json::from_slice(body).ok();
    let keys = read.and_then(|read| {
        Some(Keys {
            id: read.access_key_id?,
            secret: read.secret_access_key?.into(),
            session_token: read.token.map(Into::into),
            expires_at: read.expiration.and_then(|at| at.parse().ok()),
        })
    });
    keys.ok_or(LoginError::Incomplete {
        service,
        what: "an access key",
    })
}

#[cfg(test)]
mod tests {
    use super::is_trusted;

    #[test]
    fn keys_may_come_over_tls_from_this_machine_and_from_what_aws_has_set_aside() {
        for (url, expected) in [
            ("https://credentials.example.com/", true),
            ("http://127.0.0.2/", true),
            ("http://[::1]:80/", true),
            ("http://localhost/", true),
            ("http://169.254.170.2/x", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://credentials.example.com/", false),
            ("http://169.254.170.2@credentials.example.com/", false),
            ("http://localhost.example.com/", false),
            ("http://169.254.169.254/", false),
            ("ftp://127.0.0.1/", false),
        ] {
            assert_eq!(is_trusted(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
