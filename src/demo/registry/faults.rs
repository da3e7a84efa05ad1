//! What may be wrong with a registry, as switches that can be turned while it runs.
//!
//! Not here: how each is carried out (`serve`). The product never turns one on.

use std::time::Duration;

/// One way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers `status` to the next `times` requests, token requests aside.
    Refuse {
        status: u16,
        retry_after: Option<String>,
        times: u32,
    },
    /// Breaks the connection in the middle of the next `times` answers.
    Cut { times: u32 },
    /// Sends answers a few bytes at a time, with this pause between them.
    Slow { pause: Duration },
    /// Takes requests and never answers.
    Stalled,
    /// Answers with a web page.
    WebPage,
    /// Answers without end.
    Giant,
    /// The last page of a listing leads to the first.
    PageLoop,
    /// The last page leads on to itself, under another name each time.
    EndlessPages,
    /// A listing goes on at another host.
    CrossOriginLink,
    /// `"tags": null`.
    NullTags,
    /// Pages without saying where the next one is.
    NoLink,
    /// The last page leads to one more, which has `"tags": null`.
    LinkOnLastPage,
    /// The next page stands behind an opaque cursor, as an absolute link.
    OpaqueCursor,
    /// Takes no `n` above this.
    PageSizeLimit { most: usize },
    /// Takes no `n` above this on any page but the first.
    LaterPageSizeLimit { most: usize },
    /// Gives no more tags on a page than this, whatever `n` asks for.
    ShortPages { most: usize },
    /// Adds a header to each answer, token requests aside.
    Says { name: &'static str, value: String },
    /// Counts fetched manifests as Docker Hub does, and gives none once this many have been fetched.
    PullLimit { pulls: u32 },
    /// Lists in the order of pushes.
    Unsorted,
    /// Answers the API that tells push times with `status`.
    PushesRefused { status: u16 },
    /// That API does not know `tag` yet.
    PushHidden { tag: String },
    /// Each page of that API that is not the last leads to itself.
    PushLoop,
    /// That API gives at most so many tags a page.
    PushPages { most: usize },
    /// Lists only the first so many tags.
    Shrunk { tags: usize },
    /// Lists this tag on the first page and no more after it: someone deletes it just then. Of several, one each time.
    DeletedBetweenPages { tag: String },
    /// Answers 404 without a word where `last` is a tag no more, as zot does.
    ForgetsDeletedTags,
    /// Says no `Docker-Content-Digest`.
    NoDigest,
    /// Gives other content than the digest names.
    OtherContent,
    /// Sends blobs to another place.
    RedirectBlobs { to: String },
    /// The token service refuses, with words.
    TokenRefused,
    /// Tokens hold a line break.
    TokenBroken,
    /// The challenge names this token service.
    Realm { url: String },
}

/// What the first fault of one kind says.
macro_rules! pick {
    ($faults:expr, $pattern:pat => $value:expr) => {
        $faults.0.iter().find_map(|fault| {
            if let $pattern = fault {
                Some($value)
            } else {
                None
            }
        })
    };
}

/// The faults that are on.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn has(&self, fault: &Fault) -> bool {
        self.0.contains(fault)
    }

    /// The status to refuse this request with, and its `Retry-After`.
    pub(super) fn refusal(&mut self) -> Option<(u16, Option<String>)> {
        for fault in &mut self.0 {
            if let Fault::Refuse {
                status,
                retry_after,
                times,
            } = fault
                && use_up(times)
            {
                return Some((*status, retry_after.clone()));
            }
        }
        None
    }

    /// Whether this answer is cut.
    pub(super) fn cut(&mut self) -> bool {
        self.0.iter_mut().any(|fault| {
            if let Fault::Cut { times } = fault {
                use_up(times)
            } else {
                false
            }
        })
    }

    pub(super) fn pause(&self) -> Option<Duration> {
        pick!(self, Fault::Slow { pause } => *pause)
    }

    pub(super) fn page_size_max(&self) -> Option<usize> {
        pick!(self, Fault::PageSizeLimit { most } => *most)
    }

    pub(super) fn later_page_size_max(&self) -> Option<usize> {
        pick!(self, Fault::LaterPageSizeLimit { most } => *most)
    }

    pub(super) fn page_length_max(&self) -> Option<usize> {
        pick!(self, Fault::ShortPages { most } => *most)
    }

    /// Headers that are told with each answer.
    pub(super) fn says(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter_map(|fault| {
            if let Fault::Says { name, value } = fault {
                Some((*name, value.as_str()))
            } else {
                None
            }
        })
    }

    /// How many pulls are left.
    pub(super) fn pulls(&self) -> Option<u32> {
        pick!(self, Fault::PullLimit { pulls } => *pulls)
    }

    /// Whether a pull may be made, which is then counted.
    pub(super) fn pull(&mut self) -> bool {
        self.0.iter_mut().all(|fault| {
            if let Fault::PullLimit { pulls } = fault {
                use_up(pulls)
            } else {
                true
            }
        })
    }

    pub(super) fn tags_max(&self) -> Option<usize> {
        pick!(self, Fault::Shrunk { tags } => *tags)
    }

    /// The next tag that is deleted between two pages.
    pub(super) fn deleted(&mut self) -> Option<String> {
        let is_deletion = |fault: &Fault| matches!(fault, Fault::DeletedBetweenPages { .. });
        let at = self.0.iter().position(is_deletion)?;
        let Fault::DeletedBetweenPages { tag } = self.0.remove(at) else {
            return None;
        };
        Some(tag)
    }

    pub(super) fn pushes_refused(&self) -> Option<u16> {
        pick!(self, Fault::PushesRefused { status } => *status)
    }

    pub(super) fn hides_push(&self, of: &str) -> bool {
        let is_hidden = |fault: &Fault| matches!(fault, Fault::PushHidden { tag } if tag == of);
        self.0.iter().any(is_hidden)
    }

    pub(super) fn push_pages(&self) -> Option<usize> {
        pick!(self, Fault::PushPages { most } => *most)
    }

    pub(super) fn realm(&self) -> Option<String> {
        pick!(self, Fault::Realm { url } => url.clone())
    }

    pub(super) fn storage(&self) -> Option<String> {
        pick!(self, Fault::RedirectBlobs { to } => to.clone())
    }
}

fn use_up(times: &mut u32) -> bool {
    let is_left = *times > 0;
    *times = times.saturating_sub(1);
    is_left
}
