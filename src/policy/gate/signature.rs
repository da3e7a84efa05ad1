//! The gate `signature`: whose signature an image must have.
//!
//! Not here: whether something is a signature (`verify`).

use std::fmt;
use std::sync::Arc;

use super::attestations::{PredicateType, Report};
use super::{Finding, GateName, Verdict};

/// Those of whom one must have signed an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature(pub(crate) Vec<Signer>);

/// Somebody who may sign.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signer {
    Key(SignerKey),
    Identity(Identity),
}

/// A public key that was found to be one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SignerKey {
    /// Its SHA-256, by which people know it.
    pub(crate) fingerprint: String,
    pub(crate) pem: Arc<str>,
}

/// Who a certificate of Sigstore says has signed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    /// A glob of names: `*` is anything but `/`, and `**` is anything.
    pub(crate) name: String,
    /// Who knows them by these names.
    pub(crate) issuer: String,
    pub(crate) root: TrustRoot,
}

/// Whose certificates and logs are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TrustRoot {
    /// Those of Sigstore's public instance, as they were when the program was built.
    #[default]
    Public,
    Own {
        /// The SHA-256 of the file.
        fingerprint: String,
        json: Arc<str>,
    },
}

/// What somebody may vouch for of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Matter {
    /// That it is theirs.
    Signature,
    /// What a statement of this type says, whatever that is.
    Attestation(PredicateType),
    /// Which vulnerabilities were found in it.
    Report,
}

/// What is to be known of an image: whether `signer` vouches for `matter`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) signer: Signer,
    pub(crate) matter: Matter,
}

/// A claim in one line, the same for all policies that make it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClaimName(pub(crate) String);

/// What became of a claim once everything was read that stands beside the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Vouched {
    Yes {
        /// The name in the certificate, where there is one.
        by: Option<String>,
        /// The latest, where one was asked for.
        report: Option<Report>,
    },
    /// Not now: it may be signed later.
    No { why: String },
}

impl Signature {
    pub(crate) fn claims(&self) -> impl Iterator<Item = Claim> {
        let claim = |signer: &Signer| Claim {
            signer: signer.clone(),
            matter: Matter::Signature,
        };
        self.0.iter().map(claim)
    }

    /// How an image stands of which this became of each of the claims, or why that could not be read.
    pub(crate) fn judge(&self, answers: &[Result<&Vouched, &str>]) -> Finding {
        let (verdict, why) = match first(&self.0, answers) {
            Ok((signer, by, _)) => (Verdict::Passed, format!("it is signed {}", signer.by(by))),
            Err(Ok(whys)) => (
                Verdict::Waits,
                format!("it is not signed {}: {whys}", any(&self.0)),
            ),
            Err(Err(why)) => (Verdict::Unknown, why.to_owned()),
        };
        Finding {
            gate: GateName::Signature,
            verdict,
            why,
            next: None,
        }
    }
}

/// A signer that vouches, its name in the certificate, and its report.
pub(super) type Voucher<'a> = (&'a Signer, Option<&'a str>, Option<&'a Report>);

/// The first that vouches; or why none does; or why that is unknown.
pub(super) fn first<'a>(
    signers: &'a [Signer],
    answers: &[Result<&'a Vouched, &'a str>],
) -> Result<Voucher<'a>, Result<String, &'a str>> {
    let (mut unknown, mut whys) = (None, Vec::new());
    for (signer, answer) in signers.iter().zip(answers) {
        match answer {
            Ok(Vouched::Yes { by, report }) => return Ok((signer, by.as_deref(), report.as_ref())),
            Ok(Vouched::No { why }) if !whys.contains(&why.as_str()) => whys.push(why.as_str()),
            Ok(Vouched::No { .. }) => {}
            Err(why) => unknown = unknown.or(Some(*why)),
        }
    }
    Err(match unknown {
        Some(why) => Err(why),
        None => Ok(whys.join("; ")),
    })
}

/// Names all signers, of whom one suffices.
pub(super) fn any(signers: &[Signer]) -> String {
    let names: Vec<String> = signers.iter().map(|signer| signer.by(None)).collect();
    names.join(" or ")
}

impl Signer {
    /// How something is made that they sign: `with the key ..`, `by ..`. The name in a certificate says it better than a glob.
    pub(super) fn by(&self, name: Option<&str>) -> String {
        match self {
            Self::Key(SignerKey { fingerprint, .. }) => format!("with the key `{fingerprint}`"),
            Self::Identity(identity) => {
                let name = name.unwrap_or(&identity.name);
                format!("by `{name}` of `{}`", identity.issuer)
            }
        }
    }
}

impl Claim {
    pub(crate) fn name(&self) -> ClaimName {
        let Self { signer, matter } = self;
        let root = match signer {
            Signer::Identity(Identity {
                root: TrustRoot::Own { fingerprint, .. },
                ..
            }) => format!(" under `{fingerprint}`"),
            Signer::Identity(_) | Signer::Key(_) => String::new(),
        };
        ClaimName(format!("{matter} {}{root}", signer.by(None)))
    }
}

impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("signature"),
            Self::Attestation(kind) => write!(f, "attestation `{kind}`"),
            Self::Report => f.write_str("vulnerabilities"),
        }
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Finding, Identity, Matter, Signature, Signer, SignerKey, TrustRoot, Verdict, Vouched,
    };

    fn key(name: &str) -> Signer {
        Signer::Key(SignerKey {
            fingerprint: format!("SHA256:{name}"),
            pem: name.into(),
        })
    }

    fn identity(root: TrustRoot) -> Signer {
        Signer::Identity(Identity {
            name: "https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*".to_owned(),
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            root,
        })
    }

    fn yes(by: Option<&str>) -> Vouched {
        Vouched::Yes {
            by: by.map(str::to_owned),
            report: None,
        }
    }

    fn no(why: &str) -> Vouched {
        Vouched::No {
            why: why.to_owned(),
        }
    }

    fn judged(signers: &[Signer], answers: &[Result<&Vouched, &str>]) -> Finding {
        Signature(signers.to_vec()).judge(answers)
    }

    #[test]
    fn a_signature_of_one_who_may_suffices_whatever_is_known_of_the_others() {
        let signers = [key("a"), key("b")];
        let found = judged(&signers, &[Err("the registry is away"), Ok(&yes(None))]);
        assert_eq!((found.verdict, found.next), (Verdict::Passed, None));
        insta::assert_snapshot!(found.why, @"it is signed with the key `SHA256:b`");
        let by = yes(Some(
            "https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1",
        ));
        let found = judged(&[identity(TrustRoot::Public)], &[Ok(&by)]);
        insta::assert_snapshot!(found.why, @"it is signed by `https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1` of `https://token.actions.githubusercontent.com`");
    }

    #[test]
    fn an_image_without_a_signature_waits_for_one() {
        let none = no("there is no signature");
        let found = judged(&[key("a")], &[Ok(&none)]);
        assert_eq!((found.verdict, found.next), (Verdict::Waits, None));
        insta::assert_snapshot!(found.why, @"it is not signed with the key `SHA256:a`: there is no signature");
        let other = no("what is there was not made with this key");
        let found = judged(
            &[key("a"), key("b"), identity(TrustRoot::Public)],
            &[
                Ok(&other),
                Ok(&other),
                Ok(&no("what is there has no certificate")),
            ],
        );
        insta::assert_snapshot!(found.why, @"it is not signed with the key `SHA256:a` or with the key `SHA256:b` or by `https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*` of `https://token.actions.githubusercontent.com`: what is there was not made with this key; what is there has no certificate");
    }

    #[test]
    fn what_cannot_be_read_is_unknown_though_another_is_known_to_have_signed_nothing() {
        let none = no("there is no signature");
        let found = judged(
            &[key("a"), key("b")],
            &[Ok(&none), Err("the registry is away")],
        );
        assert_eq!(found.verdict, Verdict::Unknown);
        assert_eq!(found.why, "the registry is away");
    }

    #[test]
    fn a_claim_has_one_name_by_key_and_another_under_another_root() {
        let name = |signer| {
            let matter = Matter::Signature;
            super::Claim { signer, matter }.name().to_string()
        };
        insta::assert_snapshot!(name(key("a")), @"signature with the key `SHA256:a`");
        let own = TrustRoot::Own {
            fingerprint: "SHA256:r".to_owned(),
            json: "{}".into(),
        };
        assert_ne!(name(identity(TrustRoot::Public)), name(identity(own)));
    }
}
