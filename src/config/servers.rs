//! Servers that checks ask and that need credentials or other settings: what may be written, and what it means.

use std::collections::BTreeMap;

use url::Url;

use super::check_settings::Check;
use super::logins::{Credentials, SecretPlace};
use super::shape::{Leaf, Named, Placed, Refusal, shape};
use crate::probe::Server;

shape! {
    /// A server that checks ask.
    struct ServerEntry {
        /// How to log in: a token, or a user name and a password.
        credentials: Option<Credentials> = "credentials",
        /// Headers that are secrets, by their names: `X-Api-Key: { env: API_KEY }`.
        headers: Option<Named<HeaderName, SecretPlace>> = "headers",
        /// Whether the server may be asked without TLS. Default: `false`.
        plain_http: Option<bool> = "plain-http",
        /// A file with the certificate authorities to trust, in PEM, relative to this file.
        ca_file: Option<Placed<String>> = "ca-file",
    }
}

/// The host of a server, with its port where that is not the one of its scheme.
#[derive(Clone, Debug)]
pub(super) struct ServerName(pub(super) String);

impl Leaf for ServerName {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let refusal = || Refusal::new(format!("`{text}` is not the host of a server"));
        if text.contains("://") || text.contains('/') {
            return Err(refusal().hint("write the host alone, without scheme or path"));
        }
        let url: Option<Url> = format!("https://{text}/").parse().ok();
        let name = url.as_ref().and_then(host_of);
        match name.filter(|_| !text.contains(['@', '?', '#'])) {
            Some(name) => Ok(Self(name)),
            None => Err(refusal().hint("such as `prometheus.example.com` or `prometheus:9090`")),
        }
    }
}

/// The name of a header, in lower case.
///
/// <https://www.rfc-editor.org/rfc/rfc9110#section-5.1>
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderName(pub(super) String);

impl Leaf for HeaderName {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text.parse::<reqwest::header::HeaderName>() {
            Ok(name) => Ok(Self(name.as_str().to_owned())),
            Err(_) => Err(
                Refusal::new(format!("`{text}` is not the name of a header"))
                    .hint("letters, digits and `-`: `X-Api-Key`"),
            ),
        }
    }
}

/// The host of a URL as the settings name it.
pub(super) fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

impl Check<'_> {
    pub(super) fn servers(
        &mut self,
        named: Named<ServerName, ServerEntry>,
    ) -> BTreeMap<String, Server> {
        let mut servers = BTreeMap::new();
        for entry in named.entries {
            let Placed { value, span, .. } = entry.key;
            let ServerName(name) = value;
            if servers.contains_key(&name) {
                let message = format!("the server `{name}` stands here twice");
                self.faults.error(span, message);
            }
            if let Some(server) = entry.value {
                servers.insert(name, self.server(server));
            }
        }
        servers
    }

    fn server(&mut self, entry: ServerEntry) -> Server {
        let ServerEntry {
            credentials,
            headers,
            plain_http,
            ca_file,
        } = entry;
        let headers = headers.into_iter().flat_map(|headers| headers.entries);
        Server {
            credentials: credentials.map(|written| self.credentials(written)),
            headers: headers
                .filter_map(|entry| Some((entry.key.value.0, self.secret(entry.value?))))
                .collect(),
            ca_file: ca_file.map(|file| self.existing(file)),
            plain_http: plain_http == Some(true),
        }
    }
}
