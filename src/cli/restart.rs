//! What a new configuration asks for: nothing, where the work stays the same; other work; or a restart, for addresses that are listened
//! on and who stands for the lead.

use std::net::SocketAddr;
use std::path::Path;

use super::log::Log;
use super::pod;
use super::run::{Setup, next_setup};
use super::shard::Shard;
use crate::cluster::Reporter;
use crate::config::{Settings, Watch};

/// Waits for a configuration with other work than `setup`. One that changes no work counts at once, and begins nothing anew: whoever
/// turns the log up wants to see what happens, and not all of it once more. May be dropped at any time.
pub(super) async fn next_work(
    setup: &mut Setup,
    watch: &mut Watch,
    (cache, shard): (Option<&Path>, Option<Shard>),
    (pod, log): (Option<&Reporter>, &Log),
) -> Setup {
    loop {
        let next = next_setup(watch, pod).await;
        let next = next.of_shard(shard).with_folders(&setup.listed);
        let next = next.with_cache(cache);
        let mut same = next.clone();
        same.settings.log.clone_from(&setup.settings.log);
        if same != *setup {
            return next;
        }
        tracing::info!(policies = next.policies.len(), "new configuration");
        pod::tell_taken(pod, next.policies.len());
        log.take(&next.settings);
        *setup = next;
    }
}

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
