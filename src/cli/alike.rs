//! What two settings have in common, so that what is connected or read by the one serves the other.

use super::run::Setup;
use crate::config::Settings;

impl Setup {
    /// Whether edges that `other` connected are those that this would connect.
    pub(super) fn connects_like(&self, other: &Self) -> bool {
        let Settings {
            repositories,
            registries,
            mirrors,
            shared_login,
            commit,
            render,
            cache,
            listen: _,
            hooks: _,
            leadership: _,
            pod_events: _,
            log: _,
            custom_resources: _,
            argo_cd,
            servers,
            groups: _,
        } = &self.settings;
        *repositories == other.settings.repositories
            && commit.sign == other.settings.commit.sign
            && *registries == other.settings.registries
            && *mirrors == other.settings.mirrors
            && *shared_login == other.settings.shared_login
            && *render == other.settings.render
            && *cache == other.settings.cache
            && *argo_cd == other.settings.argo_cd
            && *servers == other.settings.servers
    }

    /// Whether registries that `other` reads are those that this would read, in the same way.
    pub(super) fn lists_like(&self, other: &Self) -> bool {
        let (own, others) = (&self.settings, &other.settings);
        (&own.registries, &own.mirrors) == (&others.registries, &others.mirrors)
            && (&own.shared_login, &own.cache) == (&others.shared_login, &others.cache)
    }
}
