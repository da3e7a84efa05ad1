//! What AWS's services and metadata servers answer, as much of it as is used.
//!
//! Invariant: nothing here has a `Debug`, for it holds secrets.

use serde::{Deserialize, Serialize};

/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>
#[derive(Deserialize)]
pub(super) struct Authorizations {
    #[serde(rename = "authorizationData")]
    pub(super) data: Vec<Authorization>,
}

/// <https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html>
#[derive(Deserialize)]
pub(super) struct PublicAuthorization {
    #[serde(rename = "authorizationData")]
    pub(super) data: Authorization,
}

#[derive(Deserialize)]
pub(super) struct Authorization {
    /// User, colon and password in base64.
    #[serde(rename = "authorizationToken")]
    pub(super) token: String,
    /// In seconds since 1970.
    #[serde(rename = "expiresAt")]
    pub(super) expires_at: Option<f64>,
}

/// What metadata servers say of a role's keys:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RoleKeys {
    pub(super) access_key_id: Option<String>,
    pub(super) secret_access_key: Option<String>,
    pub(super) token: Option<String>,
    pub(super) expiration: Option<String>,
}

/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html>
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeImages<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) registry_id: Option<&'a str>,
    pub(super) repository_name: &'a str,
    pub(super) max_results: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_token: Option<&'a str>,
    pub(super) filter: Filter,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    pub(super) tag_status: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Images {
    pub(super) image_details: Vec<Image>,
    pub(super) next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Image {
    #[serde(default)]
    pub(super) image_tags: Vec<String>,
    /// In seconds since 1970.
    pub(super) image_pushed_at: Option<f64>,
}

/// A refusal of an API that speaks JSON:
/// <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization>.
#[derive(Deserialize)]
pub(super) struct Fault {
    /// Its end after a `#` is the code.
    #[serde(rename = "__type")]
    pub(super) code: String,
    /// In either case, and in moto's answers in both.
    pub(super) message: Option<String>,
    #[serde(rename = "Message")]
    pub(super) capital_message: Option<String>,
}

/// The text of the first element `name`. The answers of STS are plain enough for that: no attributes where values are, no
/// element within itself. <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
    ];
    let text = entities
        .iter()
        .fold(text.trim().to_owned(), |text, (entity, c)| {
            text.replace(entity, c)
        });
    Some(text.replace("&amp;", "&"))
}
