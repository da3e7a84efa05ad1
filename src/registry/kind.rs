//! What differs between registries, by the product behind the host: how large a page, and how often they may be asked.
//!
//! Not here: which host is which product (`image/kind`). Facts that hold for a product and not for one request stand here,
//! each with the place where it can be read.

use std::time::Duration;

use crate::image::RegistryKind;

/// What most registries give in one page, and what the clients that most people use ask for (go-containerregistry,
/// <https://github.com/google/go-containerregistry/blob/main/pkg/v1/remote/options.go>).
const PAGE_SIZE: usize = 1_000;

impl RegistryKind {
    /// How many tags to ask for per page at first; a registry that refuses is asked for fewer (`list`).
    pub(super) fn page_size(self) -> usize {
        match self {
            // Above 100 Quay has answered `TOO_MANY_TAGS_REQUESTED`, for some hours, and may again:
            // <https://github.com/fluxcd/image-reflector-controller/issues/585>. It gives no more in any case.
            Self::Quay => 100,
            // The most of each: ECR refuses more (<https://github.com/google/go-containerregistry/issues/681>), ACR gives
            // no more (<https://github.com/Azure/acr/issues/749>).
            Self::Ecr | Self::EcrPublic | Self::Acr => PAGE_SIZE,
            // Google gives all tags at once, whatever is asked:
            // <https://github.com/google/go-containerregistry/issues/897>.
            Self::Google => PAGE_SIZE,
            Self::DockerHub | Self::Ghcr | Self::GitLab | Self::Harbor | Self::Other => PAGE_SIZE,
        }
    }

    /// The time between two requests where the settings say none; `None` leaves it to the requests in flight.
    ///
    /// A service that strangers share counts requests per minute and per address or account, and others ask it from there
    /// too: nodes that pull, CI that pushes. So we take a part of what it allows. What people run for themselves counts
    /// nothing; there the number of requests in flight keeps us to what it can answer.
    pub(super) fn pace(self) -> Option<Duration> {
        let per_second = |requests: u32| Some(Duration::from_secs(1) / requests);
        match self {
            // "Thousands of requests per minute" from an address, web pages and pulls included: a third of 2,000.
            // <https://docs.docker.com/docker-hub/usage/>
            Self::DockerHub => per_second(10),
            // Says `allowed: 44000/minute` and, of pushes, `2000/minute` when it refuses: more than half of the lower.
            // <https://github.com/falcosecurity/plugins/issues/1069>
            Self::Ghcr => per_second(20),
            // Reads are counted by action, account and region, in hundreds per second, and shared with every node.
            // <https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>
            Self::Ecr => per_second(20),
            // Anonymous pulls are few per second; listings are no pulls, digests are asked for seldom.
            // <https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html>
            Self::EcrPublic => per_second(5),
            // `gcr.io` allowed 50,000 in 10 minutes from an address, 83 per second; Artifact Registry 60,000 a minute.
            // <https://cloud.google.com/artifact-registry/quotas>
            Self::Google => per_second(20),
            // The smallest tier allows 1,000 reads a minute, 16 per second, nodes included.
            // <https://learn.microsoft.com/azure/container-registry/container-registry-skus>
            Self::Acr => per_second(10),
            // "A few requests per second per IP, with some bursting". <https://access.redhat.com/solutions/6218921>
            Self::Quay => per_second(5),
            // Each token is a request to GitLab itself, which answers some hundred a minute to an address.
            // <https://docs.gitlab.com/security/rate_limits/>
            Self::GitLab => per_second(10),
            Self::Harbor | Self::Other => None,
        }
    }

    /// Whether a page that is not the last one is sure to say where the listing goes on.
    pub(super) fn links_pages(self) -> bool {
        match self {
            Self::DockerHub
            | Self::Ghcr
            | Self::Ecr
            | Self::EcrPublic
            | Self::Google
            | Self::Acr
            | Self::Quay
            | Self::GitLab
            | Self::Harbor => true,
            Self::Other => false,
        }
    }

    /// Whether the limits that come with a manifest are of pulls alone. Docker Hub counts `GET`s of manifests, tells of it
    /// with each answer to `GET` and `HEAD` of one, and counts nothing else: <https://docs.docker.com/docker-hub/usage/pulls/>.
    pub(super) fn counts_pulls(self) -> bool {
        match self {
            Self::DockerHub => true,
            Self::Ghcr
            | Self::Ecr
            | Self::EcrPublic
            | Self::Google
            | Self::Acr
            | Self::Quay
            | Self::GitLab
            | Self::Harbor
            | Self::Other => false,
        }
    }
}
