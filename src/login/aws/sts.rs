//! Keys of a role, from the Security Token Service.

use secrecy::ExposeSecret as _;
use url::form_urlencoded::Serializer;

use super::call::{Action, Call};
use super::place::{Ecr, Service};
use super::wire::element;
use super::{Keys, Role};
use crate::login::LoginError;
use crate::login::ask::Asker;
use crate::secret::Secret;

/// What audit logs call towpath where the environment does not say.
const SESSION_NAME: &str = "towpath";

/// Takes on `role` with `keys`: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
pub(super) async fn assume(
    asker: &Asker,
    registry: &Ecr,
    (keys, role): (&Keys, &Role),
) -> Result<Keys, LoginError> {
    let Role { arn, external_id } = role;
    let external_id = external_id.as_deref().map(|id| ("ExternalId", id));
    let body = form(asker, ("AssumeRole", arn), external_id);
    ask(asker, registry, (Action::AssumeRole, &body), Some(keys)).await
}

/// Takes on the role `arn` with the token in `file`, which is read anew, as Kubernetes renews it:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>.
pub(super) async fn by_web_identity(
    asker: &Asker,
    registry: &Ecr,
    (file, arn): (&str, &str),
) -> Result<Keys, LoginError> {
    let token = Secret::File(file.into()).read()?;
    let token = ("WebIdentityToken", token.expose_secret());
    let body = form(asker, ("AssumeRoleWithWebIdentity", arn), Some(token));
    ask(
        asker,
        registry,
        (Action::AssumeRoleByWebIdentity, &body),
        None,
    )
    .await
}

fn form(asker: &Asker, (action, arn): (&str, &str), further: Option<(&str, &str)>) -> String {
    let session_name = asker.environment.var("AWS_ROLE_SESSION_NAME");
    let session_name = session_name.as_deref().unwrap_or(SESSION_NAME);
    let mut form = Serializer::new(String::new());
    form.extend_pairs([
        ("Action", action),
        ("Version", "2011-06-15"),
        ("RoleArn", arn),
        ("RoleSessionName", session_name),
    ]);
    form.extend_pairs(further);
    form.finish()
}

async fn ask(
    asker: &Asker,
    registry: &Ecr,
    (action, body): (Action, &str),
    keys: Option<&Keys>,
) -> Result<Keys, LoginError> {
    let region = registry.sts_region(&asker.environment);
    let call = Call {
        action,
        region: &region,
        body,
    };
    let answer = call.send(asker, registry, keys).await?;
    let xml = String::from_utf8_lossy(&answer);
    let keys = || {
        Some(Keys {
            id: element(&xml, "AccessKeyId")?,
            secret: element(&xml, "SecretAccessKey")?.into(),
            session_token: Some(element(&xml, "SessionToken")?.into()),
            expires_at: element(&xml, "Expiration").and_then(|at| at.parse().ok()),
        })
    };
    keys().ok_or(LoginError::Incomplete {
        service: Service::Sts.name(),
        what: "an access key",
    })
}
