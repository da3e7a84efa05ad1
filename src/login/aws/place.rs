//! Which ECR a registry is by its host, and the hosts of AWS's APIs in each region.
//!
//! <https://docs.aws.amazon.com/general/latest/gr/ecr.html>,
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html>. The domains of the partitions are those of
//! AWS's own table, `partitions.json` of the SDKs.

use url::Url;

use super::AwsError;
use crate::login::Environment;

/// Domains by what a region starts with: of the plain endpoints, and of those that speak IPv6 too. The first is for all
/// other regions, and those starts exclude one another.
const DOMAINS: [(&str, &str, &str); 7] = [
    ("", "amazonaws.com", "aws"),
    ("cn-", "amazonaws.com.cn", "amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "aws.scloud"),
    ("us-isof-", "csp.hci.ic.gov", "aws.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk", "cloud-aws.adc-e.uk"),
];

/// The one region in which ECR Public gives logins: <https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html>.
const PUBLIC_REGION: &str = "us-east-1";

/// Longest name of a region: that of a part of a host name.
const REGION_LENGTH_MAX: usize = 63;

/// An Elastic Container Registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ecr {
    pub(super) kind: Kind,
    pub(super) region: String,
    /// Whose it is, where the host says that.
    pub(super) account: Option<String>,
    network: Network,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Private,
    Public,
}

/// Which of the endpoints of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Network {
    /// Those with cryptography by FIPS 140.
    fips: bool,
    /// Those that speak IPv6 too.
    dual_stack: bool,
}

/// An API of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Ecr,
    EcrPublic,
    Sts,
}

impl Ecr {
    /// The registry that `host` is by its name.
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        let public = |dual_stack| Self {
            kind: Kind::Public,
            region: PUBLIC_REGION.to_owned(),
            account: None,
            network: Network {
                fips: false,
                dual_stack,
            },
        };
        match host {
            "public.ecr.aws" => return Some(public(false)),
            "ecr-public.aws.com" => return Some(public(true)),
            _ => {}
        }
        let (account, rest) = host.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let plain = rest.strip_prefix("dkr.ecr");
        let (dual_stack, rest) = match plain {
            Some(rest) => (false, rest),
            None => (true, rest.strip_prefix("dkr-ecr")?),
        };
        let (fips, rest) = match rest.strip_prefix("-fips.") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix('.')?),
        };
        let (region, domain) = rest.split_once('.')?;
        let (_, plain, dual) = domains(region);
        let is_domain = match dual_stack {
            false => domain == plain,
            true => domain.strip_prefix("on.") == Some(dual),
        };
        let registry = Self::of_region(region)?;
        (is_account && is_domain).then_some(Self {
            account: Some(account.to_owned()),
            network: Network { fips, dual_stack },
            ..registry
        })
    }

    /// All hosts of the private registry that `account` has in `region`.
    pub(crate) fn hosts(account: &str, region: &str) -> [String; 4] {
        let (_, plain, dual) = domains(region);
        [
            format!("{account}.dkr.ecr.{region}.{plain}"),
            format!("{account}.dkr.ecr-fips.{region}.{plain}"),
            format!("{account}.dkr-ecr.{region}.on.{dual}"),
            format!("{account}.dkr-ecr-fips.{region}.on.{dual}"),
        ]
    }

    /// The private registries of `region`, for a host whose name does not say what it is.
    pub(crate) fn of_region(region: &str) -> Option<Self> {
        is_region(region).then(|| Self {
            kind: Kind::Private,
            region: region.to_owned(),
            account: None,
            network: Network::default(),
        })
    }

    /// The region whose STS is asked: that of the program, which its network reaches, or else the registry's; for the keys
    /// of one partition are nothing in another.
    pub(super) fn sts_region(&self, environment: &Environment) -> String {
        let mut names = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter();
        let told = names.find_map(|name| environment.var(name));
        let partition = |region: &str| (domains(region), is_of_gov_cloud(region));
        told.filter(|told| is_region(told) && partition(told) == partition(&self.region))
            .unwrap_or_else(|| self.region.clone())
    }

    /// Where `service` stands in `region`, unless variables say otherwise.
    pub(super) fn endpoint(
        &self,
        service: Service,
        region: &str,
        environment: &Environment,
    ) -> Result<Url, AwsError> {
        if !is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            for variable in [service.endpoint_variable(), "AWS_ENDPOINT_URL"] {
                if let Some(url) = environment.var(variable) {
                    return url.parse().map_err(|_| AwsError::NoUrl { variable });
                }
            }
        }
        let Network { fips, dual_stack } = self.network(service, region, environment);
        let (_, plain, dual) = domains(region);
        let (name, domain) = match (service, dual_stack) {
            (Service::Ecr, false) => ("api.ecr", plain.to_owned()),
            (Service::Ecr, true) => ("ecr", format!("api.{dual}")),
            (Service::EcrPublic, false) => ("api.ecr-public", plain.to_owned()),
            (Service::EcrPublic, true) => ("ecr-public", format!("api.{dual}")),
            (Service::Sts, false) => ("sts", plain.to_owned()),
            (Service::Sts, true) => ("sts", format!("api.{dual}")),
        };
        let fips = if fips { "-fips" } else { "" };
        let url = format!("https://{name}{fips}.{region}.{domain}/");
        Ok(url.parse().expect("a region is a part of a host name"))
    }

    /// What the registry's host says is for ECR: FIPS is not everywhere where STS may be asked.
    fn network(&self, service: Service, region: &str, environment: &Environment) -> Network {
        let told = Network {
            fips: is_true(environment, "AWS_USE_FIPS_ENDPOINT"),
            dual_stack: is_true(environment, "AWS_USE_DUALSTACK_ENDPOINT"),
        };
        match service {
            Service::Ecr => Network {
                fips: self.network.fips || told.fips,
                dual_stack: self.network.dual_stack || told.dual_stack,
            },
            Service::EcrPublic => self.network,
            // GovCloud's plain endpoint is the one with FIPS.
            Service::Sts if is_of_gov_cloud(region) && !told.dual_stack => Network::default(),
            Service::Sts => told,
        }
    }
}

impl Service {
    /// For messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ecr => "Amazon ECR",
            Self::EcrPublic => "Amazon ECR Public",
            Self::Sts => "AWS STS",
        }
    }

    /// For signatures.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::Ecr => "ecr",
            Self::EcrPublic => "ecr-public",
            Self::Sts => "sts",
        }
    }

    /// <https://docs.aws.amazon.com/sdkref/latest/guide/ss-endpoints-table.html>
    fn endpoint_variable(self) -> &'static str {
        match self {
            Self::Ecr => "AWS_ENDPOINT_URL_ECR",
            Self::EcrPublic => "AWS_ENDPOINT_URL_ECR_PUBLIC",
            Self::Sts => "AWS_ENDPOINT_URL_STS",
        }
    }
}

/// Whether the variable says yes, as AWS's SDKs read it.
pub(super) fn is_true(environment: &Environment, variable: &str) -> bool {
    let value = environment.var(variable);
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn domains(region: &str) -> (&'static str, &'static str, &'static str) {
    let mut partitions = DOMAINS[1..].iter();
    let own = partitions.find(|(start, ..)| region.starts_with(start));
    *own.unwrap_or(&DOMAINS[0])
}

/// GovCloud has accounts of its own under the same domains.
fn is_of_gov_cloud(region: &str) -> bool {
    region.starts_with("us-gov-")
}

/// Whether the text can be the name of a region, such as `eu-west-1`.
fn is_region(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_short = text.len() <= REGION_LENGTH_MAX;
    is_short && text.contains('-') && text.bytes().all(allowed) && !text.starts_with('-')
}
