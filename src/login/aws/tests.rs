//! Each place of credentials against a stand-in that answers as AWS does and keeps what it was asked; and signatures against
//! moto, which holds them against the key.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Method, Response, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bed::Authority;
use bed::aws::{ECR_PASSWORD, Moto, REGION};
use bed::registry::DockerRegistry;
use insta::assert_snapshot;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;

use super::place::Service;
use super::{Aws, Ecr, Identity, Role};
use crate::daemon;
use crate::demo::registry::{Access, Image, MemoryRegistry};
use crate::login::ask::Asker;
use crate::login::{Clock, Environment, Login, Logins, MARGIN_MAX, REFUSED_AFTER, Source, Target};
use crate::registry::{Connection, HostOptions, Options, Registry};
use crate::secret::Secret;

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ROLE: &str = "arn:aws:iam::210987654321:role/pull";

/// What STS answers.
const STS_KEYS: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">
  <AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>rolesecret</SecretAccessKey>
  <SessionToken>roletoken+/=</SessionToken><Expiration>2026-11-21T18:00:00Z</Expiration></Credentials></AssumeRoleResult>
</AssumeRoleResponse>";

/// What metadata servers answer.
const METADATA_KEYS: &str = r#"{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAROLE",
  "SecretAccessKey": "rolesecret", "Token": "roletoken+/=", "Expiration": "2026-11-21T18:00:00Z"}"#;

/// What a stand-in was asked.
#[derive(Clone)]
struct Asked {
    /// `PUT /latest/api/token`
    line: String,
    headers: HeaderMap,
    body: String,
}

/// A service on loopback; it ends with the test's runtime.
struct StandIn {
    origin: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// `ASIAROLE eu-west-1/ecr`, whom the signature is of and what it is for.
    fn signer(&self) -> String {
        let authorization = self.header("authorization");
        let credential = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=");
        let (credential, rest) = credential.unwrap().split_once(", ").unwrap();
        assert!(rest.starts_with("SignedHeaders=content-type;host;x-amz-date"));
        let parts: Vec<_> = credential.split('/').collect();
        let [id, date, region, service, "aws4_request"] = parts[..] else {
            panic!("{credential}");
        };
        assert!(self.header("x-amz-date").starts_with(date));
        format!("{id} {region}/{service}")
    }
}

impl StandIn {
    async fn start(
        answer: impl Fn(&Asked) -> Response<String> + Clone + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let handle = move |method: Method, uri: Uri, headers: HeaderMap, body: String| {
            let line = format!("{method} {uri}");
            let asked = Asked {
                line,
                headers,
                body,
            };
            let said = answer(&asked);
            kept.lock().unwrap().push(asked);
            async { said }
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle);
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { origin, asked }
    }

    fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// An ECR that gives `AWS:p` for an hour and refuses what is not as it asks; and an STS.
async fn aws() -> StandIn {
    StandIn::start(|asked| {
        let is_form = asked.header("content-type") == "application/x-www-form-urlencoded";
        match asked.header("x-amz-target") {
            "" if is_form => said(200, STS_KEYS),
            "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" => {
                let token = token("AWS:p", daemon::now() + SignedDuration::from_hours(1));
                said(200, &format!(r#"{{"authorizationData": [{token}]}}"#))
            }
            "SpencerFrontendService.GetAuthorizationToken" => {
                let token = token("AWS:public", daemon::now() + SignedDuration::from_hours(1));
                said(200, &format!(r#"{{"authorizationData": {token}}}"#))
            }
            other => said(
                400,
                &format!(r#"{{"__type": "UnknownOperationException", "message": "{other}"}}"#),
            ),
        }
    })
    .await
}

fn token(text: &str, expires_at: Timestamp) -> String {
    let token = STANDARD.encode(text);
    let at = expires_at.as_second();
    format!(
        r#"{{"authorizationToken": "{token}", "expiresAt": {at}.123, "proxyEndpoint": "https://{HOST}"}}"#
    )
}

fn said(status: u16, body: &str) -> Response<String> {
    let response = Response::builder().status(status);
    response.body(body.to_owned()).unwrap()
}

fn logins(source: Aws, variables: &[(&str, &str)]) -> Logins {
    logins_by(Clock::default(), source, variables)
}

fn logins_by(clock: Clock, source: Aws, variables: &[(&str, &str)]) -> Logins {
    let source = Source::Aws(source).into();
    Logins::new(Target::of_host(HOST), source, given(variables), clock)
}

fn asker(variables: &[(&str, &str)]) -> Asker {
    Asker::new(given(variables), Clock::default())
}

fn given(variables: &[(&str, &str)]) -> Environment {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Environment::Given(variables.iter().map(owned).collect())
}

fn ambient() -> Aws {
    Aws {
        registry: Ecr::of_host(HOST).unwrap(),
        identity: Identity::Ambient,
        role: None,
    }
}

async fn password(logins: &Logins) -> (String, String) {
    let found = logins.find("acme/web").await.unwrap();
    match found.login {
        Login::Basic { username, password } => {
            let login = format!("{username}:{}", password.expose_secret());
            (login, found.place)
        }
        other => panic!("{other:?}"),
    }
}

/// An error as people read it, with its hint.
async fn told(logins: &Logins) -> String {
    let error = logins.find("acme/web").await.unwrap_err();
    let hint = error
        .hint()
        .map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    format!("{:#}{hint}", anyhow::Error::new(error))
}

fn own_key() -> [(&'static str, &'static str); 2] {
    [
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ]
}

#[test]
fn the_host_of_a_registry_says_where_its_logins_are() {
    let none = given(&[]);
    let mut lines = Vec::new();
    for host in [
        HOST,
        "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
        "123456789012.dkr-ecr.eu-west-1.on.aws",
        "123456789012.dkr-ecr-fips.us-east-1.on.aws",
        "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
        "public.ecr.aws",
        "ecr-public.aws.com",
    ] {
        let ecr = Ecr::of_host(host).unwrap();
        let service = match ecr.kind {
            super::place::Kind::Private => Service::Ecr,
            super::place::Kind::Public => Service::EcrPublic,
        };
        let url = |service| ecr.endpoint(service, &ecr.region, &none).unwrap();
        lines.push(format!("{host} {} {}", url(service), url(Service::Sts)));
    }
    let told = ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"];
    let told = told.map(|name| given(&[(name, "true")]));
    for environment in &told {
        let ecr = Ecr::of_host(HOST).unwrap();
        let url = |service| ecr.endpoint(service, "us-east-1", environment).unwrap();
        lines.push(format!("{} {}", url(Service::Ecr), url(Service::Sts)));
    }
    assert_snapshot!(lines.join("\n"), @"
    123456789012.dkr.ecr.eu-west-1.amazonaws.com https://api.ecr.eu-west-1.amazonaws.com/ https://sts.eu-west-1.amazonaws.com/
    123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com https://api.ecr-fips.us-gov-west-1.amazonaws.com/ https://sts.us-gov-west-1.amazonaws.com/
    123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn https://api.ecr.cn-north-1.amazonaws.com.cn/ https://sts.cn-north-1.amazonaws.com.cn/
    123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu https://api.ecr.eusc-de-east-1.amazonaws.eu/ https://sts.eusc-de-east-1.amazonaws.eu/
    123456789012.dkr-ecr.eu-west-1.on.aws https://ecr.eu-west-1.api.aws/ https://sts.eu-west-1.amazonaws.com/
    123456789012.dkr-ecr-fips.us-east-1.on.aws https://ecr-fips.us-east-1.api.aws/ https://sts.us-east-1.amazonaws.com/
    123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn https://ecr.cn-north-1.api.amazonwebservices.com.cn/ https://sts.cn-north-1.amazonaws.com.cn/
    public.ecr.aws https://api.ecr-public.us-east-1.amazonaws.com/ https://sts.us-east-1.amazonaws.com/
    ecr-public.aws.com https://ecr-public.us-east-1.api.aws/ https://sts.us-east-1.amazonaws.com/
    https://api.ecr-fips.us-east-1.amazonaws.com/ https://sts-fips.us-east-1.amazonaws.com/
    https://ecr.us-east-1.api.aws/ https://sts.us-east-1.api.aws/
    ");
    for (told, asked) in [
        ("eu-central-1", "eu-central-1"),
        ("cn-north-1", "eu-west-1"),
        ("us-gov-west-1", "eu-west-1"),
        ("evil.example.com/", "eu-west-1"),
    ] {
        let environment = given(&[("AWS_REGION", told)]);
        let ecr = Ecr::of_host(HOST).unwrap();
        assert_eq!(ecr.sts_region(&environment), asked);
    }
    for host in [
        "ghcr.io",
        "r.example.com",
        "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example.com",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.on.aws",
        "123456789012.dkr-ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443",
        "123456789012.dkr.ecr..amazonaws.com",
    ] {
        assert_eq!(Ecr::of_host(host), None, "{host}");
    }
}

#[tokio::test]
async fn a_key_of_the_environment_signs_for_a_password() {
    let aws = aws().await;
    let mut variables = own_key().to_vec();
    variables.push(("AWS_SESSION_TOKEN", "sessiontoken"));
    variables.push(("AWS_ENDPOINT_URL_ECR", &aws.origin));
    let (login, place) = password(&logins(ambient(), &variables)).await;
    assert_eq!(login, "AWS:p");
    assert_eq!(place, "the AWS access key in `AWS_ACCESS_KEY_ID`");
    let asked = aws.take();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line, "POST /");
    assert_eq!(asked[0].body, "{}");
    assert_eq!(
        asked[0].header("content-type"),
        "application/x-amz-json-1.1"
    );
    assert_eq!(asked[0].header("x-amz-security-token"), "sessiontoken");
    assert_eq!(asked[0].signer(), format!("{KEY_ID} eu-west-1/ecr"));
}

#[tokio::test]
async fn ecr_public_is_asked_in_its_one_region() {
    let aws = aws().await;
    let mut variables = own_key().to_vec();
    variables.push(("AWS_REGION", "eu-west-1"));
    variables.push(("AWS_ENDPOINT_URL", &aws.origin));
    let source = Aws {
        registry: Ecr::of_host("public.ecr.aws").unwrap(),
        ..ambient()
    };
    let (login, _) = password(&logins(source, &variables)).await;
    assert_eq!(login, "AWS:public");
    assert_eq!(
        aws.take()[0].signer(),
        format!("{KEY_ID} us-east-1/ecr-public")
    );
}

#[tokio::test]
async fn a_role_is_taken_on_by_the_token_of_a_service_account_which_is_read_anew() {
    let aws = aws().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let file = file.to_str().unwrap();
    std::fs::write(file, "one\n").unwrap();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ROLE_SESSION_NAME", "web"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/"),
        ("AWS_ENDPOINT_URL", &aws.origin),
    ];
    let logins = logins(ambient(), &variables);
    let (login, place) = password(&logins).await;
    assert_eq!(login, "AWS:p");
    assert_eq!(place, format!("the AWS role `{ROLE}` by web identity"));
    let asked = aws.take();
    assert_eq!(
        asked[0].body,
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A210987654321%3Arole%2Fpull&RoleSessionName=web&WebIdentityToken=one"
    );
    assert_eq!(
        asked[0].header("authorization"),
        "",
        "AWS takes it unsigned"
    );
    assert_eq!(asked[1].signer(), "ASIAROLE eu-west-1/ecr");
    assert_eq!(asked[1].header("x-amz-security-token"), "roletoken+/=");

    std::fs::write(file, "two\n").unwrap();
    password(&logins).await;
    assert!(aws.take().is_empty(), "the password is good for an hour");
    tokio::time::pause();
    // Told to the second and a part of one, which may be more than what is left of this second.
    tokio::time::advance(Duration::from_secs(3601) - MARGIN_MAX).await;
    tokio::time::resume();
    password(&logins).await;
    assert!(aws.take()[0].body.ends_with("WebIdentityToken=two"));
}

#[tokio::test]
async fn a_container_has_its_keys_from_the_server_beside_it() {
    let aws = aws().await;
    let server = StandIn::start(|asked| match asked.header("authorization") {
        "podtoken" => said(200, METADATA_KEYS),
        _ => said(401, "no token"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "podtoken\n").unwrap();
    let url = format!("{}/v1/credentials", server.origin);
    let mut variables = vec![
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "old"),
        ("AWS_ENDPOINT_URL_ECR", &aws.origin),
    ];
    assert_snapshot!(told(&logins(ambient(), &variables)).await, @"failed to get a login for the AWS role of the container: the container's credentials server answered with status 401, saying `no token`");
    let file = (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        file.to_str().unwrap(),
    );
    variables.push(file);
    let (login, place) = password(&logins(ambient(), &variables)).await;
    assert_eq!(
        (login.as_str(), place.as_str()),
        ("AWS:p", "the AWS role of the container")
    );
    assert_eq!(server.take()[1].line, "GET /v1/credentials");
    assert_eq!(aws.take()[0].signer(), "ASIAROLE eu-west-1/ecr");
}

#[tokio::test]
async fn keys_come_from_no_other_host_without_tls() {
    let mut all = Vec::new();
    for url in [
        "http://credentials.example.com/x",
        "http://169.254.169.254/",
        "ftp://127.0.0.1/",
        "/v1",
    ] {
        let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)];
        all.push(told(&logins(ambient(), &variables)).await);
    }
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the AWS role of the container: `AWS_CONTAINER_CREDENTIALS_FULL_URI` names the host `credentials.example.com`, which without TLS is no place to get credentials from
      hint: use https, a loopback address, or the addresses of ECS and EKS: `169.254.170.2`, `169.254.170.23`, `[fd00:ec2::23]`
    failed to get a login for the AWS role of the container: `AWS_CONTAINER_CREDENTIALS_FULL_URI` names the host `169.254.169.254`, which without TLS is no place to get credentials from
      hint: use https, a loopback address, or the addresses of ECS and EKS: `169.254.170.2`, `169.254.170.23`, `[fd00:ec2::23]`
    failed to get a login for the AWS role of the container: `AWS_CONTAINER_CREDENTIALS_FULL_URI` names the host `127.0.0.1`, which without TLS is no place to get credentials from
      hint: use https, a loopback address, or the addresses of ECS and EKS: `169.254.170.2`, `169.254.170.23`, `[fd00:ec2::23]`
    failed to get a login for the AWS role of the container: `AWS_CONTAINER_CREDENTIALS_FULL_URI` is not a URL
      hint: write it whole, with `https://`
    ");
}

#[tokio::test]
async fn an_instance_has_its_keys_by_a_token_of_its_metadata_server() {
    let aws = aws().await;
    let server = StandIn::start(|asked| {
        let has_token = asked.header("x-aws-ec2-metadata-token") == "imdstoken";
        let has_life = !asked
            .header("x-aws-ec2-metadata-token-ttl-seconds")
            .is_empty();
        match asked.line.as_str() {
            "PUT /latest/api/token" if has_life => said(200, "imdstoken"),
            _ if !has_token => said(401, "Unauthorized"),
            "GET /latest/meta-data/iam/security-credentials/" => said(200, "node\n"),
            "GET /latest/meta-data/iam/security-credentials/node" => said(200, METADATA_KEYS),
            _ => said(404, ""),
        }
    })
    .await;
    let variables = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.origin.as_str()),
        ("AWS_ENDPOINT_URL_ECR", &aws.origin),
    ];
    let (login, place) = password(&logins(ambient(), &variables)).await;
    assert_eq!(
        (login.as_str(), place.as_str()),
        ("AWS:p", "the AWS role of the instance")
    );
    assert_eq!(server.take().len(), 3);
    assert_eq!(aws.take()[0].signer(), "ASIAROLE eu-west-1/ecr");
}

#[tokio::test]
async fn where_no_credentials_are_is_told_with_all_places() {
    let without_role = StandIn::start(|asked| match asked.line.as_str() {
        "PUT /latest/api/token" => said(200, "imdstoken"),
        _ => said(404, "<html>"),
    })
    .await;
    let forbidding = StandIn::start(|_| said(403, "")).await;
    let mut all = Vec::new();
    for variable in [
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            without_role.origin.as_str(),
        ),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            forbidding.origin.as_str(),
        ),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/none"),
    ] {
        all.push(told(&logins(ambient(), &[variable])).await);
    }
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the AWS role of the instance: found no AWS credentials: `AWS_ACCESS_KEY_ID`, `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` and `AWS_CONTAINER_CREDENTIALS_FULL_URI` are not set, and the instance's metadata server knows no role
      hint: give towpath an identity: IRSA or EKS Pod Identity for its service account, a role for its instance, or an access key in the settings
    failed to get a login for the AWS role of the instance: found no AWS credentials: `AWS_ACCESS_KEY_ID`, `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` and `AWS_CONTAINER_CREDENTIALS_FULL_URI` are not set, and the instance's metadata server did not give a token: the instance's metadata server answered with status 403
      hint: give towpath's service account IRSA or EKS Pod Identity, or name an access key in the settings; in a container on EC2, a hop limit of 1 keeps the metadata server's token away: 2 lets it through
    failed to get a login for the AWS role of the instance: found no AWS credentials: `AWS_ACCESS_KEY_ID`, `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` and `AWS_CONTAINER_CREDENTIALS_FULL_URI` are not set, and the instance's metadata server is switched off by `AWS_EC2_METADATA_DISABLED`
      hint: give towpath an identity: IRSA or EKS Pod Identity for its service account, a role for its instance, or an access key in the settings
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: `AWS_ACCESS_KEY_ID` is set without `AWS_SECRET_ACCESS_KEY`
      hint: set both, or neither
    failed to get a login for an AWS role by web identity: `AWS_WEB_IDENTITY_TOKEN_FILE` is set without `AWS_ROLE_ARN`
      hint: set both, or neither
    ");
}

#[tokio::test]
async fn a_role_of_another_account_is_taken_on_by_the_key_of_the_settings() {
    let aws = aws().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, SECRET).unwrap();
    let source = Aws {
        identity: Identity::Key {
            id: KEY_ID.to_owned(),
            secret: Secret::File(file),
            session_token: None,
        },
        role: Some(Role {
            arn: ROLE.to_owned(),
            external_id: Some("agreed upon".to_owned()),
        }),
        ..ambient()
    };
    let logins = logins(source, &[("AWS_ENDPOINT_URL", &aws.origin)]);
    let (login, place) = password(&logins).await;
    assert_eq!(login, "AWS:p");
    assert_eq!(
        place,
        format!("the AWS role `{ROLE}`, taken on by the AWS access key `{KEY_ID}`")
    );
    let asked = aws.take();
    assert_eq!(asked[0].signer(), format!("{KEY_ID} eu-west-1/sts"));
    assert!(
        asked[0]
            .body
            .ends_with("&RoleSessionName=towpath&ExternalId=agreed+upon")
    );
    assert_eq!(asked[1].signer(), "ASIAROLE eu-west-1/ecr");
    assert_eq!(asked[1].header("x-amz-security-token"), "roletoken+/=");
}

#[tokio::test]
async fn what_aws_refuses_is_told_with_what_to_do_and_without_a_key() {
    let mut all = Vec::new();
    for (status, body) in [
        (
            400,
            r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:iam::123456789012:user/x is not authorized to perform: ecr:GetAuthorizationToken on resource: *"}"#,
        ),
        (
            400,
            r#"{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"The Canonical String should have been x-amz-security-token:secretsession"}"#,
        ),
        (
            400,
            r#"{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}"#,
        ),
        (
            400,
            r#"{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}"#,
        ),
        (
            400,
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
        ),
        (
            403,
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no &amp;\n no</Message></Error></ErrorResponse>",
        ),
        (404, "<html>not here</html>"),
        (200, r#"{"authorizationData": []}"#),
        (
            200,
            r#"{"authorizationData": [{"authorizationToken": "secretwithoutcolon"}]}"#,
        ),
    ] {
        let aws = StandIn::start(move |_| said(status, body)).await;
        let mut variables = own_key().to_vec();
        variables.push(("AWS_ENDPOINT_URL", &aws.origin));
        all.push(told(&logins(ambient(), &variables)).await);
    }
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR does not allow `ecr:GetAuthorizationToken`, saying `User: arn:aws:iam::123456789012:user/x is not authorized to perform: ecr:GetAuthorizationToken on resource: *`
      hint: allow `ecr:GetAuthorizationToken` on `*` in a policy of the identity
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR found another signature than ours (`InvalidSignatureException`): the secret access key does not belong to the access key id, or is not whole
      hint: write the secret access key anew, or make a new one
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR says that the credentials have expired (`ExpiredTokenException`)
      hint: temporary keys end; use IRSA, Pod Identity, an instance's role, or an access key without a session token
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR does not know the access key or its session token (`UnrecognizedClientException`)
      hint: the key may be deleted, switched off, of another partition, or a temporary one without its session token
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR answered `ecr:GetAuthorizationToken` with status 400 (`ThrottlingException`), saying `Rate exceeded`
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR does not allow `ecr:GetAuthorizationToken`, saying `no & no`
      hint: allow `ecr:GetAuthorizationToken` on `*` in a policy of the identity
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR answered `ecr:GetAuthorizationToken` with status 404, saying `<html>not here</html>`
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR gave an answer without an authorization token
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR gave an answer without an authorization token
    ");
}

#[tokio::test]
async fn what_sts_refuses_is_told_without_the_token_of_the_service_account() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "secrettoken").unwrap();
    let mut all = Vec::new();
    for (code, message) in [
        (
            "ValidationError",
            "Value 'secrettoken' at 'webIdentityToken' failed to satisfy constraint",
        ),
        (
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        ),
        (
            "ExpiredTokenException",
            "Token expired: current date/time 1 must be before 0",
        ),
        (
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account for https://oidc.example.com",
        ),
    ] {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        let sts = StandIn::start(move |_| said(400, &body)).await;
        let variables = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
            ("AWS_ROLE_ARN", ROLE),
            ("AWS_ENDPOINT_URL_STS", &sts.origin),
        ];
        all.push(told(&logins(ambient(), &variables)).await);
    }
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the AWS role `arn:aws:iam::210987654321:role/pull` by web identity: AWS STS answered `sts:AssumeRoleWithWebIdentity` with status 400 (`ValidationError`)
    failed to get a login for the AWS role `arn:aws:iam::210987654321:role/pull` by web identity: AWS STS does not allow `sts:AssumeRoleWithWebIdentity`, saying `Not authorized to perform sts:AssumeRoleWithWebIdentity`
      hint: name the cluster's OIDC provider and towpath's service account in the role's trust policy, with `sts:AssumeRoleWithWebIdentity`
    failed to get a login for the AWS role `arn:aws:iam::210987654321:role/pull` by web identity: AWS STS says that the credentials have expired (`ExpiredTokenException`)
      hint: the file of `AWS_WEB_IDENTITY_TOKEN_FILE` has to be renewed; a projected volume of Kubernetes is
    failed to get a login for the AWS role `arn:aws:iam::210987654321:role/pull` by web identity: AWS STS answered `sts:AssumeRoleWithWebIdentity` with status 400 (`InvalidIdentityToken`), saying `No OpenIDConnect provider found in your account for https://oidc.example.com`
    ");
}

#[tokio::test]
async fn clocks_that_differ_are_told_as_such() {
    let aws = StandIn::start(|_| {
        let hour_ago: Timestamp = "2026-01-01T11:00:00Z".parse().unwrap();
        let date = rfc2822::DateTimePrinter::new();
        let date = date.timestamp_to_rfc9110_string(&hour_ago).unwrap();
        let body =
            r#"{"__type":"InvalidSignatureException","message":"Signature not yet current"}"#;
        Response::builder()
            .status(400)
            .header("date", date)
            .body(body.to_owned())
            .unwrap()
    })
    .await;
    let variables = [
        own_key()[0],
        own_key()[1],
        ("AWS_ENDPOINT_URL", &aws.origin),
    ];
    let clock = Clock(|| "2026-01-01T12:00:00Z".parse().unwrap());
    let logins = logins_by(clock, ambient(), &variables);
    assert_snapshot!(told(&logins).await, @"
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR refused the time of the request (`InvalidSignatureException`): it is 2026-01-01 11:00 UTC there and 2026-01-01 12:00 UTC here
      hint: set the clock of this machine; AWS allows five minutes
    ");
}

#[tokio::test]
async fn a_registry_that_takes_only_the_granted_password_is_listed() {
    let aws = aws().await;
    let server = MemoryRegistry::start(Access::Basic {
        username: "AWS".to_owned(),
        password: "p".to_owned(),
    });
    let server = server.unwrap();
    server.push("acme/web", "v1", &Image::default());
    let mut variables = own_key().to_vec();
    variables.push(("AWS_ENDPOINT_URL", &aws.origin));
    let options = HostOptions {
        plain_http: true,
        ..HostOptions::default()
    };
    let tags = tags(&server.host(), ambient(), (options, &variables)).await;
    assert_eq!(tags, ["v1"]);
    assert_eq!(aws.take().len(), 1);
}

#[tokio::test]
async fn a_password_that_the_registry_refuses_is_replaced_once_it_is_old() {
    let n = Arc::new(AtomicUsize::new(0));
    let aws = StandIn::start(move |_| {
        let n = n.fetch_add(1, Ordering::SeqCst) + 1;
        let token = token(
            &format!("AWS:p{n}"),
            daemon::now() + SignedDuration::from_hours(12),
        );
        said(200, &format!(r#"{{"authorizationData": [{token}]}}"#))
    })
    .await;
    let server = MemoryRegistry::start(Access::Basic {
        username: "AWS".to_owned(),
        password: "p2".to_owned(),
    });
    let server = server.unwrap();
    server.push("acme/web", "v1", &Image::default());
    let mut variables = own_key().to_vec();
    variables.push(("AWS_ENDPOINT_URL", &aws.origin));
    let options = HostOptions {
        plain_http: true,
        ..HostOptions::default()
    };
    let host = server.host();
    let registry = registry(&host, ambient(), (options, &variables));
    let repository = format!("{host}/acme/web").parse().unwrap();
    let error = registry.tags(&repository, daemon::now()).await.unwrap_err();
    assert_snapshot!(error.to_string().replace(&host, "HOST"), @"`HOST` refused the AWS access key in `AWS_ACCESS_KEY_ID` for `acme/web`, saying `UNAUTHORIZED: authentication required`");
    assert_eq!(aws.take().len(), 1, "a fresh password is not replaced");
    tokio::time::pause();
    tokio::time::advance(REFUSED_AFTER).await;
    tokio::time::resume();
    let listing = registry.tags(&repository, daemon::now()).await.unwrap();
    assert_eq!(listing.tags.len(), 1);
    assert_eq!(aws.take().len(), 1);
}

#[tokio::test]
async fn images_come_in_pages_by_keys_that_are_kept_while_they_are_good() {
    let sts = StandIn::start(|_| {
        let hour = daemon::now() + SignedDuration::from_hours(1);
        said(
            200,
            &STS_KEYS.replace("2026-11-21T18:00:00Z", &hour.to_string()),
        )
    })
    .await;
    let ecr = StandIn::start(|asked| match asked.body.contains("\"nextToken\":\"two\"") {
        false => said(
            200,
            r#"{"imageDetails": [{"imageDigest": "sha256:x", "imageTags": ["v1", "latest"],
                "imagePushedAt": 1.7E9}, {"imageTags": ["v0"]}], "nextToken": "two"}"#,
        ),
        true => said(200, r#"{"imageDetails": []}"#),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "one").unwrap();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ENDPOINT_URL_STS", &sts.origin),
        ("AWS_ENDPOINT_URL_ECR", &ecr.origin),
    ];
    let logins = logins(ambient(), &variables);
    let first = logins.ecr_images("acme/web", None).await.unwrap().unwrap();
    let pushed = Some("2023-11-14T22:13:20Z".parse().unwrap());
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let expected = [(tags(&["v1", "latest"]), pushed), (tags(&["v0"]), None)];
    assert_eq!(first.images, expected);
    let second = logins.ecr_images("acme/web", first.next.as_deref()).await;
    let second = second.unwrap().unwrap();
    assert_eq!((second.images.len(), second.next), (0, None));
    let asked = ecr.take();
    assert_eq!(
        asked[0].body,
        r#"{"registryId":"123456789012","repositoryName":"acme/web","maxResults":1000,"filter":{"tagStatus":"TAGGED"}}"#
    );
    assert!(
        asked
            .iter()
            .all(|asked| asked.signer() == "ASIAROLE eu-west-1/ecr")
    );
    assert_eq!(sts.take().len(), 1, "the keys are good for an hour");
}

#[tokio::test]
async fn ecr_public_and_other_sources_tell_of_no_images() {
    let public = Aws {
        registry: Ecr::of_host("public.ecr.aws").unwrap(),
        ..ambient()
    };
    let told = logins(public, &[]).ecr_images("acme/web", None).await;
    assert_eq!(told.unwrap(), None);
}

#[tokio::test]
async fn moto_describes_images_for_our_signature() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    moto.create_repository("team/app").await;
    for tag in ["v1", "v2"] {
        moto.put_image("team/app", tag).await;
    }
    let keys = [
        ("AWS_ACCESS_KEY_ID", moto.access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &moto.secret_key),
        ("AWS_ENDPOINT_URL", &moto.endpoint),
    ];
    let images = logins(ambient(), &keys).ecr_images("team/app", None).await;
    let images = images.unwrap().unwrap();
    let mut tags: Vec<_> = images.images.iter().flat_map(|(tags, _)| tags).collect();
    tags.sort();
    assert_eq!(tags, ["v1", "v2"]);
    assert!(images.images.iter().all(|(_, pushed)| pushed.is_some()));

    let missing = logins(ambient(), &keys).ecr_images("team/none", None).await;
    assert_snapshot!(missing.unwrap_err().to_string(), @"Amazon ECR answered `ecr:DescribeImages` with status 400 (`RepositoryNotFoundException`), saying `The repository with name 'team/none' does not exist in the registry with id '123456789012'`");
}

#[tokio::test]
async fn moto_takes_our_signatures_and_a_registry_the_password_that_it_gives() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    let keys = [
        ("AWS_ACCESS_KEY_ID", moto.access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &moto.secret_key),
        ("AWS_ENDPOINT_URL", &moto.endpoint),
    ];
    let registry = Ecr::of_region(REGION).unwrap();
    let source = Aws {
        registry,
        ..ambient()
    };
    let (login, _) = password(&logins(source.clone(), &keys)).await;
    assert_eq!(login, format!("AWS:{ECR_PASSWORD}"));

    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let server = DockerRegistry::with_password(&authority);
    let memory = MemoryRegistry::start(Access::Anonymous).unwrap();
    let digest = memory.push("acme/web", "v1", &Image::default());
    let references = [digest.as_str(), "v1"];
    server
        .pusher()
        .copy(&memory.host(), "acme/web", &references)
        .await;
    let options = HostOptions {
        connection: Connection {
            ca_file: Some(authority.ca_file.clone()),
            ..Connection::default()
        },
        ..HostOptions::default()
    };
    let tags = tags(&server.host, source, (options, &keys)).await;
    assert_eq!(tags, ["v1"]);
}

#[tokio::test]
async fn moto_refuses_another_secret_and_an_unknown_key() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    let mut all = Vec::new();
    for (id, secret) in [
        (moto.access_key.as_str(), "wrong"),
        ("AKIAUNKNOWN000000000", "x"),
    ] {
        let keys = [
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_ENDPOINT_URL", &moto.endpoint),
        ];
        all.push(told(&logins(ambient(), &keys)).await);
    }
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR found another signature than ours (`SignatureDoesNotMatch`): the secret access key does not belong to the access key id, or is not whole
      hint: write the secret access key anew, or make a new one
    failed to get a login for the AWS access key in `AWS_ACCESS_KEY_ID`: Amazon ECR does not know the access key or its session token (`InvalidClientTokenId`)
      hint: the key may be deleted, switched off, of another partition, or a temporary one without its session token
    ");
}

/// moto checks no further than that: what a role may do it knows only of roles that were made.
#[tokio::test]
async fn moto_gives_the_keys_of_a_role_for_a_signature_and_for_a_web_identity() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "e30.e30.x").unwrap();
    let endpoint = ("AWS_ENDPOINT_URL", moto.endpoint.as_str());
    let role = Role {
        arn: ROLE.to_owned(),
        external_id: Some("agreed + upon".to_owned()),
    };
    let assuming = Aws {
        role: Some(role),
        ..ambient()
    };
    let key = [
        endpoint,
        ("AWS_ACCESS_KEY_ID", &moto.access_key),
        ("AWS_SECRET_ACCESS_KEY", &moto.secret_key),
    ];
    let keys = assuming.keys(&asker(&key)).await.unwrap();
    assert!(keys.id.starts_with("ASIA") && keys.session_token.is_some());
    let wrong = [key[0], key[1], ("AWS_SECRET_ACCESS_KEY", "wrong")];
    let error = assuming.keys(&asker(&wrong)).await.unwrap_err();
    assert!(error.to_string().contains("`SignatureDoesNotMatch`"));

    let by_token = [
        endpoint,
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", ROLE),
    ];
    moto.trust(1).await;
    let keys = ambient().keys(&asker(&by_token)).await.unwrap();
    assert!(keys.id.starts_with("ASIA") && keys.session_token.is_some());
}

async fn tags(host: &str, source: Aws, options: (HostOptions, &[(&str, &str)])) -> Vec<String> {
    let registry = registry(host, source, options);
    let repository = format!("{host}/acme/web").parse().unwrap();
    let listing = registry.tags(&repository, daemon::now()).await.unwrap();
    let tags = listing
        .tags
        .into_iter()
        .map(|listed| listed.tag.to_string());
    tags.collect()
}

fn registry(
    host: &str,
    source: Aws,
    (options, variables): (HostOptions, &[(&str, &str)]),
) -> Registry {
    let options = HostOptions {
        logins: Source::Aws(source).into(),
        ..options
    };
    Registry::new(Options {
        hosts: BTreeMap::from([(host.to_owned(), options)]),
        environment: given(variables),
        ..Options::default()
    })
}
