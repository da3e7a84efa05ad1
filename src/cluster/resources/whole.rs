//! How many custom resources of one kind in one namespace are kept with what they say: the oldest. Of the others only that they are there.
//!
//! Not here: how many count, which is told of both kinds together (`config`); what counts is always among what is kept.
//! Invariant: whoever makes too many costs no more memory than what tells them so.

use std::sync::Arc;

use super::Resource;
use crate::cluster::kept::{Objects, Part};

/// Most that are kept whole: as many as count of a namespace.
const WHOLE_MAX: usize = 1000;

/// Most bytes of JSON that they have: twice what counts of a namespace, since as YAML it may be half as long. As trees they have
/// 300 MB at the worst, and of usual ones of 1 kB each 10 MB.
const WHOLE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How many more there may be for a while, so that not all are looked at for each that comes: with 256 KiB each at the worst, 5 MiB.
const SLACK: usize = 20;

/// What is said of those that are not.
pub(super) const BEYOND: &str =
    "the namespace has too many, and it is not read before there are fewer";

/// An object that holds a custom resource.
pub(super) trait Holds: Part {
    fn resource(&self) -> &Arc<Resource>;

    fn holding(resource: Arc<Resource>) -> Self;
}

/// Keeps only the oldest of `objects` whole.
pub(super) fn trim<T: Holds>(objects: &mut Objects<T>) {
    let is_whole = |object: &&Arc<T>| object.resource().is_whole();
    if objects.values().filter(is_whole).count() <= WHOLE_MAX + SLACK
        && bytes_of(objects) <= WHOLE_BYTES_MAX
    {
        return;
    }
    let mut whole: Vec<Arc<T>> = objects.values().filter(is_whole).cloned().collect();
    whole.sort_by_cached_key(|object| object.resource().age());
    let mut bytes = 0;
    let kept = whole.iter().take(WHOLE_MAX).take_while(|object| {
        bytes += object.resource().bytes;
        bytes <= WHOLE_BYTES_MAX
    });
    let kept = kept.count();
    for object in &whole[kept..] {
        let resource = object.resource();
        let beyond = Resource {
            spec: Err(BEYOND.to_owned()),
            ..Resource::clone(resource)
        };
        let beyond = Arc::new(T::holding(Arc::new(beyond)));
        objects.insert(resource.name(), beyond);
    }
}

/// Whether there is room for one that is not whole.
pub(super) fn has_room<T: Holds>(objects: &Objects<T>) -> bool {
    let beyond = objects.values().map(|object| object.resource());
    let beyond = beyond.filter(|resource| !resource.is_whole());
    let Some(next) = beyond.min_by_key(|resource| resource.age()) else {
        return false;
    };
    let is_whole = |object: &&Arc<T>| object.resource().is_whole();
    objects.values().filter(is_whole).count() < WHOLE_MAX
        && bytes_of(objects) + next.bytes <= WHOLE_BYTES_MAX
}

fn bytes_of<T: Holds>(objects: &Objects<T>) -> usize {
    let resources = objects.values().map(|object| object.resource());
    let whole = resources.filter(|resource| resource.is_whole());
    whole.map(|resource| resource.bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::{Objects, WHOLE_BYTES_MAX, WHOLE_MAX, has_room, trim};
    use crate::cluster::resources::{PolicyResource, Resource};

    /// Resources of which each is older than the one before, of so many bytes.
    fn made(count: usize, bytes: usize) -> Objects<PolicyResource> {
        let one = |number: usize| {
            let object = json!({ "metadata": { "name": format!("p{number:05}") }, "spec": {} });
            let age = i64::try_from(100_000 - number).unwrap();
            let resource = Resource::clone(&Resource::sample(&object, "team-a", age));
            let resource = Arc::new(Resource { bytes, ..resource });
            (resource.name(), Arc::new(PolicyResource(resource)))
        };
        (0..count).map(one).collect()
    }

    fn whole(objects: &Objects<PolicyResource>) -> Vec<&str> {
        let resources = objects.values().map(|object| &object.0);
        let whole = resources.filter(|resource| resource.is_whole());
        whole.map(|resource| resource.id.name.as_str()).collect()
    }

    #[test]
    fn the_oldest_are_kept_whole_and_of_the_others_who_they_are() {
        let mut objects = made(WHOLE_MAX, 1);
        trim(&mut objects);
        assert_eq!(whole(&objects).len(), WHOLE_MAX);
        assert!(!has_room(&objects));

        let mut objects = made(5000, 1);
        trim(&mut objects);
        assert_eq!(objects.len(), 5000);
        let kept = whole(&objects);
        assert_eq!((kept.len(), kept[0]), (WHOLE_MAX, "p04000"));
        let beyond = &objects.values().next().unwrap().0;
        assert!(beyond.spec.is_err());
        assert_eq!((beyond.id.name.as_str(), beyond.generation), ("p00000", 1));

        assert!(!has_room(&objects));
        let oldest = objects.keys().next_back().unwrap().clone();
        objects.remove(&oldest);
        assert!(has_room(&objects));
    }

    #[test]
    fn few_that_are_large_are_too_many_as_well() {
        let large = WHOLE_BYTES_MAX / 4;
        let mut objects = made(4, large);
        trim(&mut objects);
        assert_eq!(whole(&objects).len(), 4);
        let mut objects = made(6, large);
        trim(&mut objects);
        assert_eq!(whole(&objects), ["p00002", "p00003", "p00004", "p00005"]);
        assert!(!has_room(&objects));
    }
}
