//! When each tag was first seen, and whether a listing may be believed. Pure.
//!
//! Invariant: a tag keeps its first time for as long as it is listed, through a listing that shrank in between too.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{ListedTag, Listing, Shrunk};
use crate::image::Tag;

/// How long a listing that lost more than half of its tags has to stay so before it is believed.
///
/// Registries that restart, migrate or rebuild an index recover in minutes; a clean-up by people can wait an hour.
const SHRUNK_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What is remembered of a repository's listings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) tags: BTreeMap<Tag, Timestamp>,
    /// Since when the listing has been less than half of `tags`.
    pub(super) shrunk_since: Option<Timestamp>,
}

/// Takes in a complete listing: what to remember from now on, and what to tell.
pub(super) fn accept(
    before: Option<&Seen>,
    listed: BTreeSet<Tag>,
    now: Timestamp,
) -> (Seen, Listing) {
    let known = before.map(|seen| &seen.tags);
    let first_seen = |tag: &Tag| known.and_then(|tags| tags.get(tag)).copied();
    let fresh: BTreeMap<Tag, Timestamp> = listed
        .into_iter()
        .map(|tag| {
            let first_seen = first_seen(&tag).unwrap_or(now);
            (tag, first_seen)
        })
        .collect();
    let tags = fresh.iter().map(|(tag, first_seen)| ListedTag {
        tag: tag.clone(),
        first_seen: *first_seen,
    });
    let mut listing = Listing {
        tags: tags.collect(),
        invalid: 0,
        pages: 0,
        shrunk: None,
        uploaded: BTreeMap::new(),
    };
    let accepted = Seen {
        tags: fresh,
        shrunk_since: None,
    };
    let Some(before) = before.filter(|seen| accepted.tags.len() * 2 < seen.tags.len()) else {
        return (accepted, listing);
    };
    let since = before.shrunk_since.unwrap_or(now);
    if now.duration_since(since) >= SHRUNK_FOR {
        return (accepted, listing);
    }
    listing.shrunk = Some(Shrunk {
        from: before.tags.len(),
        until: since + SHRUNK_FOR,
    });
    let mut kept = before.clone();
    kept.tags.extend(accepted.tags);
    kept.shrunk_since = Some(since);
    (kept, listing)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::{SignedDuration, Timestamp};

    use super::{SHRUNK_FOR, Seen, Shrunk, accept};
    use crate::image::Tag;

    const NOON: Timestamp = Timestamp::UNIX_EPOCH;

    fn tags(count: usize) -> BTreeSet<Tag> {
        (0..count)
            .map(|n| format!("t{n:03}").parse().unwrap())
            .collect()
    }

    fn after(seconds: i64) -> Timestamp {
        NOON + SignedDuration::from_secs(seconds)
    }

    fn seen(count: usize) -> Seen {
        accept(None, tags(count), NOON).0
    }

    #[test]
    fn a_tag_keeps_the_time_at_which_it_was_first_seen() {
        let (_, listing) = accept(Some(&seen(2)), tags(3), after(60));
        let times: Vec<_> = listing.tags.iter().map(|tag| tag.first_seen).collect();
        assert_eq!(times, [NOON, NOON, after(60)]);
    }

    #[test]
    fn half_of_the_tags_may_go_at_once_and_one_more_may_not() {
        let shrunk = |before, now| {
            let listing = accept(Some(&seen(before)), tags(now), after(1)).1;
            listing.shrunk.map(|shrunk| shrunk.from)
        };
        assert_eq!(shrunk(10, 5), None);
        assert_eq!(shrunk(10, 4), Some(10));
        assert_eq!(shrunk(1, 0), Some(1));
    }

    #[test]
    fn a_shrunk_listing_is_believed_after_an_hour_and_not_a_second_before() {
        let (shrunk, _) = accept(Some(&seen(10)), tags(2), after(10));
        let hour = SHRUNK_FOR.as_secs();
        let (still, listing) = accept(Some(&shrunk), tags(2), after(10 + hour - 1));
        let until = after(10 + hour);
        assert_eq!(listing.shrunk, Some(Shrunk { from: 10, until }));
        let (believed, listing) = accept(Some(&still), tags(2), after(10 + hour));
        assert_eq!((listing.shrunk, believed.tags.len()), (None, 2));
    }

    #[test]
    fn a_listing_that_recovers_has_lost_no_first_time_and_starts_its_hour_anew() {
        let (shrunk, _) = accept(Some(&seen(10)), tags(2), after(10));
        let (recovered, listing) = accept(Some(&shrunk), tags(10), after(20));
        assert!(listing.tags.iter().all(|tag| tag.first_seen == NOON));
        assert_eq!(recovered.shrunk_since, None);
    }
}
