//! `towpath run`: the daemon. The only place that builds the edges from the settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::edges::{
    argo_cd, dialect, forge, options, origins, probe, remote, renderer, repository_addresses,
    unconnected, unmade, unopened, unprobed,
};
use super::hooks::{hook_sources, serve_hooks};
use super::leader::Leader;
use super::log::Log;
use super::pod;
use super::resources::whole_setup;
use super::restart::{Addresses, next_work, warn_of_restart};
use super::shard::{Shard, WrittenShard};
use super::signals::stop_on_signals;
use super::{ConfigArgs, Failure};
use crate::apply::{ALWAYS, MadeBy, Signature};
use crate::cluster::lease::Lead;
use crate::cluster::{Connection, Reporter};
use crate::config::{
    self, CommitSettings, Config, Fleet, ForgeSettings, Judged, Problem, RegistrySettings,
    RenderSettings, RepositorySettings, Settings, Signing, Watch, WrittenIn,
};
use crate::daemon::{self, Board, Fleets, Hands, Intervals, LastDecided, Work};
use crate::forge::{Forge, Place, Traffic};
use crate::git::{self, Mirror, Remote};
use crate::image::Repository;
use crate::login::Environment;
use crate::observe::{Listed, Listings, Sources, Trouble, Wants};
use crate::plan::{Dialect, Origins, Remembered, Scope};
use crate::policy::{Policy, PolicyName, RepositoryName, SubjectTemplate};
use crate::probe::Probe;
use crate::registry::Registry;
use crate::web::{self, Bells, Health};
use crate::world::RepositoryAddress;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,

    /// A folder for mirrors and metadata, instead of the one that the settings name.
    #[arg(long, env = "TOWPATH_CACHE", value_name = "FOLDER")]
    cache: Option<PathBuf>,

    /// Promote a part of all policies, the second of five; `auto/5` takes the number from the end of the pod's name.
    #[arg(long, env = "TOWPATH_SHARD", value_name = "NUMBER/COUNT")]
    shard: Option<WrittenShard>,
}

/// Checked settings and policies, nothing connected yet.
#[derive(Clone, PartialEq)]
pub(super) struct Setup {
    pub(super) settings: Settings,
    /// Those that are written, and those that fleets have for the folders that are known.
    pub(super) policies: Vec<Policy>,
    /// Those that are written, where there are fleets.
    pub(super) plain: Vec<Policy>,
    pub(super) fleets: Vec<Fleet>,
    /// Where each policy and fleet stands.
    pub(super) written_in: BTreeMap<PolicyName, WrittenIn>,
    /// The same of custom resources that do not count.
    pub(super) reserved: BTreeMap<PolicyName, WrittenIn>,
    /// What became of each custom resource.
    pub(super) judged: Vec<Judged>,
    /// The folders that the policies were made by.
    pub(super) listed: Listed,
    /// Why fleets have fewer policies than somebody may think.
    pub(super) troubles: Vec<Trouble>,
    /// The branch of each manifests repository.
    pub(super) branches: BTreeMap<RepositoryName, String>,
    /// The policies of each fleet that is a custom resource.
    pub(super) members: BTreeMap<PolicyName, BTreeSet<PolicyName>>,
    /// The part of all policies that these are, if they are not all.
    pub(super) shard: Option<Shard>,
    subject: SubjectTemplate,
    /// How the forge of each repository writes; those without one are missing.
    forges: BTreeMap<RepositoryName, Dialect>,
    origins: Origins,
    addresses: BTreeMap<RepositoryName, RepositoryAddress>,
    /// As git writes a person.
    committer: String,
    pub(super) signature: Signature,
}

/// The edges, connected as the settings say.
pub(super) struct Live {
    pub(super) sources: Arc<Sources>,
    registry: Registry,
    pub(super) wants: Wants,
    remembered: Mutex<Remembered>,
}

impl Setup {
    /// Loads and checks the settings in `file` and the policies that they name.
    pub(super) fn load(file: &Path) -> Result<Self, Failure> {
        Ok(Self::new(config::load(file).map_err(Failure::config)?))
    }

    pub(super) fn new(config: Config) -> Self {
        let Config {
            settings,
            policies,
            fleets,
            written_in,
            reserved,
            judged,
            warnings,
        } = config;
        for warning in &warnings {
            warn(warning);
        }
        let branch = |(name, repository): (&RepositoryName, &RepositorySettings)| {
            (name.clone(), repository.branch.clone())
        };
        let branches: BTreeMap<_, _> = settings.repositories.iter().map(branch).collect();
        let CommitSettings {
            author,
            committer,
            subject,
            sign,
        } = &settings.commit;
        let signature = Signature {
            author: person(author),
            committer: person(committer),
            made_by: match sign {
                None | Some(Signing::Key(_)) => MadeBy::Us,
                Some(Signing::Forge) => MadeBy::Forge,
            },
        };
        let dialect = |(name, repository): (&RepositoryName, &RepositorySettings)| {
            let ForgeSettings::At { place, .. } = &repository.forge else {
                return None;
            };
            Some((name.clone(), dialect(place.kind)))
        };
        let sources = Wants::of(&policies, &branches).sources;
        Self {
            origins: origins(&settings.repositories, sources.keys()),
            addresses: repository_addresses(&settings.repositories),
            branches,
            subject: subject.clone(),
            forges: settings.repositories.iter().filter_map(dialect).collect(),
            committer: signature.committer.to_string(),
            signature,
            settings,
            // Without fleets, nothing is ever added to the policies.
            plain: match fleets.is_empty() {
                true => Vec::new(),
                false => policies.clone(),
            },
            policies,
            fleets,
            written_in,
            reserved,
            judged,
            shard: None,
            listed: Listed::new(),
            members: BTreeMap::new(),
            troubles: Vec::new(),
        }
    }

    /// Uses `cache`, if there is one, instead of what the settings say.
    pub(super) fn with_cache(mut self, cache: Option<&Path>) -> Self {
        if let Some(cache) = cache {
            cache.clone_into(&mut self.settings.cache);
        }
        self
    }

    /// Keeps the policies of these names; none named means all.
    pub(super) fn only(mut self, names: &[String]) -> Result<Self, Failure> {
        self.refuse_unknown(names)?;
        if !names.is_empty() {
            self.policies
                .retain(|policy| names.iter().any(|name| name == policy.name.as_str()));
            // They are not about these.
            self.troubles.clear();
        }
        Ok(self)
    }

    /// Refuses names that no policy has.
    pub(super) fn refuse_unknown(&self, names: &[String]) -> Result<(), Failure> {
        if let Some(unknown) = names
            .iter()
            .find(|name| !self.policies.iter().any(|p| p.name.as_str() == *name))
        {
            if let Some(refused) = self.refusal_of(unknown) {
                return Err(refused);
            }
            let known: Vec<String> = self
                .policies
                .iter()
                .map(|policy| format!("`{}`", policy.name))
                .collect();
            let troubles = self.troubles.iter().map(|trouble| format!("; {trouble}"));
            let troubles: String = troubles.collect();
            let known = match known.is_empty() {
                true => "there are no policies".to_owned(),
                false => format!("the policies are {}", known.join(", ")),
            };
            let hint = format!("{known}{troubles}");
            return Err(Failure::usage(format!("there is no policy `{unknown}`")).with_hint(hint));
        }
        Ok(())
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            policies: &self.policies,
            branches: &self.branches,
            subject: &self.subject,
            forges: &self.forges,
            origins: &self.origins,
            addresses: &self.addresses,
            renders: self.settings.render != RenderSettings::default(),
            committer: &self.committer,
            is_sealed: self.signature.made_by == MadeBy::Forge,
        }
    }

    pub(super) fn wants(&self) -> Wants {
        Wants::of(&self.policies, &self.branches).with_folders(self.folders())
    }

    /// Opens the mirrors and makes the registry client. Nothing is asked of any server yet.
    pub(super) async fn connect(&self) -> Result<Live, Failure> {
        self.connect_to(self.wants()).await
    }

    /// The same for `wants` alone.
    pub(super) async fn connect_to(&self, wants: Wants) -> Result<Live, Failure> {
        let registry = Registry::new(options(&self.settings));
        self.connect_by((registry, Listings::default()), wants)
            .await
    }

    /// The same by a client of registries, with what it read.
    async fn connect_by(
        &self,
        (registry, listings): (Registry, Listings),
        wants: Wants,
    ) -> Result<Live, Failure> {
        let cache = &self.settings.cache;
        // What manifests repositories hold is nobody else's business.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(cache);
        made.with_context(|| format!("failed to make the cache folder `{}`", cache.display()))?;
        let mut mirrors = BTreeMap::new();
        for name in wants.branches.keys() {
            let settings = &self.settings.repositories[name];
            let folder = cache.join("mirrors").join(name.as_str());
            let remote = Remote {
                signing: match &self.settings.commit.sign {
                    Some(Signing::Key(key)) => Some(key.clone()),
                    None | Some(Signing::Forge) => None,
                },
                ..remote(name, settings)
            };
            let mirror = Mirror::open(remote, folder).map_err(|error| unopened(name, error))?;
            mirrors.insert(name.clone(), mirror);
        }
        let mut histories = BTreeMap::new();
        for name in wants.sources.keys() {
            let settings = &self.settings.repositories[name];
            let folder = cache.join("sources").join(name.as_str());
            // A place in a history is counted from its root.
            let remote = Remote {
                kept: git::Kept::Commits,
                depth: None,
                ..remote(name, settings)
            };
            let mirror = Mirror::open(remote, folder).map_err(|error| unopened(name, error))?;
            histories.insert(name.clone(), mirror);
        }
        let traffic = Traffic::default();
        let mut forges = BTreeMap::new();
        // Commits are made by the forges of all.
        let used = match self.signature.made_by {
            MadeBy::Us => wants.proposals.keys().collect::<Vec<_>>(),
            MadeBy::Forge => wants.branches.keys().collect(),
        };
        for name in used {
            if let Some(options) = forge(&self.settings.repositories[name]) {
                let forge = Forge::new(options, &traffic).map_err(|error| unmade(name, error))?;
                forges.insert(name.clone(), forge);
            }
        }
        let renderer = renderer(&self.settings);
        let mut connections = BTreeMap::new();
        for (name, settings) in &self.settings.argo_cd {
            let connection = Connection::new(argo_cd(settings));
            let connection = connection.map_err(|error| unconnected(name, error))?;
            connections.insert(name.clone(), connection);
        }
        let sources = Sources::new(registry.clone(), (mirrors, histories), (forges, renderer))
            .with_listings(listings)
            .with_connections(connections)
            .with_probe(Probe::new(probe(&self.settings)).map_err(unprobed)?);
        Ok(Live {
            sources: Arc::new(sources),
            registry,
            wants,
            remembered: Mutex::default(),
        })
    }
}

impl Live {
    pub(super) fn hands<'a>(&'a self, setup: &'a Setup) -> Hands<'a> {
        Hands {
            scope: setup.scope(),
            sources: &self.sources,
            wants: &self.wants,
            signature: &setup.signature,
            may_write: ALWAYS,
            clock: daemon::now,
            remembered: &self.remembered,
        }
    }

    /// Gives the mirrors free, so that others can open them.
    pub(super) async fn close(self) {
        let sources = Arc::into_inner(self.sources);
        let sources = sources.expect("whoever used the sources has ended");
        for mirror in sources.into_mirrors() {
            mirror.close().await;
        }
    }
}

/// Promotes until a signal, and then to the end of the change at hand.
pub(super) async fn run(args: Args, log: Log) -> Result<ExitCode, Failure> {
    let stop = stop_on_signals()?;
    let Args {
        config,
        cache,
        shard,
    } = args;
    let here = |shard: WrittenShard| shard.here(&Environment::default());
    let shard = shard.map(here).transpose()?;
    let (watch, first) = Watch::start(&config.config, daemon::now);
    let setup = Setup::new(first.map_err(Failure::config)?).with_cache(cache.as_deref());
    log.take(&setup.settings);
    let mut leader = Leader::start(&setup.settings, shard).await?;
    let lead = leader.lead();
    let setup = setup.of_shard(shard);
    let outside = (lead.clone(), pod::reporter(&setup.settings, &lead));
    let ended = tokio::select! {
        ended = promote(setup, (watch, cache.as_deref(), shard), (outside, stop), &log) => ended,
        why = leader.ended() => Err(anyhow::anyhow!("the task that stands for the lead ended: {why}").into()),
    };
    // Nothing is under way any more, so the next one may begin.
    leader.give_up().await;
    ended?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Promotes as `setup` says, and then as what `watch` finds says, until `stop`; while we do not lead, only knows what it would do.
async fn promote(
    mut setup: Setup,
    (mut watch, cache, shard): (Watch, Option<&Path>, Option<Shard>),
    ((lead, pod), stop): ((Lead, Option<Reporter>), CancellationToken),
    log: &Log,
) -> Result<(), Failure> {
    let health = Arc::new(Health::new());
    let listener = web::listen(setup.settings.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let board = Arc::new(Board::default());
    let shown = board.clone();
    let status = move || shown.status(daemon::now());
    tokio::spawn(web::serve(listener, health.clone(), status));
    let bells = Arc::new(Bells::default());
    let hooks = serve_hooks(&setup.settings, &bells).await?;
    let served = Addresses::of(&setup.settings);
    let moved = Arc::new(Notify::new());
    let decided = Arc::new(LastDecided::default());
    let whole = tokio::select! {
        whole = whole_setup(&setup.settings, &mut watch, pod.as_ref()) => whole,
        () = stop.cancelled() => return Ok(()),
    };
    if let Some(whole) = whole {
        setup = whole.of_shard(shard).with_cache(cache);
        setup.log_refused(None);
    }
    let mut live = setup.connect().await?;
    loop {
        hooks.open(hook_sources(&setup.settings));
        let generation = stop.child_token();
        let custom_resources = watch
            .resources()
            .map(|resources| setup.custom_resources(resources, &decided));
        let work = Work {
            custom_resources,
            ..work(&setup, &live, (&bells, &moved, &lead, &pod))
        };
        let mut daemon = tokio::spawn(daemon::run(
            work,
            (board.clone(), health.clone()),
            generation.clone(),
        ));
        let whose = (cache, shard);
        let next = tokio::select! {
            ended = &mut daemon => {
                ended?.map_err(|why| anyhow::anyhow!("the daemon ended: {why}"))?;
                None
            }
            next = next_work(&mut setup, &mut watch, whose, (pod.as_ref(), log)) => Some(next),
            () = moved.notified() => {
                Some(setup.clone().with_folders(&live.sources.world(&live.wants).folders))
            }
        };
        generation.cancel();
        let Some(next) = next else { break };
        next.log_troubles(&setup);
        next.log_refused(Some(&setup));
        warn_of_restart(served, &setup.settings, &next.settings);
        daemon
            .await?
            .map_err(|why| anyhow::anyhow!("the daemon ended: {why}"))?;
        // A mirror may be in the middle of a fetch from a slow server; an end need not wait for that.
        tokio::select! {
            changed = change(live, setup, next, pod.as_ref()) => (live, setup) = changed?,
            () = stop.cancelled() => break,
        }
        log.take(&setup.settings);
    }
    Ok(())
}

/// Goes over to `next`: a new configuration, or other policies of fleets. Edges that it uses as `setup` did stay as they are,
/// with all that was read; settings that cannot be connected leave the last good ones in force.
async fn change(
    mut live: Live,
    mut setup: Setup,
    next: Setup,
    pod: Option<&Reporter>,
) -> Result<(Live, Setup), Failure> {
    let wants = next.wants();
    let uses_the_same = wants.branches.keys().eq(live.wants.branches.keys())
        && wants.sources.keys().eq(live.wants.sources.keys())
        && wants.proposals.keys().eq(live.wants.proposals.keys());
    if uses_the_same && next.connects_like(&setup) {
        live.wants = wants;
    } else {
        let read = next.lists_like(&setup);
        let read = read.then(|| (live.registry.clone(), live.sources.listings()));
        live.close().await;
        let connected = match read {
            Some(read) => next.connect_by(read, wants).await,
            None => next.connect_to(wants).await,
        };
        live = match connected {
            Ok(live) => live,
            Err(failure) => {
                tracing::error!(
                    "the new configuration cannot be used; the last good one goes on: {failure}"
                );
                // The same folders make no other attempt.
                setup.listed = next.listed;
                return Ok((setup.connect().await?, setup));
            }
        };
    }
    live.sources.keep_only(&live.wants);
    tracing::info!(policies = next.policies.len(), "new configuration");
    pod::tell_taken(pod, next.policies.len());
    Ok((live, next))
}

/// Waits for a valid new configuration; an invalid one is reported and changes nothing.
pub(super) async fn next_setup(watch: &mut Watch, pod: Option<&Reporter>) -> Setup {
    loop {
        match watch.changed().await {
            Ok(config) => return Setup::new(config),
            Err(problems) => {
                tracing::error!(
                    "the new configuration is invalid; the last good one goes on\n{problems}"
                );
                pod::tell_rejected(pod, &problems);
            }
        }
    }
}

/// What outlasts the work: the bells of events, that of fleets, whether we lead, and who tells of us.
type Outside<'a> = (
    &'a Arc<Bells>,
    &'a Arc<Notify>,
    &'a Lead,
    &'a Option<Reporter>,
);

fn work(setup: &Setup, live: &Live, (bells, moved, lead, pod): Outside<'_>) -> Work {
    let interval_of = |repository: &Repository| {
        // What a mirror copies is read elsewhere, with the settings of that registry.
        let origin = live.sources.origin(repository);
        let settings = setup.settings.registries.get(origin.registry());
        let interval = settings.map_or(RegistrySettings::default().poll_interval, |settings| {
            settings.poll_interval
        });
        (repository.clone(), interval)
    };
    let repositories = setup.settings.repositories.iter();
    Work {
        policies: setup.policies.clone(),
        branches: setup.branches.clone(),
        subject: setup.subject.clone(),
        forges: setup.forges.clone(),
        origins: setup.origins.clone(),
        addresses: setup.addresses.clone(),
        renders: setup.scope().renders,
        places: places(&setup.settings, &live.wants),
        signature: setup.signature.clone(),
        sources: live.sources.clone(),
        registry: live.registry.clone(),
        wants: live.wants.clone(),
        intervals: Intervals {
            images: live.wants.images.iter().map(interval_of).collect(),
            repositories: repositories
                .map(|(name, settings)| (name.clone(), settings.poll_interval))
                .collect(),
        },
        bells: bells.clone(),
        fleets: Fleets {
            listed: setup.listed.clone(),
            moved: moved.clone(),
        },
        custom_resources: None,
        lead: lead.clone(),
        pod: pod.clone(),
        clock: daemon::now,
    }
}

/// Where the manifests repositories that `wants` names are on forges.
fn places(settings: &Settings, wants: &Wants) -> BTreeMap<RepositoryName, Place> {
    let place = |name: &RepositoryName| match &settings.repositories[name].forge {
        ForgeSettings::At { place, .. } => Some((name.clone(), place.clone())),
        ForgeSettings::None | ForgeSettings::Unknown(_) => None,
    };
    wants.branches.keys().filter_map(place).collect()
}

/// Logs what a person should know of the settings: one line, as `check` shows it in full.
fn warn(problem: &Problem) {
    let Problem {
        severity: _,
        file,
        place,
        message,
        hint: _,
    } = problem;
    let line = place.as_ref().map(|place| place.line);
    tracing::warn!(file = %file.display(), line, "{message}");
}

fn person(person: &config::Person) -> git::Person {
    let config::Person { name, email } = person.clone();
    git::Person { name, email }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Lead, Setup, work};

    #[tokio::test]
    async fn what_a_mirror_copies_is_polled_as_often_as_where_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let settings = "\
apiVersion: towpath.dev/v1alpha1
kind: Settings
cache: cache
repositories: { deploy: { url: deploy.git } }
registries:
  docker.io: { poll-interval: 20m }
  harbor.example.com: { poll-interval: 5m }
  harbor.example.com/hub: { mirror-of: docker.io }
policies: [policies.yaml]
";
        let policies = "\
apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicy
metadata: { name: portal }
spec:
  repository: deploy
  images: { web: harbor.example.com/hub/acme/web, api: harbor.example.com/acme/api }
  environments: [{ name: dev, tags: { semver: '*' }, update: dev }]
";
        let file = folder.path().join("towpath.yaml");
        fs::write(&file, settings).unwrap();
        fs::write(folder.path().join("policies.yaml"), policies).unwrap();
        let setup = Setup::load(&file).ok().unwrap();
        let live = setup.connect().await.ok().unwrap();
        let outside = (&Arc::default(), &Arc::default(), &Lead::Alone, &None);
        let intervals = work(&setup, &live, outside).intervals;
        let minutes = |name: &str| intervals.images[&name.parse().unwrap()];
        let expected = |minutes: u64| Duration::from_secs(minutes * 60);
        assert_eq!(minutes("harbor.example.com/hub/acme/web"), expected(20));
        assert_eq!(minutes("harbor.example.com/acme/api"), expected(5));
    }
}
