//! Which product stands behind a registry's host, as far as its name tells.
//!
//! Not here: what follows from it for those who ask (`registry/kind`). Invariant: a kind is told by a name that only its
//! vendor can give out; all other hosts are [`RegistryKind::Other`] until the settings say more.

use std::fmt;
use std::str::FromStr;

/// A registry's product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RegistryKind {
    DockerHub,
    /// GitHub's container registry.
    Ghcr,
    /// Amazon ECR, the registry of an account in a region.
    Ecr,
    /// Amazon ECR's gallery, which all accounts share.
    EcrPublic,
    /// Google Artifact Registry, under its own names and under `gcr.io`.
    Google,
    /// Azure Container Registry.
    Acr,
    Quay,
    /// GitLab's container registry, on gitlab.com or elsewhere.
    GitLab,
    Harbor,
    /// Any other that speaks OCI distribution.
    Other,
}

/// The text is not one of the names of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no kind of registry")]
pub(crate) struct ParseRegistryKindError;

/// Where ECR's hosts end, after the region: the partitions of AWS with the older and the dual-stack names.
///
/// <https://docs.aws.amazon.com/general/latest/gr/ecr.html>; the isolated ones as AWS's own credential helper has them,
/// <https://github.com/awslabs/amazon-ecr-credential-helper>.
const ECR_DOMAINS: [&str; 13] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "on.amazonwebservices.eu",
    "c2s.ic.gov",
    "on.aws.ic.gov",
    "sc2s.sgov.gov",
    "on.aws.scloud",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "on.aws.hci.ic.gov",
];

/// Where ACR's hosts end in Azure's clouds: public, China, US Government, and Germany's former one.
const ACR_DOMAINS: [&str; 4] = [".azurecr.io", ".azurecr.cn", ".azurecr.us", ".azurecr.de"];

impl RegistryKind {
    pub(crate) const ALL: [Self; 10] = [
        Self::DockerHub,
        Self::Ghcr,
        Self::Ecr,
        Self::EcrPublic,
        Self::Google,
        Self::Acr,
        Self::Quay,
        Self::GitLab,
        Self::Harbor,
        Self::Other,
    ];

    /// The kind that `host`, with its port or without, tells by its name.
    pub(crate) fn of_host(host: &str) -> Self {
        let name = host.split(':').next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        let is_below = |domain: &str| name.ends_with(domain) && name.len() > domain.len();
        match name.as_str() {
            "docker.io" => Self::DockerHub,
            "ghcr.io" => Self::Ghcr,
            "public.ecr.aws" | "ecr-public.aws.com" => Self::EcrPublic,
            "gcr.io" => Self::Google,
            "quay.io" => Self::Quay,
            "registry.gitlab.com" => Self::GitLab,
            _ if is_below(".gcr.io") || is_below(".pkg.dev") => Self::Google,
            _ if name.starts_with("containers.") && is_below(".ghe.com") => Self::Ghcr,
            _ if ACR_DOMAINS.iter().any(|domain| is_below(domain)) => Self::Acr,
            name if is_ecr(name) => Self::Ecr,
            _ => Self::Other,
        }
    }

    /// The name, as settings write it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::DockerHub => "docker-hub",
            Self::Ghcr => "ghcr",
            Self::Ecr => "ecr",
            Self::EcrPublic => "ecr-public",
            Self::Google => "google",
            Self::Acr => "acr",
            Self::Quay => "quay",
            Self::GitLab => "gitlab",
            Self::Harbor => "harbor",
            Self::Other => "other",
        }
    }
}

/// `ACCOUNT.dkr.ecr.REGION.DOMAIN`, with `-fips` for the validated endpoints, and `dkr-ecr` in the dual-stack names.
fn is_ecr(name: &str) -> bool {
    let Some((account, rest)) = name.split_once('.') else {
        return false;
    };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let services = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."];
    let region = services
        .iter()
        .find_map(|service| rest.strip_prefix(service));
    let domain = region.and_then(|region| region.split_once('.'));
    is_account
        && domain
            .is_some_and(|(region, domain)| !region.is_empty() && ECR_DOMAINS.contains(&domain))
}

impl FromStr for RegistryKind {
    type Err = ParseRegistryKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or(ParseRegistryKindError)
    }
}

impl fmt::Display for RegistryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::RegistryKind;

    #[test]
    fn a_vendors_host_tells_its_product() {
        for (host, kind) in [
            ("docker.io", RegistryKind::DockerHub),
            ("ghcr.io", RegistryKind::Ghcr),
            ("containers.octocorp.ghe.com", RegistryKind::Ghcr),
            (
                "123456789012.dkr.ecr.eu-south-1.amazonaws.com",
                RegistryKind::Ecr,
            ),
            (
                "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com",
                RegistryKind::Ecr,
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-east-1.amazonaws.com",
                RegistryKind::Ecr,
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                RegistryKind::Ecr,
            ),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", RegistryKind::Ecr),
            (
                "123456789012.dkr-ecr-fips.us-east-1.on.aws",
                RegistryKind::Ecr,
            ),
            (
                "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
                RegistryKind::Ecr,
            ),
            (
                "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov",
                RegistryKind::Ecr,
            ),
            ("public.ecr.aws", RegistryKind::EcrPublic),
            ("eu.gcr.io", RegistryKind::Google),
            ("europe-west8-docker.pkg.dev", RegistryKind::Google),
            ("acme.azurecr.io", RegistryKind::Acr),
            ("acme.azurecr.cn:443", RegistryKind::Acr),
            ("acme.azurecr.us", RegistryKind::Acr),
            ("quay.io", RegistryKind::Quay),
            ("registry.gitlab.com", RegistryKind::GitLab),
        ] {
            assert_eq!(RegistryKind::of_host(host), kind, "{host}");
        }
    }

    #[test]
    fn a_host_that_only_looks_like_a_vendors_is_any_other() {
        for host in [
            "registry.example.com:5000",
            "[::1]:5000",
            "localhost",
            "docker.io.example.com",
            "evil-gcr.io",
            ".gcr.io",
            "azurecr.io",
            "acme.azurecr.io.example.com",
            "12345.dkr.ecr.eu-south-1.amazonaws.com",
            "123456789012.dkr.ecr.amazonaws.com",
            "123456789012.dkr.ecr.eu-south-1.example.com",
            "quay.example.com",
            "harbor.example.com",
        ] {
            assert_eq!(RegistryKind::of_host(host), RegistryKind::Other, "{host}");
        }
    }

    #[test]
    fn each_kind_is_written_as_it_is_read() {
        for kind in RegistryKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("dockerhub".parse::<RegistryKind>().is_err());
    }
}
