//! Webhooks as a real Gitea sends them: signed, and understood.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use bed::gitea::{Gitea, MergeWay};
use reqwest::header::HeaderMap;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::events::{Message, event, news, signature};
use super::{Kind, Place};
use crate::secret::{Guard, Secret};

type Delivery = (HeaderMap, Bytes);

#[tokio::test]
async fn what_a_real_gitea_tells_is_signed_and_names_the_repository() {
    let Some(gitea) = Gitea::start() else {
        return;
    };
    let name = "deploy";
    gitea.create_repository(name).await;
    let (sender, mut deliveries) = unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let hook = Router::new().route("/hook", post(take)).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, hook).await });
    gitea.tell(name, &url, "hunter2").await;

    let branch = "towpath/prod/web";
    gitea.create_branch(&gitea.bot, name, branch).await;
    gitea
        .commit(&gitea.bot, (name, branch), ("kustomization.yaml", "v2"))
        .await;
    let number = gitea.open(name, branch, "web to v2 in prod").await;
    gitea.approve(name, number).await;
    gitea.merge(name, number, MergeWay::Squash).await;

    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "hunter2").unwrap();
    let guard = Guard::Hmac(Secret::File(secret.path().to_owned()));
    let place = Place::parse(Some(Kind::Gitea), &gitea.clone_url(name)).unwrap();
    let mut awaited = vec!["push", "pull_request", "pull_request_approved"];
    while !awaited.is_empty() {
        let (headers, body) = deliveries.recv().await.unwrap();
        let shown = signature(Kind::Gitea, &headers).unwrap();
        assert!(guard.takes_signature(&shown, &body).unwrap());
        let event = event(Kind::Gitea, &headers);
        let body = &body;
        let news = news(Kind::Gitea, Message { event, body }).unwrap();
        assert!(news.is_some_and(|news| place.has(&news)), "{event:?}");
        awaited.retain(|awaited| Some(*awaited) != event);
    }
}

async fn take(
    State(sender): State<UnboundedSender<Delivery>>,
    headers: HeaderMap,
    body: Bytes,
) -> &'static str {
    sender.send((headers, body)).unwrap();
    "taken"
}
