//! The latest reading of a connection, and when it stops being believed; and that of custom resources.
//!
//! Invariant: what is shown is one whole state that the server had; a reading in parts is kept when its last part is here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::diary::Diary;
use super::error::ClusterError;
use super::resources::{PolicyResource, RouteResource};
use crate::world::{Application, Applications, Fact, ObjectName, SyncWindow};

/// Objects of one kind in one place.
pub(super) type Objects<T> = BTreeMap<ObjectName, Arc<T>>;

/// What is known of the objects of one kind in one place.
#[derive(Debug)]
pub(super) struct Reading<T> {
    objects: Objects<T>,
    /// When the server last said that this is so.
    heard: Option<Timestamp>,
    /// What went wrong since.
    failure: Option<Failure>,
}

/// How the reading of one kind of objects in one place stands.
#[derive(Debug)]
pub(super) struct Standing<T> {
    pub(super) objects: Objects<T>,
    /// When the server last said that this is so.
    pub(super) heard: Option<Timestamp>,
    /// What went wrong since, and whether it passes by itself.
    pub(super) failure: Option<(String, bool)>,
}

#[derive(Clone, Debug)]
struct Failure {
    why: String,
    /// Whether the objects may still be so.
    is_passing: bool,
}

/// Everything that a connection knows, and whom it wakes.
#[derive(Debug)]
pub(super) struct Kept {
    readings: Mutex<Readings>,
    news: Notify,
    stale_after: Duration,
}

/// By place, which is a number that whoever reads gives out. Where Applications are, no custom resources are kept, and the other way round.
#[derive(Debug)]
pub(super) struct Readings {
    applications: Vec<Reading<Application>>,
    projects: Vec<Reading<Vec<SyncWindow>>>,
    pub(super) policies: Vec<Reading<PolicyResource>>,
    pub(super) routes: Vec<Reading<RouteResource>>,
    diary: Diary,
}

/// One kind of objects among all.
pub(super) trait Part: Sized + PartialEq {
    fn of(readings: &mut Readings) -> &mut Vec<Reading<Self>>;

    /// Whether nothing changed that somebody waits for.
    fn is_like(&self, other: &Self) -> bool {
        self == other
    }

    /// Forgets what is too much to keep of `objects`.
    fn trim(_objects: &mut Objects<Self>) {}

    /// Whether what was forgotten of them should be read again.
    fn misses_some(_objects: &Objects<Self>) -> bool {
        false
    }

    /// Notes what has to be remembered of an object that was read.
    fn note(&self, _name: &ObjectName, _diary: &mut Diary, _now: Timestamp) {}
}

impl Part for Application {
    fn of(readings: &mut Readings) -> &mut Vec<Reading<Self>> {
        &mut readings.applications
    }

    /// Each Application is compared with git every few minutes: of 2,000, ten in a second.
    fn is_like(&self, other: &Self) -> bool {
        let mut other = other.clone();
        other.reconciled = self.reconciled;
        *self == other
    }

    fn note(&self, name: &ObjectName, diary: &mut Diary, now: Timestamp) {
        diary.note(name, self, now);
    }
}

impl Part for Vec<SyncWindow> {
    fn of(readings: &mut Readings) -> &mut Vec<Reading<Self>> {
        &mut readings.projects
    }
}

impl Kept {
    pub(super) fn new(places: usize, stale_after: Duration) -> Self {
        fn unread<T>(places: usize) -> Vec<Reading<T>> {
            (0..places).map(|_| Reading::new()).collect()
        }
        let readings = Readings {
            applications: unread(places),
            projects: unread(places),
            policies: unread(places),
            routes: unread(places),
            diary: Diary::default(),
        };
        Self {
            readings: Mutex::new(readings),
            news: Notify::new(),
            stale_after,
        }
    }

    /// Waits until something was said that was not known before. May be dropped at any time.
    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }

    /// Keeps a whole listing.
    pub(super) fn put_all<T: Part>(&self, place: usize, mut objects: Objects<T>, now: Timestamp) {
        T::trim(&mut objects);
        let is_new = {
            let mut readings = self.lock();
            for (name, object) in &objects {
                object.note(name, &mut readings.diary, now);
            }
            let reading = &mut T::of(&mut readings)[place];
            let is_new = !are_like(&reading.objects, &objects) || reading.is_doubtful();
            reading.objects = objects;
            reading.hear(now);
            readings.forget();
            is_new
        };
        self.tell(is_new);
    }

    /// Keeps one object, or forgets it.
    pub(super) fn put<T: Part>(
        &self,
        place: usize,
        changed: (ObjectName, Option<T>),
        now: Timestamp,
    ) {
        self.change(place, changed, now);
        self.hear::<T>(place, now);
    }

    /// The same, where that says nothing of the others.
    pub(super) fn change<T: Part>(
        &self,
        place: usize,
        (name, object): (ObjectName, Option<T>),
        now: Timestamp,
    ) {
        let is_new = {
            let mut readings = self.lock();
            if let Some(object) = &object {
                object.note(&name, &mut readings.diary, now);
            }
            let objects = &mut T::of(&mut readings)[place].objects;
            let is_new = match (objects.get(&name), &object) {
                (Some(before), Some(after)) => !before.is_like(after),
                (before, after) => before.is_some() != after.is_some(),
            };
            match object {
                Some(object) => {
                    objects.insert(name, Arc::new(object));
                    T::trim(objects);
                }
                None => {
                    objects.remove(&name);
                    readings.forget();
                }
            }
            is_new
        };
        self.tell(is_new);
    }

    /// Whether something was forgotten that should be read again.
    pub(super) fn misses_some<T: Part>(&self, place: usize) -> bool {
        T::misses_some(&T::of(&mut self.lock())[place].objects)
    }

    /// Notes that the server still says what it said.
    pub(super) fn hear<T: Part>(&self, place: usize, now: Timestamp) {
        let is_new = {
            let mut readings = self.lock();
            let reading = &mut T::of(&mut readings)[place];
            let is_new = reading.is_doubtful();
            reading.hear(now);
            is_new
        };
        self.tell(is_new);
    }

    /// Notes why the server could not be asked.
    pub(super) fn fail<T: Part>(&self, place: usize, error: &ClusterError, now: Timestamp) {
        let failure = Failure {
            why: error.whole(),
            is_passing: error.is_passing(),
        };
        let is_new = {
            let mut readings = self.lock();
            let reading = &mut T::of(&mut readings)[place];
            reading.failure = Some(failure);
            // What passes is told when it did not.
            matches!(reading.judged((now, self.stale_after)), Some(Err(_)))
        };
        self.tell(is_new);
    }

    /// What is known at `now`; `None` where nothing was ever tried to the end.
    pub(super) fn shown(&self, now: Timestamp) -> Option<Fact<Arc<Applications>>> {
        let readings = self.lock();
        let merged = merge(&readings.applications, (now, self.stale_after))?;
        let projects = merge(&readings.projects, (now, self.stale_after));
        let (at, all) = match merged {
            Fact::Known(known) => known,
            Fact::Unknown { why } => return Some(Fact::Unknown { why }),
        };
        let projects = match projects {
            Some(Fact::Known((_, projects))) => Fact::Known(projects),
            Some(Fact::Unknown { why }) => Fact::Unknown { why },
            None => Fact::Unknown {
                why: "the projects were not read yet".to_owned(),
            },
        };
        let seen = readings.diary.all();
        Some(Fact::Known(Arc::new(Applications {
            at,
            all,
            projects,
            seen,
        })))
    }

    /// How the readings of one kind stand, however old they are.
    pub(super) fn standings<T: Part>(&self) -> Vec<Standing<T>> {
        let mut readings = self.lock();
        let standing = |reading: &Reading<T>| Standing {
            objects: reading.objects.clone(),
            heard: reading.heard,
            failure: reading
                .failure
                .as_ref()
                .map(|failure| (failure.why.clone(), failure.is_passing)),
        };
        T::of(&mut readings).iter().map(standing).collect()
    }

    fn tell(&self, is_new: bool) {
        if is_new {
            self.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Readings> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readings {
    /// Forgets what Applications ran that are not there any more.
    fn forget(&mut self) {
        let Self {
            applications,
            diary,
            ..
        } = self;
        let is_there = |name: &ObjectName| {
            let mut places = applications.iter();
            places.any(|reading| reading.objects.contains_key(name))
        };
        diary.retain(is_there);
    }
}

impl<T> Reading<T> {
    fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            heard: None,
            failure: None,
        }
    }

    fn hear(&mut self, now: Timestamp) {
        self.heard = Some(now);
        self.failure = None;
    }

    /// Whether it is not believed, or soon will not be.
    fn is_doubtful(&self) -> bool {
        self.heard.is_none() || self.failure.is_some()
    }

    /// The time since which the objects are not known to be otherwise, or why they are unknown.
    fn judged(
        &self,
        (now, stale_after): (Timestamp, Duration),
    ) -> Option<Result<Timestamp, String>> {
        let Some(heard) = self.heard else {
            return self
                .failure
                .as_ref()
                .map(|failure| Err(failure.why.clone()));
        };
        let age = Duration::try_from(now.duration_since(heard)).unwrap_or_default();
        Some(match &self.failure {
            Some(Failure {
                why,
                is_passing: false,
            }) => Err(why.clone()),
            Some(Failure { why, .. }) if age > stale_after => {
                Err(format!("{why}; the last reading is of {heard}"))
            }
            None if age > stale_after => Err(format!("nothing was heard since {heard}")),
            Some(_) | None => Ok(heard),
        })
    }
}

fn are_like<T: Part>(before: &Objects<T>, after: &Objects<T>) -> bool {
    let mut pairs = before.iter().zip(after);
    before.len() == after.len()
        && pairs.all(|((one, before), (other, after))| one == other && before.is_like(after))
}

/// All places as one, as of the oldest; unknown where one is.
fn merge<T>(
    readings: &[Reading<T>],
    at: (Timestamp, Duration),
) -> Option<Fact<(Timestamp, Objects<T>)>> {
    let mut merged = BTreeMap::new();
    let mut oldest = Timestamp::MAX;
    for reading in readings {
        match reading.judged(at)? {
            Ok(heard) => oldest = oldest.min(heard),
            Err(why) => return Some(Fact::Unknown { why }),
        }
        let objects = reading.objects.iter();
        merged.extend(objects.map(|(name, object)| (name.clone(), object.clone())));
    }
    Some(Fact::Known((oldest, merged)))
}
