//! What is built in the demonstration, in which order.

use std::borrow::Cow;
use std::fmt;

/// A tag that appears in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    pub(super) repository: &'static str,
    pub(super) tag: Cow<'static, str>,
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

const fn build(repository: &'static str, tag: &'static str) -> Build {
    Build {
        repository,
        tag: Cow::Borrowed(tag),
    }
}

/// What the sample runs when the demonstration begins.
pub(super) const STANDING: &[Build] = &[
    build("acme/portal-web", "develop-1041-3f9c2ab"),
    build("acme/portal-web", "staging-388-b81d04e"),
    build("acme/portal-web", "v1.4.2"),
    build("acme/api-server", "main-20261118093012-6c1e2fa"),
    build("acme/api-server", "2.3.0-rc.2"),
    build("acme/api-server", "2.2.4"),
    build("acme/api-migrations", "main-20261118093012-6c1e2fa"),
    build("acme/api-migrations", "2.3.0-rc.2"),
    build("acme/api-migrations", "2.2.1"),
    build("acme/worker", "build-2207"),
    build("acme/worker", "1.9.0-beta.3"),
    build("acme/worker", "1.8.3"),
    build("acme/scanner", "v1.2.0-alpine"),
    build("acme/scanner", "v1.1.0-alpine"),
    build("acme/report", "main-871"),
    build("acme/report", "v3.2.0"),
    build("acme/console", "main-512"),
    build("acme/console", "v0.9.1"),
    build("acme/gateway", "main-77-9d0c1e2"),
    build("acme/gateway", "v1.1.0"),
    build("acme/gateway-auth", "main-41-5b6a7c8"),
    build("acme/gateway-auth", "v0.6.3"),
    build("acme/agent", "2026.11.1-rc1"),
    build("acme/agent", "2026.10.3"),
];

/// What appears, step by step: one of each kind of rule and site, then a release that waits for people.
const STEPS: &[&[Build]] = &[
    &[build("acme/portal-web", "develop-1042-81d04e7")],
    &[
        build("acme/api-server", "main-20261121101500-0b4c7d1"),
        build("acme/api-migrations", "main-20261121101500-0b4c7d1"),
    ],
    &[
        build("acme/worker", "build-2208"),
        build("acme/portal-web", "staging-389-5c2a9f0"),
    ],
    &[build("acme/scanner", "v1.3.0-alpine")],
    &[
        build("acme/report", "main-872"),
        build("acme/console", "main-513"),
    ],
    &[
        build("acme/gateway", "main-78-0e1f2a3"),
        build("acme/agent", "2026.11.1-rc2"),
    ],
    &[
        build("acme/worker", "1.9.0-beta.4"),
        build("acme/api-server", "2.3.0-rc.3"),
    ],
    &[build("acme/portal-web", "v1.5.0")],
];

/// The builds of the demonstration, without end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    step: usize,
}

impl Script {
    /// How many steps there are before the script only repeats itself with new numbers.
    pub(crate) const STEPS: usize = STEPS.len();
}

impl Iterator for Script {
    type Item = Vec<Build>;

    fn next(&mut self) -> Option<Vec<Build>> {
        let step = self.step;
        self.step += 1;
        if let Some(builds) = STEPS.get(step) {
            return Some(builds.to_vec());
        }
        let (repository, number) = match step % 2 {
            0 => ("acme/portal-web", 1_043 + step),
            _ => ("acme/worker", 2_209 + step),
        };
        let tag = match step % 2 {
            0 => format!("develop-{number}-{:07x}", 0x00c0_ffee + step),
            _ => format!("build-{number}"),
        };
        Some(vec![Build {
            repository,
            tag: Cow::Owned(tag),
        }])
    }
}
