//! What signs by OpenPGP, held against GnuPG: which keys of it are read, and whether it believes what they sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bed::Keyring;
use jiff::{SignedDuration, Timestamp};

use super::{Key, find, seconds};
use crate::secret::{OpenPgpKey, Secret};

const ED25519: &str = "Key-Type: eddsa\nKey-Curve: ed25519\nKey-Usage: sign";
const RSA: &str = "Key-Type: rsa\nKey-Length: 2048\nKey-Usage: sign";
/// As people make keys to keep the first part elsewhere.
const PARTS: &str = "Key-Type: rsa\nKey-Length: 3072\nKey-Usage: cert\n\
    Subkey-Type: rsa\nSubkey-Length: 2048\nSubkey-Usage: sign\nExpire-Date: 1d";

fn now() -> Timestamp {
    crate::daemon::now()
}

/// What a person reads of a key that is closed by `passphrase`, read at `at` with `given`.
fn read(text: &str, given: Option<&str>, at: Timestamp) -> Result<Key, (String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Secret::File(path)
    };
    let place = OpenPgpKey {
        key: file("key", text),
        passphrase: given.map(|given| file("passphrase", given)),
    };
    Key::read(&place, at).map_err(|error| {
        let words = error.to_string().replace(&place.key.to_string(), "KEY");
        (words, error.hint().unwrap_or_default().to_owned())
    })
}

/// Whether GnuPG believes a signature of the key, with what it says.
fn is_believed(keyring: &Keyring, key: &Key) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (data, signature) = (folder.path().join("data"), folder.path().join("data.asc"));
    std::fs::write(&data, "tree 1\n\nwords\n").unwrap();
    let signed = key.sign(b"tree 1\n\nwords\n", now()).unwrap();
    std::fs::write(&signature, signed).unwrap();
    let (data, signature) = (data.display().to_string(), signature.display().to_string());
    keyring.gpg(&["--status-fd", "1", "--verify", &signature, &data], "")
}

#[test]
fn what_each_kind_of_key_signs_is_believed_by_gnupg() {
    for (name, lines) in [("ed25519", ED25519), ("rsa", RSA), ("parts", PARTS)] {
        for passphrase in ["", "correct horse"] {
            let keyring = Keyring::new();
            let text = keyring.make("Ada", lines, passphrase);
            let given = (!passphrase.is_empty()).then_some(passphrase);
            let key = read(&text, given, now()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            for _ in 0..8 {
                // A number of a signature may start with zeros.
                let words = is_believed(&keyring, &key);
                assert!(words.contains("GOODSIG"), "{name}: {words}");
            }
        }
    }
}

#[test]
fn a_first_part_that_is_elsewhere_hinders_no_other() {
    let keyring = Keyring::new();
    keyring.make("Ada", PARTS, "correct horse");
    let export = [
        "--passphrase",
        "correct horse",
        "--armor",
        "--export-secret-subkeys",
    ];
    let key = read(&keyring.gpg(&export, ""), Some("correct horse"), now());
    assert!(is_believed(&keyring, &key.unwrap()).contains("GOODSIG"));
}

#[test]
fn a_key_that_cannot_be_used_is_told_with_what_to_do() {
    let keyring = Keyring::new();
    let closed = keyring.make("Ada", ED25519, "correct horse");
    let why = |text: &str, given, at| read(text, given, at).err().unwrap();
    let (words, hint) = why(&closed, None, now());
    assert_eq!(words, "the key in KEY has a passphrase, and none is set");
    assert_eq!(hint, "name the passphrase as `passphrase` beside `gpg-key`");
    let (words, _) = why(&closed, Some("hunter2"), now());
    assert_eq!(words, "the key in KEY is not opened by the passphrase");
    let public = keyring.gpg(&["--armor", "--export"], "");
    let (words, hint) = why(&public, None, now());
    assert_eq!(words, "the key in KEY is no OpenPGP private key in armor");
    assert!(hint.contains("--export-secret-keys"), "{hint}");

    let keyring = Keyring::new();
    let parts = keyring.make("Ada", PARTS, "");
    let later = now() + SignedDuration::from_hours(25);
    let (words, hint) = why(&parts, None, later);
    assert!(words.contains("has no part that may sign now"), "{words}");
    assert!(hint.contains("expired"), "{hint}");
    let keyring = Keyring::new();
    let other = keyring.make("Ada", "Key-Type: ecdsa\nKey-Curve: nistp256", "");
    let (words, _) = why(&other, None, now());
    assert!(
        words.contains("RSA, of 2048 to 8192 bits, or Ed25519"),
        "{words}"
    );
}

#[test]
fn a_key_that_is_cut_off_or_damaged_anywhere_is_no_reason_to_panic() {
    let keyring = Keyring::new();
    let text = keyring.make("Ada", ED25519, "");
    let bytes = super::packet::key_in_armor(&text).unwrap();
    let armored = |bytes: &[u8]| {
        let coded = STANDARD.encode(bytes);
        format!("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{coded}\n-----END")
    };
    let at = seconds(now());
    assert!(find(&armored(&bytes), None, at).is_ok());
    for end in 0..90 {
        assert!(find(&armored(&bytes[..end]), None, at).is_err(), "{end}");
    }
    for place in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] = value;
            if let Ok(key) = find(&armored(&damaged), None, at) {
                assert!(key.sign(b"words", now()).is_some(), "{place} {value}");
            }
        }
    }
}
