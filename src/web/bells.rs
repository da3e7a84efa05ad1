//! A bell for each image repository and each manifests repository that is watched: who hears of news rings it, and it is read.
//!
//! Invariant: a bell keeps no more than that it was rung, however often; so a flood costs nothing, and what rang while
//! nobody listened, a change of the configuration among it, is heard by the next who does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::forge::{Kind, News, Place};
use crate::image::Repository;
use crate::policy::RepositoryName;
use crate::registry::{Extent, Named};

/// The bell of one repository.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    is_due: AtomicBool,
    rung: Notify,
}

/// All bells.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    images: Mutex<Hung>,
    /// Of manifests repositories, each with its place on a forge.
    manifests: Mutex<BTreeMap<RepositoryName, (Place, Arc<Bell>)>>,
}

/// The bells of image repositories that hang now.
#[derive(Debug, Default)]
struct Hung {
    bells: BTreeMap<Repository, Arc<Bell>>,
    /// The hosts and bells by path, since not every registry tells its own host.
    names: BTreeMap<String, BTreeSet<(String, Repository)>>,
}

/// What ringing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rung {
    /// The repository is due from now on.
    Now,
    /// It was due already and has not been read since.
    Already,
}

impl Bell {
    /// Makes the repository due.
    pub(crate) fn ring(&self) -> Rung {
        let was_due = self.is_due.swap(true, Ordering::AcqRel);
        self.rung.notify_one();
        match was_due {
            true => Rung::Already,
            false => Rung::Now,
        }
    }

    /// Waits until the repository is due. May be dropped at any time.
    pub(crate) async fn due(&self) {
        while !self.is_due.load(Ordering::Acquire) {
            self.rung.notified().await;
        }
    }

    /// Says that a reading begins: what rang before is answered by it, and what rings from now on is not.
    pub(crate) fn answer(&self) {
        self.is_due.store(false, Ordering::Release);
    }
}

impl Bells {
    /// Hangs a bell for each of the watched repositories and takes the others down. Those that hang already stay, rung or
    /// not. Beside each stands where it is read, which is elsewhere for what a mirror copies; both names ring.
    pub(crate) fn hang(&self, watched: &BTreeMap<Repository, Repository>) {
        let mut hung = self.hung();
        let mut before = std::mem::take(&mut *hung);
        for (repository, origin) in watched {
            let bell = before.bells.remove(repository).unwrap_or_default();
            hung.bells.insert(repository.clone(), bell);
            for name in [repository, origin] {
                let named = hung.names.entry(name.path().to_owned()).or_default();
                named.insert((name.registry().to_owned(), repository.clone()));
            }
        }
    }

    /// The bell of `repository`; one that nobody rings where none hangs.
    pub(crate) fn of(&self, repository: &Repository) -> Arc<Bell> {
        let bell = self.hung().bells.get(repository).cloned();
        bell.unwrap_or_default()
    }

    /// Rings for all that `named` names.
    pub(crate) fn ring(&self, named: &Named) -> BTreeMap<Repository, Rung> {
        let Named { host, path, extent } = named;
        let hung = self.hung();
        let below = format!("{path}/");
        let is_below = |(path, _): &(&String, _)| path.starts_with(&below);
        let below = match extent {
            Extent::Alone => None,
            Extent::AndBelow => Some(hung.names.range(below.clone()..).take_while(is_below)),
        };
        let alone = hung.names.get(path).into_iter();
        let names = alone.chain(below.into_iter().flatten().map(|(_, names)| names));
        let is_meant = |(name, _): &&(String, _)| host.as_ref().is_none_or(|host| host == name);
        let meant = names.flatten().filter(is_meant);
        let meant: BTreeSet<&Repository> = meant.map(|(_, repository)| repository).collect();
        let ring = |repository: &Repository| (repository.clone(), hung.bells[repository].ring());
        meant.into_iter().map(ring).collect()
    }

    /// Hangs a bell for each manifests repository that is on a forge and takes the others down. Those that hang already stay.
    pub(crate) fn hang_manifests(&self, places: &BTreeMap<RepositoryName, Place>) {
        let mut hung = self.manifests();
        let mut before = std::mem::take(&mut *hung);
        for (name, place) in places {
            let (_, bell) = before.remove(name).unzip();
            hung.insert(name.clone(), (place.clone(), bell.unwrap_or_default()));
        }
    }

    /// The bell of the manifests repository `name`; one that nobody rings where none hangs.
    pub(crate) fn of_manifests(&self, name: &RepositoryName) -> Arc<Bell> {
        let hung = self.manifests();
        let bell = hung.get(name).map(|(_, bell)| bell.clone());
        bell.unwrap_or_default()
    }

    /// Rings for the manifests repositories that a forge of `kind` has news of.
    pub(super) fn ring_manifests(&self, kind: Kind, news: &News) -> BTreeMap<RepositoryName, Rung> {
        let hung = self.manifests();
        let is_meant = |place: &Place| place.kind == kind && place.has(news);
        let meant = hung.iter().filter(|(_, (place, _))| is_meant(place));
        meant
            .map(|(name, (_, bell))| (name.clone(), bell.ring()))
            .collect()
    }

    fn hung(&self) -> MutexGuard<'_, Hung> {
        self.images
            .lock()
            .expect("nothing panics while it holds the bells")
    }

    fn manifests(&self) -> MutexGuard<'_, BTreeMap<RepositoryName, (Place, Arc<Bell>)>> {
        self.manifests
            .lock()
            .expect("nothing panics while it holds the bells")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::FutureExt as _;

    use super::{Bells, Rung};
    use crate::forge::{Kind, News, Place};
    use crate::image::Repository;
    use crate::registry::{Extent, Named};

    /// Repositories that are read at themselves.
    fn repositories(names: &[&str]) -> BTreeMap<Repository, Repository> {
        let read = |name: &&str| (name.parse().unwrap(), name.parse().unwrap());
        names.iter().map(read).collect()
    }

    fn named(host: Option<&str>, path: &str, extent: Extent) -> Named {
        Named {
            host: host.map(str::to_owned),
            path: path.to_owned(),
            extent,
        }
    }

    #[test]
    fn a_path_without_a_host_is_every_registrys_and_a_project_is_all_below_it() {
        let bells = Bells::default();
        bells.hang(&repositories(&[
            "a.example.com/acme/web",
            "b.example.com/acme/web",
            "a.example.com/acme/web-next",
            "a.example.com/acme/web/cache",
            "a.example.com/acme",
        ]));
        let rung = |host, path, extent| {
            let rung = bells.ring(&named(host, path, extent));
            rung.keys().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            rung(None, "acme/web", Extent::Alone),
            ["a.example.com/acme/web", "b.example.com/acme/web"]
        );
        assert_eq!(
            rung(Some("b.example.com"), "acme/web", Extent::Alone),
            ["b.example.com/acme/web"]
        );
        assert_eq!(
            rung(Some("a.example.com"), "acme/web", Extent::AndBelow),
            ["a.example.com/acme/web", "a.example.com/acme/web/cache"]
        );
        assert!(rung(Some("c.example.com"), "acme/web", Extent::Alone).is_empty());
        assert!(rung(None, "acm", Extent::AndBelow).is_empty());
    }

    #[test]
    fn what_a_mirror_copies_is_rung_by_both_of_its_names() {
        let bells = Bells::default();
        let mirrored = "harbor.example.com/hub/acme/web".parse().unwrap();
        let origin = "docker.io/acme/web".parse().unwrap();
        bells.hang(&[(mirrored, origin)].into());
        for (host, path) in [
            ("docker.io", "acme/web"),
            ("harbor.example.com", "hub/acme/web"),
        ] {
            let rung = bells.ring(&named(Some(host), path, Extent::Alone));
            let rung: Vec<_> = rung.keys().map(ToString::to_string).collect();
            assert_eq!(rung, ["harbor.example.com/hub/acme/web"]);
        }
        let rung = bells.ring(&named(Some("docker.io"), "hub/acme/web", Extent::Alone));
        assert!(rung.is_empty());
    }

    #[test]
    fn a_bell_that_is_rung_often_is_heard_once() {
        let bells = Bells::default();
        let web = "a.example.com/acme/web";
        bells.hang(&repositories(&[web]));
        let bell = bells.of(&web.parse().unwrap());
        assert!(bell.due().now_or_never().is_none());
        assert_eq!(bell.ring(), Rung::Now);
        for _ in 0..10_000 {
            assert_eq!(bell.ring(), Rung::Already);
        }
        assert!(bell.due().now_or_never().is_some());
        bell.answer();
        assert!(bell.due().now_or_never().is_none());
        assert_eq!(bell.ring(), Rung::Now);
    }

    #[test]
    fn what_rang_while_the_configuration_changed_is_heard_after_it() {
        let bells = Bells::default();
        let (web, api) = ("a.example.com/acme/web", "a.example.com/acme/api");
        bells.hang(&repositories(&[web, api]));
        bells.of(&web.parse().unwrap()).ring();
        bells.of(&api.parse().unwrap()).ring();
        bells.hang(&repositories(&[web]));
        let due = |name: &str| bells.of(&name.parse().unwrap()).due().now_or_never();
        assert!(due(web).is_some());
        bells.hang(&repositories(&[web, api]));
        assert!(due(web).is_some() && due(api).is_none());
    }

    #[test]
    fn news_ring_for_the_repository_of_that_name_on_a_forge_of_that_kind() {
        let bells = Bells::default();
        let place = |url: &str| Place::parse(None, url).unwrap();
        let places = |names: &[(&str, &str)]| {
            let named = names
                .iter()
                .map(|(name, url)| (name.parse().unwrap(), place(url)));
            named.collect::<BTreeMap<_, _>>()
        };
        let hub = ("hub", "https://github.com/acme/deploy.git");
        let lab = ("lab", "git@gitlab.com:acme/deploy.git");
        bells.hang_manifests(&places(&[hub, lab]));
        let rung = |kind| {
            let path = "Acme/Deploy".to_owned();
            let rung = bells.ring_manifests(kind, &News { path });
            rung.into_iter()
                .map(|(name, rung)| (name.to_string(), rung))
                .collect::<Vec<_>>()
        };
        assert_eq!(rung(Kind::Github), [("hub".to_owned(), Rung::Now)]);
        assert_eq!(rung(Kind::Gitea), []);
        // What rang stays rung while others come and go.
        bells.hang_manifests(&places(&[hub]));
        assert_eq!(rung(Kind::Gitlab), []);
        assert_eq!(rung(Kind::Github), [("hub".to_owned(), Rung::Already)]);
        let bell = bells.of_manifests(&"hub".parse().unwrap());
        assert!(bell.due().now_or_never().is_some());
    }
}
