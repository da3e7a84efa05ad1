//! One request to an API of AWS, and what its refusal means.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::place::{Ecr, Service};
use super::sign::{Scope, Unsigned, signed};
use super::wire::{Fault, element};
use super::{AwsError, Keys};
use crate::login::LoginError;
use crate::login::ask::{Asker, BYTES_MAX, Reply, words};

/// How far the clocks may be apart before that is the reason of a refusal: AWS takes five minutes, and a date is of
/// whole seconds. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>
const SKEW_MIN: SignedDuration = SignedDuration::from_mins(4);

/// Largest page of images: 1,000 of 0.6 KiB are 0.6 MiB, and 100 tags of 60 letters for one in ten are another 0.6.
const IMAGES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What an API is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    AuthorizationToken,
    PublicAuthorizationToken,
    DescribeImages,
    AssumeRole,
    AssumeRoleByWebIdentity,
}

/// One request.
pub(super) struct Call<'a> {
    pub(super) action: Action,
    pub(super) region: &'a str,
    pub(super) body: &'a str,
}

impl Action {
    pub(super) fn service(self) -> Service {
        match self {
            Self::AuthorizationToken | Self::DescribeImages => Service::Ecr,
            Self::PublicAuthorizationToken => Service::EcrPublic,
            Self::AssumeRole | Self::AssumeRoleByWebIdentity => Service::Sts,
        }
    }

    /// What tells the API the action, where that does not stand in the body.
    fn target(self) -> Option<&'static str> {
        match self {
            Self::AuthorizationToken => {
                Some("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
            }
            Self::PublicAuthorizationToken => Some("SpencerFrontendService.GetAuthorizationToken"),
            Self::DescribeImages => Some("AmazonEC2ContainerRegistry_V20150921.DescribeImages"),
            Self::AssumeRole | Self::AssumeRoleByWebIdentity => None,
        }
    }

    fn bytes_max(self) -> usize {
        match self {
            Self::DescribeImages => IMAGES_BYTES_MAX,
            Self::AuthorizationToken
            | Self::PublicAuthorizationToken
            | Self::AssumeRole
            | Self::AssumeRoleByWebIdentity => BYTES_MAX,
        }
    }

    /// How the action is allowed.
    pub(super) fn permission(self) -> &'static str {
        match self {
            Self::AuthorizationToken => {
                "allow `ecr:GetAuthorizationToken` on `*` in a policy of the identity"
            }
            // <https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html>
            Self::PublicAuthorizationToken => {
                "allow `ecr-public:GetAuthorizationToken` and `sts:GetServiceBearerToken` on `*` in a policy of the identity"
            }
            Self::DescribeImages => {
                "allow `ecr:DescribeImages` on the repository in a policy of the identity, or of the repository if it is another account's"
            }
            Self::AssumeRole => {
                "name the identity in the role's trust policy, allow the identity `sts:AssumeRole` on the role, and compare `external-id`"
            }
            Self::AssumeRoleByWebIdentity => {
                "name the cluster's OIDC provider and towpath's service account in the role's trust policy, with `sts:AssumeRoleWithWebIdentity`"
            }
        }
    }
}

impl Call<'_> {
    /// Sends the request, signed where there are `keys`, and gives back the body of a success.
    pub(super) async fn send(
        &self,
        asker: &Asker,
        registry: &Ecr,
        keys: Option<&Keys>,
    ) -> Result<Vec<u8>, LoginError> {
        let Self {
            action,
            region,
            body,
        } = self;
        let service = action.service();
        let url = registry.endpoint(service, region, &asker.environment)?;
        let content_type = match action.target() {
            Some(_) => "application/x-amz-json-1.1",
            None => "application/x-www-form-urlencoded",
        };
        let target = action.target().map(|target| ("x-amz-target", target));
        let headers = [("content-type", content_type)].into_iter().chain(target);
        let unsigned = Unsigned {
            url: &url,
            headers: headers.collect(),
            body,
        };
        let at = asker.now();
        let headers = match keys {
            Some(keys) => {
                let scope = Scope {
                    service: service.signing_name(),
                    region,
                    at,
                };
                signed(&unsigned, keys, &scope).map_err(|_| AwsError::UnusableKeys)?
            }
            None => HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]),
        };
        let client = asker.client(service.name())?;
        let request = || {
            let request = client.post(url.clone()).headers(headers.clone());
            request.body((*body).to_owned())
        };
        let bytes_max = action.bytes_max();
        let reply = asker.exchange_large(service.name(), bytes_max, request);
        let reply = reply.await?;
        match reply.status.is_success() {
            true => Ok(reply.body),
            false => Err(self.refusal(&reply, at).into()),
        }
    }

    /// Codes that all services share: <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>. Services that
    /// speak JSON have names of their own for some.
    fn refusal(&self, reply: &Reply, ours: Timestamp) -> AwsError {
        let action = self.action;
        let (code, message) = told(&reply.body);
        let is_skewed = |theirs: &Timestamp| theirs.duration_since(ours).abs() >= SKEW_MIN;
        match code.as_str() {
            "AccessDenied" | "AccessDeniedException" => AwsError::Forbidden {
                action,
                words: words(&message),
            },
            "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "RequestExpired"
            | "RequestInTheFuture"
            | "RequestTimeTooSkewed" => match reply.date {
                Some(theirs) if is_skewed(&theirs) => AwsError::Skewed {
                    action,
                    code,
                    theirs,
                    ours,
                },
                Some(_) | None => AwsError::WrongSignature { action, code },
            },
            "ExpiredToken" | "ExpiredTokenException" => AwsError::Expired { action, code },
            "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => {
                AwsError::UnknownKey { action, code }
            }
            _ => {
                // It repeats the value that it does not like, which may be the token.
                let is_echo =
                    code == "ValidationError" && action == Action::AssumeRoleByWebIdentity;
                AwsError::Answered {
                    action,
                    status: reply.status,
                    code,
                    words: if is_echo {
                        String::new()
                    } else {
                        words(&message)
                    },
                }
            }
        }
    }
}

impl fmt::Display for Action {
    /// By its name in policies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthorizationToken => "ecr:GetAuthorizationToken",
            Self::PublicAuthorizationToken => "ecr-public:GetAuthorizationToken",
            Self::DescribeImages => "ecr:DescribeImages",
            Self::AssumeRole => "sts:AssumeRole",
            Self::AssumeRoleByWebIdentity => "sts:AssumeRoleWithWebIdentity",
        })
    }
}

/// The code and the message of a refusal, in JSON or in XML.
fn told(body: &[u8]) -> (String, String) {
    if let Ok(fault) = serde_json::from_slice::<Fault>(body) {
        let code = fault.code.rsplit('#').next().unwrap_or_default();
        let message = fault.message.or(fault.capital_message);
        return (words(code), message.unwrap_or_default());
    }
    let text = String::from_utf8_lossy(body);
    match element(&text, "Code") {
        Some(code) => (words(&code), element(&text, "Message").unwrap_or_default()),
        None => (String::new(), text.into_owned()),
    }
}
