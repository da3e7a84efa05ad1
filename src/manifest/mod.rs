//! Where the version of an image stands in a manifests repository, and how it is read and written there.
//!
//! Not here: bytes and YAML (`edit`), and which version is wanted (`policy`, `plan`).
//! Invariant: a write changes the bytes of the version and nothing else, or is refused with file and line.

mod commit;
mod helm;
mod kustomize;
mod path;

use crate::edit::{self, Path, Reason, Refusal};
use crate::image::{Digest, Repository, Tag};
use helm::Form;

pub(crate) use commit::CommitId;
pub(crate) use kustomize::{ImageArgument, set_image};
pub(crate) use path::RepoPath;

/// A place in the manifests repository where an image's version is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Site {
    /// The `images:` entry of a kustomization: the folder that holds it, or the file itself.
    Kustomize { path: RepoPath },
    /// A Helm values file: a map with `repository` or `name` and `tag` or `version`, or one scalar.
    Helm { file: RepoPath, at: Path },
    /// Any scalar by path.
    Yaml { file: RepoPath, at: Path },
}

/// What is written at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Tag,
    Digest,
    TagAndDigest,
}

/// The version that a site gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) tag: Tag,
    /// Needed where the digest is written; recorded where it is known.
    pub(crate) digest: Option<Digest>,
}

/// What stands at a site now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The tag as written, which may be no tag at all (an empty value, a template).
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<String>,
    /// One-based line of the version, or of the place where it would be added.
    pub(crate) line: usize,
}

/// Why a site cannot be read or written exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map(|l| format!(":{l}")).unwrap_or_default())]
pub(crate) struct SiteError {
    pub(crate) file: RepoPath,
    /// One-based.
    pub(crate) line: Option<usize>,
    pub(crate) reason: String,
}

/// The names under which kustomize looks for a kustomization in a folder.
pub(crate) const KUSTOMIZATIONS: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A [`SiteError`] before the file's name is put to it.
#[derive(Debug)]
struct Fault {
    line: Option<usize>,
    cause: Cause,
}

/// Why a site cannot be read or written exactly.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Edit(#[from] Reason),
    #[error(
        "a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`"
    )]
    DigestStands,
    #[error("the digest of `{tag}` is not known, and this site is written with it")]
    DigestUnknown { tag: Tag },
    #[error("`{found}` stands here, not `{image}`")]
    OtherImage { found: String, image: Repository },
    #[error("the map has no `repository`, `name`, `tag` or `version`")]
    NotAnImageMap,
}

impl Site {
    /// The files in which the site may stand; exactly one of them has to exist.
    ///
    /// A path that ends as a kustomization is called is that file; any other is the folder of one.
    pub(crate) fn files(&self) -> Vec<RepoPath> {
        match self {
            Self::Kustomize { path } => {
                let name = path.as_str().rsplit('/').next().unwrap_or_default();
                match KUSTOMIZATIONS.contains(&name) {
                    true => vec![path.clone()],
                    false => KUSTOMIZATIONS.map(|name| path.join(name)).to_vec(),
                }
            }
            Self::Helm { file, .. } | Self::Yaml { file, .. } => vec![file.clone()],
        }
    }
}

/// Reads what stands at `site` for `image` in `file`, one of [`Site::files`].
pub(crate) fn read(
    site: &Site,
    file: &RepoPath,
    bytes: &[u8],
    image: &Repository,
) -> Result<Standing, SiteError> {
    let standing = |text: &str| match site {
        Site::Kustomize { .. } => kustomize::read(text, image),
        Site::Helm { at, .. } => helm::read(text, (at, Form::MapOrScalar), image),
        Site::Yaml { at, .. } => helm::read(text, (at, Form::Scalar), image),
    };
    let text = edit::text(bytes).map_err(Fault::from);
    text.and_then(standing).map_err(|fault| fault.of(file))
}

/// Gives back `bytes` with `version` of `image` written at `site`, as `write` says.
pub(crate) fn write(
    site: &Site,
    file: &RepoPath,
    bytes: &[u8],
    image: &Repository,
    wanted: (&Version, Write),
) -> Result<Vec<u8>, SiteError> {
    let written = |text: &str| match site {
        Site::Kustomize { .. } => kustomize::write(text, image, wanted),
        Site::Helm { at, .. } => helm::write(text, (at, Form::MapOrScalar), image, wanted),
        Site::Yaml { at, .. } => helm::write(text, (at, Form::Scalar), image, wanted),
    };
    let text = edit::text(bytes).map_err(Fault::from);
    let text = text.and_then(written).map_err(|fault| fault.of(file))?;
    Ok(text.into_bytes())
}

impl Fault {
    fn of(self, file: &RepoPath) -> SiteError {
        let Self { line, cause } = self;
        SiteError {
            file: file.clone(),
            line,
            reason: cause.to_string(),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(Refusal { line, reason }: Refusal) -> Self {
        let cause = Cause::Edit(reason);
        Self { line, cause }
    }
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Self {
        Self { line: None, cause }
    }
}

/// The digest of a version, where it is needed.
fn known_digest(version: &Version) -> Result<&str, Cause> {
    let Version { tag, digest } = version;
    let unknown = || Cause::DigestUnknown { tag: tag.clone() };
    digest.as_ref().map(Digest::as_str).ok_or_else(unknown)
}

/// Splits `v1@sha256:…` at its `@`.
fn split_digest(text: &str) -> (&str, Option<&str>) {
    text.split_once('@')
        .map_or((text, None), |(rest, digest)| (rest, Some(digest)))
}

/// Splits `localhost:5000/web:v1` at the colon that belongs to a tag.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let name = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[name..].split_once(':') {
        Some((last, tag)) => (&text[..name + last.len()], Some(tag)),
        None => (text, None),
    }
}

/// The name of a repository as people write it, Docker Hub's in short.
///
/// Kustomize compares names letter by letter, and manifests have the short ones.
fn familiar(image: &Repository) -> String {
    match (image.registry(), image.path()) {
        ("docker.io", path) => path.strip_prefix("library/").unwrap_or(path).to_owned(),
        _ => image.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{RepoPath, Site, SiteError, Standing, Version, Write, read, write};
    use crate::image::Repository;

    const OLD: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NEW: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn file() -> RepoPath {
        "app/file.yaml".parse().unwrap()
    }

    fn kustomize() -> Site {
        Site::Kustomize {
            path: "app".parse().unwrap(),
        }
    }

    fn helm(at: &str) -> Site {
        Site::Helm {
            file: file(),
            at: at.parse().unwrap(),
        }
    }

    fn yaml(at: &str) -> Site {
        Site::Yaml {
            file: file(),
            at: at.parse().unwrap(),
        }
    }

    fn web() -> Repository {
        "ghcr.io/acme/web".parse().unwrap()
    }

    fn short(text: &str) -> String {
        text.replace(OLD, "OLD").replace(NEW, "NEW")
    }

    fn long(text: &str) -> String {
        text.replace("OLD", OLD).replace("NEW", NEW)
    }

    fn message(error: SiteError) -> String {
        short(&error.to_string())
    }

    /// What stands at a site: `tag@digest:line`, each `-` if it is not there.
    fn standing(site: &Site, text: &str) -> String {
        let word = |text: Option<String>| text.map_or("-".to_owned(), |text| short(&text));
        match read(site, &file(), long(text).as_bytes(), &web()) {
            Ok(Standing { tag, digest, line }) => format!("{}@{}:{line}", word(tag), word(digest)),
            Err(error) => message(error),
        }
    }

    /// The text with `v2@NEW` at a site.
    fn written(site: &Site, mode: Write, text: &str) -> String {
        let version = Version {
            tag: "v2".parse().unwrap(),
            digest: Some(NEW.parse().unwrap()),
        };
        match write(
            site,
            &file(),
            long(text).as_bytes(),
            &web(),
            (&version, mode),
        ) {
            Ok(bytes) => short(&String::from_utf8(bytes).unwrap()),
            Err(error) => message(error),
        }
    }

    #[test]
    fn a_kustomization_is_a_folder_with_one_or_the_file_itself() {
        let files = |path: &str| {
            let site = Site::Kustomize {
                path: path.parse().unwrap(),
            };
            site.files()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(files("a/kustomization.yml"), "a/kustomization.yml");
        assert_eq!(
            files("a"),
            "a/kustomization.yaml a/kustomization.yml a/Kustomization"
        );
        assert_eq!(
            files("."),
            "kustomization.yaml kustomization.yml Kustomization"
        );
        assert_eq!(helm("x").files(), [file()]);
    }

    #[test]
    fn the_entry_that_names_the_image_last_is_the_site() {
        let by_new_name = "images:\n- name: ghcr.io/acme/web\n  newName: other/web\n  newTag: v0\n- name: app\n  newName: ghcr.io/acme/web\n  newTag: v1\n";
        assert_eq!(standing(&kustomize(), by_new_name), "v1@-:7");
        let by_name = "images:\n- name: ghcr.io/acme/web\n  digest: OLD\n  newTag: v1\n";
        assert_eq!(standing(&kustomize(), by_name), "v1@OLD:4");
        assert_eq!(
            standing(&kustomize(), "resources: []\nimages: []\n"),
            "-@-:2"
        );
        assert_eq!(standing(&kustomize(), ""), "-@-:1");
        assert_eq!(
            written(&kustomize(), Write::Tag, by_new_name),
            by_new_name.replace("v1", "v2")
        );
    }

    #[test]
    fn an_entry_that_renames_the_image_is_its_site_where_no_other_is() {
        let mirrored = "images:\n- name: ghcr.io/acme/web\n  newName: mirror.example.com/acme/web\n  newTag: v1\n";
        assert_eq!(standing(&kustomize(), mirrored), "v1@-:4");
        // A second entry of this name would be dead: kustomize has renamed the image before it gets there.
        assert_eq!(
            written(&kustomize(), Write::Tag, mirrored),
            mirrored.replace("v1", "v2")
        );
    }

    #[test]
    fn entries_that_follow_each_other_for_one_image_are_all_written() {
        // Kustomize carries the entries out in turn, so what the first makes of `app` the second changes again.
        let chained = "images:\n- name: app\n  newName: ghcr.io/acme/web\n  newTag: v0\n- name: ghcr.io/acme/web\n  newTag: v1\n";
        assert_eq!(standing(&kustomize(), chained), "v1@-:6");
        assert_eq!(
            written(&kustomize(), Write::Tag, chained),
            chained.replace("v0", "v2").replace("v1", "v2")
        );
    }

    #[test]
    fn a_kustomization_gets_what_the_policy_writes() {
        let tagged = "images:\n- name: ghcr.io/acme/web\n  newTag: v1\n";
        let edit = |mode, text| written(&kustomize(), mode, text);
        assert_eq!(edit(Write::Tag, tagged), tagged.replace("v1", "v2"));
        let both = "images:\n- name: ghcr.io/acme/web\n  newTag: v2\n  digest: NEW\n";
        assert_eq!(edit(Write::TagAndDigest, tagged), both);
        // A tag that stands beside the digest stays true.
        assert_eq!(edit(Write::Digest, tagged), both);
        assert_eq!(
            edit(Write::Digest, "images: []\n"),
            "images: [{name: ghcr.io/acme/web, digest: NEW}]\n"
        );
        assert_eq!(edit(Write::TagAndDigest, "images:\n"), both);
        let combined = "images:\n- name: ghcr.io/acme/web\n  newTag: v1@OLD\n";
        assert_eq!(standing(&kustomize(), combined), "v1@OLD:3");
        assert_eq!(
            edit(Write::TagAndDigest, combined),
            combined.replace("v1@OLD", "v2@NEW")
        );
        insta::assert_snapshot!(edit(Write::Tag, &both.replace("NEW", "OLD")), @"app/file.yaml:4: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    }

    #[test]
    fn a_values_map_is_read_and_written() {
        let site = helm("web.image");
        for (text, stands, after) in [
            (
                "web:\n  image:\n    repository: ghcr.io/acme/web\n    tag: \"v1\" # t\n",
                "v1@-:4",
                None,
            ),
            (
                "web:\n  image: {registry: ghcr.io, repository: acme/web, tag: v1, digest: \"\"}\n",
                "v1@-:2",
                None,
            ),
            (
                "web:\n  image:\n    name: ghcr.io/acme/web\n    version: v1\n",
                "v1@-:4",
                None,
            ),
            (
                "web:\n  image:\n    tag: v1\n    pullPolicy: Always\n",
                "v1@-:3",
                None,
            ),
            (
                "web:\n  image:\n    repository: ghcr.io/acme/web # r\n    pullPolicy: Always\n",
                "-@-:3",
                Some(
                    "web:\n  image:\n    repository: ghcr.io/acme/web # r\n    tag: v2\n    pullPolicy: Always\n",
                ),
            ),
        ] {
            assert_eq!(standing(&site, text), stands, "{text}");
            let after = after.map_or(text.replace("v1", "v2"), str::to_owned);
            assert_eq!(written(&site, Write::Tag, text), after);
        }
    }

    #[test]
    fn a_values_map_takes_a_digest_in_its_key_or_in_its_tag() {
        let site = helm("image");
        let keyed = "image:\n  tag: v1\n  digest: OLD\n";
        assert_eq!(standing(&site, keyed), "v1@OLD:2");
        assert_eq!(
            written(&site, Write::Digest, keyed),
            "image:\n  tag: v2\n  digest: NEW\n"
        );
        let tagged = "image: {tag: v1}\n";
        assert_eq!(
            written(&site, Write::TagAndDigest, tagged),
            "image: {tag: v2@NEW}\n"
        );
        insta::assert_snapshot!(written(&site, Write::Tag, keyed), @"app/file.yaml:3: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    }

    #[test]
    fn one_scalar_is_a_tag_a_digest_or_a_whole_reference() {
        for (site, text, mode, stands, after) in [
            (
                helm("a.tag"),
                "a: {tag: v1}",
                Write::Tag,
                "v1@-:1",
                "a: {tag: v2}",
            ),
            (
                helm("a.tag"),
                "a: {tag: }",
                Write::Tag,
                "-@-:1",
                "a: {tag: v2}",
            ),
            (
                helm("a.tag"),
                "a: {tag: v1@OLD}",
                Write::TagAndDigest,
                "v1@OLD:1",
                "a: {tag: v2@NEW}",
            ),
            (
                helm("a.digest"),
                "a: {digest: }",
                Write::Digest,
                "-@-:1",
                "a: {digest: NEW}",
            ),
            (yaml("d"), "d: OLD", Write::Digest, "-@OLD:1", "d: NEW"),
            (
                yaml("i"),
                "i: 'ghcr.io/acme/web:v1'",
                Write::Tag,
                "v1@-:1",
                "i: 'ghcr.io/acme/web:v2'",
            ),
            (
                yaml("i"),
                "i: ghcr.io/acme/web",
                Write::Tag,
                "-@-:1",
                "i: ghcr.io/acme/web:v2",
            ),
            (
                yaml("i"),
                "i: ghcr.io/acme/web@OLD",
                Write::Digest,
                "-@OLD:1",
                "i: ghcr.io/acme/web@NEW",
            ),
            (
                yaml("i"),
                "i: ghcr.io/acme/web:v1@OLD",
                Write::TagAndDigest,
                "v1@OLD:1",
                "i: ghcr.io/acme/web:v2@NEW",
            ),
        ] {
            assert_eq!(standing(&site, text), stands, "{text}");
            assert_eq!(written(&site, mode, text), after);
        }
    }

    #[test]
    fn a_site_that_is_not_the_images_or_not_exact_is_refused() {
        let tag = |site: Site, text: &str| written(&site, Write::Tag, text);
        insta::assert_snapshot!(tag(helm("i"), "i:\n  repository: ghcr.io/acme/api\n  tag: v1\n"), @"app/file.yaml:2: `ghcr.io/acme/api` stands here, not `ghcr.io/acme/web`");
        insta::assert_snapshot!(tag(helm("i"), "i:\n  registry: quay.io\n  repository: acme/web\n  tag: v1\n"), @"app/file.yaml:3: `quay.io/acme/web` stands here, not `ghcr.io/acme/web`");
        insta::assert_snapshot!(tag(yaml("i"), "i: nginx:1.27\n"), @"app/file.yaml:1: `nginx` stands here, not `ghcr.io/acme/web`");
        insta::assert_snapshot!(tag(helm("i"), "d: &d {tag: v1}\ni:\n  <<: *d\n"), @"app/file.yaml:3: the value comes from an alias of an anchor that others share; name the anchor's own place instead");
        insta::assert_snapshot!(tag(helm("i"), "i: {pullPolicy: Always}\n"), @"app/file.yaml:1: the map has no `repository`, `name`, `tag` or `version`");
        insta::assert_snapshot!(tag(yaml("i"), "i: {tag: v1}\n"), @"app/file.yaml:1: the value is a map, not a scalar");
        insta::assert_snapshot!(tag(helm("image.tga"), "image: {tag: v1}\n"), @"app/file.yaml:1: `image` has no key `tga`; the nearest is `tag`");
        insta::assert_snapshot!(tag(helm("a.b"), "a:\n  {{- toYaml . }}\n"), @"app/file.yaml:2: the file is templated (`{{ … }}`); only plain YAML can be edited");
        insta::assert_snapshot!(tag(helm("a"), ""), @"app/file.yaml: the file holds no values");
        insta::assert_snapshot!(tag(yaml("i"), "i: ghcr.io/acme/web:v1@OLD\n"), @"app/file.yaml:1: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
    }

    #[test]
    fn a_digest_that_is_not_known_is_not_made_up() {
        let version = Version {
            tag: "v2".parse().unwrap(),
            digest: None,
        };
        for site in [kustomize(), helm("i")] {
            let text = b"i: {tag: v1}\n";
            let error = write(
                &site,
                &file(),
                text,
                &web(),
                (&version, Write::TagAndDigest),
            );
            assert!(
                error
                    .unwrap_err()
                    .to_string()
                    .contains("the digest of `v2` is not known")
            );
        }
    }

    #[test]
    fn docker_hub_images_are_added_by_the_name_that_manifests_have() {
        let version = Version {
            tag: "v2".parse().unwrap(),
            digest: None,
        };
        for (image, name) in [("nginx", "nginx"), ("docker.io/acme/web", "acme/web")] {
            let image = image.parse().unwrap();
            let bytes = write(&kustomize(), &file(), b"", &image, (&version, Write::Tag)).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(text, format!("images:\n- name: {name}\n  newTag: v2\n"));
        }
    }
}
