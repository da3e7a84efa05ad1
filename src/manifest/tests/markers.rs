//! What is read and written at the markers of Flux.

use proptest::prelude::{Just, any, prop_oneof, proptest};
use proptest::strategy::Strategy;

use super::{paths, site, standing, written};
use crate::edit::{Aliases, Reach};
use crate::manifest::{Form, Site, Write};

fn markers() -> Site {
    let policy = "flux-system:web".to_owned();
    site(Form::Markers { policy })
}

fn followed() -> Site {
    let reach = Reach {
        aliases: Aliases::Followed,
        ..Reach::default()
    };
    Site { reach, ..markers() }
}

/// `text` with `@` as the start of a marker of ours, and `=}` as its end.
fn marked(text: &str) -> String {
    text.replace("@M", "{\"$imagepolicy\": \"flux-system:web")
        .replace("=}", "\"}")
}

const FILES: &str = "\
# commented out: image: ghcr.io/acme/web:v0 # @M=}
kind: Deployment
spec:
  containers:
  - name: web
    image: ghcr.io/acme/web:v1 # @M=}
  - name: other
    image: ghcr.io/acme/web:v1 # {\"$imagepolicy\": \"flux-system:other\"}
  - {name: third, image: ghcr.io/acme/web:v1, # @M=}
     x: y}
  - image: ghcr.io/acme/web:v1 # unmarked
---
images:
- name: ghcr.io/acme/web # @M:name=}
  newTag: 'v1'   ## {  \"$imagepolicy\" :\"flux-system:web:tag\", \"by\": \"me\" }  
---
values:
  tag: \"v1\"\t#@M:tag=}
args:
- v1 # @M:tag=}
text: |
  image: ghcr.io/acme/web:v1 # @M=}
note: 'tag # @M:tag=}'
";

#[test]
fn each_marked_value_is_a_place_and_no_other() {
    let text = marked(FILES);
    assert_eq!(
        standing(&markers(), &text),
        "v1@-:6 v1@-:9 v1@-:15 v1@-:18 v1@-:20"
    );
    assert_eq!(
        paths(&markers(), &text),
        "spec.containers[name=web].image; spec.containers[name=third].image; images[name=ghcr.io/acme/web].newTag; values.tag; args[0]"
    );
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for number in [6, 9, 15, 18, 20] {
        lines[number - 1] = lines[number - 1].replace("v1", "v2");
    }
    let after = format!("{}\n", lines.join("\n"));
    assert_eq!(written(&markers(), Write::Tag, &text), after);
    assert_eq!(
        written(&markers(), Write::Tag, &text.replace('\n', "\r\n")),
        after.replace('\n', "\r\n")
    );
}

/// What is written of `text`, each marker shown short.
fn changed(mode: Write, text: &str) -> String {
    written(&markers(), mode, &marked(text))
        .replace("{\"$imagepolicy\": \"flux-system:web", "@M")
        .replace("\"}", "=}")
}

#[test]
fn a_tag_and_a_digest_that_are_both_marked_get_each_its_own() {
    let text = "image:\n  repository: ghcr.io/acme/web # @M:name=}\n  tag: v1 # @M:tag=}\n  digest: OLD # @M:digest=}\n";
    assert_eq!(standing(&markers(), &marked(text)), "v1@OLD:3");
    assert_eq!(
        changed(Write::TagAndDigest, text),
        text.replace("v1", "v2").replace("OLD", "NEW")
    );
    assert_eq!(
        changed(Write::Digest, text),
        text.replace("v1", "v2").replace("OLD", "NEW")
    );
    insta::assert_snapshot!(changed(Write::Tag, text), @"app/file.yaml:4: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    let empty = text.replace("OLD", "\"\"");
    assert_eq!(changed(Write::Tag, &empty), empty.replace("v1", "v2"));
    assert_eq!(
        changed(Write::TagAndDigest, &empty),
        empty.replace("v1", "v2").replace("\"\" #", "\"NEW\" #")
    );
    let apart =
        "env:\n- name: TAG\n  value: v1 # @M:tag=}\n- name: DIGEST\n  value: OLD # @M:digest=}\n";
    assert_eq!(
        changed(Write::TagAndDigest, apart),
        apart.replace("v1", "v2").replace("OLD", "NEW")
    );
}

#[test]
fn the_marker_says_what_the_value_is() {
    let one = |mode, text: &str| changed(mode, &format!("a: {text}\n"));
    assert_eq!(
        one(Write::TagAndDigest, "v1 # @M:tag=}"),
        "a: v2@NEW # @M:tag=}\n"
    );
    assert_eq!(one(Write::Tag, "'' # @M:tag=}"), "a: 'v2' # @M:tag=}\n");
    assert_eq!(
        one(Write::Digest, "OLD # @M:digest=}"),
        "a: NEW # @M:digest=}\n"
    );
    assert_eq!(
        one(Write::TagAndDigest, "ghcr.io/acme/web # @M=}"),
        "a: ghcr.io/acme/web:v2@NEW # @M=}\n"
    );
    insta::assert_snapshot!(one(Write::Tag, "ghcr.io/acme/web:v1@OLD # @M=}"), @"app/file.yaml:1: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    insta::assert_snapshot!(one(Write::Tag, "OLD # @M:digest=}"), @"app/file.yaml:1: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    insta::assert_snapshot!(one(Write::Tag, "ghcr.io/acme/api:v1 # @M=}"), @"app/file.yaml:1: `ghcr.io/acme/api` stands here, not `ghcr.io/acme/web`");
    insta::assert_snapshot!(one(Write::Tag, "v1 # @M=}"), @"app/file.yaml:1: `v1` stands here, not `ghcr.io/acme/web`");
    insta::assert_snapshot!(one(Write::Tag, "\"\" # @M=}"), @"app/file.yaml:1: the marker says that a whole reference stands here, not ``");
    insta::assert_snapshot!(one(Write::Tag, "ghcr.io/acme/web:v1 # @M:tag=}"), @"app/file.yaml:1: the marker says that a tag stands here, not `ghcr.io/acme/web:v1`");
    insta::assert_snapshot!(one(Write::Digest, "v1 # @M:digest=}"), @"app/file.yaml:1: the marker says that a digest stands here, not `v1`");
    insta::assert_snapshot!(one(Write::Tag, "ghcr.io/acme/web # @M:name=}"), @"app/file.yaml:1: the markers of `flux-system:web` here are for its name only, and no version is marked");
    insta::assert_snapshot!(one(Write::Tag, "acme/web # @M:name=}\nb: v1 # @M:tag=}"), @"app/file.yaml:1: `acme/web` stands here, not `ghcr.io/acme/web`");
}

#[test]
fn a_policy_that_no_marker_names_is_answered_with_those_that_are_named() {
    let text = |policy: &str| format!("a: v1 # {{\"$imagepolicy\": \"{policy}:tag\"}}\n");
    insta::assert_snapshot!(standing(&markers(), &text("flux-system:wep")), @"app/file.yaml: no marker here names `flux-system:web`; the nearest is `flux-system:wep`");
    insta::assert_snapshot!(standing(&markers(), &(text("a:b") + &text("c:d").replace("a:", "b:") + "e: v1 # {\"$imagepolicy\": \"a:b\"}\n")), @"app/file.yaml: no marker here names `flux-system:web`; there is `a:b`, `c:d`");
    insta::assert_snapshot!(standing(&markers(), &marked("a: b\n# tag: v1 #@M:tag=}\n")), @"app/file.yaml:2: the marker of `flux-system:web` is commented out here, and marks nothing");
    insta::assert_snapshot!(standing(&markers(), "a: v1 # no marker\n"), @"app/file.yaml: no marker here names `flux-system:web`; there is nothing");
    insta::assert_snapshot!(standing(&markers(), ""), @"app/file.yaml: no marker here names `flux-system:web`; there is nothing");
}

#[test]
fn a_marker_that_flux_would_pass_over_is_refused() {
    let line = |text: &str| {
        standing(
            &markers(),
            &marked(&format!("ok: v1 # @M:tag=}}\n{text}\n")),
        )
    };
    for text in [
        "a: v1 # @M:tag=} since May",
        "a: v1 # note @M:tag=}",
        "a: v1 # # @M:tag=}",
        "a: v1 # {'$imagepolicy': 'flux-system:web:tag'}",
        "a: v1 # {\"$imagePolicy\": \"flux-system:web:tag\"}",
        "a: v1 # {\"imagepolicy\": \"flux-system:web:tag\"}",
        "a: v1 # {\"$imagepolicy\": \"web\"}",
        "a: v1 # {\"$imagepolicy\": \":web\"}",
        "a: v1 # {\"$imagepolicy\": [\"flux-system:web\"]}",
        "a: v1 # {\"$imagepolicy\": \"flux-system:web\", \"at\": 1}",
        "a: v1 # @M:tag",
    ] {
        let told = line(text);
        assert!(told.starts_with("app/file.yaml:2: `"), "{told}");
        assert!(told.contains("is no marker of Flux; write"), "{told}");
    }
    insta::assert_snapshot!(line("a: v1 # @M:tag=} since May"), @r#"app/file.yaml:2: `{"$imagepolicy": "flux-system:web:tag"} since May` is no marker of Flux; write `# {"$imagepolicy": "namespace:name"}`, with `:tag`, `:name` or `:digest` behind the name, and nothing else in the comment"#);
    insta::assert_snapshot!(line("a: v1 # @M:tga=}"), @"app/file.yaml:2: a marker ends with the policy's name, or with `:tag`, `:name` or `:digest` behind it, not with `:tga`");
    insta::assert_snapshot!(line("a: v1 # @M:tag:x=}"), @"app/file.yaml:2: a marker ends with the policy's name, or with `:tag`, `:name` or `:digest` behind it, not with `:tag:x`");
    for text in [
        "# @M:tag=}\na: v1",
        "a: # @M:tag=}\n  v1",
        "a: # @M:tag=}\nb: v1",
        "a: # @M:tag=}\n- v1",
        "a: {b: c, tag: v1} # @M:tag=}",
        "? a # @M:tag=}\n: v1",
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(line(text), @r#"app/file.yaml:2: the marker of `flux-system:web` stands behind no value; write it on the line where the value ends, behind it, and an empty value as `""`"#);
        }
    }
    insta::assert_snapshot!(line("a: | # @M:tag=}\n  v1"), @"app/file.yaml:2: the value is a block scalar (`|` or `>`); write it on one line");
    insta::assert_snapshot!(line("a: \"v1\n  v2\" # @M:tag=}"), @"app/file.yaml:2: the value goes over several lines; write it on one line");
    // What is another's, or only speaks of markers, is nobody's business here.
    for text in [
        "# markers look like @M:tag=}",
        "# a: v0 # @M:tga=}",
        "# {\"$imagepolicy\": \"flux-system:other:tag\"}",
        "a: v1 # {\"$imagepolicy\": \"flux-system:other:tga\"}",
        "kind: ImagePolicy # an imagepolicy",
    ] {
        assert_eq!(line(text), "v1@-:1", "{text}");
    }
}

#[test]
fn a_marker_behind_an_alias_is_followed_if_the_policy_says_so() {
    let text = marked("a: &tag v1 # @M:tag=}\nb: *tag # @M:tag=}\nc: *tag\n");
    insta::assert_snapshot!(standing(&markers(), &text), @"app/file.yaml:2: the value is an alias of an anchor that others share; write it out here, name the anchor's own place, or say `through-alias: true`");
    assert_eq!(paths(&followed(), &text), "a with b:2, c:3");
    assert_eq!(
        written(&followed(), Write::Tag, &text),
        text.replace("v1", "v2")
    );
}

#[test]
fn a_thousand_marked_values_are_places_and_more_are_refused() {
    let text = |count| marked(&"- v1 # @M:tag=}\n".repeat(count));
    let told = standing(&markers(), &text(1000));
    assert_eq!(told.split(' ').count(), 1000);
    insta::assert_snapshot!(standing(&markers(), &text(1001)), @"app/file.yaml: the image stands in more than 1000 places here, which is more than one can review");
}

/// A file of values, some of them marked: each with its value and its comment.
fn file() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let value = prop_oneof![Just("v1"), Just("'v1'"), Just("\"v1\"")];
    let comment = prop_oneof![
        Just(""),
        Just("# note"),
        Just("# {\"$imagepolicy\": \"flux-system:web:tag\"}"),
        Just("#  {\"$imagepolicy\":\"flux-system:web:tag\" }  "),
        Just("# {\"$imagepolicy\": \"flux-system:other:tag\"}"),
    ];
    proptest::collection::vec((value, comment), 1..8)
}

proptest! {
    #[test]
    fn marked_values_change_and_nothing_else(
        lines in file(),
        newline in prop_oneof![Just("\n"), Just("\r\n")],
        is_flow in any::<bool>(),
    ) {
        let text = |new: &str| {
            let line = |(index, (value, comment)): (usize, &(&str, &str))| {
                let value = match comment.contains("system:web") {
                    true => value.replace("v1", new),
                    false => (*value).to_owned(),
                };
                match is_flow {
                    true => format!("  k{index}: {value}, {comment}{newline}"),
                    false => format!("  k{index}: {value} {comment}{newline}"),
                }
            };
            let lines: String = lines.iter().enumerate().map(line).collect();
            match is_flow {
                true => format!("a: {{{newline}{lines}}}{newline}"),
                false => format!("a:{newline}{lines}"),
            }
        };
        let before = text("v1");
        let written = written(&markers(), Write::Tag, &before);
        match lines.iter().any(|(_, comment)| comment.contains("system:web")) {
            true => assert_eq!(written, text("v2")),
            false => assert!(written.contains("no marker here names"), "{written}"),
        }
    }
}
