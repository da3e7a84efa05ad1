//! The text of manifests and the names of versions, read and written without the program: whatever stands in a file is a number.

use std::fmt::Write as _;

use super::shape::{Release, Shape, Stop, Tags};
use crate::image::{Digest, Tag};

/// A build by its number, which grows with each push. What no rule can order is 0.
pub(super) type Build = u64;

/// What people write that is no build.
pub(super) const HOTFIX: &str = "hotfix-7";

/// What a version line begins with.
const VERSION: &str = "    tag: ";

/// The file of an environment that has `build` of every image.
pub(super) fn manifest(shape: &Shape, (policy, stop): (usize, usize), build: Build) -> String {
    let mut text = String::from("# Values of the chart.\nreplicas: 2\n");
    for (image, name) in shape.images.iter().enumerate() {
        let repository = shape.repository(policy, image);
        let version = version(shape, &shape.stops[stop], build);
        writeln!(
            text,
            "{name}:\n  image:\n    repository: {repository}\n{VERSION}{version}"
        )
        .unwrap();
    }
    text
}

/// What stands at each image of the file.
pub(super) fn versions(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(VERSION));
    lines.map(|version| version.trim_matches('"')).collect()
}

/// The builds that stand there.
pub(super) fn builds(text: &str) -> Vec<Build> {
    versions(text).into_iter().map(number).collect()
}

/// All but the versions.
pub(super) fn around(text: &str) -> Vec<&str> {
    let is_around = |line: &&str| !line.starts_with(VERSION);
    text.lines().filter(is_around).collect()
}

/// The same text with another version of one image.
pub(super) fn with_version(text: &str, image: usize, version: &str) -> String {
    let mut versions = 0;
    let lines = text.lines().map(|line| {
        let is_version = line.starts_with(VERSION);
        versions += usize::from(is_version);
        match is_version && versions == image + 1 {
            true => format!("{VERSION}{version}\n"),
            false => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// How a file in `stop` says `build`.
pub(super) fn version(shape: &Shape, stop: &Stop, build: Build) -> String {
    let tag = tag(shape, stop, build);
    match stop.writes_digest {
        true => format!("{tag}@{}", digest(build, stop.release)),
        false => tag.to_string(),
    }
}

/// The tag of `build` in `stop`.
pub(super) fn tag(shape: &Shape, stop: &Stop, build: Build) -> Tag {
    let tag = match (stop.release, shape.tags) {
        (Some(_), _) => format!("release-{build}"),
        (None, Tags::Number) => format!("main-{build}-{:07x}", build * 7919 % 0x0fff_ffff),
        (None, Tags::Version) => format!("v1.{build}.0"),
        (None, Tags::Pushed) => format!("build-{build:08x}"),
        (None, Tags::Followed) => "latest".to_owned(),
    };
    tag.parse().unwrap()
}

/// The digest of a build, or of the image that was built anew for its release.
pub(super) fn digest(build: Build, release: Option<Release>) -> Digest {
    let kind = u8::from(release == Some(Release::Revision));
    format!("sha256:{build:062x}{kind:02x}").parse().unwrap()
}

/// The build that a version names, however it says it.
pub(super) fn number(version: &str) -> Build {
    let (tag, digest) = match version.split_once('@') {
        Some((tag, digest)) => (tag, Some(digest)),
        None => (version, None),
    };
    let of_digest = digest.map(|digest| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        Build::from_str_radix(&hex[..62], 16).unwrap()
    });
    let digits = |rest: &str| rest.split(['-', '.']).next().unwrap().parse().unwrap();
    let after = |start| tag.strip_prefix(start);
    let of_tag = match () {
        () if tag == "latest" => return of_digest.unwrap(),
        () if tag == HOTFIX => 0,
        () => after("main-")
            .or_else(|| after("v1."))
            .or_else(|| after("release-"))
            .map(digits)
            .or_else(|| Build::from_str_radix(after("build-")?, 16).ok())
            .unwrap_or_else(|| panic!("`{version}` is no version")),
    };
    assert!(
        of_digest.is_none_or(|of_digest| of_digest == of_tag),
        "`{version}` has the digest of another build"
    );
    of_tag
}
