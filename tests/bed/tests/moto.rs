//! That the fake AWS refuses what AWS would: a test against it proves something of our signatures.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bed::aws::{ECR_PASSWORD, ECR_USER, Moto, REGION};

/// Asks ECR with the signature of AWS's own Python client, and prints what comes back.
const ASK: &str = "
import sys, urllib.request, urllib.error
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
endpoint, region, key, secret, action, body, sent = sys.argv[1:]
headers = {'X-Amz-Target': 'AmazonEC2ContainerRegistry_V20150921.' + action,
           'Content-Type': 'application/x-amz-json-1.1'}
request = AWSRequest('POST', endpoint + '/', data=body, headers=headers)
SigV4Auth(Credentials(key, secret), 'ecr', region).add_auth(request)
request = urllib.request.Request(endpoint + '/', data=sent.encode(), headers=dict(request.headers), method='POST')
try:
    print(urllib.request.urlopen(request).read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
";

#[tokio::test]
async fn a_signature_by_another_secret_or_for_another_body_is_refused() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    let (key, secret) = (moto.access_key.as_str(), moto.secret_key.as_str());
    let ask = |key, secret, sent| ask(&moto, (key, secret), "GetAuthorizationToken", ("{}", sent));
    let token = STANDARD.encode(format!("{ECR_USER}:{ECR_PASSWORD}"));
    assert!(ask(key, secret, "{}").contains(&token));
    for (key, secret, sent, code) in [
        (key, "wrong", "{}", "SignatureDoesNotMatch"),
        (
            key,
            secret,
            r#"{"registryIds":[]}"#,
            "SignatureDoesNotMatch",
        ),
        ("AKIAUNKNOWN000000000", secret, "{}", "InvalidClientTokenId"),
    ] {
        let answer = ask(key, secret, sent);
        let told = format!("<Code>{code}</Code>");
        assert!(
            answer.starts_with("403 ") && answer.contains(&told),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn what_was_put_is_described_and_signatures_count_as_before() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    moto.create_repository("team/app").await;
    let mut digests = Vec::new();
    for tag in ["v1", "v2"] {
        digests.push(moto.put_image("team/app", tag).await);
    }
    let body = r#"{"repositoryName":"team/app"}"#;
    let describe = |secret| {
        let login = (moto.access_key.as_str(), secret);
        ask(&moto, login, "DescribeImages", (body, body))
    };
    let described = describe(&moto.secret_key);
    assert_eq!(described.matches("imagePushedAt").count(), 2, "{described}");
    assert!(digests.iter().all(|digest| described.contains(digest)));
    assert!(describe("wrong").contains("SignatureDoesNotMatch"));
}

/// What ECR answers to `sent`, with the signature that this key and secret give the `signed` body.
fn ask(
    moto: &Moto,
    (key, secret): (&str, &str),
    action: &str,
    (signed, sent): (&str, &str),
) -> String {
    let output = Command::new(moto.python())
        .args(["-c", ASK, &moto.endpoint, REGION])
        .args([key, secret, action, signed, sent])
        .output()
        .expect("Python can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
