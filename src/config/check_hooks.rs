//! Who may call the hooks: what is written in, what is meant out.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::check_settings::Check;
use super::forms::OneOrMany;
use super::hooks::{HmacSource, HookSource as HookWritten, OpenSource, TokenSource};
use super::raw::Hooks;
use super::settings::{HookSettings, HookSource};
use super::shape::Placed;
use crate::secret::Guard;

/// The kinds whose events may be signed: GitHub's are, and a pipeline of one's own can.
const SIGNING: [&str; 2] = ["generic", "ghcr"];

impl Check<'_> {
    pub(super) fn hooks(&mut self, hooks: Hooks, pages: SocketAddr) -> HookSettings {
        let Hooks { listen, registry } = hooks;
        if let Some(listen) = listen
            .as_ref()
            .filter(|l| l.value == pages && pages.port() != 0)
        {
            self.faults.error_with_hint(
                listen.span,
                "health and metrics are served on this address",
                "give the hooks a port of their own, since others may reach them",
            );
        }
        let mut sources = BTreeMap::new();
        for entry in registry.entries {
            if let Some(OneOrMany(written)) = entry.value {
                let kind = entry.key.value.0;
                self.warn_of_hmac(kind, &written);
                sources.insert(kind, self.hook_sources(written));
            }
        }
        HookSettings {
            listen: listen.map_or(([127, 0, 0, 1], 8081).into(), |listen| listen.value),
            sources,
        }
    }

    /// Whoever waits for a signature that never comes refuses all events.
    fn warn_of_hmac(&mut self, kind: &str, written: &[Placed<HookWritten>]) {
        if SIGNING.contains(&kind) {
            return;
        }
        for source in written {
            if let HookWritten::Hmac(HmacSource { hmac, .. }) = &source.value {
                let message = format!("`{kind}` does not sign what it sends; write `token`");
                self.faults.warning(hmac.span(), message);
            }
        }
    }

    fn hook_sources(&mut self, written: Vec<Placed<HookWritten>>) -> Vec<HookSource> {
        let several = written.len() > 1;
        let source = |written: Placed<HookWritten>| {
            let (guard, host) = match written.value {
                HookWritten::Token(TokenSource { token, host }) => {
                    (Guard::Token(self.secret(token)), host)
                }
                HookWritten::Hmac(HmacSource { hmac, host }) => {
                    (Guard::Hmac(self.secret(hmac)), host)
                }
                HookWritten::Open(OpenSource {
                    unauthenticated,
                    host,
                }) => {
                    if several {
                        self.faults.error_with_hint(
                            unauthenticated.span,
                            "this opens the hook to all, whatever stands beside it",
                            "leave it as the only entry, or take it out",
                        );
                    }
                    (Guard::Open, host)
                }
            };
            let host = host.map(|host| host.value.0);
            HookSource { guard, host }
        };
        written.into_iter().map(source).collect()
    }
}
