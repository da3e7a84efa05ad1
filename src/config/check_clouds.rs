//! What the keys of identities in Azure and Google Cloud, and of GitHub Apps, mean together.

use super::check_settings::Check;
use super::logins::{AzureIdentity, GithubAppInstallation, GoogleCloud, SecretPlace};
use crate::login::{Azure, GithubApp, Google, GoogleIdentity, Proof, Purpose};

impl Check<'_> {
    pub(super) fn azure(&mut self, written: AzureIdentity) -> Azure {
        let AzureIdentity {
            tenant_id,
            client_id,
            client_secret,
            client_certificate,
        } = written;
        let span = client_secret.as_ref().or(client_certificate.as_ref());
        let span = span.map(SecretPlace::span);
        let proof = match (client_secret, client_certificate) {
            (Some(secret), None) => Some(Proof::Secret(self.secret(secret))),
            (None, Some(file)) => Some(Proof::Certificate(self.secret(file))),
            (Some(_), Some(file)) => {
                let message = "`client-secret` and `client-certificate` cannot stand together";
                self.faults.error(file.span(), message);
                None
            }
            (None, None) => None,
        };
        let tenant_id = tenant_id.map(|id| id.value);
        let client_id = client_id.map(|id| id.value);
        match (proof, tenant_id, client_id) {
            (Some(proof), Some(tenant_id), Some(client_id)) => Azure::Application {
                tenant_id,
                client_id,
                proof,
            },
            (proof, tenant_id, client_id) => {
                if let (Some(_), Some(span)) = (proof, span) {
                    let message = "an application needs a `tenant-id` and a `client-id` too";
                    self.faults.error(span, message);
                }
                Azure::Ambient {
                    tenant_id,
                    client_id,
                }
            }
        }
    }

    pub(super) fn google(&mut self, written: GoogleCloud) -> Google {
        let GoogleCloud {
            service_account,
            key,
        } = written;
        match (service_account, key) {
            (None, None) => Google::Ambient,
            (None, Some(key)) => Google::Named(GoogleIdentity::Key(self.secret(key))),
            (Some(account), key) => {
                if let Some(key) = key {
                    let message = "`service-account` and `key` cannot stand together";
                    self.faults.error(key.span(), message);
                }
                Google::Named(GoogleIdentity::Account(account.value))
            }
        }
    }

    pub(super) fn github_app(
        &mut self,
        written: GithubAppInstallation,
        purpose: Purpose,
    ) -> GithubApp {
        let GithubAppInstallation {
            app_id,
            installation_id,
            private_key,
            api,
        } = written;
        GithubApp {
            app_id: app_id.value.0,
            installation_id: installation_id.map(|id| id.value.0),
            private_key: self.secret(private_key),
            api: api.map(|api| api.value.0),
            purpose,
        }
    }
}
