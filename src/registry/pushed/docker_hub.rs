//! Docker Hub: the API of `hub.docker.com`, which is another host than the registry's and counts its requests apart. A
//! token for it is had for the registry's own user and password; public repositories need none.
//!
//! <https://docs.docker.com/reference/api/hub/latest/>

use std::collections::BTreeMap;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::wire::{HubLogin, HubTags, HubToken};
use super::{PAGE_SIZE, Page, collect, number, number_after};
use crate::image::Repository;
use crate::login::{Fingerprint, Login};
use crate::registry::access::bearer;
use crate::registry::error::RegistryError;
use crate::registry::host::{Host, Question, json};
use crate::registry::http::{Answer, Authorization};

/// Tokens that are kept: one for each login, of which there are a handful, and one for each password that was renewed.
const TOKENS_MAX: usize = 64;

/// Tokens of the API by login, each until it is refused: they live for minutes, and how many they do not say. Whoever holds
/// the lock is the one who has a token made.
#[derive(Default)]
pub(in crate::registry) struct Tokens(tokio::sync::Mutex<BTreeMap<Fingerprint, HeaderValue>>);

/// A user by name and password.
type User<'a> = (Fingerprint, &'a str, &'a SecretString);

pub(super) async fn page(
    host: &Host,
    repository: &Repository,
    after: Option<&str>,
) -> Result<Page, RegistryError> {
    let (namespace, name) = repository.path().split_once('/').unwrap_or_default();
    let path = format!("/v2/namespaces/{namespace}/repositories/{name}/tags");
    let page = number(after);
    let query = format!("page_size={PAGE_SIZE}&page={page}&ordering=last_updated");
    let url = host.api_url(&path, &query);
    let answer = ask(host, &super::question(repository, &url)).await?;
    let HubTags { results, next } = json(&answer, || super::what(repository))?;
    let told = results.into_iter().map(|tag| {
        let at = tag.tag_last_pushed.and_then(|at| at.parse().ok());
        (tag.name, at)
    });
    Ok(Page {
        times: collect(told),
        next: next.map(|_| number_after(after).to_string()),
    })
}

async fn ask(host: &Host, question: &Question<'_>) -> Result<Answer, RegistryError> {
    let login = host.login(question.repository).await?;
    let user = match &login {
        Login::Basic { username, password } => (login.fingerprint(), &**username, password),
        Login::Bearer(token) => {
            let login = Authorization::Bearer(bearer(host.api_host(), token)?);
            return host.ask_as(question, &login).await;
        }
        Login::Anonymous | Login::Identity(_) => {
            return host.ask_as(question, &Authorization::Anonymous).await;
        }
    };
    let first = token(host, question.repository, (user, None)).await?;
    let sent = Authorization::Bearer(first.clone());
    match host.ask_as(question, &sent).await {
        Err(RegistryError::Unauthorized { .. }) => {}
        answer => return answer,
    }
    let next = token(host, question.repository, (user, Some(&first))).await?;
    host.ask_as(question, &Authorization::Bearer(next)).await
}

/// The token for a user; a new one where there is none, or only the one that was `refused`.
async fn token(
    host: &Host,
    repository: &Repository,
    ((login, username, password), refused): (User<'_>, Option<&HeaderValue>),
) -> Result<HeaderValue, RegistryError> {
    // Held while a token is made, on purpose: the others that wait here want this very token.
    let mut kept = host.tokens.0.lock().await;
    if let Some(token) = kept.get(&login).filter(|token| Some(*token) != refused) {
        return Ok(token.clone());
    }
    let token = make(host, repository, (username, password)).await?;
    if kept.len() >= TOKENS_MAX {
        kept.clear();
    }
    kept.insert(login, token.clone());
    Ok(token)
}

/// Has a token made.
async fn make(
    host: &Host,
    repository: &Repository,
    (username, password): (&str, &SecretString),
) -> Result<HeaderValue, RegistryError> {
    let login = HubLogin {
        identifier: username,
        secret: password.expose_secret(),
    };
    let login = serde_json::to_string(&login).expect("strings are JSON");
    let url = host.api_url("/v2/auth/token", "");
    let answer = host
        .post(&super::question(repository, &url), &login.into())
        .await?;
    // What cannot be read is not shown: it may hold the token.
    let token: Option<HubToken> = serde_json::from_slice(&answer.body).ok();
    let token = token.ok_or_else(|| RegistryError::TokenMissing {
        host: host.api_host().to_owned(),
    })?;
    bearer(host.api_host(), &token.access_token.into())
}
