//! OpenPGP keys that sign commits: <https://www.rfc-editor.org/rfc/rfc9580>, in the forms that GnuPG exports.
//!
//! Not here: cryptography, which is aws-lc's. What is read is the user's own key, so that the signatures which bind its parts
//! say what each is for and are not verified; who reads our signatures does that with the public key.

mod closed;
mod packet;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA512};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA512, RsaKeyPair};
use jiff::Timestamp;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::Mpint;
use russh::keys::ssh_key::private::{RsaKeypair, RsaPrivateKey};
use russh::keys::ssh_key::public::RsaPublicKey;
use secrecy::{ExposeSecret as _, SecretString};

use super::ssh;
use crate::secret::{OpenPgpKey, SecretError};
use packet::{Bytes, Packet, number};

/// The kinds of packets that count: sections 5.2 and 5.5.
const SIGNATURE: u8 = 2;
const SECRET_KEY: u8 = 5;
const SECRET_SUBKEY: u8 = 7;

/// The algorithm by which `EdDSA` was called before it had a number for each curve, and its Ed25519: section 9.2.
const ED25519_BY_NAME: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// The part of a key that signs.
pub(super) struct Key {
    algorithm: u8,
    fingerprint: [u8; 20],
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    /// With its signatures as two numbers.
    Ed25519ByName(Ed25519KeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why an OpenPGP key cannot be used. No message holds a key or a passphrase.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenPgpError {
    #[error("failed to read the key")]
    Unread { source: SecretError },
    #[error("the key in {place} {cause}")]
    Unusable { place: String, cause: Cause },
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("is no OpenPGP private key in armor")]
    NoKey,
    #[error("is broken, or cut off")]
    Broken,
    #[error("has a passphrase, and none is set")]
    Encrypted,
    #[error("is not opened by the passphrase")]
    Passphrase,
    #[error(
        "is closed in a way that is not supported: with another cipher than AES, or by a newer OpenPGP"
    )]
    Closed,
    #[error("has the part that signs elsewhere, such as on a card")]
    Elsewhere,
    #[error("has no part that may sign now and is one of RSA, of 2048 to 8192 bits, or Ed25519")]
    NoneSigns,
}

impl OpenPgpError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        let Self::Unusable { cause, .. } = self else {
            return None;
        };
        match cause {
            Cause::NoKey | Cause::Broken | Cause::Closed | Cause::Elsewhere => {
                Some("`gpg --armor --export-secret-keys KEY` writes a key that can be used")
            }
            Cause::Encrypted => Some("name the passphrase as `passphrase` beside `gpg-key`"),
            Cause::NoneSigns => Some(
                "`gpg --edit-key KEY`: see whether it may sign (S), whether it has expired, and `addkey` one that may",
            ),
            Cause::Passphrase => None,
        }
    }
}

impl Key {
    /// Reads the key as it is at `now`.
    pub(super) fn read(place: &OpenPgpKey, now: Timestamp) -> Result<Self, OpenPgpError> {
        let OpenPgpKey { key, passphrase } = place;
        let unread = |source| OpenPgpError::Unread { source };
        let text = key.read().map_err(unread)?;
        let passphrase = passphrase.as_ref().map(|secret| secret.read());
        let passphrase = passphrase.transpose().map_err(unread)?;
        let found = find(text.expose_secret(), passphrase.as_ref(), seconds(now));
        found.map_err(|cause| OpenPgpError::Unusable {
            place: key.to_string(),
            cause,
        })
    }

    /// Signs `data`, with the time at which it does so: section 5.2.3. None where the pair cannot.
    pub(super) fn sign(&self, data: &[u8], at: Timestamp) -> Option<String> {
        let Self {
            algorithm,
            fingerprint,
            pair,
        } = self;
        // Version 4, of a document as it is, with SHA-512; by whom, and when.
        let mut signed = vec![4, 0, *algorithm, 10, 0, 29, 22, 33, 4];
        signed.extend_from_slice(fingerprint);
        signed.extend_from_slice(&[5, 2]);
        signed.extend_from_slice(&seconds(at).to_be_bytes());
        let length = u32::try_from(signed.len()).expect("it is 35 bytes");
        let whole = [data, &signed, &[4, 0xff], &length.to_be_bytes()].concat();
        let digest = digest::digest(&SHA512, &whole);
        let signature = pair.sign(&whole, digest.as_ref())?;
        let unsigned = [&[0, 10, 9, 16][..], &fingerprint[12..]].concat();
        let body = [&signed, &unsigned, &digest.as_ref()[..2], &signature].concat();
        let length = u16::try_from(body.len()).expect("a signature is 1 kB at most");
        let packet = [
            &[0x80 | SIGNATURE << 2 | 1],
            &length.to_be_bytes()[..],
            &body,
        ]
        .concat();
        Some(packet::signature_in_armor(&packet))
    }
}

impl Pair {
    /// The numbers of a signature: sections 5.2.3.1 to 5.2.3.4.
    fn sign(&self, whole: &[u8], digest: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA512, &random, whole, &mut signature)
                    .ok()?;
                Some(number(&signature))
            }
            Self::Ed25519ByName(pair) => {
                let signature = pair.sign(digest);
                let (r, s) = signature.as_ref().split_at(32);
                Some([number(r), number(s)].concat())
            }
            Self::Ed25519(pair) => Some(pair.sign(digest).as_ref().to_vec()),
        }
    }
}

/// A part of a key, with what is said of it.
struct Part<'a> {
    body: &'a [u8],
    created: u32,
    /// What the newest signature says that it is for, and when that was said; of an old key none may say so.
    told: Option<Told>,
    is_revoked: bool,
}

struct Told {
    at: u32,
    may_sign: bool,
    /// How many seconds after it was made it ends; zero for never.
    lifetime: u32,
}

impl Part<'_> {
    fn is_over(&self, now: u32) -> bool {
        let ends =
            |told: &Told| told.lifetime != 0 && self.created.saturating_add(told.lifetime) <= now;
        self.is_revoked || self.told.as_ref().is_some_and(ends)
    }

    fn may_sign(&self, now: u32) -> bool {
        self.told.as_ref().is_none_or(|told| told.may_sign) && !self.is_over(now)
    }
}

/// The newest part that may sign, and the key itself where no other may, as GnuPG chooses.
fn find(text: &str, passphrase: Option<&SecretString>, now: u32) -> Result<Key, Cause> {
    let bytes = packet::key_in_armor(text).ok_or(Cause::NoKey)?;
    let mut parts = parts(&bytes)?;
    // With the key itself, which comes first, its parts are over.
    if parts.first().ok_or(Cause::NoKey)?.is_over(now) {
        return Err(Cause::NoneSigns);
    }
    parts[1..].sort_by_key(|part| part.created);
    let mut why = Cause::NoneSigns;
    for part in parts.iter().rev().filter(|part| part.may_sign(now)) {
        match key(part.body, passphrase) {
            Ok(key) => return Ok(key),
            // Of several parts, the one that would be chosen tells most.
            Err(cause) if matches!(why, Cause::NoneSigns) => why = cause,
            Err(_) => {}
        }
    }
    Err(why)
}

/// The key and its parts.
fn parts(bytes: &[u8]) -> Result<Vec<Part<'_>>, Cause> {
    let mut bytes = Bytes(bytes);
    let mut parts: Vec<Part<'_>> = Vec::new();
    while !bytes.0.is_empty() {
        let Packet { tag, body } = bytes.packet().ok_or(Cause::Broken)?;
        match (tag, parts.last_mut()) {
            // Another key behind it.
            (SECRET_KEY, Some(_)) => break,
            (SECRET_KEY, None) | (SECRET_SUBKEY, Some(_)) => parts.push(Part {
                body,
                created: Bytes(body.get(1..).unwrap_or_default())
                    .u32()
                    .ok_or(Cause::Broken)?,
                told: None,
                is_revoked: false,
            }),
            (SIGNATURE, Some(part)) => hear(part, body).ok_or(Cause::Broken)?,
            _ => {}
        }
    }
    Ok(parts)
}

/// Takes in what a signature says of a part: sections 5.2.1 and 5.2.3.
fn hear(part: &mut Part<'_>, body: &[u8]) -> Option<()> {
    let mut body = Bytes(body);
    if body.u8()? != 4 {
        return Some(());
    }
    let kind = body.u8()?;
    body.take(2)?;
    let count = body.u16();
    let mut said = Bytes(body.counted(count)?);
    let (mut at, mut may_sign, mut lifetime) = (0, None, 0);
    while !said.0.is_empty() {
        let mut field = Bytes(said.counted_anew()?);
        // The highest bit says that a reader must know the field.
        match field.u8()? & 0x7f {
            2 => at = field.u32()?,
            9 => lifetime = field.u32()?,
            27 => may_sign = Some(field.u8().unwrap_or_default() & 2 != 0),
            _ => {}
        }
    }
    match (kind, may_sign) {
        (0x20 | 0x28, _) => part.is_revoked = true,
        // Of the owner: other people's signatures do not say what a key is for.
        (0x10..=0x13 | 0x18 | 0x1f, Some(may_sign))
            if part.told.as_ref().is_none_or(|told| told.at <= at) =>
        {
            part.told = Some(Told {
                at,
                may_sign,
                lifetime,
            });
        }
        _ => {}
    }
    Some(())
}

/// Opens the part that stands in `body`: sections 5.5.2, 5.5.3 and 5.5.5.
fn key(body: &[u8], passphrase: Option<&SecretString>) -> Result<Key, Cause> {
    let mut rest = Bytes(body);
    let (version, _created) = (rest.u8(), rest.u32());
    if version != Some(4) {
        return Err(Cause::Closed);
    }
    let algorithm = rest.u8().ok_or(Cause::Broken)?;
    let public = public(&mut rest, algorithm)?;
    let length = u16::try_from(body.len() - rest.0.len()).map_err(|_| Cause::Broken)?;
    let named = [&[0x99], &length.to_be_bytes()[..], &body[..length.into()]].concat();
    let secret = closed::open(rest, passphrase)?;
    let pair = pair(public, Bytes(secret.expose_secret()))?;
    let fingerprint = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &named);
    Ok(Key {
        algorithm,
        fingerprint: fingerprint.as_ref().try_into().expect("SHA-1 has 20 bytes"),
        pair,
    })
}

/// The public half of a pair that can sign.
#[derive(Clone, Copy)]
enum Public<'a> {
    Rsa { n: &'a [u8], e: &'a [u8] },
    Ed25519ByName(&'a [u8]),
    Ed25519(&'a [u8]),
}

fn public<'a>(rest: &mut Bytes<'a>, algorithm: u8) -> Result<Public<'a>, Cause> {
    let public = match algorithm {
        1 | 3 => match (rest.number(), rest.number()) {
            (Some(n), Some(e)) => Some(Public::Rsa { n, e }),
            _ => None,
        },
        22 => {
            let count = rest.u8();
            let curve = rest.counted(count).ok_or(Cause::Broken)?;
            match (curve == ED25519_BY_NAME, rest.number()) {
                // With a byte in front that says in which form the point is.
                (true, Some([0x40, point @ ..])) => Some(Public::Ed25519ByName(point)),
                (true, _) => None,
                (false, _) => return Err(Cause::NoneSigns),
            }
        }
        27 => rest.take(32).map(Public::Ed25519),
        _ => return Err(Cause::NoneSigns),
    };
    public.ok_or(Cause::Broken)
}

fn pair(public: Public<'_>, mut secret: Bytes<'_>) -> Result<Pair, Cause> {
    let ed25519 = |seed: &[u8], point| Ed25519KeyPair::from_seed_and_public_key(seed, point).ok();
    let pair = match public {
        Public::Rsa { n, e } => {
            let numbers = [(); 4].map(|()| secret.number());
            let [Some(d), Some(p), Some(q), Some(u)] = numbers else {
                return Err(Cause::Broken);
            };
            return rsa([n, e, d, p, q, u])
                .map(Pair::Rsa)
                .ok_or(Cause::NoneSigns);
        }
        Public::Ed25519ByName(point) => secret.number().and_then(|number| {
            let mut seed = [0; 32];
            seed.get_mut(32usize.checked_sub(number.len())?..)?
                .copy_from_slice(number);
            ed25519(&seed, point).map(Pair::Ed25519ByName)
        }),
        Public::Ed25519(point) => {
            let seed = secret.take(32);
            seed.and_then(|seed| ed25519(seed, point))
                .map(Pair::Ed25519)
        }
    };
    pair.ok_or(Cause::Broken)
}

/// A pair for aws-lc, by way of SSH's form of it, which names the primes the other way around.
fn rsa(numbers: [&[u8]; 6]) -> Option<RsaKeyPair> {
    let [n, e, d, p, q, u] = numbers.map(Mpint::from_positive_bytes);
    let public = RsaPublicKey::new(e, n).ok()?;
    let private = RsaPrivateKey::new(d, u, q, p).ok()?;
    let pair = RsaKeypair::new(public, private).ok()?;
    ssh::rsa(&PrivateKey::from(pair))
}

/// OpenPGP counts seconds in 32 bits, until 2106.
fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_second()).unwrap_or_default()
}

#[cfg(test)]
#[path = "../../../tests/contract/git_openpgp.rs"]
mod contract;
