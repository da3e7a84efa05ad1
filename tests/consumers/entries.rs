//! Every pair of entries that kustomizations have: `towpath set image` is refused, or kustomize renders what was set.

use std::path::Path;
use std::sync::Mutex;

use crate::run;

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const OLD_DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// Entries around two names, of which the pod runs the first.
const ENTRIES: [&str; 12] = [
    "name: app",
    "name: app\n  newTag: v1",
    "name: app\n  digest: OLD",
    "name: app\n  newTag: v1\n  digest: OLD",
    "name: app\n  newTag: v1@OLD",
    "name: app\n  newName: web",
    "name: app\n  newName: web\n  newTag: v1",
    "name: app\n  newName: web\n  digest: OLD",
    "name: app\n  newName: app\n  newTag: v1",
    "name: web\n  newTag: v1",
    "name: web\n  digest: OLD",
    "name: web\n  newName: other\n  newTag: v1",
];

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: { name: p }
spec: { containers: [{ name: c, image: app:v0 }] }
";

#[test]
fn an_image_that_is_set_among_any_two_entries_is_what_kustomize_renders() {
    let Some(kustomize) = bed::built("kustomize") else {
        return;
    };
    let one = ENTRIES.iter().map(|entry| vec![*entry]);
    let two = ENTRIES
        .iter()
        .flat_map(|first| ENTRIES.iter().map(move |second| vec![*first, *second]));
    let cases: Vec<Vec<&str>> = one.chain(two).collect();
    let next = Mutex::new(cases.iter().enumerate());
    let (refused, wrong) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some((n, entries)) = next.lock().unwrap().next() else {
                return;
            };
            match set(&kustomize, entries, n) {
                Ok(()) => {}
                Err(Failure::Refused(reason)) => refused.lock().unwrap().push(reason),
                Err(Failure::Wrong(text)) => wrong.lock().unwrap().push(text),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let (refused, wrong) = (refused.into_inner().unwrap(), wrong.into_inner().unwrap());
    bed::say(&format!(
        "entries: {} cases, {} refused",
        cases.len(),
        refused.len()
    ));
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(refused.len() < cases.len() / 4, "{refused:#?}");
}

enum Failure {
    Refused(String),
    Wrong(String),
}

/// Sets the image that the pod runs in the end, as one who looks at it would.
fn set(kustomize: &Path, entries: &[&str], n: usize) -> Result<(), Failure> {
    let entries: String = entries
        .iter()
        .map(|entry| format!("- {}\n", entry.replace("OLD", OLD_DIGEST)))
        .collect();
    let written = format!("resources: [pod.yaml]\nimages:\n{entries}");
    let folder = run::folder(&[("pod.yaml", POD), ("kustomization.yaml", &written)]);
    let rendered = || {
        let text = run::kustomize(kustomize, folder.path()).unwrap();
        let image = text.lines().find_map(|line| line.split_once("image: "));
        image.unwrap().1.to_owned()
    };
    let before = rendered();
    let name = before.split([':', '@']).next().unwrap();
    let wanted = match n % 3 {
        0 => format!("{name}:v9"),
        1 => format!("{name}@{DIGEST}"),
        _ => format!("{name}:v9@{DIGEST}"),
    };
    let edit = format!("{name}={wanted}");
    run::set("image", folder.path(), &[edit]).map_err(Failure::Refused)?;
    let after = rendered();
    if after == wanted {
        return Ok(());
    }
    let edited = std::fs::read_to_string(folder.path().join("kustomization.yaml")).unwrap();
    Err(Failure::Wrong(format!(
        "before {before}, wanted {wanted}, got {after} from\n{written}edited to\n{edited}"
    )))
}
