//! What a client of a forge promises, held against a fake of each product and against a real Gitea alike.
//!
//! Not here: what goes wrong (`forge_faults.rs`). Where products differ, `Quirks` says so.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bed::forge::{FakeForge, FakeRepository, Product, Way, Word};
use bed::gitea::{Gitea, MergeWay as RealWay};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Approval, Forge, ForgeError, Kind, MergeWay, NewPullRequest, Opened, Options, Pace, Place,
    PullRequest, State, Status, Traffic, Update, Verdict, Wishes,
};
use crate::login::{Clock, Source};
use crate::manifest::CommitId;
use crate::secret::{Credentials as Own, Secret};

pub(super) const PATH: &str = "acme/deploy";
const PREFIX: &str = "towpath/";
pub(super) const HEAD: &str = "towpath/prod/web";

/// Where the products differ.
#[derive(Clone, Copy)]
pub(super) struct Quirks {
    pub(super) kind: Kind,
    /// The login of who merged stands in lists too.
    lists_tell_who_merged: bool,
    /// A list that did not change is answered without a body.
    pub(super) is_conditional: bool,
    /// Commits come with all their digits.
    tells_commits: bool,
    /// It is known when anything changed; otherwise what is open counts as changed.
    tells_changes: bool,
    approvals_tell_when: bool,
    approvals_tell_commits: bool,
    has_labels: bool,
    has_assignees: bool,
    has_milestones: bool,
    /// How many complaints there are where a label, a reviewer, an assignee and a milestone are wished that do not exist.
    unmet: usize,
    merges_by_itself: bool,
    /// Whether there is one already is asked before one is opened.
    pub(super) looks_before_opening: bool,
    /// How what passed and what failed is called.
    verdicts: [&'static str; 2],
}

const LIKE_GITHUB: Quirks = Quirks {
    kind: Kind::Github,
    lists_tell_who_merged: false,
    is_conditional: true,
    tells_commits: true,
    tells_changes: true,
    approvals_tell_when: true,
    approvals_tell_commits: true,
    has_labels: true,
    has_assignees: true,
    has_milestones: true,
    // Labels are made.
    unmet: 3,
    merges_by_itself: true,
    looks_before_opening: false,
    verdicts: ["success", "failure"],
};

impl Quirks {
    pub(super) fn of(product: Product) -> Self {
        match product {
            Product::Github => LIKE_GITHUB,
            Product::Gitlab => Self {
                kind: Kind::Gitlab,
                lists_tell_who_merged: true,
                approvals_tell_commits: false,
                // Labels are made, and who is not found is told once.
                unmet: 2,
                verdicts: ["success", "failed"],
                ..LIKE_GITHUB
            },
            Product::Gitea => Self {
                kind: Kind::Gitea,
                is_conditional: false,
                unmet: 4,
                ..LIKE_GITHUB
            },
            Product::BitbucketCloud => Self {
                kind: Kind::BitbucketCloud,
                lists_tell_who_merged: true,
                is_conditional: false,
                tells_commits: false,
                approvals_tell_commits: false,
                has_labels: false,
                has_assignees: false,
                has_milestones: false,
                unmet: 4,
                merges_by_itself: false,
                looks_before_opening: true,
                verdicts: ["SUCCESSFUL", "FAILED"],
                ..LIKE_GITHUB
            },
            Product::BitbucketServer => Self {
                kind: Kind::BitbucketServer,
                is_conditional: false,
                approvals_tell_when: false,
                has_labels: false,
                has_assignees: false,
                has_milestones: false,
                unmet: 4,
                verdicts: ["SUCCESSFUL", "FAILED"],
                ..LIKE_GITHUB
            },
            Product::AzureDevops => Self {
                kind: Kind::AzureDevops,
                lists_tell_who_merged: true,
                is_conditional: false,
                tells_changes: false,
                approvals_tell_when: false,
                approvals_tell_commits: false,
                has_assignees: false,
                has_milestones: false,
                verdicts: ["succeeded", "failed"],
                ..LIKE_GITHUB
            },
        }
    }

    /// What the client calls the repository.
    pub(super) fn path(&self) -> &'static str {
        match self.kind {
            Kind::AzureDevops => "acme/shop/deploy",
            Kind::Github
            | Kind::Gitlab
            | Kind::Gitea
            | Kind::BitbucketCloud
            | Kind::BitbucketServer => PATH,
        }
    }

    /// As much of a commit as the product tells.
    fn commit(&self, commit: CommitId) -> Option<CommitId> {
        self.tells_commits.then_some(commit)
    }
}

/// A forge, and the client under test.
pub(super) struct Stage {
    pub(super) forge: Forge,
    pub(super) quirks: Quirks,
    ground: Ground,
    pub(super) folder: TempDir,
}

enum Ground {
    Fake(FakeForge),
    Real { gitea: Arc<Gitea>, name: String },
}

macro_rules! for_each_forge {
    ($($test:ident,)*) => {
        for_each_forge!(@one github Github [$($test,)*]);
        for_each_forge!(@one gitlab Gitlab [$($test,)*]);
        for_each_forge!(@one gitea Gitea [$($test,)*]);
        for_each_forge!(@one bitbucket_cloud BitbucketCloud [$($test,)*]);
        for_each_forge!(@one bitbucket_server BitbucketServer [$($test,)*]);
        for_each_forge!(@one azure_devops AzureDevops [$($test,)*]);

        #[tokio::test]
        async fn a_real_gitea_keeps_the_contract() {
            let Some(gitea) = Gitea::start().map(Arc::new) else {
                return;
            };
            $(
                $test(Stage::real(&gitea, stringify!($test)).await).await;
            )*
        }
    };
    (@one $module:ident $product:ident [$($test:ident,)*]) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::Stage::new(super::Product::$product)).await;
                }
            )*
        }
    };
}

for_each_forge! {
    an_opened_pull_request_is_told_as_it_was_wished,
    only_branches_of_the_repository_with_the_prefix_are_told,
    a_second_pull_request_for_a_branch_is_refused_as_one_that_exists,
    what_an_update_does_not_name_stays,
    a_pull_request_is_closed_after_its_text_was_written,
    each_way_of_merging_is_told_with_the_commit_of_the_base,
    what_a_person_closes_can_be_opened_again,
    what_changed_since_a_time_is_told_and_nothing_older,
    a_list_comes_whole_page_after_page,
    the_latest_status_of_a_name_counts,
    an_approval_is_the_last_word_of_a_person,
    a_draft_has_the_title_that_it_was_given,
    labels_people_and_a_milestone_are_put_on_it,
    a_wish_that_cannot_be_met_is_a_complaint_beside_the_pull_request,
    a_comment_is_added,
    only_the_head_that_was_named_is_merged_when_ready,
    what_is_not_to_be_merged_any_more_stays_open,
    a_branch_that_was_deleted_is_still_named,
    what_the_forge_tells_of_our_rights_is_told_and_nothing_changes,
}

async fn what_the_forge_tells_of_our_rights_is_told_and_nothing_changes(stage: Stage) {
    let rights = stage.forge.rights("main").await.unwrap();
    let tells = match stage.quirks.kind {
        Kind::Github | Kind::Gitlab | Kind::Gitea => Some(true),
        Kind::BitbucketCloud | Kind::BitbucketServer | Kind::AzureDevops => None,
    };
    assert_eq!(rights.may_push, tells);
    assert_eq!(rights.is_archived, tells.map(|_| false));
    assert_eq!(rights.is_protected, tells.map(|_| false));
    match stage.quirks.kind {
        Kind::Github => assert_eq!(rights.scopes.as_deref(), Some("repo, workflow")),
        Kind::Gitea => {
            assert_eq!(rights.may_push_branch, Some(true));
            let version = rights.version.as_deref().unwrap_or_default();
            assert!(version.starts_with("1."), "{version}");
        }
        Kind::Gitlab => assert_eq!(rights.may_push_branch, Some(true)),
        Kind::BitbucketCloud | Kind::BitbucketServer | Kind::AzureDevops => {}
    }
    assert_eq!(stage.open_ones().await, []);
}

async fn an_opened_pull_request_is_told_as_it_was_wished(stage: Stage) {
    let head = stage.branch(HEAD).await;
    let new = wished(HEAD);
    let opened = stage.forge.open(&new).await.unwrap();
    assert!(opened.complaints.is_empty(), "{opened:?}");
    let pull = opened.pull_request;
    assert_eq!((&*pull.head, &*pull.base), (HEAD, "main"));
    assert_eq!((&*pull.title, &*pull.body), (&*new.title, &*new.body));
    assert_eq!(pull.head_commit, stage.quirks.commit(head));
    assert_eq!(pull.state, State::Open);
    assert!(!pull.is_draft);
    assert!(pull.url.contains(&pull.number.to_string()), "{}", pull.url);
    assert_eq!(stage.open_ones().await, [pull]);
}

async fn only_branches_of_the_repository_with_the_prefix_are_told(stage: Stage) {
    for branch in [
        "towpath/prod/web",
        "feature/towpath/prod/web",
        "towpath-not",
    ] {
        stage.branch(branch).await;
        stage.forge.open(&wished(branch)).await.unwrap();
    }
    if let Some(fake) = stage.fake() {
        fake.open_from_fork("towpath/prod/other", "main");
    }
    let told: Vec<_> = stage
        .open_ones()
        .await
        .into_iter()
        .map(|one| one.head)
        .collect();
    assert_eq!(told, [HEAD]);
}

async fn a_second_pull_request_for_a_branch_is_refused_as_one_that_exists(stage: Stage) {
    stage.branch(HEAD).await;
    let first = stage.open().await;
    let again = stage.forge.open(&wished(HEAD)).await;
    assert!(
        matches!(&again, Err(ForgeError::Exists { head, .. }) if head == HEAD),
        "{again:?}"
    );
    stage.close(first.number).await;
    let second = stage.open().await;
    assert_ne!(second.number, first.number);
}

async fn what_an_update_does_not_name_stays(stage: Stage) {
    stage.branch(HEAD).await;
    let first = stage.open().await;
    let title = Update {
        title: Some("another title".to_owned()),
        ..Update::default()
    };
    let second = stage.forge.update(first.number, &title).await.unwrap();
    assert_eq!(
        (&*second.title, &*second.body),
        ("another title", &*first.body)
    );
    let body = Update {
        body: Some("another text\n\n<!-- hidden -->".to_owned()),
        ..Update::default()
    };
    let third = stage.forge.update(first.number, &body).await.unwrap();
    assert_eq!(third.title, "another title");
    assert_eq!(third.body, "another text\n\n<!-- hidden -->");
    assert_eq!(third.state, State::Open);
    assert_eq!(stage.open_ones().await, [third]);
}

async fn a_pull_request_is_closed_after_its_text_was_written(stage: Stage) {
    stage.branch(HEAD).await;
    let pull = stage.open().await;
    let update = Update {
        body: Some("nothing is left to promote".to_owned()),
        close: true,
        ..Update::default()
    };
    let closed = stage.forge.update(pull.number, &update).await.unwrap();
    assert_eq!(closed.body, "nothing is left to promote");
    assert!(matches!(closed.state, State::Closed { .. }), "{closed:?}");
    assert_eq!(stage.open_ones().await, []);
    assert_eq!(stage.changed_since(&pull).await, [closed]);
}

async fn each_way_of_merging_is_told_with_the_commit_of_the_base(stage: Stage) {
    for (branch, way) in [
        ("towpath/prod/a", Way::Merge),
        ("towpath/prod/b", Way::Squash),
        ("towpath/prod/c", Way::Rebase),
    ] {
        stage.branch(branch).await;
        let opened = stage.forge.open(&wished(branch)).await.unwrap();
        let pull = opened.pull_request;
        let commit = stage.merge(pull.number, way).await;
        let told = stage.changed_since(&pull).await;
        let told = told
            .into_iter()
            .find(|one| one.number == pull.number)
            .unwrap();
        let State::Merged {
            commit: has, by, ..
        } = told.state
        else {
            panic!("{way:?}: {told:?}");
        };
        assert_eq!(has, stage.quirks.commit(commit), "{way:?}");
        assert_eq!(by.is_some(), stage.quirks.lists_tell_who_merged);
    }
    assert_eq!(stage.open_ones().await, []);
}

async fn what_a_person_closes_can_be_opened_again(stage: Stage) {
    stage.branch(HEAD).await;
    let pull = stage.open().await;
    stage.close(pull.number).await;
    let told = stage.changed_since(&pull).await;
    let State::Closed { at, .. } = &told[0].state else {
        panic!("{told:?}");
    };
    assert!(*at >= pull.updated);
    stage.reopen(pull.number).await;
    let told = stage.changed_since(&pull).await;
    assert_eq!((told.len(), &told[0].state), (1, &State::Open));
    assert_eq!(stage.open_ones().await, told);
}

async fn what_changed_since_a_time_is_told_and_nothing_older(stage: Stage) {
    let mut pulls = Vec::new();
    for branch in ["towpath/prod/a", "towpath/prod/b", "towpath/prod/c"] {
        stage.branch(branch).await;
        let opened = stage.forge.open(&wished(branch)).await.unwrap();
        pulls.push(opened.pull_request);
    }
    stage.later(&pulls[2]).await;
    stage.close(pulls[0].number).await;
    let all = stage.changed_since(&pulls[0]).await;
    assert_eq!(numbers(&all), [1, 2, 3].map(|n| pulls[n - 1].number));
    let closed = all
        .into_iter()
        .find(|one| one.number == pulls[0].number)
        .unwrap();
    if !stage.quirks.tells_changes {
        assert_eq!(
            numbers(&stage.changed_since(&closed).await),
            numbers(&pulls)
        );
        return;
    }
    assert_eq!(
        numbers(&stage.changed_since(&closed).await),
        [closed.number]
    );
    let after = closed.updated + jiff::SignedDuration::from_secs(1);
    assert_eq!(
        stage
            .forge
            .changed_pull_requests(PREFIX, after)
            .await
            .unwrap(),
        []
    );
}

async fn a_list_comes_whole_page_after_page(stage: Stage) {
    stage.page_by(2);
    let mut opened = Vec::new();
    for number in 0..5 {
        let branch = format!("towpath/prod/{number}");
        stage.branch(&branch).await;
        opened.push(
            stage
                .forge
                .open(&wished(&branch))
                .await
                .unwrap()
                .pull_request,
        );
    }
    let wanted = numbers(&opened);
    assert_eq!(numbers(&stage.open_ones().await), wanted);
    assert_eq!(numbers(&stage.changed_since(&opened[0]).await), wanted);
}

async fn the_latest_status_of_a_name_counts(stage: Stage) {
    let commit = stage.branch(HEAD).await;
    let long = "ä".repeat(200);
    for (name, verdict, why) in [
        ("towpath/soak", Verdict::Waits, &*long),
        ("towpath/window", Verdict::Failed, "closed until Monday"),
        ("towpath/soak", Verdict::Passed, "ran for 24 h in staging"),
    ] {
        let status = Status {
            name: name.to_owned(),
            verdict,
            why: why.to_owned(),
        };
        stage.forge.set_status(&commit, &status).await.unwrap();
    }
    let told = |name: &str, state: &str, why: &str| [name, state, why].map(str::to_owned);
    let [passed, failed] = stage.quirks.verdicts;
    let mut statuses = stage.statuses(&commit).await;
    statuses.sort();
    assert_eq!(
        statuses,
        [
            told("towpath/soak", passed, "ran for 24 h in staging"),
            told("towpath/window", failed, "closed until Monday"),
        ]
    );
}

async fn an_approval_is_the_last_word_of_a_person(stage: Stage) {
    let head = stage.branch(HEAD).await;
    let pull = stage.open().await;
    let by = async || -> Vec<Approval> { stage.forge.approvals(pull.number).await.unwrap() };
    assert_eq!(by().await, []);
    stage.review(pull.number, Word::WantsChanges).await;
    assert_eq!(by().await, []);
    stage.review(pull.number, Word::Approved).await;
    stage.review(pull.number, Word::Comment).await;
    let told = by().await;
    assert_eq!((told.len(), &*told[0].by), (1, "ada"));
    let quirks = stage.quirks;
    assert_eq!(
        told[0].commit,
        quirks.approvals_tell_commits.then_some(head)
    );
    assert_eq!(told[0].at.is_some(), quirks.approvals_tell_when);
    assert!(told[0].at.is_none_or(|at| at >= pull.updated));
    stage.dismiss(pull.number).await;
    assert_eq!(by().await, []);
}

async fn a_draft_has_the_title_that_it_was_given(stage: Stage) {
    stage.branch(HEAD).await;
    let new = NewPullRequest {
        is_draft: true,
        ..wished(HEAD)
    };
    let pull = stage.forge.open(&new).await.unwrap().pull_request;
    assert!(pull.is_draft);
    assert_eq!(pull.title, new.title);
    let update = Update {
        title: Some("web to v3 in prod".to_owned()),
        ..Update::default()
    };
    let pull = stage.forge.update(pull.number, &update).await.unwrap();
    assert_eq!((pull.is_draft, &*pull.title), (true, "web to v3 in prod"));
    assert_eq!(stage.open_ones().await, [pull]);
}

async fn labels_people_and_a_milestone_are_put_on_it(stage: Stage) {
    stage.branch(HEAD).await;
    stage.prepare_wishes().await;
    let has = |has: bool, all: &[&str]| names(if has { all } else { &[] });
    let quirks = stage.quirks;
    let milestone = "Autumn, and later".to_owned();
    let new = NewPullRequest {
        wishes: Wishes {
            labels: has(quirks.has_labels, &["promotion", "prod"]),
            reviewers: names(&["ada"]),
            assignees: has(quirks.has_assignees, &["ada"]),
            milestone: quirks.has_milestones.then_some(milestone),
        },
        ..wished(HEAD)
    };
    let Opened {
        pull_request,
        complaints,
    } = stage.forge.open(&new).await.unwrap();
    assert!(complaints.is_empty(), "{complaints:?}");
    let number = pull_request.number;
    assert_eq!(stage.wishes(number).await, new.wishes);
    // Twice does not matter.
    assert!(stage.forge.wish(number, &new.wishes).await.is_empty());
    assert_eq!(stage.wishes(number).await, new.wishes);
}

async fn a_wish_that_cannot_be_met_is_a_complaint_beside_the_pull_request(stage: Stage) {
    stage.branch(HEAD).await;
    let new = NewPullRequest {
        wishes: Wishes {
            labels: names(&["nobody-made-it"]),
            reviewers: names(&["nobody"]),
            assignees: names(&["nobody"]),
            milestone: Some("Never".to_owned()),
        },
        ..wished(HEAD)
    };
    let opened = stage.forge.open(&new).await.unwrap();
    let count = opened.complaints.len();
    assert_eq!(count, stage.quirks.unmet, "{:?}", opened.complaints);
    let words: Vec<String> = opened.complaints.iter().map(ToString::to_string).collect();
    assert!(
        words.iter().any(|words| words.contains("`nobody`")),
        "{words:?}"
    );
    let is_named = words.iter().any(|words| words.contains("`Never`"));
    assert_eq!(is_named, stage.quirks.has_milestones, "{words:?}");
    let open = stage.open_ones().await;
    assert_eq!(numbers(&open), [opened.pull_request.number]);
}

async fn a_comment_is_added(stage: Stage) {
    stage.branch(HEAD).await;
    let pull = stage.open().await;
    for text in ["replaced by v3", "closed: *nothing* is left"] {
        stage.forge.comment(pull.number, text).await.unwrap();
    }
    let told = stage.comments(pull.number).await;
    assert_eq!(told, ["replaced by v3", "closed: *nothing* is left"]);
}

async fn only_the_head_that_was_named_is_merged_when_ready(stage: Stage) {
    let old = stage.branch(HEAD).await;
    let pull = stage.open().await;
    if !stage.quirks.merges_by_itself {
        let refused = stage.merge_when_ready(pull.number, &old).await;
        assert!(
            matches!(refused, Err(ForgeError::Unsupported { .. })),
            "{refused:?}"
        );
        return;
    }
    let head = stage.advance(HEAD).await;
    let early = stage.merge_when_ready(pull.number, &old).await;
    assert!(matches!(early, Err(ForgeError::NotYet { .. })), "{early:?}");
    assert_eq!(numbers(&stage.open_ones().await), [pull.number]);
    stage.merge_when_ready(pull.number, &head).await.unwrap();
    // Twice does not matter.
    if stage.waits() {
        stage.merge_when_ready(pull.number, &head).await.unwrap();
        assert_eq!(numbers(&stage.open_ones().await), [pull.number]);
    }
    stage.require_nothing();
    if stage.fake().is_some() {
        stage.merge_when_ready(pull.number, &head).await.unwrap();
    }
    stage.until_merged(&pull).await;
}

async fn what_is_not_to_be_merged_any_more_stays_open(stage: Stage) {
    let head = stage.branch(HEAD).await;
    let pull = stage.open().await;
    // Nothing waits, and nothing is to be done.
    stage.forge.merge_no_more(pull.number).await.unwrap();
    if !stage.waits() || !stage.quirks.merges_by_itself {
        return;
    }
    stage.merge_when_ready(pull.number, &head).await.unwrap();
    stage.forge.merge_no_more(pull.number).await.unwrap();
    stage.forge.merge_no_more(pull.number).await.unwrap();
    stage.require_nothing();
    assert_eq!(numbers(&stage.open_ones().await), [pull.number]);
}

async fn a_branch_that_was_deleted_is_still_named(stage: Stage) {
    let head = stage.branch(HEAD).await;
    let pull = stage.open().await;
    stage.close(pull.number).await;
    stage.delete_branch(HEAD).await;
    let told = stage.changed_since(&pull).await;
    let told = &told[0];
    assert_eq!(
        (&*told.head, &told.head_commit),
        (HEAD, &stage.quirks.commit(head))
    );
}

#[tokio::test]
async fn a_thousand_open_ones_take_a_request_for_each_page_and_what_changed_takes_one() {
    for (product, pages) in [(Product::Github, 10), (Product::Gitea, 20)] {
        let stage = Stage::new(product);
        let fake = stage.fake().unwrap();
        for number in 0..1000 {
            let branch = format!("towpath/prod/app-{number:03}");
            fake.push(&branch, &format!("{number:040x}"));
            fake.open(&branch, "main");
        }
        let requests = || stage.server().take_requests().len();
        let unchanged = || stage.server().take_unchanged();
        assert_eq!(stage.open_ones().await.len(), 1000);
        assert_eq!((requests(), unchanged()), (pages, 0));
        assert_eq!(stage.open_ones().await.len(), 1000);
        let again = match stage.quirks.is_conditional {
            true => pages,
            false => 0,
        };
        assert_eq!((requests(), unchanged()), (pages, again));
        let since = jiff::Timestamp::from_second(stage.server().clock()).unwrap();
        fake.close(7, "ada");
        for is_known in [false, true] {
            let told = stage.forge.changed_pull_requests(PREFIX, since).await;
            // The last one was opened in the second of `since`.
            assert_eq!(numbers(&told.unwrap()), [7, 1000]);
            let answers = usize::from(is_known && stage.quirks.is_conditional);
            assert_eq!((requests(), unchanged()), (1, answers));
        }
    }
}

impl Stage {
    pub(super) fn new(product: Product) -> Self {
        Self::with(product, |_| {})
    }

    pub(super) fn with(product: Product, change: impl FnOnce(&mut Options)) -> Self {
        let fake = FakeForge::start(product);
        fake.repository(PATH).push("main", &"0".repeat(40));
        fake.know("ada");
        let folder = tempfile::tempdir().unwrap();
        let quirks = Quirks::of(product);
        let place = Place {
            kind: quirks.kind,
            api: fake.api().parse().unwrap(),
            path: quirks.path().to_owned(),
        };
        let mut options = options(place, FakeForge::TOKEN, folder.path());
        change(&mut options);
        Self {
            forge: Forge::new(options, &Traffic::default()).unwrap(),
            quirks,
            ground: Ground::Fake(fake),
            folder,
        }
    }

    async fn real(gitea: &Arc<Gitea>, test: &str) -> Self {
        // A repository's name has 100 characters at most.
        let name: String = test.chars().take(60).collect();
        gitea.create_repository(&name).await;
        let folder = tempfile::tempdir().unwrap();
        let place = Place::parse(Some(Kind::Gitea), &gitea.clone_url(&name)).unwrap();
        let options = options(place, &gitea.bot.token, folder.path());
        Self {
            forge: Forge::new(options, &Traffic::default()).unwrap(),
            quirks: Quirks::of(Product::Gitea),
            ground: Ground::Real {
                gitea: Arc::clone(gitea),
                name,
            },
            folder,
        }
    }

    pub(super) fn fake(&self) -> Option<FakeRepository<'_>> {
        match &self.ground {
            Ground::Fake(fake) => Some(fake.repository(PATH)),
            Ground::Real { .. } => None,
        }
    }

    /// The server itself, where it is a fake.
    pub(super) fn server(&self) -> &FakeForge {
        match &self.ground {
            Ground::Fake(fake) => fake,
            Ground::Real { .. } => unreachable!("only fakes can be made to fail"),
        }
    }

    /// Makes a branch with one commit, and gives it.
    pub(super) async fn branch(&self, name: &str) -> CommitId {
        match &self.ground {
            Ground::Fake(_) => {}
            Ground::Real {
                gitea,
                name: repository,
            } => {
                gitea.create_branch(&gitea.bot, repository, name).await;
            }
        }
        self.advance(name).await
    }

    /// Adds a commit to a branch, and gives it.
    async fn advance(&self, branch: &str) -> CommitId {
        let commit = match &self.ground {
            Ground::Fake(fake) => {
                let commit = format!("{:040x}", 0xc0_0000 + fake.clock());
                fake.repository(PATH).push(branch, &commit);
                commit
            }
            Ground::Real { gitea, name } => {
                let file = format!("{}-{}", branch.replace('/', "-"), fastrand::u32(..));
                gitea
                    .commit(&gitea.bot, (name, branch), (&file, "v2\n"))
                    .await
            }
        };
        commit.parse().unwrap()
    }

    async fn delete_branch(&self, branch: &str) {
        match &self.ground {
            Ground::Fake(fake) => fake.repository(PATH).delete_branch(branch),
            Ground::Real { gitea, name } => gitea.delete_branch(&gitea.bot, name, branch).await,
        }
    }

    pub(super) async fn open(&self) -> PullRequest {
        self.forge.open(&wished(HEAD)).await.unwrap().pull_request
    }

    pub(super) async fn open_ones(&self) -> Vec<PullRequest> {
        self.forge.open_pull_requests(PREFIX).await.unwrap()
    }

    async fn changed_since(&self, pull: &PullRequest) -> Vec<PullRequest> {
        let changed = self.forge.changed_pull_requests(PREFIX, pull.updated).await;
        changed.unwrap()
    }

    async fn close(&self, number: u64) {
        match &self.ground {
            Ground::Fake(fake) => fake.repository(PATH).close(number, "ada"),
            Ground::Real { gitea, name } => gitea.close(name, number).await,
        }
    }

    async fn reopen(&self, number: u64) {
        match &self.ground {
            Ground::Fake(fake) => fake.repository(PATH).reopen(number),
            Ground::Real { .. } => {
                let path = format!("pulls/{number}");
                let body = json!({ "state": "open" });
                self.as_owner(Method::PATCH, &path, &body).await;
            }
        }
    }

    async fn merge(&self, number: u64, way: Way) -> CommitId {
        let commit = match &self.ground {
            Ground::Fake(fake) => fake.repository(PATH).merge(number, "ada", way),
            Ground::Real { gitea, name } => {
                let way = match way {
                    Way::Merge => RealWay::Merge,
                    Way::Squash => RealWay::Squash,
                    Way::Rebase => RealWay::Rebase,
                };
                gitea.merge(name, number, way).await;
                let branch = self
                    .as_owner(Method::GET, "branches/main", &Value::Null)
                    .await;
                text(&branch["commit"]["id"])
            }
        };
        commit.parse().unwrap()
    }

    async fn review(&self, number: u64, word: Word) {
        match &self.ground {
            Ground::Fake(fake) => fake.repository(PATH).review(number, "ada", word),
            Ground::Real { .. } => {
                let event = match word {
                    Word::Approved => "APPROVED",
                    Word::WantsChanges => "REQUEST_CHANGES",
                    Word::Comment => "COMMENT",
                };
                let body = json!({ "event": event, "body": "I say so" });
                let path = format!("pulls/{number}/reviews");
                self.as_owner(Method::POST, &path, &body).await;
            }
        }
    }

    async fn dismiss(&self, number: u64) {
        match &self.ground {
            Ground::Fake(fake) => fake.repository(PATH).dismiss(number, "ada"),
            Ground::Real { .. } => {
                let path = format!("pulls/{number}/reviews");
                let all = self.as_owner(Method::GET, &path, &Value::Null).await;
                let all = all.as_array().unwrap();
                let approved = all.iter().find(|review| review["state"] == "APPROVED");
                let path = format!("{path}/{}/dismissals", approved.unwrap()["id"]);
                let body = json!({ "message": "not any more" });
                self.as_owner(Method::POST, &path, &body).await;
            }
        }
    }

    /// Waits until the clock of the forge shows another second than the last change of `pull`.
    async fn later(&self, pull: &PullRequest) {
        // Each change of a fake takes a second.
        while let Ground::Real { .. } = &self.ground {
            let body = json!({ "title": "what time is it?" });
            let issue = self.as_owner(Method::POST, "issues", &body).await;
            let made: jiff::Timestamp = text(&issue["created_at"]).parse().unwrap();
            if made > pull.updated {
                return;
            }
        }
    }

    fn page_by(&self, most: usize) {
        if let Ground::Fake(fake) = &self.ground {
            fake.set_page_size_max(most);
        }
    }

    /// What was said of a commit: name, state, why.
    async fn statuses(&self, commit: &CommitId) -> Vec<[String; 3]> {
        match &self.ground {
            Ground::Fake(fake) => {
                let all = fake.repository(PATH).statuses(commit.as_str());
                let told = all.into_iter();
                told.map(|(name, status)| [name, status.state, status.why])
                    .collect()
            }
            Ground::Real { .. } => {
                let path = format!("commits/{}/status", commit.as_str());
                let told = self.as_owner(Method::GET, &path, &Value::Null).await;
                let told = told["statuses"].as_array().unwrap().iter();
                let three =
                    |one: &Value| ["context", "status", "description"].map(|key| text(&one[key]));
                told.map(three).collect()
            }
        }
    }

    async fn comments(&self, number: u64) -> Vec<String> {
        match &self.ground {
            Ground::Fake(fake) => fake.repository(PATH).pull(number).comments,
            Ground::Real { .. } => {
                let path = format!("issues/{number}/comments");
                let told = self.as_owner(Method::GET, &path, &Value::Null).await;
                let told = told.as_array().unwrap().iter();
                told.map(|one| text(&one["body"])).collect()
            }
        }
    }

    /// Makes what can be wished for.
    async fn prepare_wishes(&self) {
        match &self.ground {
            Ground::Fake(fake) => {
                let repository = fake.repository(PATH);
                for name in ["promotion", "prod"] {
                    repository.add_label(name);
                }
                for title in ["Summer", "Autumn, and later"] {
                    repository.add_milestone(title);
                }
            }
            Ground::Real { .. } => {
                for name in ["promotion", "prod"] {
                    let body = json!({ "name": name, "color": "#00aabb" });
                    self.as_owner(Method::POST, "labels", &body).await;
                }
                for title in ["Summer", "Autumn, and later"] {
                    let body = json!({ "title": title });
                    self.as_owner(Method::POST, "milestones", &body).await;
                }
            }
        }
    }

    async fn wishes(&self, number: u64) -> Wishes {
        match &self.ground {
            Ground::Fake(fake) => {
                let pull = fake.repository(PATH).pull(number);
                Wishes {
                    labels: pull.labels,
                    reviewers: pull.reviewers,
                    assignees: pull.assignees,
                    milestone: pull.milestone,
                }
            }
            Ground::Real { .. } => {
                let path = format!("pulls/{number}");
                let told = self.as_owner(Method::GET, &path, &Value::Null).await;
                let all = |list: &str, key: &str| {
                    let all = told[list].as_array().unwrap().iter();
                    all.map(|one| text(&one[key])).collect()
                };
                Wishes {
                    labels: all("labels", "name"),
                    reviewers: all("requested_reviewers", "login"),
                    assignees: all("assignees", "login"),
                    milestone: Some(text(&told["milestone"]["title"])),
                }
            }
        }
    }

    /// Tries again where the forge has not found out yet whether it merges at all.
    async fn merge_when_ready(&self, number: u64, head: &CommitId) -> Result<(), ForgeError> {
        loop {
            let merged = self
                .forge
                .merge_when_ready(number, MergeWay::Squash, head)
                .await;
            match &merged {
                Err(error) if error.to_string().contains("try again later") => {}
                Ok(()) | Err(_) => return merged,
            }
        }
    }

    /// Whether a merge waits for something that is required.
    fn waits(&self) -> bool {
        self.fake().is_some()
    }

    fn require_nothing(&self) {
        if let Some(fake) = self.fake() {
            fake.require_checks(false);
        }
    }

    async fn until_merged(&self, pull: &PullRequest) {
        loop {
            let told = self.changed_since(pull).await;
            match told[0].state {
                State::Open => tokio::task::yield_now().await,
                State::Merged { .. } => return,
                State::Closed { .. } => panic!("{told:?}"),
            }
        }
    }

    /// Asks a real forge as the owner of the repository.
    async fn as_owner(&self, method: Method, path: &str, body: &Value) -> Value {
        let Ground::Real { gitea, name } = &self.ground else {
            unreachable!("a fake is told without a request");
        };
        let path = format!("repos/ada/{name}/{path}");
        gitea.ask(&gitea.owner, method, &path, body).await
    }
}

pub(super) fn options(place: Place, token: &str, folder: &Path) -> Options {
    std::fs::write(folder.join("token"), token).unwrap();
    let pace = Pace {
        write_gap: std::time::Duration::ZERO,
        back_off: std::time::Duration::from_millis(1),
        ..Pace::of(place.kind)
    };
    Options {
        place,
        credentials: Some(Source::Own(Own::Token(Secret::File(folder.join("token"))))),
        ca_file: None,
        plain_http: true,
        pace,
        clock: Clock::default(),
    }
}

pub(super) fn wished(head: &str) -> NewPullRequest {
    NewPullRequest {
        head: head.to_owned(),
        base: "main".to_owned(),
        title: "web to v2 in prod".to_owned(),
        body: "| image | from | to |\n|---|---|---|\n\n<!-- towpath: {\"v\":1} -->".to_owned(),
        is_draft: false,
        wishes: Wishes::default(),
    }
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|&name| name.to_owned()).collect()
}

fn numbers(pulls: &[PullRequest]) -> Vec<u64> {
    let mut numbers: Vec<u64> = pulls.iter().map(|pull| pull.number).collect();
    numbers.sort_unstable();
    numbers
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
