//! The secret part of a key, opened: <https://www.rfc-editor.org/rfc/rfc9580#section-5.5.3>.
//!
//! GnuPG exports every key in one of two ways: open, or closed with AES and a passphrase that is hashed many times.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm as Cipher, DecryptingKey, DecryptionContext,
    UnboundCipherKey,
};
use aws_lc_rs::digest::{
    self, Algorithm as Hash, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512,
};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::Cause;
use super::packet::Bytes;

/// Bytes that are hashed at once: many of the salt and the passphrase, which are hashed 65 million bytes long.
const PIECE_BYTES: usize = 64 << 10;

/// How a passphrase becomes a key.
struct Derivation<'a> {
    hash: &'static Hash,
    salt: &'a [u8],
    /// How many bytes are hashed, of the salt and the passphrase again and again; at least both once.
    count: usize,
}

/// Opens the secret part of a key, which is all that follows its public part.
pub(super) fn open(
    mut part: Bytes<'_>,
    passphrase: Option<&SecretString>,
) -> Result<SecretSlice<u8>, Cause> {
    match part.u8().ok_or(Cause::Broken)? {
        0 => {
            let (secret, sum) = part.0.split_last_chunk::<2>().ok_or(Cause::Broken)?;
            let counted = secret
                .iter()
                .fold(0u16, |sum, byte| sum.wrapping_add((*byte).into()));
            match counted == u16::from_be_bytes(*sum) {
                true => Ok(secret.to_vec().into()),
                false => Err(Cause::Broken),
            }
        }
        254 => {
            let passphrase = passphrase.ok_or(Cause::Encrypted)?;
            open_with(part, passphrase.expose_secret().as_bytes())
        }
        _ => Err(Cause::Closed),
    }
}

fn open_with(mut part: Bytes<'_>, passphrase: &[u8]) -> Result<SecretSlice<u8>, Cause> {
    let cipher = match part.u8().ok_or(Cause::Broken)? {
        7 => &AES_128,
        8 => &AES_192,
        9 => &AES_256,
        _ => return Err(Cause::Closed),
    };
    let derivation = derivation(&mut part)?;
    let start: [u8; 16] = part.array().ok_or(Cause::Broken)?;
    let mut bytes = part.0.to_vec();
    let key = derivation.key(passphrase, key_len(cipher));
    let opened = UnboundCipherKey::new(cipher, key.expose_secret())
        .and_then(DecryptingKey::cfb128)
        .and_then(|key| {
            let context = DecryptionContext::Iv128(start.into());
            key.decrypt(&mut bytes, context).map(|_| ())
        });
    opened.map_err(|_| Cause::Broken)?;
    let opened = SecretSlice::from(bytes);
    let opened = opened.expose_secret();
    let (secret, sum) = opened.split_last_chunk::<20>().ok_or(Cause::Broken)?;
    match digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, secret).as_ref() == sum {
        true => Ok(secret.to_vec().into()),
        false => Err(Cause::Passphrase),
    }
}

fn key_len(cipher: &Cipher) -> usize {
    if *cipher == AES_128 {
        16
    } else if *cipher == AES_192 {
        24
    } else {
        32
    }
}

/// Section 3.7.1.
fn derivation<'a>(part: &mut Bytes<'a>) -> Result<Derivation<'a>, Cause> {
    let broken = || Cause::Broken;
    let kind = part.u8().ok_or_else(broken)?;
    let hash = match part.u8().ok_or_else(broken)? {
        2 => &SHA1_FOR_LEGACY_USE_ONLY,
        8 => &SHA256,
        9 => &SHA384,
        10 => &SHA512,
        _ => return Err(Cause::Closed),
    };
    let salt = match kind {
        0 => &[][..],
        1 | 3 => part.take(8).ok_or_else(broken)?,
        // Of GnuPG: the secret part is elsewhere, such as on a card.
        101 => return Err(Cause::Elsewhere),
        _ => return Err(Cause::Closed),
    };
    let count = match kind {
        3 => {
            let coded = part.u8().ok_or_else(broken)?;
            (16 + usize::from(coded & 15)) << ((coded >> 4) + 6)
        }
        _ => 0,
    };
    Ok(Derivation { hash, salt, count })
}

impl Derivation<'_> {
    /// The first `length` bytes that the passphrase hashes to: once, again with a zero in front, and so on.
    fn key(&self, passphrase: &[u8], length: usize) -> SecretSlice<u8> {
        let once = [self.salt, passphrase].concat();
        let times = PIECE_BYTES.div_ceil(once.len().max(1));
        let piece = SecretSlice::from(once.repeat(times));
        let piece = piece.expose_secret();
        let mut key = Vec::new();
        let mut zeros = 0;
        while key.len() < length {
            let mut hash = digest::Context::new(self.hash);
            hash.update(&vec![0; zeros]);
            let mut left = self.count.max(once.len());
            while left > 0 {
                let next = left.min(piece.len());
                hash.update(&piece[..next]);
                left -= next;
            }
            key.extend_from_slice(hash.finish().as_ref());
            zeros += 1;
        }
        key.truncate(length);
        key.into()
    }
}
