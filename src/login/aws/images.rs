//! What ECR tells of a repository's images beside the distribution API: when they were pushed.

use jiff::{SignedDuration, Timestamp};

use super::Keys;
use super::call::{Action, Call};
use super::place::Ecr;
use super::wire::{DescribeImages, Filter, Image, Images};
use crate::login::LoginError;
use crate::login::ask::Asker;

/// Images on one page: as many as the API gives.
const PAGE_SIZE: usize = 1_000;

/// A page of a repository's images that have tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EcrImages {
    /// Each with its tags and the time at which it was pushed.
    pub(crate) images: Vec<(Vec<String>, Option<Timestamp>)>,
    /// What to ask with for the next page.
    pub(crate) next: Option<String>,
}

pub(super) async fn page(
    asker: &Asker,
    registry: &Ecr,
    (keys, path, after): (&Keys, &str, Option<&str>),
) -> Result<EcrImages, LoginError> {
    let request = DescribeImages {
        registry_id: registry.account.as_deref(),
        repository_name: path,
        max_results: PAGE_SIZE,
        next_token: after,
        filter: Filter {
            tag_status: "TAGGED",
        },
    };
    let body = serde_json::to_string(&request).expect("texts and numbers are JSON");
    let action = Action::DescribeImages;
    let call = Call {
        action,
        region: &registry.region,
        body: &body,
    };
    let body = call.send(asker, registry, Some(keys)).await?;
    let page: Option<Images> = serde_json::from_slice(&body).ok();
    let page = page.ok_or(LoginError::Incomplete {
        service: action.service().name(),
        what: "images",
    })?;
    let image = |image: Image| (image.image_tags, image.image_pushed_at.and_then(time));
    Ok(EcrImages {
        images: page.image_details.into_iter().map(image).collect(),
        next: page.next_token,
    })
}

fn time(seconds: f64) -> Option<Timestamp> {
    let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(since).ok()
}
