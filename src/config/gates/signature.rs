//! Who may vouch for an image, as it is written: public keys, and identities with those who know them.
//!
//! Not here: what they must vouch for (`mod`, `attestations`). Keys and trust roots are read from their files as soon as it is known who names
//! them, so that routes and fleets have them at hand.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;

use super::super::beside::Beside;
use super::super::forms::OneOrMany;
use super::super::problem::Faults;
use super::super::shape::{Block, Leaf, Placed, Refusal, Shape, refuse, shape};
use super::super::source::Span;
use super::super::tree::Node;
use crate::policy::gate::{Identity, Signer, SignerKey, TrustRoot};
use crate::verify::{KeyKind, PublicKey, check_identity, check_root};

/// What a public key in PEM has at its start, and no path.
const PEM: &str = "-----BEGIN";

/// Longest path, as most file systems have it. What is longer is something else, and is not repeated.
const PATH_LENGTH_MAX: usize = 255;

/// What is said of keys that cosign 3.1 signs with and does not verify with.
const ED25519: &str = "cosign from version 3 on signs with such a key in a way (Ed25519ph) that neither `cosign verify` nor towpath takes; only signatures of the bytes themselves (Ed25519) count";

shape! {
    /// Who must have signed: one of `key` and `identity`.
    struct SignerEntry {
        /// A public key: its file, relative to this one, or the key itself in PEM; or a list of these, of which one suffices.
        key: Option<OneOrMany<Placed<KeyText>>> = "key",
        /// The name in the certificate of who signed without a key: an address of mail, or the workflow of a build, `https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/*`. `*` stands for anything but `/`, `**` for anything.
        identity: Option<Placed<IdentityGlob>> = "identity",
        /// Who knows them by this name: `https://token.actions.githubusercontent.com`.
        issuer: Option<Placed<Issuer>> = "issuer",
        /// Whose certificates and logs are believed. Default: that of the settings, or else Sigstore's public instance.
        trust_root: Option<TrustRootEntry> = "trust-root",
    }

    /// Whose certificates and logs are believed.
    struct TrustRootEntry {
        /// A `trusted_root.json` of Sigstore, relative to this file.
        file: Placed<String> = "file",
    }
}

/// A public key, or the path of its file.
#[derive(Clone, Debug)]
pub(in crate::config) struct KeyText(String);

impl Leaf for KeyText {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let is_path = text.len() <= PATH_LENGTH_MAX && !text.contains(char::is_control);
        match text.contains(PEM) || (is_path && !text.trim().is_empty()) {
            true => Ok(Self(text.to_owned())),
            false => Err(Refusal::new(
                "it is neither the path of a file nor a public key in PEM",
            )),
        }
    }
}

/// A glob of names in certificates.
#[derive(Clone, Debug)]
pub(in crate::config) struct IdentityGlob(String);

impl Leaf for IdentityGlob {
    fn parse(text: &str) -> Result<Self, Refusal> {
        check_identity(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// Who knows people and builds by their names.
#[derive(Clone, Debug)]
pub(in crate::config) struct Issuer(String);

impl Leaf for Issuer {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text.starts_with("https://") || text.starts_with("http://") {
            true => Ok(Self(text.to_owned())),
            false => Err(Refusal::new(format!("`{text}` is not the address of an issuer")).hint(
                "write it as certificates have it: `https://token.actions.githubusercontent.com`, `https://accounts.google.com`",
            )),
        }
    }
}

/// What says who may vouch, and who that is once the files were read.
#[derive(Clone, Debug)]
pub(in crate::config) struct Signers<T> {
    pub(super) written: Block<T>,
    pub(super) found: Vec<Signer>,
}

impl<T: Shape> Shape for Signers<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        Block::read(node, faults).map(|written| Self {
            written,
            found: Vec::new(),
        })
    }

    fn schema() -> Option<Json> {
        T::schema()
    }
}

/// Where keys and trust roots are read.
pub(in crate::config) struct SignerFiles<'a> {
    /// The folder of the file that names them; `None` for a custom resource, which names no files.
    pub(in crate::config) folder: Option<&'a Path>,
    pub(in crate::config) beside: &'a mut Beside,
    /// That of the settings.
    pub(in crate::config) root: TrustRoot,
    pub(in crate::config) faults: &'a mut Faults,
}

impl Signers<SignerEntry> {
    pub(super) fn find(&mut self, files: &mut SignerFiles<'_>) {
        let Block { value, owner, span } = &self.written;
        self.found = files.signers(value, *span);
        // What is missing beside something wrong may only be misspelled.
        if self.found.is_empty() && !files.faults.touch(*span) {
            files.faults.error_with_hint(
                *owner,
                "it is not said who must have signed",
                "write `key: cosign.pub`, or `identity` and `issuer`",
            );
        }
    }
}

impl SignerFiles<'_> {
    /// Who is named by what stands at `span`.
    pub(super) fn signers(&mut self, written: &SignerEntry, span: Span) -> Vec<Signer> {
        let SignerEntry {
            key,
            identity,
            issuer,
            trust_root,
        } = written;
        let keys = key.iter().flat_map(|OneOrMany(keys)| keys);
        let keys = keys.filter_map(|key| self.key(&key.value));
        let mut found: Vec<Signer> = keys.map(Signer::Key).collect();
        let root = trust_root.as_ref().map(|root| (root, self.root(root)));
        match (identity, issuer) {
            (Some(identity), _) if key.is_some() => self.faults.error_with_hint(
                identity.span,
                "`key` and `identity` cannot stand together",
                "write a list of both where one of them suffices",
            ),
            (Some(identity), Some(issuer)) => {
                let root = match root {
                    Some((_, own)) => own,
                    None => Some(self.root.clone()),
                };
                found.extend(root.map(|root| {
                    Signer::Identity(Identity {
                        name: identity.value.0.clone(),
                        issuer: issuer.value.0.clone(),
                        root,
                    })
                }));
            }
            (Some(identity), None) => self.alone(span, identity.span, ("identity", "issuer")),
            (None, Some(issuer)) => self.alone(span, issuer.span, ("issuer", "identity")),
            (None, None) => {
                if let Some((root, _)) = root {
                    self.alone(span, root.file.span, ("trust-root", "identity"));
                }
            }
        }
        found
    }

    /// Refuses a key of a map without another.
    fn alone(&mut self, all: Span, place: Span, (key, other): (&str, &str)) {
        if !self.faults.touch(all) {
            let message = format!("`{key}` says nothing without `{other}`");
            self.faults.error(place, message);
        }
    }

    /// Refuses a path in a custom resource: whoever writes one may not read what is there.
    fn no_file(&mut self, place: Span, hint: &str) {
        let message = "a custom resource cannot name a file";
        self.faults.error_with_hint(place, message, hint);
    }

    fn key(&mut self, written: &Placed<KeyText>) -> Option<SignerKey> {
        let KeyText(text) = &written.value;
        let read = match (text.contains(PEM), self.folder) {
            (true, _) => Ok(text.as_str().into()),
            (false, Some(folder)) => self.beside.text(&folder.join(text)),
            (false, None) => {
                self.no_file(written.span, "write the public key itself, in PEM");
                return None;
            }
        };
        let pem: Arc<str> = match read {
            Ok(pem) => pem,
            Err(why) => {
                self.faults.error(written.span, why);
                return None;
            }
        };
        match PublicKey::from_pem(&pem) {
            Ok(key) => {
                if key.kind() == KeyKind::Ed25519 {
                    self.faults.warning(written.span, ED25519);
                }
                let fingerprint = key.fingerprint();
                Some(SignerKey { fingerprint, pem })
            }
            Err(error) => {
                let refusal = Refusal::new(error.to_string());
                let refusal = match error.hint() {
                    Some(hint) => refusal.hint(hint),
                    None => refusal,
                };
                refuse(self.faults, written.span, refusal);
                None
            }
        }
    }

    /// The trust root that an entry names; `None` where a fault says why there is none.
    pub(in crate::config) fn root(
        &mut self,
        TrustRootEntry { file }: &TrustRootEntry,
    ) -> Option<TrustRoot> {
        let Some(folder) = self.folder else {
            let hint = "leave it out; `trust-root` of the settings counts for all policies";
            self.no_file(file.span, hint);
            return None;
        };
        let json = self.beside.text(&folder.join(&file.value));
        let root = json.and_then(|json| match check_root(&json) {
            Ok(fingerprint) => Ok(TrustRoot::Own { fingerprint, json }),
            Err(error) => Err(format!("`{}` cannot be used: {error}", file.value)),
        });
        root.map_err(|why| self.faults.error(file.span, why)).ok()
    }
}
