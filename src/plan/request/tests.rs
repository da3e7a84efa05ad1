//! Pull requests as reviewers read them on each product, cut to what it takes, and whatever stands in what others wrote.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::Config;
use pulldown_cmark::{Event, Options, Parser, Tag as Markup, TagEnd};
use regex::Regex;

use super::hidden::{self, Flags, Promotions};
use super::source::{Labelled, Origins, between};
use super::{
    Dialect, Evidence, Gate, GateVerdict, HidesBy, Proposed, RequestFacts, RequestTemplates,
    RequestText, RunsIn, diff, text, units,
};
use crate::ledger::{Moved, Promotion};
use crate::manifest::RepoPath;
use crate::plan::change::FileChange;
use crate::plan::{Ground, SharedPlace};
use crate::policy::gate::Condition;
use crate::policy::select::Dated;
use crate::policy::template::{Template, TemplatePart};
use crate::world::{
    BranchName, Fact, Labels, RangeCommits, Rendered, RenderedFolder, RenderedObject, SourceCommit,
};

const GITHUB: Dialect = Dialect {
    length_max: 65_536,
    folds: true,
    hides_by: HidesBy::Comment,
};
const BITBUCKET_SERVER: Dialect = Dialect {
    length_max: 32_768,
    folds: false,
    hides_by: HidesBy::LinkDefinition,
};

/// What the six products take.
const DIALECTS: [(&str, Dialect); 6] = [
    ("GitHub", GITHUB),
    (
        "GitLab",
        Dialect {
            length_max: 1_048_576,
            ..GITHUB
        },
    ),
    ("Gitea", GITHUB),
    (
        "Bitbucket Cloud",
        Dialect {
            length_max: 262_144,
            ..BITBUCKET_SERVER
        },
    ),
    ("Bitbucket Server", BITBUCKET_SERVER),
    (
        "Azure DevOps",
        Dialect {
            length_max: 4_000,
            ..GITHUB
        },
    ),
];

const OURS: RequestTemplates<'_> = RequestTemplates {
    title: None,
    body: None,
};

const COMMIT: &str = "0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b";

/// What others write: of what is told, all that has no grammar of its own.
#[derive(Clone, Debug)]
struct Written {
    from: String,
    platform: String,
    evidence: String,
    health: Option<Condition>,
    subject: String,
    author: String,
    line: String,
    branch: String,
}

fn written() -> Written {
    Written {
        from: "v1.4.2".to_owned(),
        platform: "linux/amd64".to_owned(),
        evidence: "`v1.5.0` runs in staging since 2026-03-01 09:00 UTC, which is 24h".to_owned(),
        health: Some(Condition::Healthy {
            since: "2026-03-01T09:03:20Z".parse().unwrap(),
        }),
        subject: "fix: the login of guests".to_owned(),
        author: "Ann".to_owned(),
        line: "newTag".to_owned(),
        branch: "main".to_owned(),
    }
}

fn evidence(written: &Written) -> Evidence {
    let labels = |revision: &str| Labels {
        source: Some("https://github.com/acme/portal".to_owned()),
        revision: Some(revision.repeat(40)),
        ..Labels::default()
    };
    let (old, new) = (labels("a"), labels("b"));
    let labelled = |labels| Labelled {
        version: "v1.5.0",
        labels,
    };
    let mut between = between(Some(labelled(&old)), labelled(&new), &Origins::default());
    if let Some(between) = &mut between {
        between.commits = Some(commits(1, 1, written));
    }
    Evidence {
        ground: Ground::Newer,
        digest: None,
        dated: Some(Dated::Pushed("2026-02-28T10:04:00Z".parse().unwrap())),
        platforms: vec![written.platform.clone(), "linux/arm64".to_owned()],
        runs_in: vec![RunsIn {
            environment: "staging".parse().unwrap(),
            since: Some((
                "2026-03-01T09:00:00Z".parse().unwrap(),
                COMMIT.parse().unwrap(),
            )),
            health: written.health.clone(),
        }],
        between,
        also: BTreeSet::new(),
    }
}

/// The newest `listed` of `count` commits.
fn commits(listed: usize, count: usize, written: &Written) -> Arc<RangeCommits> {
    let commit = SourceCommit {
        id: "b".repeat(40).parse().unwrap(),
        subject: written.subject.clone(),
        author: written.author.clone(),
    };
    Arc::new(RangeCommits {
        newest: vec![commit; listed],
        count,
    })
}

fn proposed(policy: &str, images: &[&str], written: &Written) -> Proposed {
    let moved = |image: &&str| Moved {
        repository: format!("ghcr.io/acme/{policy}-{image}").parse().unwrap(),
        tag: "v1.5.0".parse().unwrap(),
        digest: Some(format!("sha256:{}", "ab".repeat(32)).parse().unwrap()),
        replaced: Some(written.from.clone()),
        rejects: false,
    };
    let evidence = |image: &&str| (image.parse().unwrap(), evidence(written));
    Proposed {
        promotion: Promotion {
            policy: policy.parse().unwrap(),
            environment: "production".parse().unwrap(),
            images: images
                .iter()
                .map(|image| (image.parse().unwrap(), moved(image)))
                .collect(),
            gates: Vec::new(),
        },
        evidence: images.iter().map(evidence).collect(),
        gates: vec![Gate {
            name: "soak".to_owned(),
            verdict: GateVerdict::Passed,
            evidence: written.evidence.clone(),
        }],
    }
}

fn facts(promotions: Vec<Proposed>, written: &Written) -> RequestFacts {
    let files = promotions.iter().map(|proposed| {
        let policy = &proposed.promotion.policy;
        let before = format!(
            "images:\n- name: web\n  {}: {}\n",
            written.line, written.from
        );
        let after = before.replace(&written.from, "v1.5.0");
        let path = format!("apps/{policy}/overlays/production/kustomization.yaml");
        let file = FileChange {
            before: before.into(),
            after: after.into(),
        };
        (path.parse().unwrap(), file)
    });
    RequestFacts {
        environment: "production".parse().unwrap(),
        base: BranchName {
            repository: "deploy".parse().unwrap(),
            branch: written.branch.clone(),
        },
        subject: format!(
            "promote portal to production: web {} -> v1.5.0",
            written.from
        ),
        files: files.collect(),
        rendered: None,
        promotions,
        flags: Flags::default(),
    }
}

fn one() -> RequestFacts {
    let written = written();
    facts(vec![proposed("portal", &["web"], &written)], &written)
}

fn group(policies: usize) -> RequestFacts {
    let written = written();
    let policy = |number| proposed(&format!("app-{number:03}"), &["web", "worker"], &written);
    facts((0..policies).map(policy).collect(), &written)
}

/// The body without its hidden data.
fn shown(text: &RequestText) -> &str {
    let start = text.body.rfind("\n\n").unwrap();
    text.body[..start].trim_end()
}

#[test]
fn a_reviewer_sees_what_changes_its_evidence_and_how_to_act() {
    let text = text(&one(), GITHUB, OURS);
    insta::assert_snapshot!(text.title, @"promote portal to production: web v1.4.2 -> v1.5.0");
    insta::assert_snapshot!(text.body, @"
    ### What changes in `production`

    | Image | From | To | Digest | Made | Platforms |
    | --- | --- | --- | --- | --- | --- |
    | `web` `ghcr.io/acme/portal-web` | `v1.4.2` | **`v1.5.0`** | `sha256:abababababab` | pushed 2026-02-28 10:04 UTC | `linux/amd64`, `linux/arm64` |

    ### Commits

    * `web`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) of [`acme/portal`](https://github.com/acme/portal)
      * [`bbbbbbb`](https://github.com/acme/portal/commit/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) `fix: the login of guests` by `Ann`

    ### Where it runs already

    * `web` `v1.5.0` runs in `staging` since 2026-03-01 09:00 UTC, by commit `0a0b0c0`; **healthy** since 2026-03-01 09:03 UTC

    ### Gates

    * `soak` **passed**: `v1.5.0` runs in staging since 2026-03-01 09:00 UTC, which is 24h

    ### Changed files

    <details>
    <summary><code>apps/portal/overlays/production/kustomization.yaml</code> (+1 −1)</summary>

    ```diff
    @@ -1,3 +1,3 @@
     images:
     - name: web
    -  newTag: v1.4.2
    +  newTag: v1.5.0
    ```

    </details>

    ### How to act

    * **Merge** to bring `v1.5.0` to `production`.
    * **Close** without merging to reject `v1.5.0` in `production`: a newer one will get a new pull request. Reopening it, or `towpath resume`, takes that back.
    * **Pin** what runs there, whatever comes: `towpath pin portal production v1.4.2 --reason WHY`
    * **Undo** it after the merge by reverting that: what was undone is held until there is a newer version.

    This text and the one commit of the branch follow what passes; a commit of somebody else on the branch stops that.

    <!-- towpath-data 1
    Towpath-Policy: portal
    Towpath-Environment: production
    Towpath-Image: web%20ghcr.io/acme/portal-web:v1.5.0@sha256:abababababababababababababababababababababababababababababababab
    Towpath-Replaces: web%20v1.4.2
    Shown: 16141e35d8f62f7585a4c0b5eadb5a8e8124bbb6a4f41d4e0619eb4388e8dd3f
    Checksum: sha256:ffc892d7d0ad87a44b74f268eed3814955da587009b8f55b1713a244b481c59a
    -->
    ");
}

#[test]
fn where_nothing_folds_and_comments_are_shown_the_body_has_neither() {
    let text = text(&one(), BITBUCKET_SERVER, OURS);
    insta::assert_snapshot!(text.body, @"
    ### What changes in `production`

    | Image | From | To | Digest | Made | Platforms |
    | --- | --- | --- | --- | --- | --- |
    | `web` `ghcr.io/acme/portal-web` | `v1.4.2` | **`v1.5.0`** | `sha256:abababababab` | pushed 2026-02-28 10:04 UTC | `linux/amd64`, `linux/arm64` |

    ### Commits

    * `web`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) of [`acme/portal`](https://github.com/acme/portal)
      * [`bbbbbbb`](https://github.com/acme/portal/commit/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) `fix: the login of guests` by `Ann`

    ### Where it runs already

    * `web` `v1.5.0` runs in `staging` since 2026-03-01 09:00 UTC, by commit `0a0b0c0`; **healthy** since 2026-03-01 09:03 UTC

    ### Gates

    * `soak` **passed**: `v1.5.0` runs in staging since 2026-03-01 09:00 UTC, which is 24h

    ### Changed files

    `apps/portal/overlays/production/kustomization.yaml` (+1 −1)

    ```diff
    @@ -1,3 +1,3 @@
     images:
     - name: web
    -  newTag: v1.4.2
    +  newTag: v1.5.0
    ```

    ### How to act

    * **Merge** to bring `v1.5.0` to `production`.
    * **Close** without merging to reject `v1.5.0` in `production`: a newer one will get a new pull request. Reopening it, or `towpath resume`, takes that back.
    * **Pin** what runs there, whatever comes: `towpath pin portal production v1.4.2 --reason WHY`
    * **Undo** it after the merge by reverting that: what was undone is held until there is a newer version.

    This text and the one commit of the branch follow what passes; a commit of somebody else on the branch stops that.

    [towpath-data]: # (1)
    [towpath-data]: # (Towpath-Policy: portal)
    [towpath-data]: # (Towpath-Environment: production)
    [towpath-data]: # (Towpath-Image: web%20ghcr.io/acme/portal-web:v1.5.0@sha256:abababababababababababababababababababababababababababababababab)
    [towpath-data]: # (Towpath-Replaces: web%20v1.4.2)
    [towpath-data]: # (Shown: cbb91d501f40667ba669e14b39ddffdeb9eacf29f52c57e5139b09eef38ef97f)
    [towpath-data]: # (Checksum: sha256:852616d2e9207302892f8afcfb947904e0d09ec56e7f67648af6d7004a51c2ef)
    ");
}

#[test]
fn many_commits_are_folded_where_that_can_be_and_the_rest_is_counted() {
    let section = |listed, count, dialect| {
        let mut facts = one();
        let of_web = facts.promotions[0].evidence.values_mut().next().unwrap();
        let between = of_web.between.as_mut().unwrap();
        between.commits = Some(commits(listed, count, &written()));
        let body = text(&facts, dialect, OURS).body;
        let (_, section) = body.split_once("### Commits\n\n").unwrap();
        let (section, _) = section.split_once("\n\n### ").unwrap();
        section
            .replace(&"a".repeat(40), "OLD")
            .replace(&"b".repeat(40), "NEW")
    };
    insta::assert_snapshot!(section(2, 61, GITHUB), @"
    * `web`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/OLD...NEW) of [`acme/portal`](https://github.com/acme/portal)
      <details>
      <summary>61 commits</summary>

      * [`bbbbbbb`](https://github.com/acme/portal/commit/NEW) `fix: the login of guests` by `Ann`
      * [`bbbbbbb`](https://github.com/acme/portal/commit/NEW) `fix: the login of guests` by `Ann`
      * and 59 more

      </details>
    ");
    insta::assert_snapshot!(section(2, 3, BITBUCKET_SERVER), @"
    * `web`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/OLD...NEW) of [`acme/portal`](https://github.com/acme/portal)
      * [`bbbbbbb`](https://github.com/acme/portal/commit/NEW) `fix: the login of guests` by `Ann`
      * [`bbbbbbb`](https://github.com/acme/portal/commit/NEW) `fix: the login of guests` by `Ann`
      * and 1 more
    ");
    insta::assert_snapshot!(section(0, 0, GITHUB), @"* `web`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/OLD...NEW) of [`acme/portal`](https://github.com/acme/portal)");
}

#[test]
fn products_with_the_same_markup_get_the_same_words() {
    let bodies = DIALECTS.map(|(_, dialect)| text(&one(), dialect, OURS).body);
    let [github, gitlab, gitea, cloud, server, azure] = bodies;
    assert_eq!((&github, &github, &github), (&gitlab, &gitea, &azure));
    assert_eq!(cloud, server);
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut facts = one();
    let proposed = &mut facts.promotions[0];
    proposed.evidence.clear();
    proposed.gates.clear();
    for moved in proposed.promotion.images.values_mut() {
        moved.digest = None;
    }
    facts.files.clear();
    let text = text(&facts, GITHUB, OURS);
    insta::assert_snapshot!(shown(&text), @"
    ### What changes in `production`

    | Image | From | To |
    | --- | --- | --- |
    | `web` `ghcr.io/acme/portal-web` | `v1.4.2` | **`v1.5.0`** |

    ### How to act

    * **Merge** to bring `v1.5.0` to `production`.
    * **Close** without merging to reject `v1.5.0` in `production`: a newer one will get a new pull request. Reopening it, or `towpath resume`, takes that back.
    * **Pin** what runs there, whatever comes: `towpath pin portal production v1.4.2 --reason WHY`
    * **Undo** it after the merge by reverting that: what was undone is held until there is a newer version.

    This text and the one commit of the branch follow what passes; a commit of somebody else on the branch stops that.
    ");
}

#[test]
fn all_that_a_reviewer_should_look_at_twice_is_a_warning() {
    let mut facts = group(1);
    let proposed = &mut facts.promotions[0];
    let mut images = proposed.promotion.images.values_mut();
    images.next().unwrap().replaced = Some("v0.9.0, v1.0.0".to_owned());
    images.next().unwrap().replaced = Some("v2.0.0".to_owned());
    let mut evidence = proposed.evidence.values_mut();
    let web = evidence.next().unwrap();
    web.ground = Ground::Unordered;
    web.also.insert(SharedPlace {
        file: "apps/values.yaml".parse().unwrap(),
        line: 12,
        path: "worker.image.tag".parse().unwrap(),
    });
    evidence.next().unwrap().ground = Ground::Downgrade;
    let body = text(&facts, GITHUB, OURS).body;
    let warnings = body.split("### ").find(|part| part.starts_with("Warnings"));
    insta::assert_snapshot!(warnings.unwrap(), @"
    Warnings

    * **2 images** change at once: who merges or closes this, decides for all of them.
    * `web`: the rule **cannot order** `v0.9.0, v1.0.0`, and no person wrote it over a promotion
    * `web`: its places **differ** today (`v0.9.0, v1.0.0`) and will be alike
    * `web`: **also changes, by an alias**: `apps/values.yaml:12 worker.image.tag`
    * `worker`: **downgrade**: `v1.5.0` is older than `v2.0.0`, and the policy allows that
    * `worker`: **major version** 2 → 1
    ");
    for moved in facts.promotions[0].promotion.images.values_mut() {
        moved.replaced = None;
    }
    for evidence in facts.promotions[0].evidence.values_mut() {
        evidence.ground = Ground::Nothing;
    }
    let body = text(&facts, GITHUB, OURS).body;
    assert!(
        body.contains("`web`: **first promotion**: no version stands there yet"),
        "{body}"
    );
}

#[test]
fn a_group_tells_the_policy_of_each_image() {
    let text = text(&group(2), GITHUB, OURS);
    insta::assert_snapshot!(shown(&text), @"
    ### What changes in `production`

    | Policy | Image | From | To | Digest | Made | Platforms |
    | --- | --- | --- | --- | --- | --- | --- |
    | `app-000` | `web` `ghcr.io/acme/app-000-web` | `v1.4.2` | **`v1.5.0`** | `sha256:abababababab` | pushed 2026-02-28 10:04 UTC | `linux/amd64`, `linux/arm64` |
    | `app-000` | `worker` `ghcr.io/acme/app-000-worker` | `v1.4.2` | **`v1.5.0`** | `sha256:abababababab` | pushed 2026-02-28 10:04 UTC | `linux/amd64`, `linux/arm64` |
    | `app-001` | `web` `ghcr.io/acme/app-001-web` | `v1.4.2` | **`v1.5.0`** | `sha256:abababababab` | pushed 2026-02-28 10:04 UTC | `linux/amd64`, `linux/arm64` |
    | `app-001` | `worker` `ghcr.io/acme/app-001-worker` | `v1.4.2` | **`v1.5.0`** | `sha256:abababababab` | pushed 2026-02-28 10:04 UTC | `linux/amd64`, `linux/arm64` |

    ### Commits

    * `app-000` `web`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) of [`acme/portal`](https://github.com/acme/portal)
      * [`bbbbbbb`](https://github.com/acme/portal/commit/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) `fix: the login of guests` by `Ann`
    * `app-000` `worker`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) of [`acme/portal`](https://github.com/acme/portal)
      * [`bbbbbbb`](https://github.com/acme/portal/commit/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) `fix: the login of guests` by `Ann`
    * `app-001` `web`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) of [`acme/portal`](https://github.com/acme/portal)
      * [`bbbbbbb`](https://github.com/acme/portal/commit/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) `fix: the login of guests` by `Ann`
    * `app-001` `worker`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) of [`acme/portal`](https://github.com/acme/portal)
      * [`bbbbbbb`](https://github.com/acme/portal/commit/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) `fix: the login of guests` by `Ann`

    ### Where it runs already

    * `app-000` `web` `v1.5.0` runs in `staging` since 2026-03-01 09:00 UTC, by commit `0a0b0c0`; **healthy** since 2026-03-01 09:03 UTC
    * `app-000` `worker` `v1.5.0` runs in `staging` since 2026-03-01 09:00 UTC, by commit `0a0b0c0`; **healthy** since 2026-03-01 09:03 UTC
    * `app-001` `web` `v1.5.0` runs in `staging` since 2026-03-01 09:00 UTC, by commit `0a0b0c0`; **healthy** since 2026-03-01 09:03 UTC
    * `app-001` `worker` `v1.5.0` runs in `staging` since 2026-03-01 09:00 UTC, by commit `0a0b0c0`; **healthy** since 2026-03-01 09:03 UTC

    ### Gates

    * `app-000` `soak` **passed**: `v1.5.0` runs in staging since 2026-03-01 09:00 UTC, which is 24h
    * `app-001` `soak` **passed**: `v1.5.0` runs in staging since 2026-03-01 09:00 UTC, which is 24h

    ### Changed files

    <details>
    <summary><code>apps/app-000/overlays/production/kustomization.yaml</code> (+1 −1)</summary>

    ```diff
    @@ -1,3 +1,3 @@
     images:
     - name: web
    -  newTag: v1.4.2
    +  newTag: v1.5.0
    ```

    </details>

    <details>
    <summary><code>apps/app-001/overlays/production/kustomization.yaml</code> (+1 −1)</summary>

    ```diff
    @@ -1,3 +1,3 @@
     images:
     - name: web
    -  newTag: v1.4.2
    +  newTag: v1.5.0
    ```

    </details>

    ### Warnings

    * **4 images** change at once: who merges or closes this, decides for all of them.

    ### How to act

    * **Merge** to bring these versions to `production`.
    * **Close** without merging to reject these versions in `production`: newer ones will get a new pull request. Reopening it, or `towpath resume`, takes that back.
    * **Undo** it after the merge by reverting that: what was undone is held until there is a newer version.

    This text and the one commit of the branch follow what passes; a commit of somebody else on the branch stops that.
    ");
}

#[test]
fn changed_files_are_shown_whole_then_as_many_as_fit_then_by_name() {
    let facts = group(20);
    let section = |room: usize| {
        let section = diff::section(&facts, GITHUB, room);
        assert!(units(&section) <= room, "{room}: {section}");
        section
    };
    let counts = |section: &str| {
        let folds = section.matches("<details>").count();
        (folds, section.matches("\n* `apps/").count())
    };
    let whole = section(GITHUB.length_max);
    assert_eq!(counts(&whole), (20, 0));
    let names = section(units(&whole) / 2);
    let (folds, named) = counts(&names);
    assert!(folds > 0 && named > 0 && folds + named == 20, "{names}");
    // What ends the last fold is not shown.
    let last_line = 1;
    assert_eq!(counts(&section(units(&whole) + last_line)), (20, 0));
    assert_eq!(counts(&section(units(&whole) - last_line)), (19, 1));
    let names: String = (0..20)
        .map(|number| {
            format!("\n* `apps/app-{number:03}/overlays/production/kustomization.yaml` (+1 −1)")
        })
        .collect();
    let room = units("### Changed files\n") + units(&names);
    assert_eq!(counts(&section(room)), (0, 20));
    let cut = section(room - 1);
    assert_eq!(counts(&cut), (0, 19));
    insta::assert_snapshot!(cut.lines().last().unwrap(), @"* and 1 more");
    assert_eq!(section(40), "### Changed files\n\n* and 20 more");
    assert_eq!(section(30), "");
}

/// What the files of `facts` render to: an object of each, as long as `lines`, with `words` of others in all of it.
fn rendered(facts: &RequestFacts, (lines, words): (usize, &str)) -> Fact<Arc<Rendered>> {
    let folder = |path: &RepoPath| {
        let (folder, _) = path.as_str().rsplit_once('/').unwrap();
        let text = |tag: &str| {
            format!(
                "image: {words}:{tag}\n{}",
                format!("a: {words}\n").repeat(lines)
            )
        };
        let object = RenderedObject {
            name: format!("Deployment {words}"),
            before: text("v1.4.2").into(),
            after: text("v1.5.0").into(),
        };
        RenderedFolder {
            folder: folder.parse().unwrap(),
            program: "kustomize".to_owned(),
            files: [path.clone()].into(),
            objects: Fact::Known(Arc::new(vec![object])),
        }
    };
    let folders = facts.files.keys().map(folder).collect();
    Fact::Known(Arc::new(Rendered { folders }))
}

#[test]
fn what_is_rendered_takes_the_place_of_the_files_that_show_in_it() {
    let mut facts = group(3);
    let Fact::Known(mut rendered) = rendered(&facts, (1, "web")) else {
        unreachable!("it was just rendered");
    };
    let folders = &mut Arc::make_mut(&mut rendered).folders;
    folders[1].objects = Fact::Known(Arc::default());
    folders[2].objects = Fact::Unknown {
        why: "`kustomize` did not end within 20 s".to_owned(),
    };
    facts.rendered = Some(Fact::Known(rendered));
    insta::assert_snapshot!(diff::section(&facts, GITHUB, 10_000), @"
    ### Changed objects

    <details>
    <summary><code>Deployment web</code> of <code>apps/app-000/overlays/production</code> (+1 −1)</summary>

    ```diff
    @@ -1,2 +1,2 @@
    -image: web:v1.4.2
    +image: web:v1.5.0
     a: web
    ```

    </details>

    * `apps/app-001/overlays/production` renders to the same objects as before
    * `apps/app-002/overlays/production` could not be rendered: `kustomize` did not end within 20 s

    ### Changed files

    <details>
    <summary><code>apps/app-002/overlays/production/kustomization.yaml</code> (+1 −1)</summary>

    ```diff
    @@ -1,3 +1,3 @@
     images:
     - name: web
    -  newTag: v1.4.2
    +  newTag: v1.5.0
    ```

    </details>

    * `apps/app-000/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-001/overlays/production/kustomization.yaml` (+1 −1)
    ");
    insta::assert_snapshot!(diff::section(&facts, BITBUCKET_SERVER, 800), @"
    ### Changed objects

    `Deployment web` of `apps/app-000/overlays/production` (+1 −1)

    ```diff
    @@ -1,2 +1,2 @@
    -image: web:v1.4.2
    +image: web:v1.5.0
     a: web
    ```

    * `apps/app-001/overlays/production` renders to the same objects as before
    * `apps/app-002/overlays/production` could not be rendered: `kustomize` did not end within 20 s

    ### Changed files

    `apps/app-002/overlays/production/kustomization.yaml` (+1 −1)

    ```diff
    @@ -1,3 +1,3 @@
     images:
     - name: web
    -  newTag: v1.4.2
    +  newTag: v1.5.0
    ```

    * `apps/app-000/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-001/overlays/production/kustomization.yaml` (+1 −1)
    ");
    facts.rendered = Some(Fact::Unknown {
        why: "a secret".to_owned(),
    });
    let section = diff::section(&facts, GITHUB, 10_000);
    let (objects, _) = section.split_once("\n\n### Changed files\n").unwrap();
    insta::assert_snapshot!(objects, @"
    ### Changed objects

    * what this renders to is not known, since the repository could not be read
    ");
}

#[test]
fn changed_objects_are_shown_whole_then_as_many_as_fit_then_by_name() {
    let mut facts = group(20);
    facts.rendered = Some(rendered(&facts, (40, "web")));
    let counts = |room: usize| {
        let section = diff::section(&facts, GITHUB, room);
        assert!(units(&section) <= room, "{room}: {section}");
        let (objects, files) = section
            .split_once("### Changed files")
            .unwrap_or((&section, ""));
        let named = objects.matches("\n* `Deployment web` of").count();
        (
            objects.matches("<details>").count(),
            named,
            files.matches("\n* `").count(),
        )
    };
    assert_eq!(counts(GITHUB.length_max), (20, 0, 20));
    let all: Vec<_> = (0..6_000).step_by(50).map(counts).collect();
    let some = |is_it: fn(&(usize, usize, usize)) -> bool| all.iter().any(is_it);
    assert!(all.is_sorted_by_key(|(whole, ..)| *whole), "{all:?}");
    assert!(
        all.is_sorted_by_key(|(whole, named, _)| whole + named),
        "{all:?}"
    );
    assert!(some(|seen| matches!(seen, (1..20, 1..20, 20))), "{all:?}");
    assert!(some(|seen| matches!(seen, (0, 20, 20))), "{all:?}");
    assert!(some(|seen| matches!(seen, (0, 1..20, 20))), "{all:?}");
    assert!(some(|seen| matches!(seen, (0, 0, 1..20))), "{all:?}");
}

#[test]
fn a_group_of_sixty_images_fits_the_smallest_product() {
    let (_, azure) = DIALECTS[5];
    let text = text(&group(30), azure, OURS);
    assert!(units(&text.body) <= azure.length_max);
    let hidden = hidden::read(&text.body).unwrap();
    assert_eq!(hidden.promotions, Promotions::InCommit);
    insta::assert_snapshot!(shown(&text), @"
    ### What changes in `production`

    | Policy | Image | From | To | Digest | Made | Platforms |
    | --- | --- | --- | --- | --- | --- | --- |
    | `app-000` | `web` `ghcr.io/acme/app-000-web` | `v1.4.2` | **`v1.5.0`** | `sha256:abababababab` | pushed 2026-02-28 10:04 UTC | `linux/amd64`, `linux/arm64` |
    | `app-000` | `worker` `ghcr.io/acme/app-000-worker` | `v1.4.2` | **`v1.5.0`** | `sha256:abababababab` | pushed 2026-02-28 10:04 UTC | `linux/amd64`, `linux/arm64` |
    | `app-001` | `web` `ghcr.io/acme/app-001-web` | `v1.4.2` | **`v1.5.0`** | `sha256:abababababab` | pushed 2026-02-28 10:04 UTC | `linux/amd64`, `linux/arm64` |

    And 57 more images, which the changed files tell.

    ### Commits

    * `app-000` `web`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) of [`acme/portal`](https://github.com/acme/portal)
    * `app-000` `worker`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) of [`acme/portal`](https://github.com/acme/portal)
    * `app-001` `web`: [`aaaaaaa` to `bbbbbbb`](https://github.com/acme/portal/compare/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) of [`acme/portal`](https://github.com/acme/portal)
    * and 57 more

    ### Where it runs already

    * `app-000` `web` `v1.5.0` runs in `staging` since 2026-03-01 09:00 UTC, by commit `0a0b0c0`; **healthy** since 2026-03-01 09:03 UTC
    * `app-000` `worker` `v1.5.0` runs in `staging` since 2026-03-01 09:00 UTC, by commit `0a0b0c0`; **healthy** since 2026-03-01 09:03 UTC
    * `app-001` `web` `v1.5.0` runs in `staging` since 2026-03-01 09:00 UTC, by commit `0a0b0c0`; **healthy** since 2026-03-01 09:03 UTC
    * and 57 more

    ### Gates

    * `app-000` `soak` **passed**: `v1.5.0` runs in staging since 2026-03-01 09:00 UTC, which is 24h
    * `app-001` `soak` **passed**: `v1.5.0` runs in staging since 2026-03-01 09:00 UTC, which is 24h
    * `app-002` `soak` **passed**: `v1.5.0` runs in staging since 2026-03-01 09:00 UTC, which is 24h
    * and 27 more

    ### Changed files

    * `apps/app-000/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-001/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-002/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-003/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-004/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-005/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-006/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-007/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-008/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-009/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-010/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-011/overlays/production/kustomization.yaml` (+1 −1)
    * `apps/app-012/overlays/production/kustomization.yaml` (+1 −1)
    * and 17 more

    ### Warnings

    * **60 images** change at once: who merges or closes this, decides for all of them.

    ### How to act

    * **Merge** to bring these versions to `production`.
    * **Close** without merging to reject these versions in `production`: newer ones will get a new pull request. Reopening it, or `towpath resume`, takes that back.
    * **Undo** it after the merge by reverting that: what was undone is held until there is a newer version.

    This text and the one commit of the branch follow what passes; a commit of somebody else on the branch stops that.
    ");
}

#[test]
fn every_body_fits_and_can_be_read_back() {
    let mut shown = group(5);
    shown.rendered = Some(rendered(&shown, (100, "web")));
    let all = [
        (one(), 97),
        (group(5), 397),
        (shown, 397),
        (group(40), 3_001),
    ];
    for (facts, step) in all {
        for length_max in (700..66_000).step_by(step) {
            for dialect in [GITHUB, BITBUCKET_SERVER] {
                let dialect = Dialect {
                    length_max,
                    ..dialect
                };
                let body = text(&facts, dialect, OURS).body;
                assert!(units(&body) <= length_max, "{length_max}: {body}");
                assert!(hidden::read(&body).is_some(), "{length_max}: {body}");
            }
        }
    }
}

#[test]
fn hidden_data_tells_the_promotions_and_what_was_done() {
    let promotions = |facts: &RequestFacts| {
        let promotions = facts.promotions.iter();
        Promotions::Here(promotions.map(|one| one.promotion.clone()).collect())
    };
    for (name, dialect) in DIALECTS {
        for facts in [one(), group(3)] {
            let body = text(&facts, dialect, OURS).body;
            let hidden = hidden::read(&body).unwrap();
            assert_eq!(hidden.promotions, promotions(&facts), "{name}");
            assert_eq!(hidden.flags, Flags::default());
            let flags = Flags {
                closed_by_us: true,
                hands_off: Some(COMMIT.parse().unwrap()),
                told_on: Some(COMMIT.parse().unwrap()),
                held: Some("holds".to_owned()),
                wished: true,
                merges: Some(COMMIT.parse().unwrap()),
            };
            let noted = format!("A person wrote this.\n\n{body}");
            let closed = hidden::with_flags(&noted, flags.clone(), dialect.hides_by).unwrap();
            let told = hidden::read(&closed).unwrap();
            assert_eq!((told.promotions, told.flags), (hidden.promotions, flags));
            assert!(closed.starts_with("A person wrote this."), "{closed}");
            assert_eq!(closed.matches("Checksum").count(), 1, "{closed}");
        }
    }
}

#[test]
fn what_is_noted_later_has_its_room_in_the_longest_body() {
    for (name, dialect) in DIALECTS {
        let text = text(&group(200), dialect, OURS).noting(|flags| *flags = Flags::all());
        assert_eq!(text.flags(), Flags::all(), "{name}");
        let length = text.body.encode_utf16().count();
        assert!(length <= dialect.length_max, "{name}: {length}");
    }
}

#[test]
fn hidden_data_that_was_edited_cut_or_doubled_is_not_believed() {
    for (_, dialect) in DIALECTS {
        let text = text(&one(), dialect, OURS);
        let body = &text.body;
        assert!(text.is_told_by(body));
        let lines = body.replace('\n', "\r\n");
        assert!(text.is_told_by(&format!("{lines}\r\nand a word of a bot")));
        assert!(text.is_told_by(&body.replace("How to act", "What to do")));
        let block = &body[shown(&text).len()..];
        let shorter: Vec<&str> = body
            .lines()
            .filter(|line| !line.contains("Replaces"))
            .collect();
        for bad in [
            shown(&text).to_owned(),
            format!("{body}{block}"),
            body.replace(":v1.5.0%40", ":v1.6.0%40")
                .replace(":v1.5.0@", ":v1.6.0@"),
            body.replace("Checksum: sha256:", "Checksum: sha256:0"),
            body.trim_end().trim_end_matches(['-', '>', ')']).to_owned(),
            body.replace("data 1", "data 2").replace("(1)", "(2)"),
            shorter.join("\n"),
        ] {
            assert_ne!(&bad, body);
            assert_eq!(hidden::read(&bad), None, "{bad}");
            assert!(!text.is_told_by(&bad));
        }
    }
}

#[test]
fn a_body_is_written_anew_only_when_something_changed() {
    let facts = one();
    let before = text(&facts, GITHUB, OURS);
    assert_eq!(text(&facts, GITHUB, OURS), before);
    let mut later = facts.clone();
    later.promotions[0].gates[0].verdict = GateVerdict::Waits;
    assert!(!text(&later, GITHUB, OURS).is_told_by(&before.body));
    let mut titled = facts;
    titled.subject.push('!');
    assert!(!text(&titled, GITHUB, OURS).is_told_by(&before.body));
}

#[test]
fn a_template_takes_the_place_of_our_words_and_never_of_hidden_data() {
    let title = "[{{ environment }}] {{ subject }}";
    let title = Template::parse(title, TemplatePart::Title).unwrap();
    let words = "Checklist for {{ policy }} on `{{ branch }}`:\n\n{% for image in images %}- [ ] {{ image.name }} {{ image.from }}\n{% endfor %}\n{{ diff }}\n\n<!-- towpath-data 1\n-->\n";
    let body = Template::parse(words, TemplatePart::Body).unwrap();
    let templates = RequestTemplates {
        title: Some(&title),
        body: Some(&body),
    };
    let text = text(&one(), GITHUB, templates);
    insta::assert_snapshot!(text.title, @"[production] promote portal to production: web v1.4.2 -> v1.5.0");
    insta::assert_snapshot!(shown(&text), @"
    Checklist for portal on `main`:

    - [ ] web v1.4.2

    ### Changed files

    <details>
    <summary><code>apps/portal/overlays/production/kustomization.yaml</code> (+1 −1)</summary>

    ```diff
    @@ -1,3 +1,3 @@
     images:
     - name: web
    -  newTag: v1.4.2
    +  newTag: v1.5.0
    ```

    </details>

    <!-- towpath data 1
    -->
    ");
    assert!(hidden::read(&text.body).is_some());
    assert_eq!(text.complaints, Vec::<String>::new());
}

#[test]
fn a_template_tells_of_no_promotion_in_the_message_of_a_squash() {
    let words = "Towpath-Policy: payments\nTowpath-Environment: production\nTowpath-Image: api ghcr.io/acme/api:v9\n\n{{ body }}";
    let template = Template::parse(words, TemplatePart::Body).unwrap();
    let templates = RequestTemplates {
        title: None,
        body: Some(&template),
    };
    let text = text(&one(), GITHUB, templates);
    let read = |body: &str| Promotion::read(&format!("{}\n\n{body}", text.title));
    assert_eq!(read(words).len(), 1);
    assert_eq!(read(&text.body), []);
}

#[test]
fn a_template_that_cannot_be_filled_leaves_its_part_to_our_words() {
    let words = "{% for a in images %}{% for b in images %}{% for c in images %}.{% endfor %}{% endfor %}{% endfor %}";
    let template = Template::parse(words, TemplatePart::Body).unwrap();
    let templates = RequestTemplates {
        title: None,
        body: Some(&template),
    };
    let facts = group(40);
    let text = text(&facts, GITHUB, templates);
    let why = format!("\n* {}\n", text.complaints.join("\n"));
    let ours = super::text(&facts, GITHUB, OURS);
    assert_eq!(shown(&text).replace(&why, "\n"), shown(&ours));
    insta::assert_snapshot!(text.complaints.join("\n"), @"the template of the body: filling it takes more than 100000 steps (line 1, column 1 of the template)");
}

/// Texts made of all that Markdown, HTML and forges look for.
fn hostile() -> impl Strategy<Value = String> {
    let parts = [
        "`",
        "``",
        "```",
        "~~~",
        "|",
        "\\",
        "\\|",
        "<!--",
        "-->",
        "<b>",
        "</details>",
        "<summary>",
        "[a](http://x.y)",
        "![i](http://x.y)",
        "[a]: # (b)",
        "@team",
        "#12",
        "!7",
        "GH-12",
        "fixes",
        "Closes:",
        "ABC-12",
        "https://x.y/issues/1",
        "www.x.y",
        "/close",
        " ",
        " ",
        " ",
        "*",
        "_",
        "# ",
        "- ",
        "> ",
        "&#64;",
        "&lt;",
        "towpath-data 1",
        "<!-- towpath-data 1",
        "[towpath-data]: # (1)",
        "Checksum: sha256:",
        "Towpath-Policy: other",
        "\u{202e}",
        "\u{200b}",
        "é",
        "𝕏",
        "a",
        "v1",
        "\"",
        "'",
        "(",
        ")",
        "[",
        "]",
        "{{ policy }}",
        "%40",
        "---",
        "===",
        "    ",
    ];
    let word = proptest::sample::select(parts.to_vec());
    proptest::collection::vec(word, 1..12).prop_map(|words| words.concat())
}

fn hostile_written() -> impl Strategy<Value = Written> {
    let all = proptest::collection::vec(hostile(), 8);
    all.prop_map(|texts| {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap();
        Written {
            // What stands at a site has no spaces around it.
            from: format!("v{}v", next()),
            platform: next(),
            evidence: next(),
            health: Some(Condition::NotYet {
                why: next(),
                degraded: None,
            }),
            subject: next(),
            author: next(),
            line: next(),
            branch: next(),
        }
    })
}

fn parser(body: &str) -> Parser<'_> {
    Parser::new_ext(body, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

/// What a parser makes of a body, without texts and code.
fn structure(body: &str) -> Vec<String> {
    let code = Regex::new("<code>[^<>]*</code>").unwrap();
    let shape = |event: Event<'_>| match event {
        Event::Text(_) | Event::Code(_) | Event::SoftBreak => None,
        Event::Html(html) if html.starts_with("<!--") || !html.starts_with('<') => None,
        Event::Html(html) | Event::InlineHtml(html) => {
            Some(format!("html {}", code.replace_all(&html, "<code></code>")))
        }
        other => Some(format!("{other:?}")),
    };
    parser(body).filter_map(shape).collect()
}

/// The texts of a body that are no code.
fn words(body: &str) -> String {
    let mut is_code = false;
    let mut words = String::new();
    for event in parser(body) {
        match event {
            Event::Start(Markup::CodeBlock(_)) => is_code = true,
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Text(text) if !is_code => words.push_str(&text),
            Event::SoftBreak | Event::End(_) => words.push(' '),
            _ => {}
        }
    }
    words
}

/// What GitLab closes issues by, and issue trackers of others beside it.
/// <https://docs.gitlab.com/user/project/issues/managing_issues/#default-closing-pattern>
fn closing() -> Regex {
    Regex::new(r"(?i)\b(clos(e[sd]?|ing)|fix(e[sd]|ing)?|resolv(e[sd]?|ing)|implement(s|ed|ing)?):? +(issues? +)?([\w/-]*#\d+|https?://|[A-Z][A-Z0-9_]+-\d+)").unwrap()
}

/// With folded commits, and with what is rendered and what could not be.
fn told_in_full(written: &Written) -> RequestFacts {
    let mut facts = facts(vec![proposed("portal", &["web"], written)], written);
    let of_web = facts.promotions[0].evidence.values_mut().next().unwrap();
    of_web.between.as_mut().unwrap().commits = Some(commits(2, 9, written));
    let Fact::Known(mut rendered) = rendered(&facts, (2, &written.line)) else {
        unreachable!("it was just rendered");
    };
    Arc::make_mut(&mut rendered).folders.push(RenderedFolder {
        folder: "charts/portal".parse().unwrap(),
        program: "helm".to_owned(),
        files: BTreeSet::new(),
        objects: Fact::Unknown {
            why: written.evidence.clone(),
        },
    });
    facts.rendered = Some(Fact::Known(rendered));
    facts
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn no_text_of_others_is_read_as_markup_a_mention_or_hidden_data(written in hostile_written(), server in any::<bool>()) {
        let dialect = if server { BITBUCKET_SERVER } else { GITHUB };
        let facts = told_in_full(&written);
        let harmless = Written { from: "v1.4.2".to_owned(), ..self::written() };
        let benign = told_in_full(&harmless);
        let told = text(&facts, dialect, OURS);
        let expected = text(&benign, dialect, OURS);
        // Whether a text tells a tag to pin, a major version or several versions is no matter of its letters.
        let without = |body: &str| {
            let lines = body.lines().filter(|line| !line.starts_with("* **Pin**") && !line.contains("Warnings") && !line.contains("will be alike") && !line.contains("major version"));
            lines.collect::<Vec<_>>().join("\n")
        };
        prop_assert_eq!(structure(&without(&told.body)), structure(&without(&expected.body)), "{}", told.body);
        let words = words(&told.body);
        prop_assert!(!words.contains('@') && !words.contains("://") && !words.contains("www."), "{words}");
        let numbers = Regex::new(r"[#!]\d|(?i)gh-\d").unwrap();
        prop_assert!(!numbers.is_match(&words), "{words}");
        prop_assert!(!closing().is_match(&told.body), "{}", told.body);
        prop_assert!(told.body.lines().all(|line| !line.starts_with('/')));
        let hidden = hidden::read(&told.body).unwrap();
        prop_assert_eq!(hidden.promotions, Promotions::Here(vec![facts.promotions[0].promotion.clone()]));
        prop_assert!(!told.title.contains('\n'));
    }

    #[test]
    fn no_value_of_a_template_becomes_a_link_a_tag_or_a_mention(written in hostile_written()) {
        let words = "{{ images | length }}: {% for image in images %}\n{{ image.from }}\n{{ image.to }}{% endfor %}\n\n{{ branch }}\n\n{{ subject }} x";
        let template = Template::parse(words, TemplatePart::Body).unwrap();
        let templates = RequestTemplates { title: None, body: Some(&template) };
        let facts = facts(vec![proposed("portal", &["web"], &written)], &written);
        let told = text(&facts, GITHUB, templates);
        prop_assert!(hidden::read(&told.body).is_some());
        for event in parser(shown(&told)) {
            let is_harmless = !matches!(event, Event::Html(_) | Event::InlineHtml(_) | Event::Start(Markup::Link { .. } | Markup::Image { .. }));
            prop_assert!(is_harmless, "{event:?} in {}", told.body);
        }
        let words = self::words(shown(&told));
        prop_assert!(!words.contains("://") && !words.contains("www."));
        prop_assert!(!Regex::new(r"[@#!][\w{]").unwrap().is_match(&words), "{words}");
    }
}
