//! What is found and written in the sources of Applications.
//!
//! Not here: the places of values and of scalars, which are those of the other forms.

use crate::edit::{Aliases, Document, Reach};
use crate::image::Repository;
use crate::manifest::{Form, RepoPath, Site, SiteError, Version, Write, read, scan, write};

const OLD: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NEW: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A site in an Application, and the version that it gets.
#[derive(Clone, Copy)]
struct Case {
    at: &'static str,
    image: &'static str,
    document: &'static str,
    aliases: Aliases,
    version: &'static str,
    write: Write,
}

/// Everything that names the image.
const NAMED: Case = Case {
    at: "",
    image: "ghcr.io/acme/web",
    document: "",
    aliases: Aliases::Refused,
    version: "v2",
    write: Write::Tag,
};

fn at(at: &'static str) -> Case {
    Case { at, ..NAMED }
}

impl Case {
    fn writing(self, write: Write) -> Self {
        Self { write, ..self }
    }

    fn to(self, version: &'static str) -> Self {
        Self { version, ..self }
    }

    fn of(self, image: &'static str) -> Self {
        Self { image, ..self }
    }

    fn followed(self) -> Self {
        let aliases = Aliases::Followed;
        Self { aliases, ..self }
    }

    fn in_document(self, document: &'static str) -> Self {
        Self { document, ..self }
    }

    fn site(self) -> Site {
        let document = match self.document {
            "" => None,
            document => Some(document.parse::<Document>().unwrap()),
        };
        let at = match self.at {
            "" => None,
            at => Some(at.parse().unwrap()),
        };
        Site {
            path: file(),
            form: Form::Application { at },
            reach: Reach {
                document,
                aliases: self.aliases,
            },
        }
    }

    fn image(self) -> Repository {
        self.image.parse().unwrap()
    }

    /// The lines that a write changes, as `- old` and `+ new`, or why it is refused.
    fn changed(self, text: &str) -> String {
        let version = Version {
            tag: self.version.parse().unwrap(),
            digest: Some(NEW.parse().unwrap()),
        };
        let wanted = (&version, self.write);
        match write(&self.site(), (&file(), &long(text)), &self.image(), wanted) {
            Ok(after) => difference(&short(&long(text)), &short(&after)),
            Err(error) => message(error),
        }
    }

    /// What stands at each place: its path, `tag@digest`, and the line.
    fn standing(self, text: &str) -> String {
        let text = long(text);
        let file = file();
        let standings =
            scan(&file, &text).and_then(|scan| read(&self.site(), (&file, &scan), &self.image()));
        let word = |text: Option<String>| text.map_or("-".to_owned(), |text| short(&text));
        match standings {
            Ok(standings) => {
                let lines = standings.into_iter().map(|standing| {
                    let path = standing
                        .path
                        .map_or("-".to_owned(), |path| path.to_string());
                    let (tag, digest) = (word(standing.tag), word(standing.digest));
                    format!("{path} {tag}@{digest} :{}\n", standing.line)
                });
                lines.collect()
            }
            Err(error) => message(error),
        }
    }
}

fn file() -> RepoPath {
    "argocd/web.yaml".parse().unwrap()
}

fn message(error: SiteError) -> String {
    short(&error.to_string())
}

fn short(text: &str) -> String {
    text.replace(OLD, "OLD").replace(NEW, "NEW")
}

fn long(text: &str) -> String {
    text.replace("OLD", OLD).replace("NEW", NEW)
}

/// The lines of `after` that are not those of `before`; all others are the same bytes in the same order.
fn difference(before: &str, after: &str) -> String {
    let (mut old, mut new) = (before.split('\n').peekable(), after.split('\n').peekable());
    let mut lines = Vec::new();
    let added = after.split('\n').count() - before.split('\n').count();
    let mut left = added;
    while let Some(line) = new.next() {
        match old.peek() {
            Some(&same) if same == line => {
                old.next();
            }
            // A line that still comes was not replaced: the one here is new.
            Some(&other) if left > 0 && new.clone().any(|line| line == other) => {
                left -= 1;
                lines.push(format!("+ {line}"));
            }
            Some(&other) => {
                old.next();
                lines.push(format!("- {other}"));
                lines.push(format!("+ {line}"));
            }
            None => lines.push(format!("+ {line}")),
        }
    }
    assert_eq!(old.count(), 0, "{after}");
    lines.join("\n").replace('\r', "␍")
}

/// An Application with one source, whose keys are `source`.
fn application(source: &str) -> String {
    let source: String = source.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: web\nspec:\n  project: default\n  source:\n    repoURL: https://git.example.com/acme/deploy.git\n{source}  destination: {{name: in-cluster}}\n"
    )
}

// Kustomize images.

#[test]
fn an_image_of_kustomize_gets_the_version_in_its_own_spelling() {
    let images = |items: &str| application(&format!("kustomize:\n  images:\n{items}"));
    let block = images(
        "  # ours\n  - ghcr.io/acme/web:v1 # now\n  - 'web=ghcr.io/acme/web:v1'\n  - \"old=ghcr.io/acme/web@OLD\"\n  - ghcr.io/acme/webhook:v1\n",
    );
    insta::assert_snapshot!(NAMED.standing(&block), @"
    spec.source.kustomize.images[0] v1@- :12
    spec.source.kustomize.images[1] v1@- :13
    spec.source.kustomize.images[2] -@OLD :14
    ");
    insta::assert_snapshot!(NAMED.changed(&block), @"argocd/web.yaml:14: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    insta::assert_snapshot!(NAMED.writing(Write::Digest).changed(&block), @r#"
    -       - ghcr.io/acme/web:v1 # now
    +       - ghcr.io/acme/web:v2@NEW # now
    -       - 'web=ghcr.io/acme/web:v1'
    +       - 'web=ghcr.io/acme/web:v2@NEW'
    -       - "old=ghcr.io/acme/web@OLD"
    +       - "old=ghcr.io/acme/web@NEW"
    "#);
    insta::assert_snapshot!(NAMED.writing(Write::TagAndDigest).changed(&block), @r#"
    -       - ghcr.io/acme/web:v1 # now
    +       - ghcr.io/acme/web:v2@NEW # now
    -       - 'web=ghcr.io/acme/web:v1'
    +       - 'web=ghcr.io/acme/web:v2@NEW'
    -       - "old=ghcr.io/acme/web@OLD"
    +       - "old=ghcr.io/acme/web:v2@NEW"
    "#);
    let flow =
        application("kustomize: {images: [a:1, 'ghcr.io/acme/web:v1', web=ghcr.io/acme/web:v0]}");
    insta::assert_snapshot!(NAMED.changed(&flow), @"
    -     kustomize: {images: [a:1, 'ghcr.io/acme/web:v1', web=ghcr.io/acme/web:v0]}
    +     kustomize: {images: [a:1, 'ghcr.io/acme/web:v2', web=ghcr.io/acme/web:v2]}
    ");
    let flow = flow.replace('\n', "\r\n");
    insta::assert_snapshot!(NAMED.changed(&flow), @"
    -     kustomize: {images: [a:1, 'ghcr.io/acme/web:v1', web=ghcr.io/acme/web:v0]}␍
    +     kustomize: {images: [a:1, 'ghcr.io/acme/web:v2', web=ghcr.io/acme/web:v2]}␍
    ");
    let bare = images(
        "  - ghcr.io/acme/web\n  - 'web=ghcr.io/acme/web:'\n  - localhost:5000/web=ghcr.io/acme/web\n",
    );
    insta::assert_snapshot!(NAMED.standing(&bare), @"
    spec.source.kustomize.images[0] -@- :11
    spec.source.kustomize.images[1] -@- :12
    spec.source.kustomize.images[2] -@- :13
    ");
    insta::assert_snapshot!(NAMED.changed(&bare), @"
    -       - ghcr.io/acme/web
    +       - ghcr.io/acme/web:v2
    -       - 'web=ghcr.io/acme/web:'
    +       - 'web=ghcr.io/acme/web:v2'
    -       - localhost:5000/web=ghcr.io/acme/web
    +       - localhost:5000/web=ghcr.io/acme/web:v2
    ");
    insta::assert_snapshot!(NAMED.writing(Write::Digest).changed(&bare), @"
    -       - ghcr.io/acme/web
    +       - ghcr.io/acme/web@NEW
    -       - 'web=ghcr.io/acme/web:'
    +       - 'web=ghcr.io/acme/web:v2@NEW'
    -       - localhost:5000/web=ghcr.io/acme/web
    +       - localhost:5000/web=ghcr.io/acme/web@NEW
    ");
}

#[test]
fn the_image_that_kustomize_makes_counts_before_the_one_that_it_replaces() {
    let mirror =
        application("kustomize:\n  images:\n  - ghcr.io/acme/web=mirror.example.com/web:v1\n");
    insta::assert_snapshot!(NAMED.changed(&mirror), @"
    -       - ghcr.io/acme/web=mirror.example.com/web:v1
    +       - ghcr.io/acme/web=mirror.example.com/web:v2
    ");
    let both = application(
        "kustomize:\n  images:\n  - ghcr.io/acme/web=mirror.example.com/web:v1\n  - app=ghcr.io/acme/web:v1\n",
    );
    insta::assert_snapshot!(NAMED.changed(&both), @"
    -       - app=ghcr.io/acme/web:v1
    +       - app=ghcr.io/acme/web:v2
    ");
    let twice = application(
        "kustomize:\n  images:\n  - web=ghcr.io/acme/web:v1\n  - app=ghcr.io/acme/web:v1\n  - web=ghcr.io/acme/db:v1\n",
    );
    insta::assert_snapshot!(NAMED.changed(&twice), @"
    -       - app=ghcr.io/acme/web:v1
    +       - app=ghcr.io/acme/web:v2
    ");
    let kept = application("kustomize:\n  images:\n  - ghcr.io/acme/web=*:v1\n  - other=:v1\n");
    insta::assert_snapshot!(NAMED.changed(&kept), @"
    -       - ghcr.io/acme/web=*:v1
    +       - ghcr.io/acme/web=*:v2
    ");
    let short = application(
        "kustomize:\n  images:\n  - nginx:1.0\n  - docker.io/library/nginx:1.0\n  - quay.io/nginx:1.0\n",
    );
    insta::assert_snapshot!(NAMED.of("nginx").changed(&short), @"
    -       - nginx:1.0
    +       - nginx:v2
    -       - docker.io/library/nginx:1.0
    +       - docker.io/library/nginx:v2
    ");
}

#[test]
fn an_image_of_kustomize_that_cannot_be_written_exactly_is_refused() {
    let images = |item: &str| application(&format!("kustomize:\n  images:\n  - {item}\n"));
    insta::assert_snapshot!(NAMED.changed(&images("ghcr.io/acme/.*=app:v1")), @"argocd/web.yaml:11: kustomize takes the name `ghcr.io/acme/.*` for a pattern that `ghcr.io/acme/web` matches too; write the image's name out");
    insta::assert_snapshot!(NAMED.changed(&images("ghcr.io/acme/web:${ARGOCD_APP_REVISION_SHORT}")), @"argocd/web.yaml:11: `:${ARGOCD_APP_REVISION_SHORT}` is filled in by Argo CD from its build environment; write the version itself once");
    insta::assert_snapshot!(NAMED.changed(&images("$ARGOCD_APP_NAME=ghcr.io/acme/web:v1")), @"
    -       - $ARGOCD_APP_NAME=ghcr.io/acme/web:v1
    +       - $ARGOCD_APP_NAME=ghcr.io/acme/web:v2
    ");
    insta::assert_snapshot!(NAMED.changed(&application("kustomize: {images: ghcr.io/acme/web:v1}")), @"argocd/web.yaml:9: `images` is a scalar, not a list");
    insta::assert_snapshot!(NAMED.changed(&images("'ghcr.io/acme/web:{{.tag}}'")), @"argocd/web.yaml:11: the value is a template (`{{ … }}`); edit what it is filled from");
    insta::assert_snapshot!(NAMED.changed(&images("ghcr.io/acme/web: v1")), @"argocd/web.yaml:11: `kustomize.images[]` is a map, not a scalar");
    insta::assert_snapshot!(NAMED.changed(&images("ghcr.io/acme/web:v1@OLD")), @"argocd/web.yaml:11: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    insta::assert_snapshot!(NAMED.changed(&images("ghcr.io/acme/wbe:v1")), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/web`; the nearest is `ghcr.io/acme/wbe`; where the chart has the name, say `at:` which of its values holds the version");
    insta::assert_snapshot!(NAMED.changed(&images("{{ .image }}")), @"argocd/web.yaml:11: the file is templated (`{{ … }}`); only plain YAML can be edited");
}

// Helm parameters.

const PARAMETERS: &str = "helm:\n  parameters:\n  - name: image.repository\n    value: ghcr.io/acme/web\n  - name: image.tag\n    value: v1 # now\n  - {name: replicas, value: '2'}\n  - name: sidecar\n    value: 'ghcr.io/acme/web:v1'\n  - name: other.image\n    value: ghcr.io/acme/db:v1\n";

#[test]
fn parameters_of_the_image_get_the_version() {
    let text = application(PARAMETERS);
    insta::assert_snapshot!(NAMED.standing(&text), @"
    spec.source.helm.parameters[name=image.tag].value v1@- :14
    spec.source.helm.parameters[name=sidecar].value v1@- :17
    ");
    insta::assert_snapshot!(NAMED.changed(&text), @"
    -         value: v1 # now
    +         value: v2 # now
    -         value: 'ghcr.io/acme/web:v1'
    +         value: 'ghcr.io/acme/web:v2'
    ");
    insta::assert_snapshot!(NAMED.changed(&text.replace('\n', "\r\n")), @"
    -         value: v1 # now␍
    +         value: v2 # now␍
    -         value: 'ghcr.io/acme/web:v1'␍
    +         value: 'ghcr.io/acme/web:v2'␍
    ");
    insta::assert_snapshot!(NAMED.writing(Write::Digest).changed(&text), @"
    -         value: v1 # now
    +         value: v2@NEW # now
    -         value: 'ghcr.io/acme/web:v1'
    +         value: 'ghcr.io/acme/web:v2@NEW'
    ");
    insta::assert_snapshot!(at("image").changed(&text), @"
    -         value: v1 # now
    +         value: v2 # now
    ");
    insta::assert_snapshot!(at("image.tag").changed(&text), @"
    -         value: v1 # now
    +         value: v2 # now
    ");
    insta::assert_snapshot!(at("sidecar").changed(&text), @"
    -         value: 'ghcr.io/acme/web:v1'
    +         value: 'ghcr.io/acme/web:v2'
    ");
    insta::assert_snapshot!(at("other.image").changed(&text), @"argocd/web.yaml:19: `ghcr.io/acme/db` stands here, not `ghcr.io/acme/web`");
    insta::assert_snapshot!(at("imaeg.tag").changed(&text), @"argocd/web.yaml: no source has `imaeg.tag` in its `helm.parameters`, `helm.valuesObject` or `helm.values`; the nearest is `image.tag`");
    insta::assert_snapshot!(at("replicas.x").changed(&text), @"argocd/web.yaml: no source has `replicas.x` in its `helm.parameters`, `helm.valuesObject` or `helm.values`; the nearest is `replicas`");
}

#[test]
fn the_names_of_parameters_are_read_as_helm_reads_them() {
    let text = application(
        "helm:\n  parameters:\n  - {name: 'images[0].name', value: ghcr.io/acme/web}\n  - {name: 'images[0].tag', value: v1}\n  - {name: 'a\\.b.tag', value: v1}\n  - {name: web.image.registry, value: ghcr.io}\n  - {name: web.image.repository, value: acme/web}\n  - {name: web.image.version, value: v1}\n  - {name: web.image.digest, value: ''}\n",
    );
    insta::assert_snapshot!(NAMED.changed(&text), @"
    -       - {name: 'images[0].tag', value: v1}
    +       - {name: 'images[0].tag', value: v2}
    -       - {name: web.image.version, value: v1}
    +       - {name: web.image.version, value: v2}
    ");
    insta::assert_snapshot!(NAMED.writing(Write::TagAndDigest).changed(&text), @"
    -       - {name: 'images[0].tag', value: v1}
    +       - {name: 'images[0].tag', value: v2@NEW}
    -       - {name: web.image.version, value: v1}
    +       - {name: web.image.version, value: v2}
    -       - {name: web.image.digest, value: ''}
    +       - {name: web.image.digest, value: 'NEW'}
    ");
    insta::assert_snapshot!(at("a.b.tag").changed(&text), @r"
    -       - {name: 'a\.b.tag', value: v1}
    +       - {name: 'a\.b.tag', value: v2}
    ");
    insta::assert_snapshot!(at("\"a.b\".tag").changed(&text), @r"
    -       - {name: 'a\.b.tag', value: v1}
    +       - {name: 'a\.b.tag', value: v2}
    ");
    insta::assert_snapshot!(at("images[0]").changed(&text), @"
    -       - {name: 'images[0].tag', value: v1}
    +       - {name: 'images[0].tag', value: v2}
    ");
    insta::assert_snapshot!(at("web.image").changed(&text), @"
    -       - {name: web.image.version, value: v1}
    +       - {name: web.image.version, value: v2}
    ");
    let global = application(
        "helm:\n  parameters:\n  - {name: global.imageRegistry, value: ghcr.io}\n  - {name: image.repository, value: acme/web}\n  - {name: image.tag, value: v1}\n",
    );
    insta::assert_snapshot!(NAMED.changed(&global), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    ");
}

#[test]
fn a_missing_tag_is_added_as_a_parameter_beside_the_name() {
    let block = application(
        "helm:\n  parameters:\n  - name: image.repository\n    value: ghcr.io/acme/web\n  # the last\n  releaseName: web\n",
    );
    insta::assert_snapshot!(NAMED.standing(&block), @"spec.source.helm.parameters[name=image.tag].value -@- :11");
    insta::assert_snapshot!(NAMED.changed(&block), @"
    +       - name: image.tag
    +         value: v2
    ");
    insta::assert_snapshot!(at("image").writing(Write::Digest).changed(&block), @"
    +       - name: image.tag
    +         value: v2@NEW
    ");
    insta::assert_snapshot!(at("image.tag").changed(&block), @"
    +       - name: image.tag
    +         value: v2
    ");
    insta::assert_snapshot!(at("image.digest").writing(Write::Digest).changed(&block), @"
    +       - name: image.digest
    +         value: NEW
    ");
    insta::assert_snapshot!(at("image.tga").changed(&block), @"argocd/web.yaml: no source has `image.tga` in its `helm.parameters`, `helm.valuesObject` or `helm.values`; there is `image.repository`");
    insta::assert_snapshot!(NAMED.to("123").changed(&block), @"argocd/web.yaml:11: Helm reads the parameter's value `123` as a number or a word of its own, not as text; let the parameter stand here with `forceString: true`");
    let flow =
        application("helm: {parameters: [{name: 'image.repository', value: ghcr.io/acme/web}]}");
    let json = "{\n  \"kind\": \"Application\",\n  \"spec\": {\"source\": {\"helm\": {\"parameters\": [\n    {\"name\": \"images[0].repository\", \"value\": \"ghcr.io/acme/web\"}\n  ]}}}\n}\n";
    insta::assert_snapshot!(NAMED.changed(json), @r#"
    -     {"name": "images[0].repository", "value": "ghcr.io/acme/web"}
    +     {"name": "images[0].repository", "value": "ghcr.io/acme/web"},
    +     {"name": "images[0].tag", "value": "v2"}
    "#);
    let indexed = flow.replace("image.repository", "images[0].repository");
    insta::assert_snapshot!(NAMED.changed(&indexed), @r#"
    -     helm: {parameters: [{name: 'images[0].repository', value: ghcr.io/acme/web}]}
    +     helm: {parameters: [{name: 'images[0].repository', value: ghcr.io/acme/web}, {name: "images[0].tag", value: v2}]}
    "#);
    insta::assert_snapshot!(NAMED.changed(&flow), @"
    -     helm: {parameters: [{name: 'image.repository', value: ghcr.io/acme/web}]}
    +     helm: {parameters: [{name: 'image.repository', value: ghcr.io/acme/web}, {name: image.tag, value: v2}]}
    ");
}

#[test]
fn a_value_that_helm_would_not_take_for_text_needs_to_be_forced() {
    let plain = application("helm:\n  parameters:\n  - name: image.tag\n    value: v1\n");
    let forced = application(
        "helm:\n  parameters:\n  - name: image.tag\n    value: v1\n    forceString: true\n",
    );
    for word in ["1234567", "0", "true", "FALSE", "Null"] {
        let refused = at("image.tag").to(word).changed(&plain);
        assert!(refused.contains("forceString: true"), "{word}: {refused}");
    }
    for word in ["0123", "1.10", "99999999999999999999", "1e5", "nil", "v1"] {
        let written = at("image.tag").to(word).changed(&plain);
        assert!(!written.contains("forceString"), "{word}: {written}");
    }
    insta::assert_snapshot!(at("image.tag").to("1234567").changed(&plain), @"argocd/web.yaml:12: Helm reads the parameter's value `1234567` as a number or a word of its own, not as text; let the parameter stand here with `forceString: true`");
    insta::assert_snapshot!(at("image.tag").to("1234567").changed(&forced), @r#"
    -         value: v1
    +         value: "1234567"
    "#);
    insta::assert_snapshot!(at("image.tag").to("1234567").writing(Write::Digest).changed(&plain), @"
    -         value: v1
    +         value: 1234567@NEW
    ");
}

#[test]
fn a_parameter_that_cannot_be_written_exactly_is_refused() {
    let parameters = |items: &str| application(&format!("helm:\n  parameters:\n{items}"));
    let other = parameters(
        "  - {name: image.repository, value: ghcr.io/acme/db}\n  - {name: image.tag, value: v1}\n",
    );
    insta::assert_snapshot!(at("image").changed(&other), @"argocd/web.yaml:11: `ghcr.io/acme/db` stands here, not `ghcr.io/acme/web`");
    insta::assert_snapshot!(NAMED.changed(&other), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/web`; the nearest is `ghcr.io/acme/db`; where the chart has the name, say `at:` which of its values holds the version");
    let twice = parameters("  - {name: image.tag, value: v1}\n  - {name: image.tag, value: v2}\n");
    insta::assert_snapshot!(at("image.tag").changed(&twice), @"argocd/web.yaml:11: `image.tag` stands here and again on line 12; readers disagree on which one counts");
    let filled = parameters("  - {name: image.tag, value: $ARGOCD_APP_REVISION}\n");
    insta::assert_snapshot!(at("image.tag").changed(&filled), @"argocd/web.yaml:11: `$ARGOCD_APP_REVISION` is filled in by Argo CD from its build environment; write the version itself once");
    let template = parameters("  - name: image.tag\n    value: '{{.tag}}'\n");
    insta::assert_snapshot!(at("image.tag").changed(&template), @"argocd/web.yaml:12: the value is a template (`{{ … }}`); edit what it is filled from");
    let empty = parameters("  - name: image.tag\n");
    insta::assert_snapshot!(at("image.tag").changed(&empty), @"argocd/web.yaml:11: `parameters[name=image.tag]` has no key `value`; there is `name`");
    let digest =
        parameters("  - {name: image.tag, value: v1}\n  - {name: image.digest, value: OLD}\n");
    insta::assert_snapshot!(at("image").changed(&digest), @"argocd/web.yaml:12: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    insta::assert_snapshot!(at("image").writing(Write::Digest).changed(&digest), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    -       - {name: image.digest, value: OLD}
    +       - {name: image.digest, value: NEW}
    ");
}

// Helm values.

const OBJECT: &str = "helm:\n  valuesObject:\n    image:\n      repository: ghcr.io/acme/web\n      tag: v1 # now\n    sidecar:\n      image: \"ghcr.io/acme/web:v1\"\n";
const TEXT: &str = "helm:\n  values: |\n    # values\n    image:\n      repository: ghcr.io/acme/web\n      tag: v1 # now\n    sidecar:\n      image: \"ghcr.io/acme/web:v1\"\n";

#[test]
fn values_in_a_map_and_in_a_text_are_values() {
    for text in [OBJECT, TEXT].map(application) {
        insta::allow_duplicates! {
            insta::assert_snapshot!(NAMED.changed(&text), @r#"
            -           tag: v1 # now
            +           tag: v2 # now
            -           image: "ghcr.io/acme/web:v1"
            +           image: "ghcr.io/acme/web:v2"
            "#);
            insta::assert_snapshot!(at("image").changed(&text), @"
            -           tag: v1 # now
            +           tag: v2 # now
            ");
            insta::assert_snapshot!(at("image.tag").writing(Write::TagAndDigest).changed(&text), @"
            -           tag: v1 # now
            +           tag: v2@NEW # now
            ");
            insta::assert_snapshot!(at("sidecar.image").changed(&text), @r#"
            -           image: "ghcr.io/acme/web:v1"
            +           image: "ghcr.io/acme/web:v2"
            "#);
            insta::assert_snapshot!(at("image.tga").changed(&text), @"argocd/web.yaml: no source has `image.tga` in its `helm.parameters`, `helm.valuesObject` or `helm.values`; the nearest is `image.tag`");
            insta::assert_snapshot!(NAMED.of("ghcr.io/acme/wbe").changed(&text), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/wbe`; the nearest is `ghcr.io/acme/web`; where the chart has the name, say `at:` which of its values holds the version");
        }
    }
    insta::assert_snapshot!(NAMED.standing(&application(OBJECT)), @"
    spec.source.helm.valuesObject.image.tag v1@- :13
    spec.source.helm.valuesObject.sidecar.image v1@- :15
    ");
    insta::assert_snapshot!(NAMED.standing(&application(TEXT)), @"
    spec.source.helm.values.image.tag v1@- :14
    spec.source.helm.values.sidecar.image v1@- :16
    ");
    insta::assert_snapshot!(NAMED.changed(&application(TEXT).replace('\n', "\r\n")), @r#"
    -           tag: v1 # now␍
    +           tag: v2 # now␍
    -           image: "ghcr.io/acme/web:v1"␍
    +           image: "ghcr.io/acme/web:v2"␍
    "#);
}

#[test]
fn a_missing_tag_is_added_where_the_name_stands() {
    let object = application("helm:\n  valuesObject:\n    image: {repository: ghcr.io/acme/web}\n");
    insta::assert_snapshot!(NAMED.changed(&object), @"
    -         image: {repository: ghcr.io/acme/web}
    +         image: {repository: ghcr.io/acme/web, tag: v2}
    ");
    let text = application("helm:\n  values: |\n    image:\n      repository: ghcr.io/acme/web\n");
    insta::assert_snapshot!(at("image.tag").changed(&text), @"+           tag: v2");
    // The tag is a parameter, and counts.
    let both = application(
        "helm:\n  parameters:\n  - {name: image.tag, value: v1}\n  valuesObject:\n    image: {repository: ghcr.io/acme/web}\n",
    );
    insta::assert_snapshot!(at("image").changed(&both), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    ");
    insta::assert_snapshot!(NAMED.changed(&both), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    ");
    let both = application(
        "helm:\n  parameters:\n  - {name: image.tag, value: v1}\n  values: |\n    image:\n      repository: ghcr.io/acme/web\n",
    );
    insta::assert_snapshot!(at("image").changed(&both), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    ");
    insta::assert_snapshot!(NAMED.changed(&both), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    ");
    // The name is a parameter, and the tag a value.
    let both = application(
        "helm:\n  parameters:\n  - {name: image.repository, value: ghcr.io/acme/web}\n  valuesObject:\n    image: {tag: v1}\n",
    );
    insta::assert_snapshot!(at("image").changed(&both), @"
    -         image: {tag: v1}
    +         image: {tag: v2}
    ");
    insta::assert_snapshot!(NAMED.changed(&both), @"
    -         image: {tag: v1}
    +         image: {tag: v2}
    ");
}

#[test]
fn parameters_and_values_that_say_the_same_are_written_alike() {
    let both = application(
        "helm:\n  parameters:\n  - {name: image.tag, value: v1}\n  valuesObject:\n    image: {repository: ghcr.io/acme/web, tag: v0}\n",
    );
    insta::assert_snapshot!(at("image").changed(&both), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    -         image: {repository: ghcr.io/acme/web, tag: v0}
    +         image: {repository: ghcr.io/acme/web, tag: v2}
    ");
    insta::assert_snapshot!(NAMED.changed(&both), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    -         image: {repository: ghcr.io/acme/web, tag: v0}
    +         image: {repository: ghcr.io/acme/web, tag: v2}
    ");
    let text = application(
        "helm:\n  parameters:\n  - {name: image.tag, value: v1}\n  values: |\n    image: {repository: ghcr.io/acme/web, tag: v0}\n",
    );
    insta::assert_snapshot!(NAMED.changed(&text), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    -         image: {repository: ghcr.io/acme/web, tag: v0}
    +         image: {repository: ghcr.io/acme/web, tag: v2}
    ");
    let beside = application(
        "helm:\n  parameters:\n  - {name: image.tag, value: v1}\n  valuesObject:\n    image: {pullPolicy: Always}\n",
    );
    insta::assert_snapshot!(at("image").changed(&beside), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    ");
    let over = application(
        "helm:\n  parameters:\n  - {name: image.repository, value: ghcr.io/acme/web}\n  - {name: image.tag, value: v1}\n  valuesObject:\n    image: {repository: upstream/web, tag: v0}\n",
    );
    insta::assert_snapshot!(at("image").changed(&over), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    ");
    insta::assert_snapshot!(NAMED.changed(&over), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    ");
    let templated = application(
        "helm:\n  parameters:\n  - {name: image.tag, value: v1}\n  values: |\n    host: {{ .cluster }}\n",
    );
    insta::assert_snapshot!(at("image.tag").changed(&templated), @"
    -       - {name: image.tag, value: v1}
    +       - {name: image.tag, value: v2}
    ");
    let apart = application(
        "helm:\n  parameters:\n  - {name: image.tag, value: v1}\n  valuesObject:\n    image: {repository: ghcr.io/acme/web, tag: v1, digest: OLD}\n",
    );
    let missing = application(
        "helm:\n  parameters:\n  - {name: image.tag, value: v1}\n  valuesObject:\n    image: {repository: ghcr.io/acme/web, digest: OLD}\n",
    );
    insta::assert_snapshot!(at("image").changed(&missing), @"argocd/web.yaml:11: the image's digest stands on line 13, in other values than its tag here; let both stand in one of them");
    insta::assert_snapshot!(NAMED.changed(&missing), @"argocd/web.yaml:11: the image's digest stands on line 13, in other values than its tag here; let both stand in one of them");
    insta::assert_snapshot!(at("image").changed(&apart), @"argocd/web.yaml:11: the image's digest stands on line 13, in other values than its tag here; let both stand in one of them");
    insta::assert_snapshot!(NAMED.writing(Write::Digest).changed(&apart), @"argocd/web.yaml:11: the image's digest stands on line 13, in other values than its tag here; let both stand in one of them");
}

#[test]
fn the_version_below_parameters_that_name_the_image_is_read_and_written() {
    let text = |parameters: &str, values: &str| {
        let parameters =
            format!("[{{name: image.repository, value: ghcr.io/acme/web}}{parameters}]");
        application(&format!(
            "helm:\n  parameters: {parameters}\n  values: |\n    {values}\n"
        ))
    };
    let named = text("", "image: {tag: v3}");
    insta::assert_snapshot!(NAMED.standing(&named), @"spec.source.helm.values.image.tag v3@- :12");
    insta::assert_snapshot!(NAMED.changed(&named), @"
    -         image: {tag: v3}
    +         image: {tag: v2}
    ");
    let both = text(", {name: image.tag, value: v1}", "image: {tag: v0}");
    insta::assert_snapshot!(NAMED.standing(&both), @"
    spec.source.helm.parameters[name=image.tag].value v1@- :10
    spec.source.helm.values.image.tag v0@- :12
    ");
    insta::assert_snapshot!(NAMED.changed(&both), @"
    -       parameters: [{name: image.repository, value: ghcr.io/acme/web}, {name: image.tag, value: v1}]
    +       parameters: [{name: image.repository, value: ghcr.io/acme/web}, {name: image.tag, value: v2}]
    -         image: {tag: v0}
    +         image: {tag: v2}
    ");
    // The parameter gives the image another name, as for a mirror.
    let mirror = text("", "image: {repository: upstream/web, tag: v3}");
    insta::assert_snapshot!(NAMED.standing(&mirror), @"spec.source.helm.values.image.tag v3@- :12");
    insta::assert_snapshot!(NAMED.changed(&mirror), @"
    -         image: {repository: upstream/web, tag: v3}
    +         image: {repository: upstream/web, tag: v2}
    ");
    insta::assert_snapshot!(at("image").changed(&mirror), @"
    -         image: {repository: upstream/web, tag: v3}
    +         image: {repository: upstream/web, tag: v2}
    ");
    let object = mirror.replace("values: |", "valuesObject:");
    insta::assert_snapshot!(NAMED.standing(&object), @"spec.source.helm.valuesObject.image.tag v3@- :12");
    insta::assert_snapshot!(at("image").changed(&object), @"
    -         image: {repository: upstream/web, tag: v3}
    +         image: {repository: upstream/web, tag: v2}
    ");
    let templated = text("", "image: {tag: {{ .tag }}}");
    insta::assert_snapshot!(NAMED.changed(&templated), @"argocd/web.yaml:12: the file is templated (`{{ … }}`); only plain YAML can be edited");
    let folded = named.replace("values: |", "values: >");
    insta::assert_snapshot!(NAMED.changed(&folded), @"argocd/web.yaml:12: the value is a scalar, not a literal block (`|`) whose text could be edited");
    // A text is searched by the image's name, or at one place.
    let several = text("", "image: {tag: v3}\n    sidecar: 'ghcr.io/acme/web:v3'");
    insta::assert_snapshot!(NAMED.changed(&several), @"argocd/web.yaml:12: this text says the version in several places, of which parameters name the image of one; say `at:` which of its values holds the version");
    insta::assert_snapshot!(at("image").changed(&several), @"
    -         image: {tag: v3}
    +         image: {tag: v2}
    ");
    insta::assert_snapshot!(at("sidecar").changed(&several), @"
    -         sidecar: 'ghcr.io/acme/web:v3'
    +         sidecar: 'ghcr.io/acme/web:v2'
    ");
    let shared = "kind: Application\nspec:\n  sources:\n  - helm:\n      parameters: [{name: a.repository, value: ghcr.io/acme/web}]\n      values: &v |\n        a: {tag: v1}\n        b: {tag: v1}\n  - helm:\n      parameters: [{name: b.repository, value: ghcr.io/acme/web}]\n      values: *v\n";
    insta::assert_snapshot!(NAMED.followed().changed(shared), @"argocd/web.yaml:7: this text says the version in several places, of which parameters name the image of one; say `at:` which of its values holds the version");
}

#[test]
fn values_that_argo_cd_does_not_read_are_left_alone() {
    let both = application(
        "helm:\n  values: |\n    image: {repository: ghcr.io/acme/web, tag: v0}\n  valuesObject:\n    image: {repository: ghcr.io/acme/web, tag: v1}\n",
    );
    insta::assert_snapshot!(NAMED.changed(&both), @"
    -         image: {repository: ghcr.io/acme/web, tag: v1}
    +         image: {repository: ghcr.io/acme/web, tag: v2}
    ");
    let dead = application(
        "helm:\n  values: |\n    image: {repository: ghcr.io/acme/web, tag: v0}\n  valuesObject: {}\n",
    );
    insta::assert_snapshot!(NAMED.changed(&dead), @"argocd/web.yaml:11: `values` is not read while `valuesObject` stands beside it; write the one or the other");
    insta::assert_snapshot!(at("image.tag").changed(&dead), @"argocd/web.yaml:11: `values` is not read while `valuesObject` stands beside it; write the one or the other");
    let null = application(
        "helm:\n  values: |\n    image: {repository: ghcr.io/acme/web, tag: v0}\n  valuesObject: null\n",
    );
    insta::assert_snapshot!(NAMED.changed(&null), @"
    -         image: {repository: ghcr.io/acme/web, tag: v0}
    +         image: {repository: ghcr.io/acme/web, tag: v2}
    ");
}

#[test]
fn values_that_cannot_be_edited_exactly_are_refused() {
    let values = |text: &str| application(&format!("helm:\n  values: {text}\n"));
    insta::assert_snapshot!(NAMED.changed(&values("'image: {repository: ghcr.io/acme/web, tag: v1}'")), @"argocd/web.yaml:10: the value is a scalar, not a literal block (`|`) whose text could be edited");
    insta::assert_snapshot!(NAMED.changed(&values(">\n    image: ghcr.io/acme/web:v1")), @"argocd/web.yaml:11: the value is a scalar, not a literal block (`|`) whose text could be edited");
    insta::assert_snapshot!(NAMED.changed(&values("{image: {repository: ghcr.io/acme/web}}")), @"argocd/web.yaml:10: `helm.values` is a map, not a text; what takes a map is `valuesObject`");
    insta::assert_snapshot!(NAMED.changed(&values("|\n    image: ghcr.io/acme/web:v1\n    host: {{ .host }}")), @"argocd/web.yaml:12: the file is templated (`{{ … }}`); only plain YAML can be edited");
    insta::assert_snapshot!(NAMED.changed(&values("''")), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/web`; there is nothing; where the chart has the name, say `at:` which of its values holds the version");
    insta::assert_snapshot!(NAMED.changed(&values("'a: b'")), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/web`; there is nothing; where the chart has the name, say `at:` which of its values holds the version");
    insta::assert_snapshot!(NAMED.changed(&values("|\n    # nothing\n")), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/web`; there is nothing; where the chart has the name, say `at:` which of its values holds the version");
    insta::assert_snapshot!(at("image.tag").changed(&values("")), @"argocd/web.yaml: no source has `image.tag` in its `helm.parameters`, `helm.valuesObject` or `helm.values`; there is nothing");
    let object = application("helm:\n  valuesObject: |\n    image: ghcr.io/acme/web:v1\n");
    insta::assert_snapshot!(NAMED.changed(&object), @"argocd/web.yaml:11: `helm.valuesObject` is a scalar, not a map");
}

// Charts in registries.

#[test]
fn the_version_of_a_chart_in_a_registry_is_its_target_revision() {
    let chart = "kind: Application\nmetadata: {name: web}\nspec:\n  source:\n    chart: web\n    repoURL: ghcr.io/acme/ # charts\n    targetRevision: 1.2.3+b1 # now\n";
    insta::assert_snapshot!(NAMED.standing(chart), @"spec.source.targetRevision 1.2.3_b1@- :7");
    insta::assert_snapshot!(NAMED.to("1.3.0_b2").changed(chart), @"
    -     targetRevision: 1.2.3+b1 # now
    +     targetRevision: 1.3.0+b2 # now
    ");
    insta::assert_snapshot!(NAMED.to("1.10").changed(chart), @r#"
    -     targetRevision: 1.2.3+b1 # now
    +     targetRevision: "1.10" # now
    "#);
    insta::assert_snapshot!(NAMED.to("1.3.0").writing(Write::Digest).changed(chart), @"argocd/web.yaml:7: a chart's version stands here, which has no room for a digest; let the policy `write: tag`");
    let oci = "kind: Application\nspec:\n  source:\n    path: .\n    repoURL: oci://ghcr.io/acme/web\n    targetRevision: 1.2.3_b1\n";
    insta::assert_snapshot!(NAMED.standing(oci), @"spec.source.targetRevision 1.2.3_b1@- :6");
    insta::assert_snapshot!(NAMED.to("1.3.0_b2").changed(oci), @"
    -     targetRevision: 1.2.3_b1
    +     targetRevision: 1.3.0_b2
    ");
    insta::assert_snapshot!(NAMED.to("1.3.0").writing(Write::Digest).changed(oci), @"
    -     targetRevision: 1.2.3_b1
    +     targetRevision: 1.3.0@NEW
    ");
    let pinned = oci.replace("1.2.3_b1", "OLD");
    insta::assert_snapshot!(NAMED.standing(&pinned), @"spec.source.targetRevision -@OLD :6");
    insta::assert_snapshot!(NAMED.changed(&pinned), @"argocd/web.yaml:6: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    insta::assert_snapshot!(NAMED.writing(Write::Digest).changed(&pinned), @"
    -     targetRevision: OLD
    +     targetRevision: NEW
    ");
    let https = chart.replace("ghcr.io", "https://ghcr.io");
    insta::assert_snapshot!(NAMED.changed(&https), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/web`; there is nothing; where the chart has the name, say `at:` which of its values holds the version");
}

#[test]
fn a_range_is_another_mechanism() {
    let chart = |revision: &str| {
        format!(
            "kind: Application\nspec:\n  source:\n    chart: web\n    repoURL: ghcr.io/acme\n{revision}"
        )
    };
    insta::assert_snapshot!(NAMED.changed(&chart("    targetRevision: '1.*'\n")), @"argocd/web.yaml:6: `1.*` lets Argo CD choose the version; write one version here once");
    insta::assert_snapshot!(NAMED.changed(&chart("    targetRevision: \">=1.0.0\"\n")), @"argocd/web.yaml:6: `>=1.0.0` lets Argo CD choose the version; write one version here once");
    insta::assert_snapshot!(NAMED.changed(&chart("    targetRevision: HEAD\n")), @"argocd/web.yaml:6: `HEAD` lets Argo CD choose the version; write one version here once");
    insta::assert_snapshot!(NAMED.changed(&chart("    targetRevision:\n")), @"argocd/web.yaml:4: no `targetRevision` lets Argo CD choose the version; write one version here once");
    insta::assert_snapshot!(NAMED.changed(&chart("")), @"argocd/web.yaml:4: no `targetRevision` lets Argo CD choose the version; write one version here once");
    insta::assert_snapshot!(NAMED.changed(&chart("    targetRevision: '{{.version}}'\n")), @"argocd/web.yaml:6: the value is a template (`{{ … }}`); edit what it is filled from");
}

// Sources and documents.

#[test]
fn every_source_that_argo_cd_reads_is_looked_through() {
    let source = |indent: usize| {
        let pad = " ".repeat(indent);
        format!("{pad}repoURL: r\n{pad}kustomize:\n{pad}  images: [ghcr.io/acme/web:v1]\n")
    };
    let several = format!(
        "kind: Application\nspec:\n  source:\n{}  sources:\n  - ref: values\n  -\n{}  -\n{}",
        source(4),
        source(4),
        source(4)
    );
    insta::assert_snapshot!(NAMED.standing(&several), @"
    spec.sources[1].kustomize.images[0] v1@- :12
    spec.sources[2].kustomize.images[0] v1@- :16
    ");
    let hydrated = format!(
        "kind: Application\nspec:\n  sourceHydrator:\n    drySource:\n{}    syncSource: {{targetBranch: env}}\n  source:\n{}",
        source(6),
        source(4)
    );
    insta::assert_snapshot!(NAMED.standing(&hydrated), @"spec.sourceHydrator.drySource.kustomize.images[0] v1@- :7");
    let set = format!(
        "kind: ApplicationSet\nmetadata: {{name: '{{{{.name}}}}'}}\nspec:\n  generators:\n  - list:\n      template:\n        spec:\n          source:\n{}  - matrix:\n      generators:\n      - git:\n          template:\n            spec:\n              sources:\n              -\n{}  template:\n    metadata: {{name: '{{{{.name}}}}'}}\n    spec:\n      source:\n{}",
        source(12),
        source(16),
        source(8)
    );
    insta::assert_snapshot!(NAMED.standing(&set), @"
    spec.template.spec.source.kustomize.images[0] v1@- :28
    spec.generators[0].list.template.spec.source.kustomize.images[0] v1@- :11
    spec.generators[1].matrix.generators[0].git.template.spec.sources[0].kustomize.images[0] v1@- :21
    ");
    insta::assert_snapshot!(NAMED.changed(&set), @"
    -               images: [ghcr.io/acme/web:v1]
    +               images: [ghcr.io/acme/web:v2]
    -                   images: [ghcr.io/acme/web:v1]
    +                   images: [ghcr.io/acme/web:v2]
    -           images: [ghcr.io/acme/web:v1]
    +           images: [ghcr.io/acme/web:v2]
    ");
    let overrides = "kustomize:\n  images:\n  - ghcr.io/acme/web:v1\n";
    insta::assert_snapshot!(NAMED.changed(overrides), @"
    -   - ghcr.io/acme/web:v1
    +   - ghcr.io/acme/web:v2
    ");
}

#[test]
fn a_patch_that_may_name_the_image_is_told_where_nothing_else_does() {
    let set = |source: &str, patch: &str| {
        format!(
            "kind: ApplicationSet\nspec:\n  template: {{spec: {{source: {source}}}}}\n  templatePatch: |\n    spec: {{source: {{kustomize: {{images: ['{patch}:{{{{ .tag }}}}']}}}}}}\n"
        )
    };
    insta::assert_snapshot!(NAMED.changed(&set("{}", "ghcr.io/acme/web")), @"argocd/web.yaml:5: nothing in the sources here names `ghcr.io/acme/web`, and `templatePatch`, which may, is not edited; let the version stand in a source itself, or say `at:` which of the chart's values holds it");
    insta::assert_snapshot!(NAMED.changed(&set("{}", "ghcr.io/acme/db")), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/web`; there is nothing; where the chart has the name, say `at:` which of its values holds the version");
    insta::assert_snapshot!(at("image").changed(&set("{}", "ghcr.io/acme/web")), @"argocd/web.yaml: no source has `image` in its `helm.parameters`, `helm.valuesObject` or `helm.values`; there is nothing");
    let named = "{kustomize: {images: ['ghcr.io/acme/web:v1']}}";
    insta::assert_snapshot!(NAMED.changed(&set(named, "ghcr.io/acme/web")), @"
    -   template: {spec: {source: {kustomize: {images: ['ghcr.io/acme/web:v1']}}}}
    +   template: {spec: {source: {kustomize: {images: ['ghcr.io/acme/web:v2']}}}}
    ");
    let patches = application(
        "kustomize:\n  patches:\n  - path: other.yaml\n  - target: {kind: Deployment}\n    patch: |-\n      - op: replace\n        path: /spec/template/spec/containers/0/image\n        value: ghcr.io/acme/web:v1\n",
    );
    insta::assert_snapshot!(NAMED.changed(&patches), @"argocd/web.yaml:14: nothing in the sources here names `ghcr.io/acme/web`, and `kustomize.patches`, which may, is not edited; let the version stand in a source itself, or say `at:` which of the chart's values holds it");
    insta::assert_snapshot!(NAMED.of("ghcr.io/acme/db").changed(&patches), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/db`; there is nothing; where the chart has the name, say `at:` which of its values holds the version");
}

#[test]
fn generators_within_themselves_are_refused() {
    let set = |generators: &str| {
        format!("kind: ApplicationSet\nspec:\n  generators:{generators}\n  template: {{}}\n")
    };
    let cycle = set(" &g [{matrix: {generators: *g}}, {matrix: {generators: *g}}]");
    insta::assert_snapshot!(NAMED.changed(&cycle), @"argocd/web.yaml:3: generators stand here within generators more than 4 deep, or within themselves by an alias");
    insta::assert_snapshot!(NAMED.followed().changed(&cycle), @"argocd/web.yaml:3: generators stand here within generators more than 4 deep, or within themselves by an alias");
    let merged = "kind: ApplicationSet\nspec: &s\n  generators: [{matrix: *s}]\n";
    insta::assert_snapshot!(NAMED.changed(merged), @"argocd/web.yaml:3: generators stand here within generators more than 4 deep, or within themselves by an alias");
    let nested = |depth: usize| {
        let (open, close) = ("[{matrix: {generators: ", "}}]");
        let list = "[{list: {template: {spec: {source: {kustomize: {images: ['ghcr.io/acme/web:v1']}}}}}}]";
        set(&format!(
            " {}{list}{}",
            open.repeat(depth),
            close.repeat(depth)
        ))
    };
    insta::assert_snapshot!(NAMED.standing(&nested(3)), @"spec.generators[0].matrix.generators[0].matrix.generators[0].matrix.generators[0].list.template.spec.source.kustomize.images[0] v1@- :3");
    insta::assert_snapshot!(NAMED.standing(&nested(4)), @"argocd/web.yaml:3: generators stand here within generators more than 4 deep, or within themselves by an alias");
}

#[test]
fn a_path_that_two_sources_have_is_refused() {
    let sources = "kind: Application\nmetadata: {name: web}\nspec:\n  sources:\n  - helm: {parameters: [{name: image.tag, value: v1}]}\n  - helm: {parameters: [{name: image.tag, value: v1}]}\n";
    insta::assert_snapshot!(at("image.tag").changed(sources), @"argocd/web.yaml:5: `image.tag` is in several sources, again on line 6; say which by `document:`, or by the whole path as a `yaml:` site");
}

const TWO: &str = "kind: Application\nmetadata: {name: dev}\nspec: {source: {helm: {parameters: [{name: image.tag, value: v1}]}}}\n---\nkind: List\nitems:\n- kind: Application\n  metadata: {name: prod}\n  spec: {source: {helm: {parameters: [{name: image.tag, value: v0}]}}}\n- kind: ConfigMap\n  metadata: {name: other}\n";

#[test]
fn the_document_that_is_meant_is_looked_through() {
    insta::assert_snapshot!(at("image.tag").changed(TWO), @"argocd/web.yaml:3: `image.tag` is in several sources, again on line 9; say which by `document:`, or by the whole path as a `yaml:` site");
    insta::assert_snapshot!(at("image.tag").in_document("Application/dev").changed(TWO), @"
    - spec: {source: {helm: {parameters: [{name: image.tag, value: v1}]}}}
    + spec: {source: {helm: {parameters: [{name: image.tag, value: v2}]}}}
    ");
    insta::assert_snapshot!(at("image.tag").in_document("Application/prod").changed(TWO), @"
    -   spec: {source: {helm: {parameters: [{name: image.tag, value: v0}]}}}
    +   spec: {source: {helm: {parameters: [{name: image.tag, value: v2}]}}}
    ");
    insta::assert_snapshot!(at("image.tag").in_document("1").changed(TWO), @"
    -   spec: {source: {helm: {parameters: [{name: image.tag, value: v0}]}}}
    +   spec: {source: {helm: {parameters: [{name: image.tag, value: v2}]}}}
    ");
    insta::assert_snapshot!(at("image.tag").in_document("ConfigMap/other").changed(TWO), @"argocd/web.yaml: the file has no Application or ApplicationSet of Argo CD; there is `ConfigMap/other`");
    insta::assert_snapshot!(at("image.tag").in_document("Application/prd").changed(TWO), @"argocd/web.yaml: the file has no object `Application/prd`; the nearest is `Application/prod`");
    insta::assert_snapshot!(NAMED.changed("kind: AppProject\nmetadata: {name: default}\n"), @"argocd/web.yaml: the file has no Application or ApplicationSet of Argo CD; there is `AppProject/default`");
    insta::assert_snapshot!(NAMED.changed("apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: web}\n"), @"argocd/web.yaml: the file has no Application or ApplicationSet of Argo CD; there is `Application/web`");
    insta::assert_snapshot!(NAMED.changed("kind: Application\nmetadata: {name: web}\n"), @"argocd/web.yaml: nothing in the sources here names `ghcr.io/acme/web`; there is nothing; where the chart has the name, say `at:` which of its values holds the version");
    insta::assert_snapshot!(NAMED.changed(""), @"argocd/web.yaml: the file has no Application or ApplicationSet of Argo CD; there is nothing");
    insta::assert_snapshot!(NAMED.changed("kind: Application\nspec:\n  source: {{ .source }}\n"), @"argocd/web.yaml:3: the file is templated (`{{ … }}`); only plain YAML can be edited");
}

#[test]
fn what_stands_behind_an_alias_is_taken_where_that_is_said() {
    let shared = "kind: Application\nspec:\n  sources:\n  - &s\n    helm: {parameters: [{name: image.tag, value: v1}]}\n  - *s\n";
    insta::assert_snapshot!(at("image.tag").changed(shared), @"argocd/web.yaml:6: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
    insta::assert_snapshot!(at("image.tag").followed().changed(shared), @"
    -     helm: {parameters: [{name: image.tag, value: v1}]}
    +     helm: {parameters: [{name: image.tag, value: v2}]}
    ");
    let merged = "x-common: &c\n  kustomize: {images: [&i ghcr.io/acme/web:v1]}\nkind: Application\nspec:\n  sources:\n  - <<: *c\n    path: a\n  - kustomize: {images: [*i]}\n";
    insta::assert_snapshot!(NAMED.changed(merged), @"argocd/web.yaml:6: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
    insta::assert_snapshot!(NAMED.followed().changed(merged), @"
    -   kustomize: {images: [&i ghcr.io/acme/web:v1]}
    +   kustomize: {images: [&i ghcr.io/acme/web:v2]}
    ");
    let beside = "x: &c {name: replicas, value: '2'}\nkind: Application\nspec: {source: {helm: {parameters: [*c, {name: image.tag, value: v1}]}}}\n";
    insta::assert_snapshot!(at("image.tag").changed(beside), @"
    - spec: {source: {helm: {parameters: [*c, {name: image.tag, value: v1}]}}}
    + spec: {source: {helm: {parameters: [*c, {name: image.tag, value: v2}]}}}
    ");
    insta::assert_snapshot!(at("replicas").changed(beside), @"argocd/web.yaml:3: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
    let aside = "x-sync: &p {automated: {}}\nkind: Application\nspec:\n  syncPolicy: *p\n  source:\n    helm: &h\n      parameters: [{name: image.tag, value: v1}]\n";
    insta::assert_snapshot!(at("image.tag").changed(aside), @"
    -       parameters: [{name: image.tag, value: v1}]
    +       parameters: [{name: image.tag, value: v2}]
    ");
}

#[test]
fn what_aliases_repeat_without_end_is_refused() {
    let repeated = |anchored: &str, count: usize| {
        let aliases = vec!["*s"; count].join(", ");
        format!("x: &s {anchored}\nkind: Application\nspec: {{sources: [{aliases}]}}\n")
    };
    let images = repeated("{kustomize: {images: [ghcr.io/acme/web:v1]}}", 6000);
    insta::assert_snapshot!(NAMED.followed().changed(&images), @"argocd/web.yaml: the file has more than 10000 items of sources, images and parameters, counted as often as aliases repeat them");
    let object = repeated(
        "{helm: {valuesObject: {image: 'ghcr.io/acme/web:v1'}}}",
        600,
    );
    insta::assert_snapshot!(NAMED.followed().changed(&object), @"argocd/web.yaml: the file has more than 10000 items of sources, images and parameters, counted as often as aliases repeat them");
    let text = format!(
        "\n  helm:\n    values: |\n      # {}\n      image: ghcr.io/acme/web:v1",
        "-".repeat(3000)
    );
    insta::assert_snapshot!(NAMED.followed().changed(&repeated(&text, 3000)), @"argocd/web.yaml: the file has more than 8388608 bytes of values and patches in texts, counted as often as aliases repeat them");
    let few = repeated(&text, 3);
    insta::assert_snapshot!(NAMED.followed().changed(&few), @"
    -       image: ghcr.io/acme/web:v1
    +       image: ghcr.io/acme/web:v2
    ");
}
