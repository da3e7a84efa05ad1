//! The keys by which hosts are known, as OpenSSH keeps them.
//!
//! Format: <https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT>. A line that cannot be read says nothing, as
//! there. Not as there: a host at a port of its own is known by `[host]:port` alone.

use std::path::PathBuf;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::error::SshError;

/// SSH's own port, which known hosts do not name.
const PORT: u16 = 22;

/// A host that has a key in the file.
#[derive(Clone, Debug)]
pub(super) struct KnownHost {
    name: String,
    path: PathBuf,
    keys: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

/// What a line says of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Known,
    Revoked,
    Authority,
}

impl KnownHost {
    /// What `text`, which stands in `path`, knows of the host.
    pub(super) fn find(
        text: &str,
        (host, port): (&str, u16),
        path: PathBuf,
    ) -> Result<Self, SshError> {
        let host = host.to_lowercase();
        let name = match port {
            PORT => host,
            port => format!("[{host}]:{port}"),
        };
        let lines = text.lines().filter_map(|line| read(line, &name));
        let lines: Vec<(Mark, PublicKey)> = lines.collect();
        let with = |wanted: Mark| {
            let keys = lines.iter().filter(move |(mark, _)| *mark == wanted);
            keys.map(|(_, key)| key.clone()).collect::<Vec<_>>()
        };
        let (keys, revoked) = (with(Mark::Known), with(Mark::Revoked));
        if !keys.is_empty() {
            return Ok(Self {
                name,
                path,
                keys,
                revoked,
            });
        }
        let host = name;
        Err(match with(Mark::Authority).is_empty() {
            true => SshError::UnknownHost { host, path },
            false => SshError::OnlyAuthority { host, path },
        })
    }

    /// The kinds of keys that the host is asked for: those that are known, in the order in which they are preferred.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let rsa =
            [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) });
        let others = self.keys.iter().map(PublicKey::algorithm);
        let mut kinds: Vec<_> = others.filter(|kind| !kind.clone().is_rsa()).collect();
        kinds.sort_by_key(|kind| *kind != Algorithm::Ed25519);
        kinds.dedup();
        if self.keys.iter().any(|key| key.algorithm().is_rsa()) {
            kinds.extend(rsa);
        }
        kinds
    }

    /// Whether the host may show `key`.
    pub(super) fn check(&self, key: &PublicKey) -> Result<(), SshError> {
        let has = |keys: &[PublicKey]| keys.iter().any(|known| known.key_data() == key.key_data());
        let (host, path) = (self.name.clone(), self.path.clone());
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if has(&self.revoked) {
            return Err(SshError::HostKeyRevoked {
                host,
                path,
                fingerprint,
            });
        }
        match has(&self.keys) {
            true => Ok(()),
            false => Err(SshError::HostKeyChanged {
                host,
                path,
                fingerprint,
            }),
        }
    }
}

/// The key on a line that is about the host `name`.
fn read(line: &str, name: &str) -> Option<(Mark, PublicKey)> {
    let line = line.trim();
    let (mark, rest) = match line.split_once(char::is_whitespace)? {
        ("@revoked", rest) => (Mark::Revoked, rest),
        ("@cert-authority", rest) => (Mark::Authority, rest),
        (first, _) if first.starts_with(['@', '#']) => return None,
        _ => (Mark::Known, line),
    };
    let mut words = rest.split_whitespace();
    if !is_about(words.next()?, name) {
        return None;
    }
    let (_, key) = (words.next()?, words.next()?);
    let key = russh::keys::parse_public_key_base64(key).ok()?;
    Some((mark, key))
}

/// Whether `hosts`, a list of patterns or one hashed name, speaks of `name`.
fn is_about(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return is_hash_of(hashed, name).unwrap_or(false);
    }
    let hosts = hosts.to_lowercase();
    let (mut is_named, mut is_denied) = (false, false);
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) => is_denied |= matches(pattern.as_bytes(), name.as_bytes()),
            None => is_named |= matches(pattern.as_bytes(), name.as_bytes()),
        }
    }
    is_named && !is_denied
}

/// Whether `hashed`, a salt and a hash, is what `name` gives with that salt.
fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    Some(hmac::verify(&key, name.as_bytes(), &hash).is_ok())
}

/// Whether `pattern`, in which `*` is any text and `?` any character, is all of `text`. Goes back to the last `*` alone,
/// so that no pattern takes longer than the product of both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[read] => {
                at += 1;
                read += 1;
            }
            Some(_) | None => {
                let Some((place, taken)) = star else {
                    return false;
                };
                star = Some((place, taken + 1));
                (at, read) = (place + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use russh::keys::{Algorithm, PublicKey};

    use super::{KnownHost, SshError};

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN+Wjn4+4Fcvl2JlKpggT+wCRxpSvtqqpVrQrKN1/A22";

    fn find(text: &str, host: &str, port: u16) -> Result<KnownHost, SshError> {
        KnownHost::find(text, (host, port), "known_hosts".into())
    }

    #[test]
    fn a_host_is_known_by_its_name_its_pattern_and_its_port() {
        let knows = |hosts: &str, host: &str, port| {
            find(
                &format!("# hosts\n\n{hosts} {ED25519} comment\n"),
                host,
                port,
            )
            .is_ok()
        };
        assert!(knows("git.example.com", "Git.example.com", 22));
        assert!(knows("a,git.example.com,b", "git.example.com", 22));
        assert!(knows("*.example.com", "git.example.com", 22));
        assert!(knows("gi?.example.com", "git.example.com", 22));
        assert!(!knows(
            "*.example.com,!git.example.com",
            "git.example.com",
            22
        ));
        assert!(knows("[git.example.com]:7999", "git.example.com", 7999));
        assert!(!knows("git.example.com", "git.example.com", 7999));
        assert!(!knows("[git.example.com]:7999", "git.example.com", 22));
        assert!(knows("[::1]:2222", "::1", 2222));
    }

    #[test]
    fn a_hashed_name_is_known() {
        // Of `ssh-keygen -H` for `git.example.com`.
        let line = format!("|1|{}|{} {ED25519}", "c2FsdHNhbHRzYWx0c2FsdHNhbHQ=", HASH);
        assert!(find(&line, "git.example.com", 22).is_ok());
        assert!(find(&line, "hub.example.com", 22).is_err());
    }

    const HASH: &str = "zn3fCR02QxOQDrePkZhpCkS5BvU=";

    #[test]
    fn a_key_that_is_not_the_known_one_or_is_revoked_is_refused() {
        let host = format!("h {ED25519}\n");
        let known = find(&host, "h", 22).unwrap();
        assert_eq!(known.algorithms(), [Algorithm::Ed25519]);
        let (same, other): (PublicKey, PublicKey) =
            (ED25519.parse().unwrap(), OTHER.parse().unwrap());
        known.check(&same).unwrap();
        let error = known.check(&other).unwrap_err();
        assert!(matches!(error, SshError::HostKeyChanged { .. }));
        let known = find(&format!("{host}@revoked * {ED25519}\n"), "h", 22).unwrap();
        let error = known.check(&same).unwrap_err();
        assert!(matches!(error, SshError::HostKeyRevoked { .. }));
    }

    #[test]
    fn an_authority_is_told_apart_from_a_host_that_is_unknown() {
        let error = find(
            &format!("@cert-authority *.example.com {ED25519}"),
            "git.example.com",
            22,
        );
        assert!(matches!(error, Err(SshError::OnlyAuthority { .. })));
        let error = find("h ssh-ed25519 garbage\nh\n@odd h x y\n", "h", 22);
        assert!(matches!(error, Err(SshError::UnknownHost { .. })));
    }

    proptest! {
        #[test]
        fn no_file_makes_us_panic(text in any::<String>(), hosts in "[*?!,|1a:\\[\\]]{0,12}") {
            let _ = find(&text, "h", 22);
            let _ = find(&format!("{hosts} {ED25519}"), "a", 1);
        }
    }
}
