//! The tags of a listing.

use std::sync::Arc;

use jiff::Timestamp;

use crate::image::Tag;

/// The tags of a listing, each with the time at which this daemon first saw it. Listings that have the same may share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeenTags(Arc<[(Tag, Timestamp)]>); // Invariant: in the order of their names, each once.

impl SeenTags {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// By its place in the order of names.
    pub(crate) fn at(&self, place: usize) -> &(Tag, Timestamp) {
        &self.0[place]
    }

    pub(crate) fn place_of(&self, tag: &str) -> Option<usize> {
        let by_name = |(other, _): &(Tag, Timestamp)| other.as_str().cmp(tag);
        self.0.binary_search_by(by_name).ok()
    }

    /// When `tag` was first seen.
    pub(crate) fn get(&self, tag: &Tag) -> Option<Timestamp> {
        let place = self.place_of(tag.as_str())?;
        Some(self.at(place).1)
    }

    pub(crate) fn contains(&self, tag: &Tag) -> bool {
        self.place_of(tag.as_str()).is_some()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Tag> {
        self.0.iter().map(|(tag, _)| tag)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Tag, Timestamp)> {
        self.0.iter()
    }

    /// These; where `before` are the same, those, which who knows them knows again by their address.
    pub(crate) fn or_as_before(self, before: &Self) -> Self {
        match self == *before {
            true => before.clone(),
            false => self,
        }
    }

    /// Where they are in memory: as long as these are kept, none but those that share them are there.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl FromIterator<(Tag, Timestamp)> for SeenTags {
    fn from_iter<T: IntoIterator<Item = (Tag, Timestamp)>>(tags: T) -> Self {
        let mut tags: Vec<(Tag, Timestamp)> = tags.into_iter().collect();
        tags.sort_by(|(a, _), (b, _)| a.cmp(b));
        tags.dedup_by(|(later, _), (earlier, _)| later == earlier);
        Self(tags.into())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::SeenTags;
    use crate::image::Tag;

    #[test]
    fn tags_are_found_by_their_names_in_whatever_order_they_were_listed() {
        let tags = ["b", "a", "c", "a"].map(|tag| tag.parse::<Tag>().unwrap());
        let times = [1, 2, 3, 4].map(|second| Timestamp::from_second(second).unwrap());
        let seen: SeenTags = tags.iter().cloned().zip(times).collect();
        let names: Vec<&str> = seen.names().map(Tag::as_str).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(seen.get(&tags[1]), Some(times[1]));
        assert_eq!(seen.place_of("c"), Some(2));
        assert_eq!(seen.place_of("d"), None);
    }
}
