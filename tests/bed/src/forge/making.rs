//! Commits that a fake makes in the bare repository of a test, and what it says of them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::server::{Reply, Request};
use super::state::{Branches, Repository, Signs};
use super::{FakeForge, stamp};
use crate::git::{git, git_with, object, raw_commit};

/// No signature, in the form of one. GitHub's ends with a line break too.
const SIGNATURE: &str =
    "-----BEGIN PGP SIGNATURE-----\n\nZmFrZQ==\n=fake\n-----END PGP SIGNATURE-----\n";

/// A commit to be made.
pub(super) struct Wanted<'a> {
    pub(super) tree: &'a str,
    pub(super) parent: &'a str,
    pub(super) message: &'a str,
    /// As git writes a person.
    pub(super) author: &'a str,
    pub(super) committer: &'a str,
    pub(super) is_signed: bool,
}

/// Makes a commit and gives its name.
pub(super) fn commit(folder: &Path, now: i64, wanted: &Wanted<'_>) -> String {
    let Wanted {
        tree,
        parent,
        message,
        author,
        committer,
        is_signed,
    } = wanted;
    let signature = match is_signed {
        true => format!("gpgsig {}\n", SIGNATURE.replace('\n', "\n ")),
        false => String::new(),
    };
    let text = format!(
        "tree {tree}\nparent {parent}\nauthor {author} {now} +0000\ncommitter {committer} {now} +0000\n{signature}\n{message}"
    );
    object(folder, "commit", text.as_bytes())
}

/// The tree of `base` with other files; each with its mode, if that is told.
pub(super) fn tree(
    folder: &Path,
    base: &str,
    files: &[(Option<String>, String, Vec<u8>)],
) -> String {
    let index = folder.join("fake-index");
    let run = |words: &[&str]| git_with(folder, ("GIT_INDEX_FILE", &index), words);
    run(&["read-tree", base]);
    for (mode, path, bytes) in files {
        let standing = run(&["ls-files", "--stage", "--", path]);
        let standing = standing.split(' ').next().filter(|mode| !mode.is_empty());
        let mode = mode.as_deref().or(standing).unwrap_or("100644");
        let blob = object(folder, "blob", bytes);
        run(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("{mode},{blob},{path}"),
        ]);
    }
    let tree = run(&["write-tree"]);
    std::fs::remove_file(&index).expect("it was written");
    tree
}

impl Repository {
    /// Where its objects are.
    pub(super) fn folder(&self) -> PathBuf {
        match &self.branches {
            Branches::Git(folder) => folder.clone(),
            Branches::Told(_) => {
                panic!("commits are made in a git repository; let the branches be in one")
            }
        }
    }

    /// Whether what is made without a branch is signed.
    pub(super) fn signs_objects(&self) -> bool {
        self.signs == Signs::Everything
    }

    pub(super) fn signs_branches(&self) -> bool {
        self.signs != Signs::Nothing
    }
}

/// What GitHub's git database says of a commit: <https://docs.github.com/en/rest/git/commits>.
pub(super) fn told(folder: &Path, id: &str) -> Json {
    let raw = raw_commit(folder, id);
    let (head, message) = raw.split_once("\n\n").unwrap_or((&raw, ""));
    // The signature goes on in lines that start with a space.
    let (unsigned, _) = head.split_once("\ngpgsig ").unwrap_or((head, ""));
    let is_signed = unsigned != head;
    let value = |key: &str| {
        let lines = unsigned.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix(key));
        values.next().unwrap_or_default().to_owned()
    };
    let person = |key: &str| {
        let text = value(key);
        let (name, rest) = text.split_once(" <").unwrap_or((&text, ""));
        let (email, time) = rest.split_once("> ").unwrap_or((rest, ""));
        let seconds = time.split(' ').next().and_then(|time| time.parse().ok());
        json!({ "name": name, "email": email, "date": stamp(seconds.unwrap_or(0)) })
    };
    let verification = match is_signed {
        true => json!({
            "verified": true,
            "reason": "valid",
            "signature": SIGNATURE,
            "payload": format!("{unsigned}\n\n{message}"),
            "verified_at": stamp(0),
        }),
        false => json!({
            "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null,
        }),
    };
    json!({
        "sha": id,
        "message": message,
        "tree": { "sha": value("tree "), "url": format!("https://api.github.com/trees/{}", value("tree ")) },
        "parents": [{ "sha": value("parent "), "url": "https://api.github.com/p", "html_url": "https://github.com/p" }],
        "author": person("author "),
        "committer": person("committer "),
        "verification": verification,
    })
}

/// GitHub's git database, as far as commits are made with it; `None` for what is elsewhere.
pub(super) fn database(
    repository: &mut Repository,
    request: &Request,
    (now, below): (i64, &[&str]),
) -> Option<Reply> {
    let folder = || repository.folder();
    let invalid = |words: &str| {
        let documentation_url = "https://docs.github.com/rest";
        Reply::new(
            422,
            json!({ "message": words, "documentation_url": documentation_url }),
        )
    };
    let reply = match (&*request.method, below) {
        ("GET", ["commits", id]) => Reply::new(200, told(&folder(), id)),
        ("POST", ["trees"]) => {
            let entry = |entry: &Json| {
                let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
                let bytes = text("content").into_bytes();
                (Some(text("mode")), text("path"), bytes)
            };
            let entries = request.body["tree"].as_array().into_iter().flatten();
            let files: Vec<_> = entries.map(entry).collect();
            let base = request.text("base_tree").unwrap_or_default();
            let made = tree(&folder(), &base, &files);
            Reply::new(
                201,
                json!({ "sha": made, "url": "https://api.github.com/t", "truncated": false, "tree": [] }),
            )
        }
        ("POST", ["commits"]) => {
            let names_somebody = ["author", "committer", "signature"]
                .iter()
                .any(|key| request.body.get(key).is_some());
            let bot = bot();
            let made = commit(
                &folder(),
                now,
                &Wanted {
                    tree: &request.text("tree").unwrap_or_default(),
                    parent: &request.texts("parents").concat(),
                    message: &request.text("message").unwrap_or_default(),
                    author: &bot,
                    committer: GITHUB,
                    is_signed: repository.signs_objects() && !names_somebody,
                },
            );
            Reply::new(201, told(&folder(), &made))
        }
        ("POST", ["refs"]) => {
            let (name, id) = (request.text("ref")?, request.text("sha")?);
            if !git(&folder(), &["for-each-ref", &name]).is_empty() {
                return Some(invalid("Reference already exists"));
            }
            git(&folder(), &["update-ref", &name, &id]);
            Reply::new(201, reference(&name, &id))
        }
        ("PATCH", ["refs", branch]) => {
            let name = format!("refs/{branch}");
            let id = request.text("sha")?;
            assert_eq!(request.body["force"], json!(true));
            git(&folder(), &["update-ref", &name, &id]);
            Reply::new(200, reference(&name, &id))
        }
        _ => return None,
    };
    Some(reply)
}

/// As whom GitHub commits what is not pushed.
pub(super) const GITHUB: &str = "GitHub <noreply@github.com>";

/// As whom an App writes there.
pub(super) fn bot() -> String {
    format!(
        "{0}[bot] <1+{0}[bot]@users.noreply.github.com>",
        FakeForge::USER
    )
}

fn decoded(text: &Json) -> Vec<u8> {
    let bytes = STANDARD.decode(text.as_str().unwrap_or_default());
    bytes.expect("it is base64")
}

fn reference(name: &str, id: &str) -> Json {
    let object = json!({ "type": "commit", "sha": id, "url": "https://api.github.com/c" });
    json!({ "ref": name, "node_id": "REF_1", "url": "https://api.github.com/r", "object": object })
}

/// <https://docs.github.com/en/graphql/reference/mutations#createcommitonbranch>.
pub(super) fn on_branch(
    repository: &mut Repository,
    (now, input): (i64, &Json),
) -> Result<String, String> {
    let folder = repository.folder();
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let name = format!("refs/heads/{}", text(&input["branch"]["branchName"]));
    let head = git(&folder, &["for-each-ref", "--format=%(objectname)", &name]);
    let expected = text(&input["expectedHeadOid"]);
    if head != expected {
        return Err(format!(
            "Expected branch to point to \"{expected}\" but it did not. Pull and try again."
        ));
    }
    let additions = input["fileChanges"]["additions"].as_array();
    let files: Vec<_> = additions
        .into_iter()
        .flatten()
        .map(|one| {
            let bytes = decoded(&one["contents"]);
            (None, text(&one["path"]), bytes)
        })
        .collect();
    let made_tree = tree(&folder, &head, &files);
    let message = &input["message"];
    let message = format!(
        "{}\n\n{}",
        text(&message["headline"]),
        text(&message["body"])
    );
    let author = bot();
    let made = commit(
        &folder,
        now,
        &Wanted {
            tree: &made_tree,
            parent: &head,
            message: &message,
            author: &author,
            committer: GITHUB,
            is_signed: repository.signs_branches(),
        },
    );
    git(&folder, &["update-ref", &name, &made, &head]);
    Ok(made)
}

/// GitLab's way to make a commit: <https://docs.gitlab.com/api/commits/#create-a-commit-with-multiple-files-and-actions>.
pub(super) fn gitlab(repository: &mut Repository, request: &Request, now: i64) -> Reply {
    let refused = super::gitlab::refusal;
    let folder = repository.folder();
    let text = |key: &str| request.text(key).unwrap_or_default();
    let name = format!("refs/heads/{}", text("branch"));
    let is_there = !git(&folder, &["for-each-ref", &name]).is_empty();
    if is_there && request.body["force"] != json!(true) {
        return refused(
            400,
            "A branch called 'x' already exists. Switch to that branch in order to make changes",
        );
    }
    if request.body.get("author_name").is_some() && repository.signs_branches() {
        return refused(
            400,
            "For signed commits, custom author name and email are not allowed",
        );
    }
    let start = text("start_sha");
    let actions = request.body["actions"].as_array().into_iter().flatten();
    let mut files = Vec::new();
    for action in actions {
        let path = action["file_path"].as_str().unwrap_or_default();
        assert_eq!(action["action"], json!("update"));
        if git(&folder, &["ls-tree", &start, "--", path]).is_empty() {
            return refused(400, "A file with this name doesn't exist");
        }
        assert_eq!(action["encoding"], json!("base64"));
        files.push((None, path.to_owned(), decoded(&action["content"])));
    }
    let made_tree = tree(&folder, &start, &files);
    let user = format!("{0} <{0}@noreply.example.com>", FakeForge::USER);
    let is_signed = repository.signs_branches();
    let made = commit(
        &folder,
        now,
        &Wanted {
            tree: &made_tree,
            parent: &start,
            message: &text("commit_message"),
            author: &user,
            committer: match is_signed {
                true => "GitLab <noreply@gitlab.com>",
                false => &user,
            },
            is_signed,
        },
    );
    git(&folder, &["update-ref", &name, &made]);
    Reply::new(
        201,
        json!({ "id": made, "short_id": &made[..8], "message": text("commit_message"), "parent_ids": [start] }),
    )
}
