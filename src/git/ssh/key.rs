//! Private keys: read, and signed with.
//!
//! Invariant: what RSA does with a private key is done by aws-lc, whose time tells nothing of the key; the `rsa` crate's may
//! (<https://rustsec.org/advisories/RUSTSEC-2023-0071>), so that it reads keys and verifies others' signatures, and no more.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair};
use russh::Signer;
use russh::keys::agent::AgentIdentity;
use russh::keys::pkcs8::encode_pkcs8;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::{self, Signature};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::SshError;
use crate::secret::SshKey;

/// A private key that is open.
pub(in crate::git) struct Key {
    key: PrivateKey,
    /// Where it is one of RSA.
    rsa: Option<RsaKeyPair>,
}

impl Key {
    /// Reads a private key as OpenSSH writes it, or as PEM has it (PKCS#8, PKCS#1, SEC 1).
    pub(in crate::git) fn read(place: &SshKey) -> Result<Self, SshError> {
        let key = private_key(place)?;
        let rsa = match key.algorithm().is_rsa() {
            false => None,
            true => Some(rsa(&key).ok_or_else(|| SshError::RsaKey {
                place: place.key.to_string(),
            })?),
        };
        Ok(Self { key, rsa })
    }

    pub(in crate::git) fn public(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// Signs `data`; a key of RSA takes its digest by `hash`, which is none of SHA-1.
    pub(in crate::git) fn sign(&self, hash: HashAlg, data: &[u8]) -> ssh_key::Result<Signature> {
        let Some(rsa) = &self.rsa else {
            return Ok(self.key.try_sign(data)?);
        };
        let encoding: &'static dyn RsaEncoding = match hash {
            HashAlg::Sha256 => &RSA_PKCS1_SHA256,
            HashAlg::Sha512 => &RSA_PKCS1_SHA512,
            hash => {
                let algorithm = Algorithm::Rsa { hash: Some(hash) };
                return Err(ssh_key::Error::AlgorithmUnsupported { algorithm });
            }
        };
        let mut signature = vec![0; rsa.public_modulus_len()];
        let signed = rsa.sign(encoding, &SystemRandom::new(), data, &mut signature);
        signed.map_err(|_| ssh_key::Error::Crypto)?;
        Signature::new(Algorithm::Rsa { hash: Some(hash) }, signature)
    }
}

impl Signer for &Key {
    type Error = SshError;

    /// What a server asks to be signed, and behind it the signature:
    /// <https://www.rfc-editor.org/rfc/rfc4252#section-7>.
    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut asked: Vec<u8>,
    ) -> Result<Vec<u8>, SshError> {
        let failed = |error: ssh_key::Error| SshError::from(russh::Error::from(error));
        let signature = self.sign(hash.unwrap_or(HashAlg::Sha512), &asked);
        let signature = signature.map_err(failed)?;
        let encoded = signature.encode_prefixed(&mut asked);
        encoded.map_err(|error| failed(error.into()))?;
        Ok(asked)
    }
}

/// The same key for aws-lc, which takes 2048 to 8192 bits.
pub(in crate::git) fn rsa(key: &PrivateKey) -> Option<RsaKeyPair> {
    let der = SecretSlice::from(encode_pkcs8(key).ok()?);
    RsaKeyPair::from_pkcs8(der.expose_secret()).ok()
}

fn private_key(SshKey { key, passphrase }: &SshKey) -> Result<PrivateKey, SshError> {
    let place = key.to_string();
    let text = match key.read() {
        // White space at the end was taken off, and a PEM text ends with a line.
        Ok(text) => SecretString::from(format!("{}\n", text.expose_secret())),
        Err(source) => return Err(SshError::Key { source }),
    };
    let passphrase = passphrase.as_ref().map(|secret| secret.read());
    let passphrase = passphrase.transpose();
    let passphrase = passphrase.map_err(|source| SshError::Key { source })?;
    let read = |passphrase: Option<&SecretString>| {
        let passphrase = passphrase.map(SecretString::expose_secret);
        russh::keys::decode_secret_key(text.expose_secret(), passphrase)
    };
    match (read(None), &passphrase) {
        (Ok(key), _) => Ok(key),
        (Err(russh::keys::Error::KeyIsEncrypted), None) => Err(SshError::KeyEncrypted { place }),
        (Err(_), None) => Err(SshError::NoKey { place }),
        (Err(_), Some(passphrase)) => match read(Some(passphrase)) {
            Ok(key) => Ok(key),
            Err(_) if is_key(text.expose_secret()) => Err(SshError::Passphrase { place }),
            Err(_) => Err(SshError::NoKey { place }),
        },
    }
}

fn is_key(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
}
