//! Assertions: JSON Web Tokens by which an identity proves itself for some minutes, signed with its private RSA key.
//!
//! <https://www.rfc-editor.org/rfc/rfc7519>, <https://www.rfc-editor.org/rfc/rfc7518#section-3.1>. Nothing here trusts a
//! token of somebody else's: of those, only how long they say that they live is read.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;

use super::wire::Lifetime;

/// A private RSA key.
pub(super) struct PrivateKey(RsaKeyPair);

/// How a token is signed.
#[derive(Clone, Copy)]
pub(super) enum Algorithm {
    /// What everyone takes.
    Rs256,
    /// What Microsoft asks for.
    Ps256,
}

impl PrivateKey {
    /// Reads the first private key of `pem`, in the form of PKCS #1 or PKCS #8; `None` where there is no RSA key of 2048
    /// bits or more.
    pub(super) fn parse(pem: &SecretString) -> Option<Self> {
        let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()).ok()?;
        let pair = match &key {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            // Another kind of key; the type may have more of them one day.
            _ => return None,
        };
        pair.ok().map(Self)
    }

    /// Signs `claims`. What `header` holds stands in the token's header, beside its type and `algorithm`.
    pub(super) fn sign(
        &self,
        algorithm: Algorithm,
        mut header: Json,
        claims: &Json,
    ) -> SecretString {
        let (name, encoding): (_, &'static dyn RsaEncoding) = match algorithm {
            Algorithm::Rs256 => ("RS256", &RSA_PKCS1_SHA256),
            Algorithm::Ps256 => ("PS256", &RSA_PSS_SHA256),
        };
        header["typ"] = "JWT".into();
        header["alg"] = name.into();
        let encode = |part: &Json| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let Self(pair) = self;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            encoding,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .expect("a valid key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into()
    }
}

/// How long `token` lives from its making on, as it says itself: so that it does not matter how right our clock is.
pub(super) fn life(token: &str) -> Option<Duration> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let Lifetime { iat, exp } = serde_json::from_slice(&claims).ok()?;
    exp.checked_sub(iat).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::{PrivateKey, life};

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_tokens_life_is_the_time_between_its_dates() {
        let of = |claims| life(&token(claims));
        let three_hours = Some(Duration::from_secs(10_800));
        assert_eq!(of(r#"{"iat": 1700000000, "exp": 1700010800}"#), three_hours);
        assert_eq!(of(r#"{"iat": 1700000000, "exp": 1600000000}"#), None);
        assert_eq!(of(r#"{"exp": 1700010800}"#), None);
        for broken in ["", "a", "a.b", "a.!.c", &token("[]")] {
            assert_eq!(life(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_none() {
        let curve = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let cut = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for text in ["", "hunter2", cut, &curve] {
            assert!(PrivateKey::parse(&text.to_owned().into()).is_none());
        }
    }
}
