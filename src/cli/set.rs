//! `towpath set`: the byte-faithful edit of a local file, for people's own pipelines.
//!
//! Not here: what is edited and how (`edit`, `manifest`).
//! Invariant: a file is replaced as a whole after every edit of it was proved, or not touched at all.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use similar::TextDiff;

use super::Failure;
use crate::edit::{self, Aliases, Document, ParsePathError, Reach, Refusal};
use crate::manifest::{self, ImageArgument, KUSTOMIZATIONS};

/// Lines around a change that `--diff` shows.
const DIFF_CONTEXT_LINES: usize = 3;

/// Edits a version in a local file, and nothing else in it.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    place: Place,
}

#[derive(clap::Subcommand)]
enum Place {
    /// Set images of a kustomization, as `kustomize edit set image` does.
    Image {
        /// A kustomization file, or the folder that holds it.
        path: PathBuf,
        /// `NAME=[NEWNAME][:TAG][@DIGEST]`, or `NAME:TAG`, `NAME@DIGEST`; `*` keeps what stands there.
        ///
        /// NAME is an entry's `name`, or the image that an entry names. A missing entry is added. A REFERENCE that
        /// repeats NAME changes the version only; a tag alone takes an old digest away, and a digest an old tag.
        #[arg(required = true, value_name = "NAME=REFERENCE")]
        images: Vec<ImageArgument>,
        /// Print the change as a unified diff, and write nothing.
        #[arg(long)]
        diff: bool,
    },
    /// Set values in a YAML file, such as a chart's values.
    Value {
        /// A YAML file.
        file: PathBuf,
        /// `image.tag=v1`, `images[0].tag=v1`, `containers[name=web].image=nginx:1.27`, `"a.b".c=v1`.
        ///
        /// The value is written as a string, in the quotes that stand there, or in double quotes where it would be
        /// read as something else. Keys that are missing are added.
        #[arg(required = true, value_name = "PATH=VALUE")]
        values: Vec<Assignment>,
        /// The document of the file, by its number from 0 or by what it is, as in `Deployment/web`.
        ///
        /// An object among the `items` of a list has a name of its own too. Without it, the one document that has the
        /// path.
        #[arg(long, value_name = "N|KIND/NAME")]
        document: Option<Document>,
        /// Where a value is an alias, or comes by a merge key, change it where it is anchored, for all that share it.
        #[arg(long)]
        through_alias: bool,
        /// Print the change as a unified diff, and write nothing.
        #[arg(long)]
        diff: bool,
    },
}

/// What becomes of an edited text.
enum Outcome {
    Written,
    /// As a diff, the file untouched.
    Shown,
}

/// One `PATH=VALUE`.
#[derive(Clone)]
struct Assignment {
    path: edit::Path,
    value: String,
}

/// Why a text is not `PATH=VALUE`.
#[derive(Debug, thiserror::Error)]
enum ParseAssignmentError {
    #[error(transparent)]
    Path(#[from] ParsePathError),
    #[error("`=` and a value must follow the path")]
    NoValue,
}

impl FromStr for Assignment {
    type Err = ParseAssignmentError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (path, rest) = edit::Path::parse_prefix(s)?;
        let value = rest
            .strip_prefix('=')
            .ok_or(ParseAssignmentError::NoValue)?;
        let value = value.to_owned();
        Ok(Self { path, value })
    }
}

impl Outcome {
    fn of(diff: bool) -> Self {
        if diff { Self::Shown } else { Self::Written }
    }
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    set(args)?;
    Ok(ExitCode::SUCCESS)
}

fn set(Args { place }: Args) -> Result<(), anyhow::Error> {
    match place {
        Place::Image { path, images, diff } => {
            let file = kustomization(&path)?;
            let set = |text: String, image| manifest::set_image(&text, image);
            change(&file, Outcome::of(diff), |text| {
                images.iter().try_fold(text, set)
            })
        }
        Place::Value {
            file,
            values,
            document,
            through_alias,
            diff,
        } => {
            let reach = Reach {
                document,
                aliases: match through_alias {
                    true => Aliases::Followed,
                    false => Aliases::Refused,
                },
            };
            let set = |text: String, Assignment { path, value }: &Assignment| {
                edit::assign(&text, &reach, (path, value))
            };
            change(&file, Outcome::of(diff), |text| {
                values.iter().try_fold(text, set)
            })
        }
    }
}

/// The kustomization that `path` is or holds.
fn kustomization(path: &Path) -> Result<PathBuf, anyhow::Error> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let found: Vec<PathBuf> = KUSTOMIZATIONS
        .iter()
        .map(|name| path.join(name))
        .filter(|file| file.symlink_metadata().is_ok())
        .collect();
    match &found[..] {
        [file] => Ok(file.clone()),
        [] => bail!("{}: no kustomization in this folder", path.display()),
        [..] => bail!(
            "{}: more than one kustomization in this folder",
            path.display()
        ),
    }
}

/// Edits a file in place, or shows what would change.
fn change(
    file: &Path,
    outcome: Outcome,
    edit: impl FnOnce(String) -> Result<String, Refusal>,
) -> Result<(), anyhow::Error> {
    let name = file.display();
    let metadata = file
        .symlink_metadata()
        .with_context(|| format!("{name}: cannot be read"))?;
    // What a link points to is not what the person named, and may be outside of the repository.
    ensure!(
        !metadata.is_symlink(),
        "{name}: a symbolic link is never followed; name the file itself"
    );
    ensure!(metadata.is_file(), "{name}: not a file");
    let place = |refusal: Refusal| match refusal.line {
        Some(line) => anyhow::anyhow!("{name}:{line}: {refusal}"),
        None => anyhow::anyhow!("{name}: {refusal}"),
    };
    edit::refuse_large(metadata.len()).map_err(place)?;
    let bytes = fs::read(file).with_context(|| format!("{name}: cannot be read"))?;
    let before = edit::text(&bytes).map_err(place)?;
    let after = edit(before.to_owned()).map_err(place)?;
    match outcome {
        Outcome::Shown => show(file, before, &after),
        Outcome::Written if after == before => Ok(()),
        Outcome::Written => {
            replace(file, &after).with_context(|| format!("{name}: cannot be written"))
        }
    }
}

fn show(file: &Path, before: &str, after: &str) -> Result<(), anyhow::Error> {
    let name = file.display().to_string();
    let name = name.trim_start_matches("./").trim_start_matches('/');
    let diff = TextDiff::from_lines(before, after);
    let mut unified = diff.unified_diff();
    unified
        .context_radius(DIFF_CONTEXT_LINES)
        .header(&format!("a/{name}"), &format!("b/{name}"));
    match write!(std::io::stdout().lock(), "{unified}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Puts a new file with the old one's mode in its place, so that a reader sees the old text or the new one.
///
/// It is not synced to the disk: waiting for that takes as long as all else together, and what a power cut takes from
/// a working tree, git has.
fn replace(file: &Path, text: &str) -> Result<(), std::io::Error> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = file.with_file_name(format!(".{name}.{}.towpath", std::process::id()));
    let permissions = file.metadata()?.permissions();
    let written = create_private(&temporary)
        .and_then(|mut created| {
            created.set_permissions(permissions)?;
            created.write_all(text.as_bytes())
        })
        .and_then(|()| fs::rename(&temporary, file));
    if written.is_err() {
        // The first error is the one that tells; the leftover may not even exist.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A new file that nobody else can read, whatever the old one's mode is: that comes before the text does.
fn create_private(file: &Path) -> Result<File, std::io::Error> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::Path;

    use clap::Parser;

    use super::{Args, create_private};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// Runs the verb and gives its error, if any, with the folder left out.
    fn set(folder: &Path, arguments: &[&str]) -> Result<(), String> {
        let clean = |text: String| text.replace(&format!("{}/", folder.display()), "");
        let mut arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        arguments[1] = folder.join(&arguments[1]).display().to_string();
        let line = ["set".to_owned()].into_iter().chain(arguments);
        let Line { args } = Line::try_parse_from(line).map_err(|error| clean(error.to_string()))?;
        super::set(args).map_err(|error| clean(format!("{error:#}")))
    }

    #[test]
    fn a_folder_or_its_kustomization_is_edited_in_place_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kustomization.yml");
        fs::write(&file, "images:\n- name: a\n  newTag: v1 # c\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        set(folder.path(), &["image", "", "a=a:v2", "b=:v1"]).unwrap();
        set(folder.path(), &["image", "kustomization.yml", "b:v3"]).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            text,
            "images:\n- name: a\n  newTag: v2 # c\n- name: b\n  newTag: v3\n"
        );
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_is_its_owners_alone_before_it_holds_anything() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new");
        let created = create_private(&file).unwrap();
        assert_eq!(created.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(create_private(&file).is_err());
        let private = folder.path().join("values.yaml");
        fs::write(&private, "a: v1\n").unwrap();
        for mode in [0o400, 0o600, 0o666] {
            fs::set_permissions(&private, fs::Permissions::from_mode(mode)).unwrap();
            set(
                folder.path(),
                &["value", "values.yaml", &format!("a=v{mode}")],
            )
            .unwrap();
            assert_eq!(private.metadata().unwrap().mode() & 0o777, mode);
        }
    }

    #[test]
    fn a_file_over_the_limit_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("values.yaml")).unwrap();
        // No machine could hold it.
        file.set_len(1 << 40).unwrap();
        let error = set(folder.path(), &["value", "values.yaml", "a=v2"]).unwrap_err();
        insta::assert_snapshot!(error, @"values.yaml: the file is 1099511627776 bytes long; at most 4194304 are read");
    }

    #[test]
    fn one_refused_edit_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("values.yaml");
        fs::write(&file, "a: v1\nb: |\n  v1\n").unwrap();
        let error = set(folder.path(), &["value", "values.yaml", "a=v2", "b=v2"]).unwrap_err();
        insta::assert_snapshot!(error, @"values.yaml:2: the value is a block scalar (`|` or `>`); write it on one line");
        assert_eq!(fs::read_to_string(&file).unwrap(), "a: v1\nb: |\n  v1\n");
    }

    #[test]
    fn a_file_that_would_not_change_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("values.yaml");
        fs::write(&file, "a: v1\n").unwrap();
        let before = file.metadata().unwrap().ino();
        set(folder.path(), &["value", "values.yaml", "a=v1"]).unwrap();
        set(folder.path(), &["value", "values.yaml", "a=v2", "--diff"]).unwrap();
        assert_eq!(file.metadata().unwrap().ino(), before);
        assert_eq!(fs::read_to_string(&file).unwrap(), "a: v1\n");
    }

    #[test]
    fn the_document_may_be_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("all.yaml");
        fs::write(&file, "a: v1\n---\na: v1\n").unwrap();
        set(
            folder.path(),
            &["value", "all.yaml", "a=v2", "--document", "1"],
        )
        .unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "a: v1\n---\na: v2\n");
        let error = set(
            folder.path(),
            &["value", "all.yaml", "a=v2", "--document", "2"],
        )
        .unwrap_err();
        insta::assert_snapshot!(error, @"all.yaml: there is no document 2; the file has 2, counted from 0");
        let error = set(folder.path(), &["value", "all.yaml", "a=v2"]).unwrap_err();
        insta::assert_snapshot!(error, @"all.yaml:1: `a` is in several documents, again on line 3; it must be in one");
    }

    #[test]
    fn the_document_may_be_named_by_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("all.yaml");
        let text =
            "kind: A\nmetadata: {name: x}\nv: v1\n---\nkind: B\nmetadata: {name: x}\nv: v1\n";
        fs::write(&file, text).unwrap();
        let value = |document| {
            set(
                folder.path(),
                &["value", "all.yaml", "v=v2", "--document", document],
            )
        };
        value("B/x").unwrap();
        let (head, tail) = text.split_once("---").unwrap();
        let expected = format!("{head}---{}", tail.replace("v1", "v2"));
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
        insta::assert_snapshot!(value("B/y").unwrap_err(), @"all.yaml: the file has no object `B/y`; the nearest is `B/x`");
        insta::assert_snapshot!(value("B/").unwrap_err().lines().next().unwrap(), @"error: invalid value 'B/' for '--document <N|KIND/NAME>': `B/` names no document: write its number from 0 on, or `KIND/NAME` as in `Deployment/web`");
    }

    #[test]
    fn an_alias_is_followed_where_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("values.yaml");
        let text = "a: &a v1 # shared\nb: *a\n";
        fs::write(&file, text).unwrap();
        let value = ["value", "values.yaml", "b=v2"];
        insta::assert_snapshot!(set(folder.path(), &value).unwrap_err(), @"values.yaml:2: the value is an alias of an anchor that others share; write it out here, name the anchor's own place, or say `through-alias: true`");
        let through = [&value[..], &["--through-alias"]].concat();
        set(folder.path(), &through).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text.replace("v1", "v2"));
    }

    #[test]
    fn what_is_not_a_text_file_of_its_own_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("real.yaml"), "a: v1\n").unwrap();
        fs::write(path.join("latin.yaml"), b"a: v1\nb: \xe9\n").unwrap();
        symlink(path.join("real.yaml"), path.join("link.yaml")).unwrap();
        symlink("nowhere", path.join("Kustomization")).unwrap();
        let error = |arguments: &[&str]| set(path, arguments).unwrap_err();
        insta::assert_snapshot!(error(&["value", "link.yaml", "a=v2"]), @"link.yaml: a symbolic link is never followed; name the file itself");
        insta::assert_snapshot!(error(&["image", "", "a:v2"]), @"Kustomization: a symbolic link is never followed; name the file itself");
        insta::assert_snapshot!(error(&["value", "latin.yaml", "a=v2"]), @"latin.yaml:2: the file is not UTF-8 text");
        insta::assert_snapshot!(error(&["value", "none.yaml", "a=v2"]), @"none.yaml: cannot be read: No such file or directory (os error 2)");
        fs::write(path.join("kustomization.yaml"), "").unwrap();
        assert!(
            error(&["image", "", "a:v2"]).ends_with("more than one kustomization in this folder")
        );
        assert_eq!(
            fs::read_to_string(path.join("real.yaml")).unwrap(),
            "a: v1\n"
        );
    }

    #[test]
    fn malformed_arguments_are_told_before_anything_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for (arguments, reason) in [
            (["value", "x", "a"], "`=` and a value must follow the path"),
            (["value", "x", "a[x]=1"], "brackets hold an index from 0 on"),
            (["image", "x", "a"], "it names no new image, tag or digest"),
            (["image", "x", "a=b:.c"], "is not a tag"),
        ] {
            let error = set(folder.path(), &arguments).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
