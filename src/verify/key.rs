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
const ALGORITHMS: [(KeyKind, &dyn VerificationAlgorithm); 4] = [
    (KeyKind::Ecdsa, &ECDSA_P256_SHA256_ASN1),
    (KeyKind::Ecdsa, &ECDSA_P384_SHA384_ASN1),
    (KeyKind::Ed25519, &ED25519),
    (KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA256),
];

/// What a key is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Ecdsa,
    Ed25519,
    Rsa,
}

/// A public key.
#[derive(Clone)]
pub(crate) struct PublicKey {
    key: ParsedPublicKey,
    kind: KeyKind,
    /// The SHA-256 of the key in base64, by which bundles name it too.
    id: String,
}

/// Why a text is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseKeyError {
    #[error("there is no public key in PEM")]
    NotPem,
    #[error("it is a private key")]
    Private,
    #[error("it is a certificate, which expires and proves nothing without its authority")]
    Certificate,
    #[error(
        "the key is neither ECDSA over P-256 or P-384, nor Ed25519, nor RSA of 2048 to 8192 bits"
    )]
    Unsupported,
}

impl ParseKeyError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(self) -> Option<&'static str> {
        match self {
            Self::NotPem => Some(
                "write the key as `cosign public-key` prints it, from `-----BEGIN PUBLIC KEY-----` on",
            ),
            Self::Private => Some(
                "name its public half, which `cosign public-key` prints, and take this one away from here",
            ),
            Self::Certificate => {
                Some("name the public key, or who signs with `identity` and `issuer`")
            }
            Self::Unsupported => None,
        }
    }
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`, as `cosign generate-key-pair` writes it.
    pub(crate) fn from_pem(text: &str) -> Result<Self, ParseKeyError> {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
        let key = key.map_err(|_| match text {
            _ if text.contains("PRIVATE KEY-----") => ParseKeyError::Private,
            _ if text.contains("-----BEGIN CERTIFICATE") => ParseKeyError::Certificate,
            _ => ParseKeyError::NotPem,
        })?;
        let parse = |(kind, algorithm)| Some((kind, ParsedPublicKey::new(algorithm, &*key).ok()?));
        let parsed = ALGORITHMS.into_iter().find_map(parse);
        let (kind, parsed) = parsed.ok_or(ParseKeyError::Unsupported)?;
        Ok(Self {
            key: parsed,
            kind,
            id: STANDARD.encode(Sha256::digest(&*key)),
        })
    }

    pub(crate) fn kind(&self) -> KeyKind {
        self.kind
    }

    /// By what people know the key.
    pub(crate) fn fingerprint(&self) -> String {
        format!("SHA256:{}", self.id)
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
