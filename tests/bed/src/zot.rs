//! zot, which keeps each repository as an OCI image layout, with its two logins: htpasswd behind TLS, and tokens.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::registry::{folder, write_passwords};
use crate::tokens::{SERVICE, TokenService};
use crate::{Authority, Process, Pusher, built, free_port};

/// The annotation of a manifest that is its tag, in a layout.
const TAG: &str = "org.opencontainers.image.ref.name";

/// A running zot.
#[must_use = "the registry ends when this is dropped"]
pub struct ZotRegistry {
    _process: Process,
    tokens: Option<TokenService>,
    folder: TempDir,
    ca_file: Option<PathBuf>,
    /// Host and port, as they stand in image names.
    pub host: String,
}

impl ZotRegistry {
    /// A registry with https by `authority` and the password in every request, or `None` where it is left out on
    /// purpose.
    pub fn with_password(authority: &Authority) -> Option<Self> {
        let program = built("zot")?;
        let folder = folder();
        let certificate = authority.issue(&["127.0.0.1"]);
        let http = json!({
            "tls": { "cert": certificate.certificate, "key": certificate.key },
            "auth": { "htpasswd": { "path": write_passwords(folder.path()) } },
        });
        let mut registry = Self::start(program, folder, http);
        registry.ca_file = Some(authority.ca_file.clone());
        Some(registry)
    }

    /// A registry without TLS and with tokens, or `None` where it is left out on purpose.
    pub fn with_tokens() -> Option<Self> {
        let program = built("zot")?;
        let folder = folder();
        let bundle = folder.path().join("tokens.pem");
        let tokens = TokenService::start(&bundle);
        let bearer = json!({ "realm": tokens.realm(), "service": SERVICE, "cert": bundle });
        let http = json!({ "auth": { "bearer": bearer } });
        let mut registry = Self::start(program, folder, http);
        registry.tokens = Some(tokens);
        Some(registry)
    }

    /// The settings stand in <https://zotregistry.dev/latest/admin-guide/admin-configuration/>.
    fn start(program: PathBuf, folder: TempDir, mut http: Value) -> Self {
        let port = free_port();
        http["address"] = "127.0.0.1".into();
        http["port"] = port.to_string().into();
        let settings = json!({
            "distSpecVersion": "1.1.1",
            "storage": { "rootDirectory": folder.path().join("data"), "gc": false },
            "http": http,
            "log": { "level": "info" },
        });
        let file = folder.path().join("zot.json");
        std::fs::write(&file, settings.to_string()).expect("the folder can be written");
        let mut command = Command::new(program);
        command.arg("serve").arg(file);
        let process = Process::start(command, &folder.path().join("log"));
        let host = format!("127.0.0.1:{port}");
        process.wait_until("zot to listen", || TcpStream::connect(&host).is_ok());
        Self {
            _process: process,
            tokens: None,
            folder,
            ca_file: None,
            host,
        }
    }

    /// A client that may push.
    pub fn pusher(&self) -> Pusher {
        let token_url = self.tokens.as_ref().map(TokenService::url);
        Pusher::new(&self.host, self.ca_file.as_deref(), token_url)
    }

    /// Puts `tags` on what `tag` names, in the storage itself: over HTTP each tag is another writing of the whole
    /// layout. <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#indexjson-file>
    pub fn store_tags(&self, repository: &str, tag: &str, tags: &[String]) {
        let file = self.folder.path().join("data").join(repository);
        let file = file.join("index.json");
        let text = std::fs::read(&file).expect("the repository is a layout");
        let mut index: Value = serde_json::from_slice(&text).expect("an index is JSON");
        let manifests = index["manifests"].as_array_mut();
        let manifests = manifests.expect("an index has manifests");
        let tagged = |manifest: &&Value| manifest["annotations"][TAG] == tag;
        let tagged = manifests.iter().find(tagged);
        let tagged = tagged.expect("the tag is there to be copied").clone();
        for new in tags {
            let mut manifest = tagged.clone();
            manifest["annotations"][TAG] = new.as_str().into();
            manifests.push(manifest);
        }
        std::fs::write(file, index.to_string()).expect("the layout can be written");
    }
}
