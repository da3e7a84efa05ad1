//! Why AWS gives no login, in words that serve a person. Names variables, roles and actions, never a key.

use jiff::Timestamp;
use reqwest::StatusCode;

use super::call::Action;
use crate::login::LoginError;

/// Why an AWS identity gives no login.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AwsError {
    #[error(
        "found no AWS credentials: `AWS_ACCESS_KEY_ID`, `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` and `AWS_CONTAINER_CREDENTIALS_FULL_URI` are not set, and the instance's metadata server {instance}"
    )]
    NoneFound {
        instance: NoInstance,
        source: Option<Box<LoginError>>,
    },
    #[error("`{present}` is set without `{missing}`")]
    Half {
        present: &'static str,
        missing: &'static str,
    },
    #[error("`{variable}` is not a URL")]
    NoUrl { variable: &'static str },
    #[error(
        "`{variable}` names the host `{host}`, which without TLS is no place to get credentials from"
    )]
    UntrustedHost {
        variable: &'static str,
        host: String,
    },
    /// Which it is is not known, and none is shown.
    #[error("the AWS keys hold characters that no header may hold")]
    UnusableKeys,
    #[error("{} does not allow `{action}`{}", action.service().name(), said(words))]
    Forbidden { action: Action, words: String },
    /// Without the service's words, which may repeat the request and with it the session token.
    #[error(
        "{} found another signature than ours (`{code}`): the secret access key does not belong to the access key id, or is not whole",
        action.service().name()
    )]
    WrongSignature { action: Action, code: String },
    #[error(
        "{} refused the time of the request (`{code}`): it is {} there and {} here",
        action.service().name(), minute(*theirs), minute(*ours)
    )]
    Skewed {
        action: Action,
        code: String,
        theirs: Timestamp,
        ours: Timestamp,
    },
    #[error("{} says that the credentials have expired (`{code}`)", action.service().name())]
    Expired { action: Action, code: String },
    #[error("{} does not know the access key or its session token (`{code}`)", action.service().name())]
    UnknownKey { action: Action, code: String },
    #[error(
        "{} answered `{action}` with status {}{}{}",
        action.service().name(), status.as_u16(), coded(code), said(words)
    )]
    Answered {
        action: Action,
        status: StatusCode,
        code: String,
        words: String,
    },
}

/// Why an instance's metadata server gives no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoInstance {
    SwitchedOff,
    Unreachable,
    WithoutRole,
}

impl AwsError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoneFound { instance, .. } => Some(match instance {
                NoInstance::SwitchedOff | NoInstance::WithoutRole => {
                    "give towpath an identity: IRSA or EKS Pod Identity for its service account, a role for its instance, or an access key in the settings"
                }
                NoInstance::Unreachable => {
                    "give towpath's service account IRSA or EKS Pod Identity, or name an access key in the settings; in a container on EC2, a hop limit of 1 keeps the metadata server's token away: 2 lets it through"
                }
            }),
            Self::Half { .. } => Some("set both, or neither"),
            Self::NoUrl { .. } => Some("write it whole, with `https://`"),
            Self::UntrustedHost { .. } => Some(
                "use https, a loopback address, or the addresses of ECS and EKS: `169.254.170.2`, `169.254.170.23`, `[fd00:ec2::23]`",
            ),
            Self::UnusableKeys => Some("look for line breaks and quotes in them"),
            Self::Forbidden { action, .. } => Some(action.permission()),
            Self::WrongSignature { .. } => {
                Some("write the secret access key anew, or make a new one")
            }
            Self::Skewed { .. } => Some("set the clock of this machine; AWS allows five minutes"),
            Self::Expired { action, .. } => Some(match action {
                Action::AssumeRoleByWebIdentity => {
                    "the file of `AWS_WEB_IDENTITY_TOKEN_FILE` has to be renewed; a projected volume of Kubernetes is"
                }
                Action::AuthorizationToken
                | Action::PublicAuthorizationToken
                | Action::DescribeImages
                | Action::AssumeRole => {
                    "temporary keys end; use IRSA, Pod Identity, an instance's role, or an access key without a session token"
                }
            }),
            Self::UnknownKey { .. } => Some(
                "the key may be deleted, switched off, of another partition, or a temporary one without its session token",
            ),
            Self::Answered { .. } => None,
        }
    }
}

impl std::fmt::Display for NoInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SwitchedOff => "is switched off by `AWS_EC2_METADATA_DISABLED`",
            Self::Unreachable => "did not give a token",
            Self::WithoutRole => "knows no role",
        })
    }
}

fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn coded(code: &str) -> String {
    match code {
        "" => String::new(),
        code => format!(" (`{code}`)"),
    }
}

fn said(words: &str) -> String {
    match words {
        "" => String::new(),
        words => format!(", saying `{words}`"),
    }
}
