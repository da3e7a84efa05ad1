//! A certificate authority made for one run.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// An authority whose certificates are trusted by nobody but the test.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    /// The authority's certificate as a PEM file.
    pub ca_file: PathBuf,
}

/// A server's certificate and key as PEM files.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority that keeps its files in `folder`.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let issuer =
            CertifiedIssuer::self_signed(params, key).expect("a certificate can be signed");
        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, issuer.pem()).expect("the folder can be written");
        Self {
            issuer,
            folder: folder.to_owned(),
            ca_file,
        }
    }

    /// Issues a certificate for `hosts`: names or addresses.
    pub fn issue(&self, hosts: &[&str]) -> Certificate {
        self.issue_with(hosts, |_| {})
    }

    /// Issues one that ended in the year 2000.
    pub fn issue_expired(&self, hosts: &[&str]) -> Certificate {
        self.issue_with(hosts, |params| params.not_after = date_time_ymd(2000, 1, 1))
    }

    fn issue_with(
        &self,
        hosts: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the hosts are valid");
        change(&mut params);
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params
            .signed_by(&key, &self.issuer)
            .expect("a certificate can be signed");
        let name = hosts
            .first()
            .expect("a certificate has a host")
            .replace(':', "_");
        let certificate = self.folder.join(format!("{name}.pem"));
        let key_file = self.folder.join(format!("{name}.key"));
        std::fs::write(&certificate, signed.pem()).expect("the folder can be written");
        std::fs::write(&key_file, key.serialize_pem()).expect("the folder can be written");
        Certificate {
            certificate,
            key: key_file,
        }
    }
}
