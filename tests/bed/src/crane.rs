//! The registry of go-containerregistry, a third implementation of the protocol: it pages without a word of where the
//! next page is. It knows no logins, so nginx stands before it with TLS and a password.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::nginx::Nginx;
use crate::registry::write_passwords;
use crate::{Authority, Process, Pusher, built, free_port};

/// A running registry whose images are in its memory.
#[must_use = "the registry ends when this is dropped"]
pub struct CraneRegistry {
    _nginx: Nginx,
    _process: Process,
    _folder: TempDir,
    ca_file: PathBuf,
    /// Host and port, as they stand in image names.
    pub host: String,
    /// Where it takes everything without a login.
    behind: String,
}

impl CraneRegistry {
    /// A registry with https by `authority` and the password in every request, or `None` where it is left out on
    /// purpose.
    pub fn with_password(authority: &Authority) -> Option<Self> {
        let program = built("crane")?;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let behind = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program);
        command.args(["registry", "serve", "--address", &behind]);
        let process = Process::start(command, &folder.path().join("log"));
        process.wait_until("crane to listen", || TcpStream::connect(&behind).is_ok());
        let port = free_port();
        let host = format!("127.0.0.1:{port}");
        let certificate = authority.issue(&["127.0.0.1"]);
        let passwords = write_passwords(folder.path());
        let servers = include_str!("login-nginx.conf")
            .replace("LISTEN", &host)
            .replace("BEHIND", &behind)
            .replace("PASSWORDS", &passwords.display().to_string())
            .replace(
                "CERTIFICATE",
                &certificate.certificate.display().to_string(),
            )
            .replace("KEY", &certificate.key.display().to_string());
        Some(Self {
            _nginx: Nginx::start(folder.path(), &servers, &[port]),
            _process: process,
            _folder: folder,
            ca_file: authority.ca_file.clone(),
            host,
            behind,
        })
    }

    /// A client that may push.
    pub fn pusher(&self) -> Pusher {
        Pusher::new(&self.host, Some(&self.ca_file), None)
    }

    /// A client that may push and is not asked who it is.
    pub fn open_pusher(&self) -> Pusher {
        Pusher::new(&self.behind, None, None)
    }
}
