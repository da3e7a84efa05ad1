//! How an answer reaches the client: whole, or in one of the ways in which networks and servers fail.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::stream;

use super::faults::{Fault, Faults};

/// How an answer reaches the client.
pub(super) enum Delivery {
    Whole,
    Cut,
    Slow(Duration),
    Stalled,
    Giant,
}

impl Delivery {
    pub(super) fn choose(faults: &mut Faults) -> Self {
        match faults.pause() {
            _ if faults.cut() => Self::Cut,
            _ if faults.has(&Fault::Stalled) => Self::Stalled,
            _ if faults.has(&Fault::Giant) => Self::Giant,
            Some(pause) => Self::Slow(pause),
            None => Self::Whole,
        }
    }

    pub(super) async fn carry_out(self, answer: Response<Body>) -> Response<Body> {
        match self {
            Self::Whole => answer,
            Self::Stalled => std::future::pending().await,
            Self::Cut => answer.map(|_| {
                let cut = std::io::Error::other("cut");
                let parts = [Ok(Bytes::from_static(b"{\"name\":")), Err(cut)];
                Body::from_stream(stream::iter(parts))
            }),
            Self::Slow(pause) => answer.map(|_| {
                Body::from_stream(stream::unfold((), move |()| async move {
                    tokio::time::sleep(pause).await;
                    Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
                }))
            }),
            Self::Giant => answer.map(|_| {
                let piece = Bytes::from_static(&[b' '; 64 * 1024]);
                Body::from_stream(stream::iter(std::iter::repeat_with(move || {
                    Ok::<_, Infallible>(piece.clone())
                })))
            }),
        }
    }
}
