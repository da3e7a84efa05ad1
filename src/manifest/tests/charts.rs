//! The pairs of `tests/edits/charts.json`: the version of a chart at each form of site.

use super::{NEW, long, short, site};
use crate::edit::{Aliases, Reach, cases};
use crate::manifest::{Form, Site, Version, Write, read, scan, write};

/// Carries out `FORM [at=PATH] [alias] TAG [write=MODE]`, and reads back what was written.
fn edit(text: &str, argument: &str) -> Result<String, String> {
    let mut words: Vec<&str> = argument.split(' ').collect();
    let mut option = |prefix: &str| {
        let index = words.iter().position(|word| word.starts_with(prefix))?;
        words.remove(index).strip_prefix(prefix)
    };
    let at = option("at=").map(|path| path.parse().unwrap());
    let mode = match option("write=") {
        None | Some("tag") => Write::Tag,
        Some("digest") => Write::Digest,
        Some(_) => Write::TagAndDigest,
    };
    let aliases = match option("through-alias") {
        Some(_) => Aliases::Followed,
        None => Aliases::Refused,
    };
    let [form, tag] = words[..] else {
        panic!("`{argument}` has a form and a tag")
    };
    let form = match (form, at) {
        ("charts", None) => Form::HelmCharts,
        ("kustomization", None) => Form::Kustomize,
        ("application", at) => Form::Application { at },
        ("manifest", at) => Form::Manifest { at },
        ("yaml", Some(at)) => Form::Yaml { at },
        ("helm", Some(at)) => Form::Helm { at },
        _ => panic!("`{argument}` has a form that is known"),
    };
    let reach = Reach {
        aliases,
        ..Reach::default()
    };
    let site = Site {
        reach,
        ..site(form)
    };
    let version = Version {
        tag: tag.parse().unwrap(),
        digest: Some(NEW.parse().unwrap()),
    };
    let (file, image) = (&site.path, &"ghcr.io/acme/charts/web".parse().unwrap());
    let place = |refused: crate::manifest::SiteError| {
        let line = refused.line.map(|line| format!("{line}: "));
        short(&format!("{}{}", line.unwrap_or_default(), refused.reason))
    };
    let after = write(&site, (file, &long(text)), image, (&version, mode)).map_err(place)?;
    let scanned = scan(file, &after).unwrap();
    for standing in read(&site, (file, &scanned), image).unwrap() {
        let tag_stands = standing.tag.as_deref().is_none_or(|stands| stands == tag);
        assert!(tag_stands, "{standing:?} after {argument}");
        let digest_stands = standing
            .digest
            .as_deref()
            .is_none_or(|digest| digest == NEW);
        assert!(digest_stands, "{standing:?} after {argument}");
    }
    Ok(short(&after))
}

#[test]
fn charts_are_written_as_the_cases_say() {
    cases::check(include_str!("../../../tests/edits/charts.json"), edit);
}
