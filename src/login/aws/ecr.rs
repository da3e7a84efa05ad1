//! The password of an identity for ECR: <https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::Keys;
use super::call::{Action, Call};
use super::place::{Ecr, Kind};
use super::wire::{Authorization, Authorizations, PublicAuthorization};
use crate::login::ask::Asker;
use crate::login::{Login, LoginError};

/// How long a password is good by the documentation. It counts where the answer gives no time, or one that has passed
/// already, which AWS does not do and stand-ins for it do; a password that ends sooner is refused and asked for anew.
const LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// Asks for a password, and how long it is good.
pub(super) async fn password(
    asker: &Asker,
    registry: &Ecr,
    keys: &Keys,
) -> Result<(Login, Duration), LoginError> {
    let action = match registry.kind {
        Kind::Private => Action::AuthorizationToken,
        Kind::Public => Action::PublicAuthorizationToken,
    };
    let call = Call {
        action,
        region: &registry.region,
        body: "{}",
    };
    let body = call.send(asker, registry, Some(keys)).await?;
    let authorization = match registry.kind {
        Kind::Private => serde_json::from_slice(&body)
            .ok()
            .and_then(|Authorizations { data }| data.into_iter().next()),
        Kind::Public => serde_json::from_slice(&body)
            .ok()
            .map(|PublicAuthorization { data }| data),
    };
    let login = authorization.as_ref().and_then(login);
    let login = login.ok_or(LoginError::Incomplete {
        service: action.service().name(),
        what: "an authorization token",
    })?;
    let expires_at = authorization.and_then(|authorization| authorization.expires_at);
    Ok((login, life(expires_at, asker.now())))
}

fn login(authorization: &Authorization) -> Option<Login> {
    let text = STANDARD.decode(&authorization.token).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Login::Basic {
        username: username.to_owned(),
        password: password.to_owned().into(),
    })
}

fn life(expires_at: Option<f64>, now: Timestamp) -> Duration {
    let seconds = expires_at.map(|at| at - now.as_duration().as_secs_f64());
    match seconds {
        Some(seconds) if seconds > 0.0 => Duration::try_from_secs_f64(seconds)
            .unwrap_or(LIFE)
            .min(LIFE),
        Some(_) | None => LIFE,
    }
}
