//! What plans made of readings, for those that come after: the order of each listing, and what stands at each site.
//!
//! Most readings of a round are those of the round before it, and reading all tags and files anew is nearly all that a plan takes.
//! Invariant: what is remembered is taken only for the very readings that it was made of, told by their addresses in memory; it
//! keeps these readings, so that no other can come to such an address. So a plan is the same with it as without.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::Arc;

use jiff::Timestamp;

use super::facts::ListedTags;
use super::standing::SiteStandings;
use crate::image::{Repository, Tag};
use crate::manifest::{RepoPath, Site};
use crate::policy::select::choose::Ranked;
use crate::policy::select::rule::Needs;
use crate::policy::select::{NamedCommits, PushUse, TagRule, Tags as _};
use crate::world::{SeenTags, TagDetails};

/// What plans made of readings. It belongs to whom plans again and again.
#[derive(Default)]
pub(crate) struct Remembered {
    orders: BTreeMap<TagRule, HashMap<(Addresses, Option<PushUse>), Order>>,
    /// By the address of the text.
    files: HashMap<usize, OfFile>,
}

/// What a rule made of a listing.
struct Order {
    ranked: Arc<Ranked>,
    /// What it was made of stays where it is.
    _made_of: MadeOf,
    is_used: bool,
}

/// The readings that the order of a listing follows from, as far as the rule looks at them.
struct MadeOf {
    tags: SeenTags,
    pushed: Option<Arc<BTreeMap<Tag, Timestamp>>>,
    details: Option<Arc<BTreeMap<Tag, TagDetails>>>,
    commits: Option<Arc<NamedCommits>>,
}

/// Where they are; 0 for what is not looked at.
type Addresses = [usize; 4];

/// What stands at the sites of one text.
struct OfFile {
    _text: Arc<str>,
    sites: Vec<OfSite>,
}

struct OfSite {
    site: Site,
    file: RepoPath,
    image: Repository,
    standings: Arc<SiteStandings>,
    is_used: bool,
}

impl Remembered {
    /// What `rule` makes of `tags`.
    pub(super) fn ranked(&mut self, rule: &TagRule, tags: &ListedTags<'_>) -> Arc<Ranked> {
        let made_of = MadeOf::of(rule, tags);
        let key = (made_of.addresses(), tags.pushes());
        if !self.orders.contains_key(rule) {
            self.orders.insert(rule.clone(), HashMap::new());
        }
        let of_rule = self.orders.get_mut(rule).expect("it was just added");
        let order = of_rule.entry(key).or_insert_with(|| Order {
            ranked: Arc::new(Ranked::of(rule, tags)),
            _made_of: made_of,
            is_used: true,
        });
        order.is_used = true;
        order.ranked.clone()
    }

    /// What stands at `site` for `image` in a file with this text, where that is remembered.
    pub(super) fn standings(
        &mut self,
        text: &Arc<str>,
        (site, file, image): (&Site, &RepoPath, &Repository),
    ) -> Option<Arc<SiteStandings>> {
        let of_file = self.files.get_mut(&address(text))?;
        let mut sites = of_file.sites.iter_mut();
        let known =
            sites.find(|known| (&known.site, &known.file, &known.image) == (site, file, image))?;
        known.is_used = true;
        Some(known.standings.clone())
    }

    /// Remembers what was read there.
    pub(super) fn read(
        &mut self,
        text: &Arc<str>,
        (site, file, image): (&Site, &RepoPath, &Repository),
        standings: Arc<SiteStandings>,
    ) {
        let of_file = self.files.entry(address(text)).or_insert_with(|| OfFile {
            _text: text.clone(),
            sites: Vec::with_capacity(1),
        });
        of_file.sites.push(OfSite {
            site: site.clone(),
            file: file.clone(),
            image: image.clone(),
            standings,
            is_used: true,
        });
    }

    /// Forgets what the plan that was just made had no use for.
    pub(super) fn forget_unused(&mut self) {
        self.orders.retain(|_, of_rule| {
            of_rule.retain(|_, order| mem::take(&mut order.is_used));
            !of_rule.is_empty()
        });
        self.files.retain(|_, of_file| {
            of_file
                .sites
                .retain_mut(|site| mem::take(&mut site.is_used));
            !of_file.sites.is_empty()
        });
    }
}

impl MadeOf {
    fn of(rule: &TagRule, tags: &ListedTags<'_>) -> Self {
        let needs = rule.needs(tags.pushes());
        let source = rule.source();
        Self {
            tags: tags.listing.tags.clone(),
            pushed: match needs {
                Needs::Pushed => tags.listing.push_times().cloned(),
                Needs::Names
                | Needs::Commits
                | Needs::Created
                | Needs::FirstSeen
                | Needs::CreatedAndFirstSeen => None,
            },
            details: match needs {
                Needs::Created | Needs::CreatedAndFirstSeen => Some(tags.facts.tags.clone()),
                Needs::Names | Needs::Commits | Needs::Pushed | Needs::FirstSeen => None,
            },
            commits: source.and_then(|source| tags.histories().get(source).cloned()),
        }
    }

    fn addresses(&self) -> Addresses {
        let Self {
            tags,
            pushed,
            details,
            commits,
        } = self;
        [
            tags.address(),
            pushed.as_ref().map_or(0, address),
            details.as_ref().map_or(0, address),
            commits.as_ref().map_or(0, address),
        ]
    }
}

fn address<T: ?Sized>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared).addr()
}
