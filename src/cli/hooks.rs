//! Who may tell the daemon of news, and where: hooks of registries and forges, as the settings say.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Failure;
use crate::config::{self, Settings};
use crate::registry::EventKind;
use crate::secret::Guard;
use crate::web::{self, Bells, HookKind, HookSource, Hooks};

/// Listens for registries and forges that tell of news, where the settings say so. Who may is told later.
pub(super) async fn serve_hooks(
    settings: &Settings,
    bells: &Arc<Bells>,
) -> Result<Arc<Hooks>, Failure> {
    let hooks = Arc::new(Hooks::new(bells.clone()));
    if let Some(settings) = &settings.hooks {
        let listener = web::listen(settings.listen).await?;
        tracing::info!(address = %listener.local_addr()?, "hooks are served");
        tokio::spawn(hooks.clone().serve(listener));
    }
    Ok(hooks)
}

/// Who may tell of news, as the settings say.
pub(super) fn hook_sources(settings: &Settings) -> BTreeMap<HookKind, Vec<HookSource>> {
    let Some(hooks) = &settings.hooks else {
        return BTreeMap::new();
    };
    let registry = |source: &config::HookSource| {
        let config::HookSource { guard, host } = source.clone();
        HookSource { guard, host }
    };
    let registries = hooks.registries.iter().map(|(name, sources)| {
        let kind = EventKind::named(name).expect("settings and events know the same kinds");
        let sources = sources.iter().map(registry).collect();
        (HookKind::Registry(kind), sources)
    });
    let forge = |guard: &Guard| HookSource {
        guard: guard.clone(),
        host: None,
    };
    let forges = hooks.forges.iter().map(|(kind, guards)| {
        let sources = guards.iter().map(forge).collect();
        (HookKind::Forge(*kind), sources)
    });
    registries.chain(forges).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::hook_sources;
    use crate::cli::run::Setup;
    use crate::forge;
    use crate::registry::EventKind;
    use crate::web::HookKind;

    #[test]
    fn settings_know_the_hooks_of_every_kind_of_registry_and_forge() {
        let folder = tempfile::tempdir().unwrap();
        let hook = |name: &str| format!("    {name}: {{ unauthenticated: true }}\n");
        let registries = EventKind::ALL.map(|kind| hook(kind.name())).concat();
        let forges = forge::Kind::ALL.map(|kind| hook(kind.name())).concat();
        let settings = format!(
            "apiVersion: towpath.dev/v1alpha1\nkind: Settings\nrepositories: {{ deploy: {{ url: deploy.git }} }}\npolicies: []\nhooks:\n  registry:\n{registries}  forge:\n{forges}"
        );
        let file = folder.path().join("towpath.yaml");
        fs::write(&file, settings).unwrap();
        let setup = Setup::load(&file).ok().unwrap();
        let kinds: Vec<HookKind> = hook_sources(&setup.settings).into_keys().collect();
        let registries = EventKind::ALL.into_iter().map(HookKind::Registry);
        let forges = forge::Kind::ALL.into_iter().map(HookKind::Forge);
        assert_eq!(kinds, registries.chain(forges).collect::<Vec<_>>());
    }
}
