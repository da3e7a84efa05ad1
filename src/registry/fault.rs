//! What was at the bottom of a connection that failed, in words: libraries tell it in a chain of causes whose last is often a
//! name of their own.

use std::error::Error;
use std::{fmt, io};

use rustls::{AlertDescription, CertificateError};

/// A cause that a person can do something about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The host's name has no address.
    Name,
    Tls(TlsFault),
}

/// Why TLS was not agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TlsFault {
    /// No authority that is trusted signed the certificate.
    UnknownIssuer,
    Expired,
    NotYetValid,
    /// The certificate is for other names; these, where it is told.
    OtherNames(Vec<String>),
    Revoked,
    /// The other side refuses us without a certificate, or with the one that we have.
    WantsCertificate,
    /// The other side speaks no TLS.
    NotTls,
    /// Anything else, in the library's words.
    Other(String),
}

/// The fault in `error` or in what caused it, if it is a known one.
pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Fault> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(Fault::Tls(tls_fault(tls)));
    }
    // The connector's own type is private, and so is what the resolver's error was.
    if error.to_string() == "dns error" {
        return Some(Fault::Name);
    }
    // An I/O error hides what it wraps from `source`.
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let wrapped = wrapped.and_then(|inner| of(inner));
    wrapped.or_else(|| error.source().and_then(of))
}

fn tls_fault(error: &rustls::Error) -> TlsFault {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(certificate) => match certificate {
            // The other is what is found where an authority was renewed under its old name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsFault::UnknownIssuer
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TlsFault::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsFault::NotYetValid
            }
            CertificateError::NotValidForName => TlsFault::OtherNames(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                TlsFault::OtherNames(presented.iter().map(|name| bare(name)).collect())
            }
            CertificateError::Revoked => TlsFault::Revoked,
            _ => TlsFault::Other(error.to_string()),
        },
        Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::DecryptError
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => TlsFault::WantsCertificate,
        Tls::InvalidMessage(_) => TlsFault::NotTls,
        _ => TlsFault::Other(error.to_string()),
    }
}

/// The library writes `DnsName("r.example.com")`.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, rest)| rest);
    inner.trim_matches(['"', ')']).to_owned()
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => "its certificate is signed by no authority that is trusted",
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::OtherNames(names) if names.is_empty() => "its certificate is for other names",
            Self::OtherNames(names) => {
                return write!(
                    f,
                    "its certificate is for other names: {}",
                    names.join(", ")
                );
            }
            Self::Revoked => "its certificate was revoked",
            Self::WantsCertificate => "it wants a certificate of ours, or another",
            Self::NotTls => "it does not answer in TLS",
            Self::Other(words) => words,
        })
    }
}
