//! What the keys of an AWS identity mean together, and which ECR it is for.

use super::check_settings::Check;
use super::logins::AwsIdentity;
use super::nouns::RegistryName;
use super::shape::Placed;
use crate::login::{Aws, Ecr, Identity, Role};

/// What stands for the region of a registry that has none; there is a fault then, and nothing is asked.
const NO_REGION: &str = "no-region";

impl Check<'_> {
    pub(super) fn aws(&mut self, written: AwsIdentity, name: &Placed<RegistryName>) -> Aws {
        let AwsIdentity {
            access_key_id,
            secret_access_key,
            session_token,
            role,
            external_id,
            region,
        } = written;
        let registry = self.ecr(name, region);
        let secret = secret_access_key.map(|place| self.secret(place));
        let session_token = session_token.map(|place| self.secret(place));
        let identity = match (access_key_id, secret, session_token) {
            (Some(id), Some(secret), session_token) => Identity::Key {
                id: id.value.0,
                secret,
                session_token,
            },
            (None, None, None) => Identity::Ambient,
            (Some(_), None, _) | (None, ..) => {
                self.faults.error_with_hint(
                    name.span,
                    "`access-key-id` and `secret-access-key` belong together",
                    "write both, or neither for the identity that towpath runs as",
                );
                Identity::Ambient
            }
        };
        if let (None, Some(external_id)) = (&role, &external_id) {
            let message = "`external-id` is for a `role`, and there is none";
            self.faults.error(external_id.span, message);
        }
        Aws {
            registry,
            identity,
            role: role.map(|role| Role {
                arn: role.value.0,
                external_id: external_id.map(|id| id.value),
            }),
        }
    }

    /// The host says which ECR it is, unless it is somebody's own name for one.
    fn ecr(&mut self, name: &Placed<RegistryName>, region: Option<Placed<String>>) -> Ecr {
        let host = &name.value.host;
        let none = || Ecr::of_region(NO_REGION).expect("it has the form of a region");
        match (Ecr::of_host(host), region) {
            (Some(ecr), None) => ecr,
            (Some(ecr), Some(region)) => {
                let message = format!("`{host}` says its region itself");
                self.faults
                    .error_with_hint(region.span, message, "remove `region`");
                ecr
            }
            (None, Some(region)) => Ecr::of_region(&region.value).unwrap_or_else(|| {
                let message = format!("`{}` is not a region of AWS", region.value);
                self.faults
                    .error_with_hint(region.span, message, "such as `eu-west-1`");
                none()
            }),
            (None, None) => {
                self.faults.error_with_hint(
                    name.span,
                    format!("`{host}` is not a registry of ECR"),
                    "write its host as `123456789012.dkr.ecr.eu-west-1.amazonaws.com` or `public.ecr.aws`; for a name of your own, write `region` beside",
                );
                none()
            }
        }
    }
}
