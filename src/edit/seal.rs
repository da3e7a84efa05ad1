//! Seals: files that SOPS encrypted, whose checksum a change by hand would break.
//!
//! Not here: reading what is encrypted.
//! Invariant: a file with a checksum is changed only outside of it, and never grows.
//!
//! What the checksum covers, see <https://getsops.io/docs/#message-authentication-code> and `--mac-only-encrypted`: all
//! values, or with `mac_only_encrypted: true` the encrypted ones.

use super::draft::Draft;
use super::refusal::{Reason, Refusal};
use super::scan::{NodeId, Scan};

/// How an encrypted value starts.
const ENCRYPTED: &str = "ENC[";

impl Scan<'_> {
    /// Refuses edits that touch what the checksum of an encrypted file covers.
    pub(super) fn refuse_sealed(&self, draft: &Draft<'_, '_>, line: usize) -> Result<(), Refusal> {
        let mut seals = self.documents().filter_map(|document| self.seal(document));
        let is_outside = |node: NodeId| {
            self.scalar(node)
                .is_some_and(|value| !value.starts_with(ENCRYPTED))
        };
        let refused = seals.any(|covers| match covers {
            Covers::All => true,
            Covers::Encrypted => !draft.changes_only(is_outside),
        });
        match refused {
            true => Err(Refusal::at(line, Reason::Sealed)),
            false => Ok(()),
        }
    }

    /// What the checksum of a document covers, if it has one.
    fn seal(&self, document: NodeId) -> Option<Covers> {
        let root = self.root(document)?;
        let value = |map: NodeId, key: &str| {
            let mut pairs = self
                .pairs(map)
                .filter(|&(name, _)| self.scalar(name) == Some(key));
            pairs.next().map(|(_, value)| value)
        };
        let sops = value(root, "sops")?;
        value(sops, "mac")?;
        let only_encrypted = value(sops, "mac_only_encrypted").and_then(|node| self.scalar(node));
        Some(match only_encrypted {
            Some("true") => Covers::Encrypted,
            Some(_) | None => Covers::All,
        })
    }
}

/// Which values a checksum covers.
enum Covers {
    All,
    Encrypted,
}
