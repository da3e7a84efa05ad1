//! Gates as they are written: conditions of an environment, and the freezes of the settings.
//!
//! Not here: who may vouch for images (`signature`), and what they must state (`attestations`); what a gate says of a version (`policy`).

mod attestations;
mod signature;

mod healthy;

mod approvals;
mod checks;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Value as Json, json};

use healthy::{HealthyGate, healthy};

use super::fleet::Fleet;
use super::forms::OneOrMany;
use super::problem::Faults;
use super::shape::{Block, Leaf, Placed, Refusal, shape};
use crate::policy::gate::{
    DAYS, Days, Freeze, FreezeEnd, FreezeError, Gates, Hours, MinAge, Platform, Platforms,
    Signature, Soak, Window, Windows,
};
use crate::policy::{Glob, Policy};
use crate::probe::Server;
use approvals::{ApprovalsEntry, approvals};
use attestations::{AttestationEntry, attestations};
use checks::{CheckEntry, checks};
use signature::{SignerEntry, Signers};

pub(super) use signature::{SignerFiles, TrustRootEntry};

/// Shortest age that a gate may ask for: less is none.
const AGE_MIN: SignedDuration = SignedDuration::from_secs(1);

/// Longest: who waits for more than a year means a number without a unit, or another unit.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Units that `humantime` knows as fractions of days: a month is 30.44 of them.
const INEXACT_UNITS: [&str; 6] = ["M", "month", "months", "y", "year", "years"];

/// How many letters a name of a zone may differ from the one that is meant.
const ZONE_DISTANCE_MAX: usize = 3;

shape! {
    /// Conditions that a version must meet to come here, all of them.
    struct GatesEntry {
        /// Whether the Applications of the environment before must be synced and healthy with the version: `true`, `false`, or `{ settle: 2m }`. Default: `true` where Argo CD is connected.
        healthy: Option<Block<HealthyGate>> = "healthy",
        /// How long the version must have run in the environment before: `30m`, `24h`, `3d`.
        soak: Option<Placed<Age>> = "soak",
        /// How long ago it must have been pushed, or first seen where the registry tells no push times: `3d`.
        min_age: Option<Placed<Age>> = "min-age",
        /// When it may come: `{ days: mon-fri, hours: "09:00-16:00", zone: Europe/Rome }`, or a list of these.
        windows: Option<OneOrMany<WindowEntry>> = "windows",
        /// When nothing may come: `{ from: 2026-12-20, to: 2027-01-06, zone: Europe/Rome }`, or a list of these.
        freeze: Option<OneOrMany<FreezeEntry>> = "freeze",
        /// What the image must be built for, all of it: `[linux/amd64, linux/arm64]`.
        platforms: Option<OneOrMany<Placed<Platform>>> = "platforms",
        /// Who must have signed the image with cosign: `{ key: cosign.pub }`, `{ identity: .., issuer: .. }`, or a list of these, of which one suffices.
        signature: Option<OneOrMany<Signers<SignerEntry>>> = "signature",
        /// What must have been stated of the image and signed: `{ type: slsaprovenance }`, `{ type: vuln, max-severity: medium }`, or a list of these, all of which it needs.
        attestations: Option<OneOrMany<Signers<AttestationEntry>>> = "attestations",
        /// How many people must agree: `{ count: 2, from: [release-managers, ann] }`.
        approvals: Option<Block<ApprovalsEntry>> = "approvals",
        /// What other servers are to say of the version, over HTTP or by Prometheus; they are asked once nothing else is waited for.
        checks: Option<Vec<Block<CheckEntry>>> = "checks",
    }

    /// Hours of the week.
    struct WindowEntry {
        /// Days: `mon-fri`, `sat`, or a list such as `[mon, wed]`. Default: all of them.
        days: Option<OneOrMany<Placed<Days>>> = "days",
        /// Hours: `09:00-16:00`, or a list of these; `22:00-04:00` goes on into the day after. Default: the whole day.
        hours: Option<OneOrMany<Placed<Hours>>> = "hours",
        /// The time zone whose clocks count: `Europe/Rome`, `UTC`.
        zone: Placed<Zone> = "zone",
    }

    /// A time in which nothing moves.
    struct FreezeEntry {
        /// Its first day, or when it begins on it: `2026-12-20`, `2026-12-20T18:00`; `12-20` in every year.
        from: Placed<FreezeEnd> = "from",
        /// Its last day, which belongs to it, or when it ends on it: `2027-01-06`, `2027-01-06T06:00`; `01-06` in every year.
        to: Placed<FreezeEnd> = "to",
        /// The time zone whose clocks count: `Europe/Rome`, `UTC`.
        zone: Placed<Zone> = "zone",
        /// Why; `towpath` says it wherever the freeze counts.
        reason: Option<Placed<String>> = "reason",
    }

    /// A time in which nothing moves, in many environments at once.
    struct SharedFreeze {
        /// Its first day, or when it begins on it: `2026-12-20`, `2026-12-20T18:00`; `12-20` in every year.
        from: Placed<FreezeEnd> = "from",
        /// Its last day, which belongs to it, or when it ends on it: `2027-01-06`, `2027-01-06T06:00`; `01-06` in every year.
        to: Placed<FreezeEnd> = "to",
        /// The time zone whose clocks count: `Europe/Rome`, `UTC`.
        zone: Placed<Zone> = "zone",
        /// Why; `towpath` says it wherever the freeze counts.
        reason: Option<Placed<String>> = "reason",
        /// The environments that it is about, by name or glob: `production`, `["prod-*"]`. Default: all of them.
        environments: Option<OneOrMany<Placed<NameGlob>>> = "environments",
        /// The policies that it is about, by name or glob: `portal`, `["shop-*"]`. Default: all of them.
        policies: Option<OneOrMany<Placed<NameGlob>>> = "policies",
    }
}

/// How long something must have been.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age(pub(super) SignedDuration);

impl Leaf for Age {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        const FORM: &str = "write a number and a unit: `30m`, `24h`, `3d`, `1w`";
        if text.chars().all(|c| c.is_ascii_digit()) {
            return Err(Refusal::new(format!("the duration `{text}` has no unit"))
                .hint(format!("write `{text}m`, `{text}h` or `{text}d`")));
        }
        let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
        if let Some(unit) = words.find(|word| INEXACT_UNITS.contains(word)) {
            let message = format!("`{unit}` has no exact length");
            return Err(Refusal::new(message).hint("count in days: `30d`"));
        }
        let duration = humantime::parse_duration(text).ok();
        let duration = duration.and_then(|duration| SignedDuration::try_from(duration).ok());
        match duration {
            Some(duration) if duration < AGE_MIN => Err(Refusal::new(format!(
                "`{text}` is too short; the least is `1s`"
            ))
            .hint("without the gate, nothing is waited for")),
            Some(duration) if duration > AGE_MAX => Err(Refusal::new(format!(
                "`{text}` is too long; the most is `365d`"
            ))),
            Some(duration) => Ok(Self(duration)),
            None => Err(Refusal::new(format!("`{text}` is not a duration")).hint(FORM)),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9]+ ?[a-z]+( ?[0-9]+ ?[a-z]+)*$" })
    }
}

/// A time zone, from the database within the program: the same here, in a container and in CI.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

impl Leaf for Zone {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let zones = TimeZoneDatabase::bundled();
        if let Some(zone) = zones.get(text).ok().filter(|zone| !zone.is_unknown()) {
            return Ok(Self(zone));
        }
        let refusal = Refusal::new(format!("`{text}` is not a time zone"));
        let distance = |name: &String| strsim::damerau_levenshtein(text, name);
        let names = zones.available().map(|name| name.to_string());
        let near = names
            .min_by_key(distance)
            .filter(|name| distance(name) <= ZONE_DISTANCE_MAX);
        match near {
            Some(name) => Err(refusal.hint(format!("did you mean `{name}`?"))),
            None => Err(refusal.hint("write its name in the IANA database: `Europe/Rome`, `UTC`")),
        }
    }
}

impl Leaf for Days {
    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|error| {
            Refusal::from(error).hint("write `mon-fri`, `sat`, or a list: `[mon, wed]`")
        })
    }

    fn schema() -> Json {
        let day = DAYS.join("|");
        json!({ "type": "string", "pattern": format!("^({day})(-({day}))?$") })
    }
}

impl Leaf for Hours {
    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|error| {
            Refusal::from(error).hint("write `09:00-16:00`; the whole day is `00:00-24:00`")
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$" })
    }
}

impl Leaf for FreezeEnd {
    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|error| {
            Refusal::from(error).hint("write `2026-12-20` or `2026-12-20T18:00`; without the year, it comes every year; `zone` says whose clocks count")
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^([0-9]{4}-)?[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?$" })
    }
}

impl Leaf for Platform {
    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|error| {
            Refusal::from(error).hint("write `linux/amd64`, `linux/arm64`, `linux/arm/v7`")
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[^/]+/[^/]+(/[^/]+)?$" })
    }
}

/// A name, or a glob of names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NameGlob(Glob);

impl Leaf for NameGlob {
    fn parse(text: &str) -> Result<Self, Refusal> {
        Glob::of_names(text)
            .map(Self)
            .map_err(|why| Refusal::new(format!("`{text}` is not a glob: {why}")))
    }
}

impl GatesEntry {
    /// Reads the keys and trust roots that it names.
    pub(super) fn find_signers(&mut self, files: &mut SignerFiles<'_>) {
        let signers = self.signature.iter_mut();
        for signer in signers.flat_map(|OneOrMany(signers)| signers) {
            signer.value.find(files);
        }
        let attestations = self.attestations.iter_mut();
        for attestation in attestations.flat_map(|OneOrMany(attestations)| attestations) {
            attestation.value.find(files);
        }
    }
}

/// What gates need to know of the rest.
pub(super) struct Known<'a> {
    /// Whether versions come from another environment.
    pub(super) is_after: bool,
    /// Whether Argo CD is connected; `None` where the settings cannot be read.
    pub(super) is_connected: Option<bool>,
    /// The servers that the settings name; `None` where they cannot be read.
    pub(super) servers: Option<&'a BTreeMap<String, Server>>,
    /// The people of each group of the settings; `None` where they cannot be read.
    pub(super) groups: Option<&'a BTreeMap<String, BTreeSet<String>>>,
}

/// What the gates of an environment mean.
pub(super) fn gates(written: Option<&GatesEntry>, known: &Known<'_>, faults: &mut Faults) -> Gates {
    let Some(written) = written else {
        return Gates {
            healthy: healthy(None, (known.is_after, known.is_connected), faults),
            ..Gates::default()
        };
    };
    let GatesEntry {
        healthy: written_healthy,
        soak,
        min_age,
        windows,
        freeze,
        platforms,
        signature,
        attestations: attested,
        approvals: written_approvals,
        checks: written_checks,
    } = written.clone();
    if let Some(soak) = soak.as_ref().filter(|_| !known.is_after) {
        faults.error_with_hint(
            soak.span,
            "`soak` counts from when a version began to run in the environment before, and there is none",
            "name it with `after`, or write `min-age`, which counts from the push",
        );
    }
    let healthy = healthy(
        written_healthy,
        (known.is_after, known.is_connected),
        faults,
    );
    let windows = windows.map(|OneOrMany(windows)| {
        let windows = windows.into_iter();
        Windows::new(windows.map(|entry| window(entry, faults)).collect())
    });
    let freezes = freeze.into_iter().flat_map(|OneOrMany(freezes)| freezes);
    let freezes = freezes.filter_map(|entry| {
        let FreezeEntry {
            from,
            to,
            zone,
            reason,
        } = entry.value;
        freeze_of((from, to), zone, reason, faults)
    });
    let signature = signature.map(|OneOrMany(signers)| {
        let signers = signers.into_iter();
        Signature(signers.flat_map(|signer| signer.value.found).collect())
    });
    Gates {
        healthy,
        soak: soak.map(|age| Soak(age.value.0)),
        min_age: min_age.map(|age| MinAge(age.value.0)),
        windows,
        freezes: freezes.collect(),
        platforms: platforms.map(|OneOrMany(platforms)| {
            let platforms = platforms.into_iter();
            Platforms(platforms.map(|platform| platform.value.value).collect())
        }),
        attestations: attested.map(|written| attestations(written, signature.as_ref(), faults)),
        signature,
        approvals: approvals(written_approvals, known, faults),
        checks: checks(written_checks, known, faults),
    }
}

fn window(Placed { value, span, .. }: Placed<WindowEntry>, faults: &mut Faults) -> Window {
    let WindowEntry { days, hours, zone } = value;
    // What is missing beside something wrong may only be misspelled.
    if days.is_none() && hours.is_none() && !faults.touch(span) {
        faults.error_with_hint(
            span,
            "a window says `days` or `hours`",
            "one without either is always open: leave it out",
        );
    }
    Window {
        days: values(days),
        hours: values(hours),
        zone: zone.value.0,
    }
}

fn values<T>(written: Option<OneOrMany<Placed<T>>>) -> Vec<T> {
    let written = written.into_iter().flat_map(|OneOrMany(values)| values);
    written.map(|value| value.value.value).collect()
}

fn freeze_of(
    (from, to): (Placed<FreezeEnd>, Placed<FreezeEnd>),
    zone: Placed<Zone>,
    reason: Option<Placed<String>>,
    faults: &mut Faults,
) -> Option<Freeze> {
    // It stands within a line of what people read.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = reason.map(|reason| words(&reason.value));
    match Freeze::new((from.value, to.value), zone.value.0, reason) {
        Ok(freeze) => Some(freeze),
        Err(error) => {
            let hint = match error {
                FreezeError::Mixed => "write the year in `from` and in `to`, or in neither",
                FreezeError::Backwards => "a date as `to` is the last day of the freeze",
                FreezeError::Endless => "to stop an environment for good, use `towpath stop`",
            };
            faults.error_with_hint(to.span, error.to_string(), hint);
            None
        }
    }
}

/// A freeze of the settings, and what it is about.
#[derive(Clone, Debug)]
pub(super) struct SharedGate {
    freeze: Freeze,
    environments: Vec<Placed<NameGlob>>,
    policies: Vec<Placed<NameGlob>>,
}

/// Adds the freezes of the settings to the environments that they are about. Fleets keep them for policies that come later.
pub(super) fn freeze(
    shared: Vec<SharedFreeze>,
    (policies, fleets): (&mut [Policy], &mut [Fleet]),
    faults: &mut Faults,
) {
    for shared in shared {
        let SharedFreeze {
            from,
            to,
            zone,
            reason,
            environments,
            policies: named,
        } = shared;
        let Some(freeze) = freeze_of((from, to), zone, reason, faults) else {
            continue;
        };
        let shared = SharedGate {
            freeze,
            environments: globs(environments),
            policies: globs(named),
        };
        policies.iter_mut().for_each(|policy| shared.join(policy));
        for fleet in &mut *fleets {
            fleet.freeze(shared.clone());
        }
        shared.doubt((policies, fleets), faults);
    }
}

impl PartialEq for SharedGate {
    fn eq(&self, other: &Self) -> bool {
        fn values(globs: &[Placed<NameGlob>]) -> impl Iterator<Item = &NameGlob> {
            globs.iter().map(|glob| &glob.value)
        }
        self.freeze == other.freeze
            && values(&self.environments).eq(values(&other.environments))
            && values(&self.policies).eq(values(&other.policies))
    }
}

impl SharedGate {
    /// Adds the freeze to the environments of `policy` that it is about.
    pub(super) fn join(&self, policy: &mut Policy) {
        if any(&self.policies, policy.name.as_str()) {
            for environment in &mut policy.environments {
                if any(&self.environments, environment.name.as_str()) {
                    environment.gates.freezes.push(self.freeze.clone());
                }
            }
        }
    }

    /// Says where it is about nothing that is there.
    fn doubt(&self, (policies, fleets): (&[Policy], &[Fleet]), faults: &mut Faults) {
        let is_about = |policy: &&Policy| any(&self.policies, policy.name.as_str());
        let samples = fleets.iter().map(|fleet| &fleet.sample);
        let environments: Vec<&str> = policies
            .iter()
            .filter(is_about)
            .chain(samples)
            .flat_map(|policy| &policy.environments)
            .map(|environment| environment.name.as_str())
            .collect();
        // Where no policy is meant, that alone is told.
        if !environments.is_empty() {
            unmatched(("environment", &self.environments), &environments, faults);
        }
        // The policies of a fleet are known by its folders alone.
        if fleets.is_empty() {
            let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
            unmatched(("policy", &self.policies), &names, faults);
        }
    }
}

/// Globs with their places; none for all names.
fn globs(written: Option<OneOrMany<Placed<NameGlob>>>) -> Vec<Placed<NameGlob>> {
    let written = written.into_iter().flat_map(|OneOrMany(globs)| globs);
    written.map(|glob| glob.value).collect()
}

fn any(globs: &[Placed<NameGlob>], name: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob.value.0.is_match(name))
}

/// Says where a glob is about nothing: what it is meant to freeze would move.
fn unmatched((what, globs): (&str, &[Placed<NameGlob>]), names: &[&str], faults: &mut Faults) {
    // What cannot be read has no names here.
    if faults.errors() > 0 {
        return;
    }
    for glob in globs {
        let NameGlob(named) = &glob.value;
        if !names.iter().any(|name| named.is_match(name)) {
            let message = format!("there is no {what} `{named}`; this freezes nothing");
            faults.warning(glob.span, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::tests::{POLICY, SETTINGS, folder, messages};
    use super::super::{Config, load};

    fn read(settings: &str, gates: &[&str]) -> Config {
        let folder = folder(settings, &policy(gates));
        load(&folder.path().join("towpath.yaml")).unwrap()
    }

    /// A policy with one environment for each of `gates`: `dev-0`, `dev-1`.
    fn policy(gates: &[&str]) -> String {
        let environment = |(index, gates): (usize, &&str)| {
            format!(
                "    - {{ name: dev-{index}, tags: {{ semver: 1.x }}, update: a{index}, gates: {gates} }}\n"
            )
        };
        let environments: String = gates.iter().enumerate().map(environment).collect();
        format!("{POLICY}{environments}")
    }

    fn refused(gates: &[&str]) -> String {
        messages(SETTINGS, &policy(gates))
    }

    /// What all gates but those that need facts say of one moment.
    fn told(config: &Config, now: &str) -> String {
        let now = now.parse().unwrap();
        let environments = config
            .policies
            .iter()
            .flat_map(|policy| &policy.environments);
        let lines = environments.flat_map(|environment| {
            let gates = &environment.gates;
            let windows = gates.windows.iter().map(|windows| windows.judge(now));
            let freezes = gates.freezes.iter().map(|freeze| freeze.judge(now));
            let found = windows.chain(freezes);
            found.map(|found| {
                format!(
                    "{} {:?} {}: {}",
                    environment.name, found.verdict, found.gate, found.why
                )
            })
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn gates_are_read_as_they_are_meant() {
        let config = read(
            SETTINGS,
            &[
                "{ min-age: 1w 2d, platforms: [linux/arm64/v8, linux/amd64] }",
                "{ windows: { days: mon-fri, hours: \"09:00-16:00\", zone: Europe/Rome } }",
                "{ windows: [{ days: [sat, mon], hours: [08:00-09:00, 22:00-04:00], zone: UTC }, { days: tue, zone: Asia/Tokyo }] }",
                "{ freeze: { from: 2026-11-20, to: 2026-11-22, zone: Europe/Rome, reason: sale } }",
                "{ freeze: [{ from: 12-20, to: 01-06, zone: UTC }, { from: 2026-12-01T18:00, to: 2026-12-02T06:00, zone: UTC }] }",
                "{}",
            ],
        );
        assert_snapshot!(told(&config, "2026-11-21T12:00:00Z"), @"
        dev-1 Waits windows: opens at 2026-11-23T09:00 Europe/Rome (Mon)
        dev-2 Waits windows: opens at 2026-11-21T22:00 UTC (Sat)
        dev-3 Waits freeze: frozen until 2026-11-23T00:00 Europe/Rome (Mon): sale
        dev-4 Passed freeze: not frozen before 2026-12-20T00:00 UTC (Sun)
        dev-4 Passed freeze: not frozen before 2026-12-01T18:00 UTC (Tue)
        ");
        let gates = &config.policies[0].environments[0].gates;
        assert_snapshot!(format!("{:?}", gates.min_age), @"Some(MinAge(216h))");
        let built = ["linux/amd64".to_owned(), "linux/arm64".to_owned()];
        assert_snapshot!(gates.platforms.as_ref().unwrap().judge(Ok(&built)).why, @"it is built for linux/amd64, linux/arm64");
    }

    #[test]
    fn what_is_wrong_with_a_gate_is_told_at_its_place() {
        assert_snapshot!(refused(&[
            "{ soak: 24h }",
            "{ min-age: 24 }",
            "{ min-age: 3 fortnights }",
            "{ min-age: 1M }",
            "{ min-age: 0s }",
            "{ min-age: 366d }",
            "{ platforms: [amd64] }",
            "{ platforms: [] }",
            "{ signature: { key: cosign.pub }, soaks: 1h }",
        ]), @"
        8:72 `soak` counts from when a version began to run in the environment before, and there is none [name it with `after`, or write `min-age`, which counts from the push]
        9:75 the duration `24` has no unit [write `24m`, `24h` or `24d`]
        10:75 `3 fortnights` is not a duration [write a number and a unit: `30m`, `24h`, `3d`, `1w`]
        11:75 `M` has no exact length [count in days: `30d`]
        12:75 `0s` is too short; the least is `1s` [without the gate, nothing is waited for]
        13:75 `366d` is too long; the most is `365d`
        14:78 `amd64` is not a platform [write `linux/amd64`, `linux/arm64`, `linux/arm/v7`]
        15:77 expected at least one, found an empty list
        16:84 there is no file or folder `policies/cosign.pub`
        16:98 unknown key `soaks` [did you mean `soak`?]
        ");
    }

    #[test]
    fn what_is_wrong_with_a_window_is_told_at_its_place() {
        assert_snapshot!(refused(&[
            "{ windows: [] }",
            "{ windows: { days: mon-fri } }",
            "{ windows: { zone: UTC } }",
            "{ windows: { days: monday, zone: UTC } }",
            "{ windows: { days: [mon, fry], hours: \"09:00\", zone: UTC } }",
            "{ windows: { hours: 09:00-09:00, zone: Europe/Roma } }",
            "{ windows: { days: [], zone: CEST } }",
            "{ windows: { days: sat, zone: Etc/Unknown } }",
        ]), @"
        8:75 expected at least one, found an empty list
        9:66 the key `zone` is missing
        10:75 a window says `days` or `hours` [one without either is always open: leave it out]
        11:83 `monday` is not a day of the week, nor one and another with `-` between them [write `mon-fri`, `sat`, or a list: `[mon, wed]`]
        12:89 `fry` is not a day of the week, nor one and another with `-` between them [write `mon-fri`, `sat`, or a list: `[mon, wed]`]
        12:102 `09:00` is not hours of a day [write `09:00-16:00`; the whole day is `00:00-24:00`]
        13:84 `09:00-09:00` ends where it starts [write `09:00-16:00`; the whole day is `00:00-24:00`]
        13:103 `Europe/Roma` is not a time zone [did you mean `Europe/Rome`?]
        14:83 expected at least one, found an empty list
        14:93 `CEST` is not a time zone [did you mean `CET`?]
        15:94 `Etc/Unknown` is not a time zone [write its name in the IANA database: `Europe/Rome`, `UTC`]
        ");
    }

    #[test]
    fn what_is_wrong_with_a_freeze_is_told_at_its_place() {
        assert_snapshot!(refused(&[
            "{ freeze: { from: 2026-12-20, to: 01-06, zone: UTC } }",
            "{ freeze: { from: 2026-12-20, to: 2026-12-19, zone: UTC } }",
            "{ freeze: { from: 01-01, to: 12-31, zone: UTC } }",
            "{ freeze: { from: 2026-12-20T18:00Z, to: 20.12.2026, zone: UTC } }",
            "{ freeze: { from: 2026-12-20 } }",
            "{ freeze: true }",
        ]), @"
        8:98 one end of the freeze is in one year, and the other in every year [write the year in `from` and in `to`, or in neither]
        9:98 the freeze ends before it begins [a date as `to` is the last day of the freeze]
        10:93 the freeze of one year goes on into that of the next, so it never ends [to stop an environment for good, use `towpath stop`]
        11:82 `2026-12-20T18:00Z` is not a date, nor a date and a time of day [write `2026-12-20` or `2026-12-20T18:00`; without the year, it comes every year; `zone` says whose clocks count]
        11:105 `20.12.2026` is not a date, nor a date and a time of day [write `2026-12-20` or `2026-12-20T18:00`; without the year, it comes every year; `zone` says whose clocks count]
        12:66 the key `to` is missing
        12:66 the key `zone` is missing
        13:74 expected a map, found `true` or `false`
        ");
    }

    #[test]
    fn a_freeze_of_the_settings_counts_where_it_says() {
        let settings = format!(
            "{SETTINGS}freezes:
  - {{ from: 2026-11-20, to: 2026-11-22, zone: UTC, reason: \"all\\nof them\" }}
  - {{ from: 2026-11-20, to: 2026-11-22, zone: UTC, reason: the second, environments: dev-1 }}
  - {{ from: 2026-11-20, to: 2026-11-22, zone: UTC, reason: both, environments: [\"dev-*\"], policies: [port*] }}
"
        );
        let config = read(
            &settings,
            &[
                "{ freeze: { from: 11-21, to: 11-21, zone: UTC, reason: its own } }",
                "{}",
            ],
        );
        assert_snapshot!(told(&config, "2026-11-21T12:00:00Z"), @"
        dev-0 Waits freeze: frozen until 2026-11-22T00:00 UTC (Sun): its own
        dev-0 Waits freeze: frozen until 2026-11-23T00:00 UTC (Mon): all of them
        dev-0 Waits freeze: frozen until 2026-11-23T00:00 UTC (Mon): both
        dev-1 Waits freeze: frozen until 2026-11-23T00:00 UTC (Mon): all of them
        dev-1 Waits freeze: frozen until 2026-11-23T00:00 UTC (Mon): the second
        dev-1 Waits freeze: frozen until 2026-11-23T00:00 UTC (Mon): both
        ");
        assert_eq!(config.warnings, []);
    }

    #[test]
    fn a_freeze_of_the_settings_that_is_about_nothing_is_told() {
        let settings = format!(
            "{SETTINGS}freezes:
  - {{ from: 2026-11-20, to: 2026-11-22, zone: UTC, environments: [dev-0, prodution], policies: [portal, shop-*] }}
  - {{ from: 2026-11-20, to: 2026-11-22, zone: UTC, environments: dev-0, policies: other }}
"
        );
        let warnings = read(&settings, &["{}"]).warnings.into_iter();
        let lines: Vec<_> = warnings.map(|problem| problem.message).collect();
        assert_snapshot!(lines.join("\n"), @"
        there is no environment `prodution`; this freezes nothing
        there is no policy `shop-*`; this freezes nothing
        there is no policy `other`; this freezes nothing
        ");
        let wrong = format!(
            "{SETTINGS}freezes: [{{ from: 2026-11-20, to: 2026-11-19, zone: UTC, environments: \"[\" }}]\n"
        );
        assert_snapshot!(messages(&wrong, &policy(&["{}"])), @"
        6:35 the freeze ends before it begins [a date as `to` is the last day of the freeze]
        6:72 `[` is not a glob: unclosed character class; missing ']'
        ");
    }
}
