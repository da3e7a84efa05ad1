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
    /// Lists in the order of pushes.
    Unsorted,
    /// Lists only the first so many tags.
    Shrunk { tags: usize },
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

    pub(super) fn find<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(pick)
    }

    /// Uses up one of a fault's times.
    pub(super) fn take<T>(
        &mut self,
        pick: impl Fn(&mut Fault) -> Option<(T, &mut u32)>,
    ) -> Option<T> {
        self.0.iter_mut().find_map(|fault| {
            let (found, times) = pick(fault).filter(|(_, times)| **times > 0)?;
            *times -= 1;
            Some(found)
        })
    }
}
