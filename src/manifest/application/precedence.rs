//! Every mixture of parameters and values that give an image its name, its tag and its digest: what is read is what the
//! chart gets, and after a write it gets the new version, or both are refused.
//!
//! Not here: how the places are spelled (`tests`).

use serde_yaml::Value;

use crate::edit::{Path, Reach};
use crate::manifest::{Form, RepoPath, Site, Standing, Version, Write, read, scan, write};

const IMAGE: &str = "ghcr.io/acme/web";
const OTHER: &str = "ghcr.io/acme/other";
const OLD: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NEW: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Where values stand in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    Text,
}

/// What one place says of the image: its name, its tag and its digest, each if it says it.
#[derive(Clone, Copy, Debug)]
struct Said([Option<&'static str>; 3]);

const KEYS: [&str; 3] = ["repository", "tag", "digest"];

impl Said {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for repository in [None, Some(IMAGE), Some(OTHER)] {
            for tag in [None, Some("v1")] {
                for digest in [None, Some(OLD), Some("")] {
                    all.push(Self([repository, tag, digest]));
                }
            }
        }
        all
    }

    fn pairs(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        KEYS.into_iter()
            .zip(self.0)
            .filter_map(|(key, text)| Some((key, text?)))
    }
}

fn application(parameters: Said, values: Said, kind: Kind) -> String {
    let head = "kind: Application\nspec:\n  source:\n    helm:\n      parameters:\n      - {name: replicas, value: '2'}\n";
    let parameters = parameters
        .pairs()
        .map(|(key, value)| format!("      - name: image.{key}\n        value: '{value}'\n"));
    let above = match kind {
        Kind::Object => "      valuesObject:\n",
        Kind::Text => "      values: |\n",
    };
    let beside = "        replicas: 1\n        image:\n          pullPolicy: Always\n";
    let values = values
        .pairs()
        .map(|(key, value)| (key, value.replace("v1", "v0")))
        .map(|(key, value)| format!("          {key}: '{value}'\n"));
    let (parameters, values): (String, String) = (parameters.collect(), values.collect());
    format!("{head}{parameters}{above}{beside}{values}")
}

/// The image that a chart makes of the values and the parameters in `text`, with defaults of its own.
fn rendered(text: &str) -> String {
    let file: Value = serde_yaml::from_str(text).unwrap();
    let helm = &file["spec"]["source"]["helm"];
    let parsed: Value;
    let values = match &helm["valuesObject"] {
        Value::Null => {
            parsed = serde_yaml::from_str(helm["values"].as_str().unwrap()).unwrap();
            &parsed
        }
        object => object,
    };
    let get = |key: &str, default: &str| {
        let name = format!("image.{key}");
        let parameters = helm["parameters"].as_sequence().unwrap().iter();
        let parameter = parameters
            .filter(|item| item["name"].as_str() == Some(&name))
            .map(|item| item["value"].as_str().unwrap())
            .next_back();
        let value = parameter.or(values["image"][key].as_str());
        value.unwrap_or(default).to_owned()
    };
    let (name, tag) = (get("repository", IMAGE), get("tag", "chart"));
    match get("digest", "").as_str() {
        "" => format!("{name}:{tag}"),
        digest => format!("{name}:{tag}@{digest}"),
    }
}

/// What a write does at `at`: the text after it, if it is not refused.
fn written(at: Option<&Path>, text: &str, mode: Write) -> Option<String> {
    let file: RepoPath = "web.yaml".parse().unwrap();
    let site = Site {
        path: file.clone(),
        form: Form::Application { at: at.cloned() },
        reach: Reach::default(),
    };
    let version = Version {
        tag: "v2".parse().unwrap(),
        digest: Some(NEW.parse().unwrap()),
    };
    let image = IMAGE.parse().unwrap();
    write(&site, (&file, text), &image, (&version, mode)).ok()
}

/// The first version that a read finds at `at`, which counts, if the read is not refused.
fn standing(at: Option<&Path>, text: &str) -> Option<Standing> {
    let file: RepoPath = "web.yaml".parse().unwrap();
    let site = Site {
        path: file.clone(),
        form: Form::Application { at: at.cloned() },
        reach: Reach::default(),
    };
    let scan = scan(&file, text).unwrap();
    let standings = read(&site, (&file, &scan), &IMAGE.parse().unwrap());
    standings.ok()?.into_iter().next()
}

#[test]
fn what_is_read_is_the_version_that_runs() {
    let image: Path = "image".parse().unwrap();
    let mut done = 0;
    for (parameters, values) in mixtures() {
        for kind in [Kind::Object, Kind::Text] {
            for at in [None, Some(&image)] {
                let text = application(parameters, values, kind);
                let Some(standing) = standing(at, &text) else {
                    continue;
                };
                done += 1;
                let image = rendered(&text);
                let (name, digest) = match image.split_once('@') {
                    Some((name, digest)) => (name, Some(digest)),
                    None => (&image[..], None),
                };
                // Beside a digest a tag is only a name.
                let tag = match (standing.tag, digest) {
                    (Some(tag), _) => tag,
                    (None, Some(_)) => name.rsplit_once(':').unwrap().1.to_owned(),
                    (None, None) => "chart".to_owned(),
                };
                let read = (format!("{IMAGE}:{tag}"), standing.digest.as_deref());
                assert_eq!(read, (name.to_owned(), digest), "at {at:?} of\n{text}");
            }
        }
    }
    insta::assert_snapshot!(format!("{done} read"), @"328 read");
}

#[test]
fn what_runs_after_a_write_is_the_version_that_was_written() {
    let image: Path = "image".parse().unwrap();
    let (mut done, mut refused) = (0, 0);
    for (parameters, values) in mixtures() {
        for (kind, at) in [
            (Kind::Object, None),
            (Kind::Object, Some(&image)),
            (Kind::Text, Some(&image)),
            (Kind::Text, None),
        ] {
            let text = application(parameters, values, kind);
            for mode in [Write::Tag, Write::Digest] {
                let Some(after) = written(at, &text, mode) else {
                    refused += 1;
                    continue;
                };
                done += 1;
                let image = rendered(&after);
                let is_new = match mode {
                    Write::Tag => image == format!("{IMAGE}:v2"),
                    Write::Digest | Write::TagAndDigest => {
                        let is_pinned = image.starts_with(IMAGE) && image.ends_with(NEW);
                        is_pinned && image.matches('@').count() == 1
                    }
                };
                assert!(
                    is_new,
                    "{mode:?} at {at:?} made {image} of\n{text}\nin\n{after}"
                );
            }
        }
    }
    insta::assert_snapshot!(format!("{done} written, {refused} refused"), @"446 written, 1282 refused");
}

/// What parameters and values say, in every mixture; parameters without a digest that is empty.
fn mixtures() -> impl Iterator<Item = (Said, Said)> {
    let parameters = Said::all()
        .into_iter()
        .filter(|Said([_, _, digest])| *digest != Some(""));
    parameters.flat_map(|parameters| {
        let values = Said::all().into_iter();
        values.map(move |values| (parameters, values))
    })
}
