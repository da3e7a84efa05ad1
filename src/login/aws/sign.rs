//! Signature Version 4 of a POST: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
//!
//! By hand, for AWS's own signer (`aws-sigv4` 1.6) would bring sixteen more crates, most of them of its runtime. Not here:
//! queries, which none of the requests has.

use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use secrecy::ExposeSecret as _;
use url::Url;

use super::Keys;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A POST before it is signed.
pub(super) struct Unsigned<'a> {
    pub(super) url: &'a Url,
    /// With their names in lower case.
    pub(super) headers: BTreeMap<&'static str, &'a str>,
    pub(super) body: &'a str,
}

/// What a signature is good for, beside the request.
pub(super) struct Scope<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) at: Timestamp,
}

/// All headers of the request with its signature; `Host` is left to the client.
pub(super) fn signed(
    request: &Unsigned<'_>,
    keys: &Keys,
    scope: &Scope<'_>,
) -> Result<HeaderMap, InvalidHeaderValue> {
    let Unsigned { url, headers, body } = request;
    let Scope {
        service,
        region,
        at,
    } = scope;
    let time = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = at.strftime("%Y%m%d").to_string();
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut headers = headers.clone();
    headers.insert("host", host);
    headers.insert("x-amz-date", &time);
    if let Some(token) = &keys.session_token {
        headers.insert("x-amz-security-token", token.expose_secret());
    }
    let names: Vec<&str> = headers.keys().copied().collect();
    let names = names.join(";");
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()));
    let lines: String = lines.collect();
    let path = url.path();
    let canonical = format!("POST\n{path}\n\n{lines}\n{names}\n{}", hash(body));
    let place = format!("{date}/{region}/{service}/aws4_request");
    let text = format!("{ALGORITHM}\n{time}\n{place}\n{}", hash(&canonical));

    let mut key = format!("AWS4{}", keys.secret.expose_secret()).into_bytes();
    for part in [&date, *region, *service, "aws4_request"] {
        key = keyed_hash(&key, part);
    }
    let signature = hex(&keyed_hash(&key, &text));
    let id = &keys.id;
    let authorization = format!(
        "{ALGORITHM} Credential={id}/{place}, SignedHeaders={names}, Signature={signature}"
    );

    headers.remove("host");
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value)?;
        value.set_sensitive(name == "x-amz-security-token");
        all.insert(HeaderName::from_static(name), value);
    }
    let mut authorization = HeaderValue::from_str(&authorization)?;
    authorization.set_sensitive(true);
    all.insert(AUTHORIZATION, authorization);
    Ok(all)
}

fn hash(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn keyed_hash(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use reqwest::header::AUTHORIZATION;

    use super::super::Keys;
    use super::{Scope, Unsigned, signed};

    /// The session token of AWS's test suite.
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    /// What AWS's test suite for signatures expects of its POSTs: `post-vanilla`, `post-x-www-form-urlencoded` and
    /// `post-sts-header-before`. <https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html>
    #[test]
    fn signatures_are_those_that_aws_documents() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        for (headers, body, session_token, names, signature) in [
            (
                BTreeMap::new(),
                "",
                None,
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                BTreeMap::from([form]),
                "Param1=value1",
                None,
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                BTreeMap::new(),
                "",
                Some(TOKEN),
                "host;x-amz-date;x-amz-security-token",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        ] {
            let keys = Keys {
                id: "AKIDEXAMPLE".to_owned(),
                secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
                session_token: session_token.map(Into::into),
                expires_at: None,
            };
            let request = Unsigned {
                url: &"https://example.amazonaws.com/".parse().unwrap(),
                headers,
                body,
            };
            let scope = Scope {
                service: "service",
                region: "us-east-1",
                at: "2015-08-30T12:36:00Z".parse().unwrap(),
            };
            let all = signed(&request, &keys, &scope).unwrap();
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, Signature={signature}"
            );
            assert_eq!(all[AUTHORIZATION], expected);
            assert_eq!(all["x-amz-date"], "20150830T123600Z");
            assert!(!format!("{all:?}").contains("AQoDYX"));
        }
    }

    #[test]
    fn keys_that_no_header_can_hold_are_an_error() {
        let keys = Keys {
            id: "AKID\nX".to_owned(),
            secret: "s".into(),
            session_token: None,
            expires_at: None,
        };
        let request = Unsigned {
            url: &"https://example.amazonaws.com/".parse().unwrap(),
            headers: BTreeMap::new(),
            body: "",
        };
        let scope = Scope {
            service: "service",
            region: "us-east-1",
            at: "2015-08-30T12:36:00Z".parse().unwrap(),
        };
        assert!(signed(&request, &keys, &scope).is_err());
    }
}
