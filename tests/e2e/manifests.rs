//! Every shape of file that people keep: edited to the byte where that can be done exactly, and else left alone in words.

use crate::lab::{Lab, portal_policy};

const OLD: &str = "develop-1-0a1b2c3";
const NEW: &str = "develop-2-1b2c3d4";

/// A file and the site in it.
struct Row {
    name: &'static str,
    /// `None` is a kustomization; else a path in Helm values.
    at: Option<&'static str>,
    bytes: Vec<u8>,
}

fn kustomization(name: &'static str, text: &str) -> Row {
    Row {
        name,
        at: None,
        bytes: text.as_bytes().to_vec(),
    }
}

fn values(name: &'static str, at: &'static str, text: &str) -> Row {
    Row {
        name,
        at: Some(at),
        bytes: text.as_bytes().to_vec(),
    }
}

impl Row {
    fn path(&self) -> String {
        let folder = self.name.replace(' ', "-");
        match self.at {
            None => format!("apps/{folder}/kustomization.yaml"),
            Some(_) => format!("apps/{folder}/values.yaml"),
        }
    }

    fn policy(&self, image: &str) -> String {
        let folder = self.name.replace(' ', "-");
        let site = match self.at {
            None => format!("apps/{folder}"),
            Some(at) => format!("{{ helm: {}, at: '{at}' }}", self.path()),
        };
        portal_policy(&folder, image, &site)
    }
}

/// Makes one round over all `rows` and gives a line for each: what became of it.
fn round(rows: Vec<Row>) -> String {
    let lab = Lab::new(&[]);
    let image = lab.image("acme/web");
    let rows: Vec<Row> = rows
        .into_iter()
        .map(|row| {
            let text = row.bytes.utf8_chunks().flat_map(|chunk| {
                let text = chunk.valid().replace("IMAGE", &image).replace("TAG", OLD);
                [text.as_bytes(), chunk.invalid()].concat()
            });
            Row {
                bytes: text.collect(),
                ..row
            }
        })
        .collect();
    for row in &rows {
        let path = lab.path().join("work").join(row.path());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &row.bytes).unwrap();
    }
    lab.git(&["-C", "work", "add", "-A"]);
    lab.git(&["-C", "work", "commit", "-q", "-m", "files"]);
    lab.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    let policies: Vec<String> = rows.iter().map(|row| row.policy(&image)).collect();
    lab.policies(&policies.join("---\n"));
    lab.push(&[OLD, NEW]);

    let ran = lab.run(&["apply"]);

    lab.git(&["-C", "work", "pull", "-q", "origin", "main"]);
    let outcome = |row: &Row| {
        let after = std::fs::read(lab.path().join("work").join(row.path())).unwrap();
        if after == row.bytes {
            let name = format!("{} ", row.name.replace(' ', "-"));
            let line = ran.stdout.lines().find(|line| line.starts_with(&name));
            let line = line.unwrap_or_else(|| panic!("no row of `{name}`: {ran:?}"));
            let reason = line.rsplit("  ").next().unwrap_or_default();
            return format!("{}: {reason}", row.name);
        }
        let (before, after) = (
            String::from_utf8(row.bytes.clone()).unwrap(),
            String::from_utf8(after).unwrap(),
        );
        match after == before.replacen(OLD, NEW, 1) {
            true => format!("{}: only the tag changed", row.name),
            false => format!("{}: {before:?} became {after:?}", row.name).replace(&image, "IMAGE"),
        }
    };
    let lines: Vec<String> = rows.iter().map(outcome).collect();
    lines.join("\n")
}

#[test]
fn a_kustomization_keeps_its_shape_whatever_that_is() {
    let plain = "images:\n  - name: IMAGE\n    newTag: TAG\n";
    let told = round(vec![
        kustomization("crlf", &plain.replace('\n', "\r\n")),
        kustomization("byte order mark", &format!("\u{feff}{plain}")),
        kustomization("no last line break", plain.trim_end()),
        kustomization("one document", &format!("---\n{plain}...\n")),
        kustomization("several documents", &format!("{plain}---\na: b\n")),
        kustomization(
            "wide lists",
            "images:\n    -   name: IMAGE\n        newTag: TAG\n",
        ),
        kustomization(
            "flat lists",
            "images:\n- newTag: TAG # moves\n  name: IMAGE\nresources: [a]\n",
        ),
        kustomization(
            "flow maps",
            "images: [{ name: IMAGE, newTag: TAG }, { name: other, newTag: TAG }]\n",
        ),
        kustomization(
            "quotes",
            "images:\n  - {'name': \"IMAGE\", \"newTag\": 'TAG'}\n",
        ),
        kustomization(
            "anchors elsewhere",
            "commonLabels: &labels\n  team: a\nimages:\n  - name: IMAGE\n    newTag: TAG\nx: *labels\n",
        ),
        kustomization(
            "anchor at the tag",
            "images:\n  - name: IMAGE\n    newTag: &tag TAG\nx: *tag\n",
        ),
        kustomization("tabs", "images:\n\t- name: IMAGE\n\t  newTag: TAG\n"),
        kustomization("cut off", "images:\n  - name: IMAGE\n    newTag: 'TAG\n"),
        kustomization("no entry", "resources: [a]\n"),
        kustomization("empty", ""),
    ]);
    insta::assert_snapshot!(told, @r#"
    crlf: only the tag changed
    byte order mark: only the tag changed
    no last line break: only the tag changed
    one document: only the tag changed
    several documents: apps/several-documents/kustomization.yaml:4: the file has 2 documents; it must have one
    wide lists: only the tag changed
    flat lists: only the tag changed
    flow maps: only the tag changed
    quotes: only the tag changed
    anchors elsewhere: only the tag changed
    anchor at the tag: only the tag changed
    tabs: apps/tabs/kustomization.yaml:2: not valid YAML at column 2: tabs disallowed within this context (block indentation)
    cut off: apps/cut-off/kustomization.yaml:4: not valid YAML at column 1: invalid indentation in multiline quoted scalar
    no entry: "resources: [a]\n" became "resources: [a]\nimages:\n- name: IMAGE\n  newTag: develop-2-1b2c3d4\n"
    empty: "" became "images:\n- name: IMAGE\n  newTag: develop-2-1b2c3d4\n"
    "#);
}

#[test]
fn a_values_file_keeps_its_shape_whatever_that_is() {
    let plain = "image:\n  repository: IMAGE\n  tag: TAG\n";
    let mut latin = values("not utf 8", "image", &format!("# caf\n{plain}"));
    latin.bytes.insert(5, 0xe9);
    let told = round(vec![
        values("crlf", "image", &plain.replace('\n', "\r\n")),
        values("byte order mark", "image", &format!("\u{feff}{plain}")),
        values("several documents", "image", &format!("{plain}---\na: b\n")),
        values(
            "list",
            "containers[name=web].image.tag",
            "containers:\n    - name: other\n      image: { tag: x }\n    - name: web\n      image: { tag: TAG }\n",
        ),
        values(
            "merge key",
            "web",
            "base: &base\n  repository: IMAGE\n  tag: TAG\nweb:\n  <<: *base\n",
        ),
        values("missing key", "web.image", plain),
        values("list instead of map", "image", "image: [a, b]\n"),
        latin,
    ]);
    insta::assert_snapshot!(told, @r#"
    crlf: only the tag changed
    byte order mark: only the tag changed
    several documents: only the tag changed
    list: only the tag changed
    merge key: "base: &base\n  repository: IMAGE\n  tag: develop-1-0a1b2c3\nweb:\n  <<: *base\n" became "base: &base\n  repository: IMAGE\n  tag: develop-1-0a1b2c3\nweb:\n  <<: *base\n  tag: develop-2-1b2c3d4\n"
    missing key: apps/missing-key/values.yaml:1: the document has no key `web`; there is `image`
    list instead of map: apps/list-instead-of-map/values.yaml:1: no item here is `REGISTRY/acme/web`; there is `a`, `b`
    not utf 8: `apps/not-utf-8/values.yaml` is not UTF-8
    "#);
}
