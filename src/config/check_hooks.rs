//! Who may call the hooks: what is written in, what is meant out.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::check_settings::Check;
use super::forms::OneOrMany;
use super::hooks::{ForgeHmac, ForgeHook, ForgeOpen, ForgeToken, HookKind, HookSource as Written};
use super::raw::Hooks;
use super::settings::{HookSettings, HookSource};
use super::shape::{Block, Named, Placed};
use crate::forge::Kind as ForgeKind;
use crate::secret::Guard;

/// The kinds of registries whose events may be signed: GitHub's are, and a pipeline of one's own can.
const SIGNING: [&str; 2] = ["generic", "ghcr"];

impl Check<'_> {
    pub(super) fn hooks(&mut self, hooks: Block<Hooks>, pages: SocketAddr) -> HookSettings {
        let Block { value, owner, span } = hooks;
        let Hooks {
            listen,
            registry,
            forge,
        } = value;
        if registry.is_none() && forge.is_none() && !self.faults.touch(span) {
            let message = "`hooks` does not say who may tell";
            let hint = "write `registry`, `forge` or both, each with the kinds that tell";
            self.faults.error_with_hint(owner, message, hint);
        }
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
        HookSettings {
            listen: listen.map_or(([127, 0, 0, 1], 8081).into(), |listen| listen.value),
            registries: registry.map_or_else(BTreeMap::new, |named| self.registry_hooks(named)),
            forges: forge.map_or_else(BTreeMap::new, |named| self.forge_hooks(named)),
        }
    }

    fn registry_hooks(
        &mut self,
        named: Named<HookKind, OneOrMany<Written>>,
    ) -> BTreeMap<&'static str, Vec<HookSource>> {
        let mut sources = BTreeMap::new();
        for entry in named.entries {
            let Some(OneOrMany(written)) = entry.value else {
                continue;
            };
            let kind = entry.key.value.0;
            let is_alone = written.len() == 1;
            let of_kind = (kind, SIGNING.contains(&kind), is_alone);
            let source = |written: Placed<Written>| {
                let (guard, host) = written.value.parts();
                HookSource {
                    guard: self.guard(guard, of_kind),
                    host: host.map(|host| host.value.0),
                }
            };
            sources.insert(kind, written.into_iter().map(source).collect());
        }
        sources
    }

    fn forge_hooks(
        &mut self,
        named: Named<ForgeKind, OneOrMany<ForgeHook>>,
    ) -> BTreeMap<ForgeKind, Vec<Guard>> {
        let mut guards: BTreeMap<ForgeKind, Vec<Guard>> = BTreeMap::new();
        for entry in named.entries {
            let Some(OneOrMany(written)) = entry.value else {
                continue;
            };
            let kind = entry.key.value;
            let is_alone = written.len() == 1 && !guards.contains_key(&kind);
            let of_kind = (kind.name(), kind.signs_events(), is_alone);
            let guard = |written: Placed<ForgeHook>| self.guard(written.value, of_kind);
            let of_entry: Vec<Guard> = written.into_iter().map(guard).collect();
            // `gitea` and `forgejo` are one.
            guards.entry(kind).or_default().extend(of_entry);
        }
        guards
    }

    /// What a caller of `kind` must show. Whoever waits for a signature that never comes refuses all events.
    fn guard(&mut self, written: ForgeHook, (kind, signs, is_alone): (&str, bool, bool)) -> Guard {
        match written {
            ForgeHook::Token(ForgeToken { token }) => Guard::Token(self.secret(token)),
            ForgeHook::Hmac(ForgeHmac { hmac }) => {
                if !signs {
                    let message = format!("`{kind}` does not sign what it sends; write `token`");
                    self.faults.warning(hmac.span(), message);
                }
                Guard::Hmac(self.secret(hmac))
            }
            ForgeHook::Open(ForgeOpen { unauthenticated }) => {
                if !is_alone {
                    self.faults.error_with_hint(
                        unauthenticated.span,
                        "this opens the hook to all, whatever stands beside it",
                        "leave it as the only entry, or take it out",
                    );
                }
                Guard::Open
            }
        }
    }
}
