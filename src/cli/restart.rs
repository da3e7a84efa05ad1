//! What counts only after a restart: addresses that are listened on, and who stands for the lead.

use std::net::SocketAddr;

use crate::config::Settings;

/// Where health and metrics are served, and where the hooks are.
#[derive(Clone, Copy)]
pub(super) struct Addresses {
    pages: SocketAddr,
    hooks: Option<SocketAddr>,
}

impl Addresses {
    pub(super) fn of(settings: &Settings) -> Self {
        let hooks = settings.hooks.as_ref().map(|hooks| hooks.listen);
        Self {
            pages: settings.listen,
            hooks,
        }
    }
}

/// Says what is new in `next` and waits for a restart; not what is `served` already.
pub(super) fn warn_of_restart(served: Addresses, before: &Settings, next: &Settings) {
    if next.leadership != before.leadership {
        tracing::warn!("`leadership` changed, which counts after a restart");
    }
    if next.pod_events != before.pod_events {
        tracing::warn!("`pod-events` changed, which counts after a restart");
    }
    let (before, next) = (Addresses::of(before), Addresses::of(next));
    if next.pages != before.pages && next.pages != served.pages {
        tracing::warn!(address = %next.pages, "`listen` changed, which counts after a restart");
    }
    if next.hooks != before.hooks && next.hooks != served.hooks {
        tracing::warn!("the address of `hooks` changed, which counts after a restart");
    }
}
