//! Getting in: anonymous first, then what the registry's challenge asks for; tokens are kept until they expire.
//!
//! Invariant: credentials go only to the registry itself and to token services that belong to it, over https
//! unless the settings say that the registry is plain http; secrets are read anew at each use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::HostOptions;
use super::challenge::{Challenge, challenges};
use super::error::RegistryError;
use super::http::{Answer, Ask, Authorization, FORM, Line, Purpose};
use super::patience::in_line;
use super::wire::TokenAnswer;
use crate::image::Repository;
use crate::login::{EcrImages, Fingerprint, Login, LoginError, Logins};

/// How long a token without `expires_in` is good: what the token specification says.
///
/// <https://distribution.github.io/distribution/spec/auth/token/>
const TOKEN_LIFE_DEFAULT: Duration = Duration::from_secs(60);

/// Longest life that a token is believed to have. Services give 5 minutes to 12 hours; a day costs one request more.
const TOKEN_LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A token is not used in the last tenth of its life, or its last 10 s if that is less: the request has to arrive
/// in time.
const TOKEN_MARGIN_MAX: Duration = Duration::from_secs(10);

/// Largest answer of a token service: tokens are headers, and servers take no headers beyond 8 to 16 KiB.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Logins that are tried for one repository in one go, and so requests beside the one for a repository. People have one
/// pull secret for a registry, and two while they change it; teams that share an account have a handful.
pub(super) const LOGINS_TRIED_MAX: u32 = 8;

/// Refresh tokens that are kept: one for each entry of the files for one registry. Without one, the first is used again.
const REFRESHED_MAX: usize = 256;

/// How we are called in the logs of token services.
const CLIENT_ID: &str = "towpath";

/// Token services on another host that are known to belong to their registry.
const REALMS_KNOWN: [(&str, &str); 2] = [
    ("docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
];

/// How to get into one registry, and what has been learnt about it.
pub(super) struct Access {
    options: HostOptions,
    logins: Arc<Logins>,
    /// What the last challenge asked for, so that the next request need not be refused first.
    learnt: Mutex<Option<Scheme>>,
    /// By repository path.
    slots: Mutex<BTreeMap<String, Arc<Slot>>>,
    /// The refresh tokens that the token service gave in exchange for others.
    refreshed: Mutex<BTreeMap<Fingerprint, SecretString>>,
}

/// A repository's token; whoever holds the lock is the one who asks for a new one.
type Slot = tokio::sync::Mutex<Kept>;

#[derive(Default)]
struct Kept {
    /// As the registry named it; its own choice of words counts.
    scope: Option<String>,
    token: Option<Token>,
}

struct Token {
    value: HeaderValue,
    /// The login that it was given for.
    login: Fingerprint,
    good_until: Instant,
}

/// A token that is wanted of a token service.
struct Wanted<'a> {
    realm: &'a Url,
    service: Option<&'a str>,
    scope: &'a str,
}

/// What a registry wants of those who ask.
#[derive(Clone)]
enum Scheme {
    Basic,
    /// A bearer token for the registry itself, sent as it is.
    Given,
    Token {
        realm: Url,
        service: Option<String>,
    },
}

impl Kept {
    /// Whether `value` is the token that is kept, and was given for `login`.
    fn gave(&self, value: &HeaderValue, login: &Login) -> bool {
        let token = self.token.as_ref();
        token.is_some_and(|token| token.value == value && token.login == login.fingerprint())
    }
}

impl Access {
    pub(super) fn new(options: HostOptions, logins: Logins) -> Self {
        Self {
            options,
            logins: Arc::new(logins),
            learnt: Mutex::new(None),
            slots: Mutex::new(BTreeMap::new()),
            refreshed: Mutex::new(BTreeMap::new()),
        }
    }

    /// Another way in with the same logins, which learns for itself: for what wants tokens of other scopes.
    pub(super) fn beside(&self) -> Self {
        Self {
            options: self.options.clone(),
            logins: Arc::clone(&self.logins),
            learnt: Mutex::new(None),
            slots: Mutex::new(BTreeMap::new()),
            refreshed: Mutex::new(BTreeMap::new()),
        }
    }

    /// What to send, from what is known so far.
    pub(super) async fn standing(
        &self,
        line: &Line,
        repository: &Repository,
    ) -> Result<Authorization, RegistryError> {
        let Some(scheme) = self.lock_learnt().clone() else {
            return Ok(Authorization::Anonymous);
        };
        let anonymous = Authorization::Anonymous;
        let sent = self.fulfil(line, repository, &scheme, &anonymous).await;
        if sent.is_err() {
            // The registry may want something else by now, so the next request lets it say so.
            *self.lock_learnt() = None;
        }
        sent
    }

    /// What to send after `answer` refused `sent`, or `None` if there is nothing else to offer.
    pub(super) async fn renewed(
        &self,
        line: &Line,
        repository: &Repository,
        (answer, sent, round): (&Answer, &Authorization, u32),
    ) -> Result<Option<Authorization>, RegistryError> {
        let offered = challenges(&answer.headers);
        let found = self.found(line, repository).await?;
        let Some((scheme, scope)) = self.choose(line, &found, &offered)? else {
            return Ok(None);
        };
        let slot = self.slot(repository);
        let is_refused = match (&scheme, sent) {
            // Another request may have found the next login by now, with which this one was not refused yet.
            (Scheme::Basic, Authorization::Basic { .. })
            | (Scheme::Given, Authorization::Bearer(_)) => is_of(sent, &found),
            // A token that was given just now is as good as any other for this login.
            (Scheme::Token { .. }, Authorization::Bearer(value)) => {
                round > 0 && in_line(slot.lock()).await.gave(value, &found)
            }
            (Scheme::Basic | Scheme::Given | Scheme::Token { .. }, _) => false,
        };
        if is_refused && !self.logins.refused(repository.path(), &found).await {
            return Ok(None);
        }
        in_line(slot.lock()).await.scope = scope;
        let authorization = self.fulfil(line, repository, &scheme, sent).await?;
        *self.lock_learnt() = Some(scheme);
        Ok(Some(authorization))
    }

    /// Which login the registry wants, as far as it has been asked.
    pub(super) fn scheme(&self) -> String {
        match &*self.lock_learnt() {
            None => "none was asked for".to_owned(),
            Some(Scheme::Basic) => "user and password".to_owned(),
            Some(Scheme::Given) => "the bearer token".to_owned(),
            Some(Scheme::Token { realm, .. }) => {
                format!("tokens of `{}`", realm.host_str().unwrap_or_default())
            }
        }
    }

    /// Where the login for `repository` comes from, for messages.
    pub(super) async fn place(&self, repository: &Repository) -> String {
        self.logins.place(repository.path()).await
    }

    /// A page of the images of `repository`, as ECR tells them to an AWS identity.
    pub(super) async fn ecr_images(
        &self,
        repository: &Repository,
        after: Option<&str>,
    ) -> Result<Option<EcrImages>, LoginError> {
        Box::pin(self.logins.ecr_images(repository.path(), after)).await
    }

    /// The login for `repository` as it is now.
    pub(super) async fn found(
        &self,
        line: &Line,
        repository: &Repository,
    ) -> Result<Login, RegistryError> {
        let found = self.logins.find(repository.path()).await;
        let found = found.map_err(|source| RegistryError::Credentials {
            host: line.host.clone(),
            source,
        })?;
        Ok(found.login)
    }

    /// What to do of what is `offered`, with the scope it names.
    fn choose(
        &self,
        line: &Line,
        found: &Login,
        offered: &[Challenge],
    ) -> Result<Option<(Scheme, Option<String>)>, RegistryError> {
        let find = |scheme| offered.iter().find(|challenge| challenge.scheme == scheme);
        match (found, find("bearer"), find("basic")) {
            (Login::Bearer(_), Some(_), _) => Ok(Some((Scheme::Given, None))),
            (_, Some(Challenge { parameters, .. }), _) => {
                let realm = parameters.get("realm").and_then(|realm| realm.parse().ok());
                let realm = realm.ok_or_else(|| self.unknown(line, "bearer without a realm"))?;
                let service = parameters.get("service").cloned();
                let scope = parameters.get("scope").cloned();
                Ok(Some((Scheme::Token { realm, service }, scope)))
            }
            (Login::Basic { .. }, None, Some(_)) => Ok(Some((Scheme::Basic, None))),
            (Login::Anonymous | Login::Bearer(_) | Login::Identity(_), None, Some(_)) => Ok(None),
            (_, None, None) => match offered.first() {
                Some(challenge) => Err(self.unknown(line, &challenge.scheme)),
                None => Ok(None),
            },
        }
    }

    fn unknown(&self, line: &Line, challenge: &str) -> RegistryError {
        RegistryError::ChallengeUnknown {
            host: line.host.clone(),
            challenge: challenge.to_owned(),
        }
    }

    async fn fulfil(
        &self,
        line: &Line,
        repository: &Repository,
        scheme: &Scheme,
        refused: &Authorization,
    ) -> Result<Authorization, RegistryError> {
        if let Scheme::Token { realm, service } = scheme {
            let service = service.as_deref();
            let value = self
                .token(line, repository, (realm, service), refused)
                .await?;
            return Ok(Authorization::Bearer(value));
        }
        // Another repository of this registry may have other credentials, and so have taught another scheme.
        Ok(match (scheme, self.found(line, repository).await?) {
            (Scheme::Given, Login::Bearer(token)) => {
                Authorization::Bearer(bearer(&line.host, &token)?)
            }
            (Scheme::Basic, Login::Basic { username, password }) => {
                Authorization::Basic { username, password }
            }
            (Scheme::Given | Scheme::Basic | Scheme::Token { .. }, _) => Authorization::Anonymous,
        })
    }

    /// The repository's token; a new one where there is none, or only the one that was `refused`.
    async fn token(
        &self,
        line: &Line,
        repository: &Repository,
        (realm, service): (&Url, Option<&str>),
        refused: &Authorization,
    ) -> Result<HeaderValue, RegistryError> {
        let slot = self.slot(repository);
        // Held while the token is fetched, on purpose: the others that wait here want this very token.
        let mut kept = in_line(slot.lock()).await;
        let found = self.found(line, repository).await;
        if let Some(token) = &kept.token {
            let was_refused =
                matches!(refused, Authorization::Bearer(value) if value == token.value);
            // A login that cannot be read just now takes nothing from the token that it got.
            let is_for = |login: &Login| login.fingerprint() == token.login;
            let is_ours = found.as_ref().map_or(true, is_for);
            if Instant::now() < token.good_until && is_ours && !was_refused {
                return Ok(token.value.clone());
            }
        }
        let default = || format!("repository:{}:pull", repository.path());
        let scope = kept.scope.clone().unwrap_or_else(default);
        let wanted = Wanted {
            realm,
            service,
            scope: &scope,
        };
        let token = self.fetch(line, repository, (&wanted, found?)).await?;
        let value = token.value.clone();
        kept.token = Some(token);
        Ok(value)
    }

    /// Fetches a token for the login, or for the one that follows it where the service refuses it.
    async fn fetch(
        &self,
        line: &Line,
        repository: &Repository,
        (wanted, mut login): (&Wanted<'_>, Login),
    ) -> Result<Token, RegistryError> {
        for _ in 1..LOGINS_TRIED_MAX {
            let refused = match self.fetch_for(line, repository, (wanted, &login)).await {
                Err(refused @ RegistryError::TokenRefused { .. }) => refused,
                done => return done,
            };
            let was_refreshed = self.lock_refreshed().remove(&login.fingerprint());
            let path = repository.path();
            if was_refreshed.is_none() && !self.logins.refused(path, &login).await {
                return Err(refused);
            }
            login = self.found(line, repository).await?;
        }
        self.fetch_for(line, repository, (wanted, &login)).await
    }

    async fn fetch_for(
        &self,
        line: &Line,
        repository: &Repository,
        (wanted, login): (&Wanted<'_>, &Login),
    ) -> Result<Token, RegistryError> {
        // Here and not where the realm is learnt: other repositories, or this one later, may have more to lose.
        check_realm(&line.host, &self.options, login, wanted.realm)?;
        let fingerprint = login.fingerprint();
        let asked = Instant::now();
        let answer = match login {
            Login::Identity(token) => {
                let refreshed = self.lock_refreshed().get(&fingerprint).cloned();
                let token = refreshed.as_ref().unwrap_or(token);
                post((line, repository), wanted, token).await?
            }
            Login::Basic { username, password } => {
                let (username, password) = (username.clone(), password.clone());
                let authorization = Authorization::Basic { username, password };
                get((line, repository), wanted, &authorization).await?
            }
            Login::Anonymous | Login::Bearer(_) => {
                get((line, repository), wanted, &Authorization::Anonymous).await?
            }
        };
        if answer.status != StatusCode::OK {
            return Err(RegistryError::TokenRefused {
                host: line.host.clone(),
                realm_host: wanted.realm.host_str().unwrap_or_default().to_owned(),
                credentials: self.place(repository).await,
                status: answer.status,
                words: answer.words(),
            });
        }
        // What cannot be read is not shown: it may hold a token.
        let token: Option<TokenAnswer> = serde_json::from_slice(&answer.body).ok();
        let missing = || RegistryError::TokenMissing {
            host: line.host.clone(),
        };
        let mut token = token.ok_or_else(missing)?;
        let life = token.expires_in.map(Duration::from_secs);
        let life = life.unwrap_or(TOKEN_LIFE_DEFAULT).min(TOKEN_LIFE_MAX);
        if let (Login::Identity(_), Some(next)) = (login, token.refresh_token.take()) {
            self.keep_refreshed(fingerprint, next.into());
        }
        let value = token.into_token().ok_or_else(missing)?;
        Ok(Token {
            value: bearer(&line.host, &value.into())?,
            login: fingerprint,
            good_until: asked + life.saturating_sub((life / 10).min(TOKEN_MARGIN_MAX)),
        })
    }

    fn keep_refreshed(&self, login: Fingerprint, token: SecretString) {
        let mut refreshed = self.lock_refreshed();
        if refreshed.len() >= REFRESHED_MAX {
            refreshed.clear();
        }
        refreshed.insert(login, token);
    }

    fn lock_refreshed(&self) -> MutexGuard<'_, BTreeMap<Fingerprint, SecretString>> {
        self.refreshed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_learnt(&self) -> MutexGuard<'_, Option<Scheme>> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, repository: &Repository) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(repository.path().to_owned()).or_default())
    }
}

/// <https://distribution.github.io/distribution/spec/auth/token/>
async fn get(
    (line, repository): (&Line, &Repository),
    wanted: &Wanted<'_>,
    authorization: &Authorization,
) -> Result<Answer, RegistryError> {
    let mut url = wanted.realm.clone();
    if let Some(service) = wanted.service {
        url.query_pairs_mut().append_pair("service", service);
    }
    url.query_pairs_mut().append_pair("scope", wanted.scope);
    let ask = Ask {
        repository,
        purpose: Purpose::Login,
        method: Method::GET,
        url: &url,
        accept: "application/json",
        authorization,
        content: None,
        bytes_max: TOKEN_BYTES_MAX,
    };
    line.exchange(&ask).await
}

/// <https://distribution.github.io/distribution/spec/auth/oauth/>
async fn post(
    (line, repository): (&Line, &Repository),
    wanted: &Wanted<'_>,
    token: &SecretString,
) -> Result<Answer, RegistryError> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("service", wanted.service.unwrap_or_default())
        .append_pair("scope", wanted.scope)
        .append_pair("client_id", CLIENT_ID)
        .append_pair("refresh_token", token.expose_secret())
        .finish();
    let form = form.into();
    let ask = Ask {
        repository,
        purpose: Purpose::Login,
        method: Method::POST,
        url: wanted.realm,
        accept: "application/json",
        authorization: &Authorization::Anonymous,
        content: Some((FORM, &form)),
        bytes_max: TOKEN_BYTES_MAX,
    };
    line.exchange(&ask).await
}

/// The realm comes from the other side, so it is believed only as far as the settings go.
fn check_realm(
    host: &str,
    options: &HostOptions,
    found: &Login,
    realm: &Url,
) -> Result<(), RegistryError> {
    let host = host.to_owned();
    if realm.scheme() != "https" && !(options.plain_http && realm.scheme() == "http") {
        let mut realm = realm.clone();
        realm.set_query(None);
        return Err(RegistryError::RealmPlain { host, realm });
    }
    let realm_host = realm.host_str().unwrap_or_default().to_owned();
    let registry_host = host_without_port(&host);
    let belongs = registry_host == realm_host
        || options.realms.contains(&realm_host)
        || REALMS_KNOWN.contains(&(registry_host, &realm_host));
    match found {
        Login::Basic { .. } | Login::Bearer(_) | Login::Identity(_) if !belongs => {
            Err(RegistryError::RealmUntrusted { host, realm_host })
        }
        Login::Anonymous | Login::Basic { .. } | Login::Bearer(_) | Login::Identity(_) => Ok(()),
    }
}

/// The header that gives `token` to `host`.
pub(super) fn bearer(host: &str, token: &SecretString) -> Result<HeaderValue, RegistryError> {
    let text = format!("Bearer {}", token.expose_secret());
    let mut value = HeaderValue::from_str(&text).map_err(|_| RegistryError::TokenUnusable {
        host: host.to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether what was sent is `login` itself.
fn is_of(sent: &Authorization, login: &Login) -> bool {
    match (sent, login) {
        (
            Authorization::Basic { username, password },
            Login::Basic {
                username: own_name,
                password: own,
            },
        ) => username == own_name && password.expose_secret() == own.expose_secret(),
        (Authorization::Bearer(value), Login::Bearer(token)) => {
            bearer("", token).is_ok_and(|own| own == value)
        }
        (
            Authorization::Anonymous | Authorization::Basic { .. } | Authorization::Bearer(_),
            Login::Anonymous | Login::Basic { .. } | Login::Bearer(_) | Login::Identity(_),
        ) => false,
    }
}

/// `[::1]:5000` is `[::1]`, as URLs write it.
fn host_without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use reqwest::header::HeaderValue;
    use tokio::time::{Instant, sleep};

    use super::{Access, Authorization, Scheme, Token, check_realm};
    use crate::image::{RegistryKind, Repository};
    use crate::login::{Clock, Environment, Login, Logins, SourcesByPath, Target};
    use crate::registry::budget::Budget;
    use crate::registry::client::{Connection, Connections, Tls};
    use crate::registry::http::Line;
    use crate::registry::patience::within;
    use crate::registry::{HostOptions, RegistryError, Timeouts};

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_token_that_another_stands_in_line_for_stands_in_line_too() {
        let timeouts = Timeouts::default();
        let connections = Connections::new(Connection::default(), Tls::Perhaps, timeouts);
        let line = Line {
            host: "r.example.com".to_owned(),
            kind: RegistryKind::Other,
            connections: Arc::new(connections),
            budget: Budget::new("r.example.com", None, 1),
            timeouts,
            outcomes: Mutex::default(),
            told_time: Mutex::default(),
        };
        let logins = Logins::new(
            Target::of_host(&line.host),
            SourcesByPath::default(),
            Environment::default(),
            Clock::default(),
        );
        let access = Access::new(HostOptions::default(), logins);
        *access.lock_learnt() = Some(Scheme::Token {
            realm: "https://r.example.com/token".parse().unwrap(),
            service: None,
        });
        let repository: Repository = "r.example.com/acme/web".parse().unwrap();
        let slot = access.slot(&repository);
        let another = async {
            let mut kept = slot.lock().await;
            sleep(timeouts.total + Duration::from_secs(1)).await;
            kept.token = Some(Token {
                value: HeaderValue::from_static("Bearer t"),
                login: Login::Anonymous.fingerprint(),
                good_until: Instant::now() + Duration::from_secs(60),
            });
        };
        let standing = access.standing(&line, &repository);
        let ((), sent) = tokio::join!(another, within(timeouts.total, standing));
        let sent = sent.expect("in time").unwrap();
        assert!(matches!(sent, Authorization::Bearer(value) if value == "Bearer t"));
    }

    fn check(
        host: &str,
        realm: &str,
        options: &HostOptions,
        found: &Login,
    ) -> Result<(), RegistryError> {
        check_realm(host, options, found, &realm.parse().unwrap())
    }

    #[test]
    fn credentials_go_to_the_registry_its_known_service_and_the_realms_of_the_settings() {
        let options = HostOptions {
            realms: vec!["auth.example.com".to_owned()],
            ..HostOptions::default()
        };
        let alice = Login::Basic {
            username: "alice".to_owned(),
            password: "wonderland".to_owned().into(),
        };
        for (host, realm) in [
            ("docker.io", "https://auth.docker.io/token"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("git.example.com:5050", "https://git.example.com/jwt/auth"),
            ("[::1]:5000", "https://[::1]:5001/token"),
            ("r.example.com", "https://auth.example.com/token"),
        ] {
            assert!(
                check(host, realm, &options, &alice).is_ok(),
                "{host} {realm}"
            );
        }
        for (host, realm) in [
            ("ghcr.io", "https://auth.docker.io/token"),
            ("docker.io", "https://auth.docker.io.example.com/token"),
            ("r.example.com", "https://example.com/token"),
        ] {
            let error = check(host, realm, &options, &alice).unwrap_err();
            assert!(
                matches!(error, RegistryError::RealmUntrusted { .. }),
                "{host} {realm}"
            );
            assert!(
                check(host, realm, &options, &Login::Anonymous).is_ok(),
                "nothing to lose"
            );
        }
    }

    #[test]
    fn a_token_service_without_tls_is_refused_unless_the_registry_has_none_either() {
        let plain = HostOptions {
            plain_http: true,
            ..HostOptions::default()
        };
        let realm = "http://r.example.com/token";
        assert!(check("r.example.com", realm, &plain, &Login::Anonymous).is_ok());
        let error = check(
            "r.example.com",
            realm,
            &HostOptions::default(),
            &Login::Anonymous,
        )
        .unwrap_err();
        let said =
            "`r.example.com` sends its login to `http://r.example.com/token`, which is not https";
        assert_eq!(error.to_string(), said);
    }
}
