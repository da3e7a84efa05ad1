//! Mirrors that keep commits alone, and the places of commits on a branch: against git's own server, with and without
//! leave to filter, and a path.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bed::{GitServer, git, import};
use proptest::prelude::{any, prop, proptest};
use tempfile::TempDir;

use super::contract::head_of;
use super::{Kept, Mirror, Remote, RemoteUrl};
use crate::login::Clock;
use crate::manifest::{CommitId, CommitPlace, NamedCommit};

/// Whether a server can leave objects out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Filters,
    /// Says that it can, and refuses to leave out trees.
    Refuses,
    SendsAll,
}

struct Ground {
    server: GitServer,
    folder: TempDir,
}

impl Ground {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            server: GitServer::start(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A repository with these commits, and a mirror of its commits.
    fn with(&self, server: Server, commits: &[Commit]) -> (std::path::PathBuf, Mirror) {
        let name = format!("{server:?}.git");
        let bare = self.server.create(&name);
        let allowed = (server != Server::SendsAll).to_string();
        git(&bare, &["config", "uploadpack.allowFilter", &allowed]);
        let trees = (server != Server::Refuses).to_string();
        git(&bare, &["config", "uploadpackfilter.tree.allow", &trees]);
        import(&bare, history(commits).as_bytes());
        let url = RemoteUrl::http(self.server.http(&name).parse().unwrap());
        let mirror = self.open(url, &name);
        (bare, mirror)
    }

    fn open(&self, url: RemoteUrl, name: &str) -> Mirror {
        let remote = Remote {
            kept: Kept::Commits,
            ..Remote::new("code".to_owned(), url, Clock::default())
        };
        Mirror::open(remote, self.folder.path().join(name)).unwrap()
    }

    /// How many objects of each type a mirror has.
    fn objects(&self, name: &str) -> BTreeMap<String, usize> {
        let folder = self.folder.path().join(name).join("mirror.git");
        let all = [
            "cat-file",
            "--batch-all-objects",
            "--batch-check=%(objecttype)",
        ];
        let mut counts = BTreeMap::new();
        for kind in git(&folder, &all).lines() {
            *counts.entry(kind.to_owned()).or_default() += 1;
        }
        counts
    }
}

/// A commit by the numbers of its parents in the list.
type Commit = Vec<usize>;

/// Makes the last commit the head of `main`.
fn history(commits: &[Commit]) -> String {
    let mut stream = String::from("feature done\n");
    for (number, parents) in commits.iter().enumerate() {
        let mark = number + 1;
        let lines = [
            "commit refs/heads/main".to_owned(),
            format!("mark :{mark}"),
            "committer Ada <ada@example.com> 1700000000 +0000".to_owned(),
            format!("data {}\nc{number}", format!("c{number}").len()),
        ];
        stream.push_str(&(lines.join("\n") + "\n"));
        for (index, parent) in parents.iter().enumerate() {
            let word = if index == 0 { "from" } else { "merge" };
            stream.push_str(&[word, " :", &(parent + 1).to_string(), "\n"].concat());
        }
        if parents.is_empty() {
            stream.push_str("deleteall\n");
        }
        let file = format!("M 100644 inline f{number}\ndata 1\nx\n");
        stream.push_str(&file);
    }
    stream.push_str("done\n");
    stream
}

/// The names of the commits of `main`, by their messages.
fn names(bare: &Path) -> BTreeMap<String, CommitId> {
    let log = git(bare, &["log", "--format=%s %H", "main"]);
    let named = log.lines().map(|line| {
        let (message, id) = line.split_once(' ').unwrap();
        (message.to_owned(), id.parse().unwrap())
    });
    named.collect()
}

/// The places of the commits of `main`, by their messages, as line and depth.
async fn places(
    mirror: &Mirror,
    names: &BTreeMap<String, CommitId>,
) -> BTreeMap<String, (u32, u32)> {
    let head = head_of(mirror).await;
    let asked: BTreeSet<_> = names.values().map(CommitId::to_string).collect();
    let found = mirror.places(head, asked).await.unwrap();
    let of = |id: &CommitId| {
        let NamedCommit::One(CommitPlace { line, depth }) = found[id.as_str()] else {
            panic!("`{id}` is one commit of the branch");
        };
        (line, depth)
    };
    names
        .iter()
        .map(|(message, id)| (message.clone(), of(id)))
        .collect()
}

fn place_of((line, depth): (u32, u32)) -> NamedCommit {
    NamedCommit::One(CommitPlace { line, depth })
}

#[tokio::test]
async fn commits_alone_are_brought_where_the_server_can_leave_out_the_rest() {
    let ground = Ground::new();
    let commits = [vec![], vec![0], vec![1]];
    for server in [Server::Filters, Server::Refuses, Server::SendsAll] {
        let (bare, mirror) = ground.with(server, &commits);
        head_of(&mirror).await;
        let name = format!("{server:?}.git");
        let brought = ground.objects(&name);
        assert_eq!(brought["commit"], 3);
        assert_eq!(
            brought.contains_key("tree"),
            server != Server::Filters,
            "{brought:?}"
        );

        // What comes later is brought on top, and a mirror that is opened again is not made anew.
        mirror.close().await;
        let mirror = ground.open(
            RemoteUrl::http(ground.server.http(&name).parse().unwrap()),
            &name,
        );
        import(
            &bare,
            history(&[vec![], vec![0], vec![1], vec![2], vec![3]]).as_bytes(),
        );
        assert_eq!(places(&mirror, &names(&bare)).await["c4"], (5, 5));
        let asked = ground.server.requests();
        let downloads = asked
            .iter()
            .filter(|line| line.contains(&format!("/{name}/git-upload-pack")));
        let each = if server == Server::Refuses { 2 } else { 1 };
        assert_eq!(downloads.count(), 2 * each, "{asked:?}");
        assert_eq!(ground.objects(&name)["commit"], 5);
    }
}

#[tokio::test]
async fn what_was_merged_stands_where_the_branch_came_to_hold_it() {
    let ground = Ground::new();
    // 0 - 1 ------- 4 - 5
    //      \- 2 - 3 -/
    let commits = [vec![], vec![0], vec![1], vec![2], vec![1, 3], vec![4]];
    let (bare, mirror) = ground.with(Server::Filters, &commits);
    let names = names(&bare);
    let places = places(&mirror, &names).await;
    let expected = [(1, 1), (2, 2), (3, 3), (3, 4), (3, 5), (4, 6)];
    for (number, place) in expected.into_iter().enumerate() {
        assert_eq!(places[&format!("c{number}")], place, "c{number}");
    }
    let head = head_of(&mirror).await;
    let short = names["c2"].as_str()[..9].to_owned();
    let none = [
        "".to_owned(),
        "zzzzzzz".to_owned(),
        "f".repeat(41),
        "0".repeat(40),
    ];
    let digits: Vec<String> = "0123456789abcdef".chars().map(String::from).collect();
    let asked = none.iter().chain([&short]).chain(&digits).cloned();
    let found = mirror.places(head, asked.collect()).await.unwrap();
    let named = |name: &String| found[name];
    assert!(none.iter().all(|name| named(name) == NamedCommit::None));
    assert_eq!(named(&short), place_of((3, 3)));
    for digit in &digits {
        let starts = names
            .iter()
            .filter(|(_, id)| id.as_str().starts_with(digit));
        let mut starts: Vec<_> = starts.map(|(message, _)| places[message]).collect();
        starts.sort_unstable();
        let expected = match &starts[..] {
            [] => NamedCommit::None,
            [one] => place_of(*one),
            [.., (line, depth)] => NamedCommit::Several {
                latest: CommitPlace {
                    line: *line,
                    depth: *depth,
                },
            },
        };
        assert_eq!(named(digit), expected, "{digit}");
    }
}

#[tokio::test]
async fn what_lies_between_two_commits_is_told_newest_first_and_counted() {
    let ground = Ground::new();
    // A branch that was merged, and one that went its own way from the first.
    let commits = [vec![], vec![0], vec![0], vec![1, 2], vec![3]];
    let (bare, mirror) = ground.with(Server::Filters, &commits);
    head_of(&mirror).await;
    let names = names(&bare);
    let between = async |from: &str, to: &str, limit| {
        let ends = (from.to_owned(), to.to_owned());
        let range = mirror.range(ends, limit).await.unwrap()?;
        let newest = range.newest.iter();
        let subjects = newest
            .map(|commit| commit.message.clone())
            .collect::<Vec<_>>();
        Some((subjects.join(" "), range.count))
    };
    let of = |name: &str| names[name].to_string();
    let told = |subjects: &str, count| Some((subjects.to_owned(), count));
    assert_eq!(between(&of("c3"), &of("c4"), 9).await, told("c4", 1));
    assert_eq!(between(&of("c4"), &of("c3"), 9).await, told("", 0));
    assert_eq!(between(&of("c1"), &of("c2"), 9).await, told("c2", 1));
    let all = between(&of("c0"), &of("c4")[..12], 2).await;
    assert_eq!(all, told("c4 c3", 4));
    for (from, to) in [
        ("0a1b2c3", &*of("c4")),
        (&of("c4"), ""),
        ("x", "y"),
        (&"a".repeat(64), ""),
    ] {
        assert_eq!(between(from, to, 9).await, None, "{from} {to}");
    }
}

#[tokio::test]
async fn a_branch_that_was_written_anew_has_new_places() {
    let ground = Ground::new();
    let (bare, mirror) = ground.with(Server::Filters, &[vec![], vec![0], vec![1]]);
    let before = names(&bare);
    assert_eq!(places(&mirror, &before).await["c2"], (3, 3));
    import(&bare, history(&[vec![], vec![0], vec![0]]).as_bytes());
    let after = names(&bare);
    assert_eq!(places(&mirror, &after).await["c2"], (2, 2));
    let gone = BTreeSet::from([before["c1"].to_string()]);
    let head = head_of(&mirror).await;
    let found = mirror.places(head, gone).await.unwrap();
    assert!(found.values().all(|named| *named == NamedCommit::None));
}

proptest! {
    #![proptest_config(prop::test_runner::Config::with_cases(24))]

    /// Whatever the history, and however it came: an ancestor stands before its descendants, and what has a place keeps it.
    #[test]
    fn a_commit_stands_after_all_that_it_was_made_on(picks in prop::collection::vec(any::<[u8; 3]>(), 2..30)) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bare = folder.path().join("code.git");
        bed::create_bare(&bare);
        let remote = Remote {
            kept: Kept::Commits,
            ..Remote::new("code".to_owned(), RemoteUrl::Local(bare.clone()), Clock::default())
        };
        // The own line goes on from the commit before; others branch off anywhere, and are merged later.
        let mut commits: Vec<Commit> = vec![vec![]];
        for pick in &picks {
            let count = commits.len();
            let any = usize::from(pick[1]) % count;
            commits.push(match pick[0] % 3 {
                0 => vec![any],
                1 if any != count - 1 => vec![count - 1, any],
                _ => vec![count - 1],
            });
        }
        runtime.block_on(async {
            let mirror = Mirror::open(remote, folder.path().join("mirror")).unwrap();
            let mut known: BTreeMap<String, (u32, u32)> = BTreeMap::new();
            let mut line = Vec::new();
            for part in [commits.len() / 2 + 1, commits.len()] {
                import(&bare, history(&commits[..part]).as_bytes());
                let names = names(&bare);
                let found = places(&mirror, &names).await;
                let first_parents = git(&bare, &["log", "--first-parent", "--format=%s", "main"]);
                let before = std::mem::replace(&mut line, first_parents.lines().map(str::to_owned).collect());
                for (message, place) in &found {
                    let number: usize = message[1..].parse().unwrap();
                    for parent in &commits[number] {
                        assert!(found[&format!("c{parent}")] < *place);
                    }
                    if line.ends_with(&before) && let Some(old) = known.get(message) {
                        assert_eq!(old, place);
                    }
                }
                known = found;
            }
            mirror.close().await;
        });
    }
}
