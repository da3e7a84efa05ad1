//! Public keys that images are signed with: ECDSA over P-256 and P-384, Ed25519, and RSA from 2048 bits.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

/// What keys sign with; each takes keys of its own kind alone.
///
/// With an Ed25519 key, cosign 3.1 signs a hash (Ed25519ph), which its own `verify --key` does not take, and neither does this: what was
/// signed with one is not taken for a signature by it.
const ALGORITHMS: [&dyn VerificationAlgorithm; 4] = [
    &ECDSA_P256_SHA256_ASN1,
    &ECDSA_P384_SHA384_ASN1,
    &ED25519,
    &RSA_PKCS1_2048_8192_SHA256,
];

/// A public key.
#[derive(Clone)]
pub(crate) struct PublicKey {
    key: ParsedPublicKey,
    id: String,
}

/// Why a text is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseKeyError {
    #[error("there is no public key in PEM")]
    NotPem,
    #[error(
        "the key is neither ECDSA over P-256 or P-384, nor Ed25519, nor RSA of 2048 to 8192 bits"
    )]
    Unsupported,
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`, as `cosign generate-key-pair` writes it.
    pub(crate) fn from_pem(text: &str) -> Result<Self, ParseKeyError> {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
        let key = key.map_err(|_| ParseKeyError::NotPem)?;
        let parse = |algorithm| ParsedPublicKey::new(algorithm, &*key).ok();
        let parsed = ALGORITHMS.into_iter().find_map(parse);
        Ok(Self {
            key: parsed.ok_or(ParseKeyError::Unsupported)?,
            id: STANDARD.encode(Sha256::digest(&*key)),
        })
    }

    /// The SHA-256 of the key in base64, by which bundles name it too.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}
