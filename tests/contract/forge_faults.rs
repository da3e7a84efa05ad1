//! What goes wrong with a forge: what is tried again, what is not, and what people are told.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use bed::forge::{FakeForge, Fault, Product, Reply};
use insta::assert_snapshot;
use serde_json::json;

use super::contract::{HEAD, PATH, Stage, options, wished};
use super::{Forge, ForgeError, Kind, NewPullRequest, Options, Place, Traffic, Update, Wishes};

/// More often than anything is tried.
const ALWAYS: u32 = 1000;

macro_rules! for_each_product {
    ($($test:ident,)*) => {
        for_each_product!(@one github Github [$($test,)*]);
        for_each_product!(@one gitlab Gitlab [$($test,)*]);
        for_each_product!(@one gitea Gitea [$($test,)*]);
        for_each_product!(@one bitbucket_cloud BitbucketCloud [$($test,)*]);
        for_each_product!(@one bitbucket_server BitbucketServer [$($test,)*]);
        for_each_product!(@one azure_devops AzureDevops [$($test,)*]);
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

for_each_product! {
    a_read_is_tried_again_after_what_passes,
    a_read_that_never_succeeds_ends_after_three_tries,
    a_write_that_may_have_been_done_is_not_sent_again,
    after_a_limit_nothing_is_sent_before_its_time,
    a_short_limit_is_waited_out_for_writes_too,
    the_last_request_of_a_window_counts_and_the_next_waits,
    what_is_refused_says_who_was_refused_what,
    an_answer_that_is_no_json_or_too_large_is_said,
    what_never_comes_ends_in_time,
    a_list_that_did_not_change_is_not_sent_again,
    a_list_that_lags_does_not_make_a_second_pull_request,
    a_redirect_is_followed_by_reads_on_the_same_server_alone,
    the_token_is_read_anew_and_told_to_nobody,
}

async fn a_read_is_tried_again_after_what_passes(stage: Stage) {
    let pull = opened(&stage).await;
    for fault in [
        refused(500, "oops"),
        refused(502, "bad gateway"),
        Fault::Reset,
        Fault::Half,
    ] {
        stage.server().fail(fault, 2);
        assert_eq!(stage.open_ones().await[0].number, pull);
    }
}

async fn a_read_that_never_succeeds_ends_after_three_tries(stage: Stage) {
    opened(&stage).await;
    for (fault, told) in [
        (refused(503, "down for repair"), "down for repair"),
        (Fault::Reset, "failed to reach"),
    ] {
        stage.server().fail(fault, ALWAYS);
        stage.server().take_requests();
        let error = list(&stage).await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(stage.server().take_requests().len(), 3);
        stage.server().heal();
        assert_eq!(list(&stage).await.unwrap().len(), 1);
    }
}

async fn a_write_that_may_have_been_done_is_not_sent_again(stage: Stage) {
    // There it is the look before that fails.
    if stage.quirks.looks_before_opening {
        return;
    }
    stage.branch(HEAD).await;
    for (fault, is_done) in [
        (refused(502, "bad gateway"), false),
        (Fault::Reset, false),
        (Fault::ResetAfter, true),
        (Fault::Half, true),
    ] {
        stage.server().fail(fault.clone(), ALWAYS);
        stage.server().take_requests();
        let error = stage.forge.open(&wished(HEAD)).await.unwrap_err();
        assert_eq!(
            stage.server().take_requests().len(),
            1,
            "{fault:?}: {error}"
        );
        stage.server().heal();
        let open = stage.open_ones().await;
        assert_eq!(open.len(), usize::from(is_done), "{fault:?}");
        if let [one] = &open[..] {
            let close = Update {
                close: true,
                ..Update::default()
            };
            stage.forge.update(one.number, &close).await.unwrap();
        }
    }
}

async fn after_a_limit_nothing_is_sent_before_its_time(stage: Stage) {
    stage.branch(HEAD).await;
    stage.server().fail(Fault::Limited { seconds: 600 }, 1);
    stage.server().take_requests();
    let before = crate::daemon::now();
    let error = list(&stage).await.unwrap_err();
    let ForgeError::Limited { until, .. } = error else {
        panic!("{error}");
    };
    assert!(until >= before + Duration::from_secs(599));
    assert_eq!(stage.server().take_requests().len(), 1);
    let again = stage.forge.open(&wished(HEAD)).await.unwrap_err();
    assert!(matches!(again, ForgeError::Limited { .. }), "{again}");
    assert_eq!(stage.server().take_requests(), Vec::<String>::new());
}

async fn a_short_limit_is_waited_out_for_writes_too(stage: Stage) {
    stage.branch(HEAD).await;
    stage.server().fail(Fault::Limited { seconds: 0 }, 2);
    stage.open().await;
    assert_eq!(stage.open_ones().await.len(), 1);
    assert_eq!(stage.fake().unwrap().count(), 1);
}

async fn the_last_request_of_a_window_counts_and_the_next_waits(stage: Stage) {
    opened(&stage).await;
    stage.server().fail(Fault::LastOfWindow { seconds: 600 }, 1);
    assert_eq!(list(&stage).await.unwrap().len(), 1);
    stage.server().take_requests();
    let error = list(&stage).await.unwrap_err();
    assert!(matches!(error, ForgeError::Limited { .. }), "{error}");
    assert_eq!(stage.server().take_requests(), Vec::<String>::new());
}

async fn what_is_refused_says_who_was_refused_what(stage: Stage) {
    stage.branch(HEAD).await;
    let mut all = String::new();
    for (status, words) in [
        (401, "Bad credentials"),
        (403, "Resource not accessible by integration"),
        (404, "Not Found"),
        (409, "Git Repository is empty."),
        (422, "No commits between main and towpath/prod/web"),
    ] {
        stage.server().fail(refused(status, words), ALWAYS);
        let error = stage.forge.open(&wished(HEAD)).await.unwrap_err();
        writeln!(all, "{}", told(&stage, &error)).unwrap();
    }
    if stage.quirks.looks_before_opening {
        all = all.replace("list pull requests of", "open a pull request in");
    }
    let all = all.replace("\n\n", "\n");
    insta::allow_duplicates! {
        assert_snapshot!(all, @"
        error: `HOST` refused the token in file `FOLDER/token` to open a pull request in `acme/deploy`: Bad credentials
        hint: the credentials need write access to pull requests, commit statuses and contents; a token may have expired
        error: `HOST` refused the token in file `FOLDER/token` to open a pull request in `acme/deploy`: Resource not accessible by integration
        hint: the credentials need write access to pull requests, commit statuses and contents; a token may have expired
        error: `HOST` does not find what it takes to open a pull request in `acme/deploy`: it does not exist, or the token in file `FOLDER/token` may not see it
        hint: check `url`; forges also say so when the credentials may not see the repository, or lack a right
        error: `HOST` would not open a pull request in `acme/deploy` (409): Git Repository is empty.
        error: `HOST` would not open a pull request in `acme/deploy` (422): No commits between main and towpath/prod/web
        ");
    }
}

async fn an_answer_that_is_no_json_or_too_large_is_said(stage: Stage) {
    opened(&stage).await;
    let page = json!("x".repeat(17 << 20));
    let mut all = String::new();
    for fault in [
        Fault::CutJson,
        Fault::Answer(Reply::new(200, json!({ "message": "hunter2" }))),
        Fault::Answer(Reply::new(200, json!([{ "number": "hunter2" }]))),
        Fault::Answer(Reply::new(200, page)),
    ] {
        stage.server().fail(fault, ALWAYS);
        let error = list(&stage).await.unwrap_err();
        // Where in the line differs from product to product.
        let text = told(&stage, &error);
        let (start, _) = text.split_once(", column").unwrap_or((&text, ""));
        writeln!(all, "{start}").unwrap();
        stage.server().heal();
    }
    insta::allow_duplicates! {
        assert_snapshot!(all, @"
        error: `HOST` answered what towpath does not understand when asked to list pull requests of `acme/deploy`: no whole JSON, at line 1
        error: `HOST` answered what towpath does not understand when asked to list pull requests of `acme/deploy`: JSON of another shape, at line 1
        error: `HOST` answered what towpath does not understand when asked to list pull requests of `acme/deploy`: JSON of another shape, at line 1
        error: the answer of `HOST` when asked to list pull requests of `acme/deploy` is larger than 16777216 bytes
        ");
    }
}

async fn what_never_comes_ends_in_time(stage: Stage) {
    opened(&stage).await;
    let hasty = with(&stage, |options| {
        options.pace.total = Duration::from_millis(100);
    });
    stage.server().fail(Fault::Silence, ALWAYS);
    let error = hasty.open_pull_requests("").await.unwrap_err();
    assert!(matches!(error, ForgeError::TimedOut { .. }), "{error}");
    stage.server().heal();
    let patient = with(&stage, |_| {});
    assert_eq!(patient.open_pull_requests("").await.unwrap().len(), 1);
}

async fn a_list_that_did_not_change_is_not_sent_again(stage: Stage) {
    stage.server().set_page_size_max(1);
    for branch in ["towpath/prod/a", "towpath/prod/b"] {
        stage.branch(branch).await;
        stage.forge.open(&wished(branch)).await.unwrap();
    }
    let all = stage.open_ones().await;
    let unchanged = || stage.server().take_unchanged();
    assert_eq!((all.len(), unchanged()), (2, 0));
    assert_eq!(stage.open_ones().await, all);
    let count = match stage.quirks.is_conditional {
        true => 2,
        false => 0,
    };
    assert_eq!(unchanged(), count);
    stage.fake().unwrap().retitle(all[0].number, "by hand");
    let again = stage.open_ones().await;
    assert_eq!(again[0].title, "by hand");
    assert_eq!(unchanged(), count / 2);
}

async fn a_list_that_lags_does_not_make_a_second_pull_request(stage: Stage) {
    stage.branch(HEAD).await;
    stage.server().fail(Fault::StaleLists, ALWAYS);
    let number = stage.open().await.number;
    assert_eq!(stage.open_ones().await, []);
    let error = stage.forge.open(&wished(HEAD)).await.unwrap_err();
    assert!(matches!(error, ForgeError::Exists { .. }), "{error}");
    stage.server().heal();
    assert_eq!(stage.open_ones().await[0].number, number);
}

async fn a_redirect_is_followed_by_reads_on_the_same_server_alone(stage: Stage) {
    let number = opened(&stage).await;
    let other = FakeForge::start(Product::Github);
    let to = |status: u16, root: String| {
        let path = stage.server().take_requests().pop().unwrap_or_default();
        let path = path.trim_start_matches("GET ").to_owned();
        Fault::Answer(Reply::empty(status).with("location", root + &path))
    };
    let same = || format!("http://{}", stage.server().host());
    for status in [301, 302, 307, 308] {
        list(&stage).await.unwrap();
        stage.server().fail(to(status, same()), 1);
        assert_eq!(list(&stage).await.unwrap()[0].number, number, "{status}");
    }
    list(&stage).await.unwrap();
    stage
        .server()
        .fail(to(301, format!("http://{}", other.host())), 1);
    let error = list(&stage).await.unwrap_err();
    assert!(matches!(error, ForgeError::Redirected { .. }), "{error}");
    assert_eq!(other.take_requests(), Vec::<String>::new());
    stage.server().fail(to(301, same() + "/elsewhere"), 1);
    let error = stage.forge.comment(number, "hello").await.unwrap_err();
    assert!(matches!(error, ForgeError::Redirected { .. }), "{error}");
    list(&stage).await.unwrap();
    stage.server().fail(to(302, same()), ALWAYS);
    let error = list(&stage).await.unwrap_err();
    assert!(matches!(error, ForgeError::Malformed { .. }), "{error}");
}

async fn the_token_is_read_anew_and_told_to_nobody(stage: Stage) {
    opened(&stage).await;
    let file = stage.folder.path().join("token");
    let wrong = "wrong-s3cret";
    std::fs::write(&file, wrong).unwrap();
    let refused = list(&stage).await.unwrap_err();
    assert!(matches!(refused, ForgeError::Refused { .. }), "{refused}");
    std::fs::write(&file, "line\nbreak").unwrap();
    let unusable = list(&stage).await.unwrap_err();
    std::fs::write(&file, "").unwrap();
    let empty = list(&stage).await.unwrap_err();
    std::fs::write(&file, FakeForge::TOKEN).unwrap();
    assert_eq!(list(&stage).await.unwrap().len(), 1);
    stage.server().fail(Fault::Reset, ALWAYS);
    let reset = list(&stage).await.unwrap_err();
    for error in [refused, unusable, empty, reset] {
        let text = format!("{error:?} {}", told(&stage, &error));
        for secret in [FakeForge::TOKEN, wrong, "line", "break"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn a_page_on_another_server_is_not_read() {
    let stage = Stage::new(Product::Github);
    opened(&stage).await;
    let other = FakeForge::start(Product::Github);
    let next = format!("<http://{}/api/v3/next>; rel=\"next\"", other.host());
    let page = Reply::new(200, json!([])).with("link", next);
    stage.server().fail(Fault::Answer(page), 1);
    let error = list(&stage).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its next page is on another server"),
        "{error}"
    );
    assert_eq!(other.take_requests(), Vec::<String>::new());
}

#[tokio::test]
async fn pages_without_end_come_to_one() {
    let stage = Stage::new(Product::Github);
    let next = format!(
        "<http://{}/api/v3/repos/{PATH}/pulls>; rel=\"next\"",
        stage.server().host()
    );
    let page = Reply::new(200, json!([])).with("link", next);
    stage.server().fail(Fault::Answer(page), ALWAYS);
    let error = list(&stage).await.unwrap_err();
    assert!(matches!(error, ForgeError::TooManyPages { .. }), "{error}");
}

#[tokio::test]
async fn what_is_waiting_for_nothing_is_merged_at_once_on_github() {
    let stage = Stage::new(Product::Github);
    let head = stage.branch(HEAD).await;
    let pull = stage.open().await;
    stage.fake().unwrap().require_checks(false);
    let way = super::MergeWay::Rebase;
    stage
        .forge
        .merge_when_ready(pull.number, way, &head)
        .await
        .unwrap();
    let requests = stage.server().take_requests();
    assert!(requests.last().unwrap().starts_with("PUT "), "{requests:?}");
    assert_eq!(stage.open_ones().await, []);
}

#[tokio::test]
async fn github_merges_nothing_over_a_check_that_failed_even_one_that_is_not_required() {
    let stage = Stage::new(Product::Github);
    let head = stage.branch(HEAD).await;
    let number = stage.open().await.number;
    let repository = stage.fake().unwrap();
    repository.require_checks(false);
    repository.fail_a_check(true);
    let merge = async || {
        let way = super::MergeWay::Merge;
        stage.forge.merge_when_ready(number, way, &head).await
    };
    stage.server().take_requests();
    for is_known in [false, true] {
        let refused = merge().await.unwrap_err();
        assert!(matches!(refused, ForgeError::NotYet { .. }), "{refused}");
        // To ask again costs nothing of a limit.
        let requests = stage.server().take_requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert_eq!(stage.server().take_unchanged(), usize::from(is_known));
    }
    repository.fail_a_check(false);
    merge().await.unwrap();
    assert_eq!(stage.open_ones().await, []);
}

#[tokio::test]
async fn options_that_cannot_work_are_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let made = |change: &dyn Fn(&mut Options)| {
        let place = Place {
            kind: Kind::Gitea,
            api: "http://git.example.com/api/v1".parse().unwrap(),
            path: PATH.to_owned(),
        };
        let mut options = options(place, "t", folder.path());
        change(&mut options);
        let made = Forge::new(options, &Traffic::default());
        let error = made.err().unwrap();
        error
            .to_string()
            .replace(&folder.path().display().to_string(), "FOLDER")
    };
    let plain = made(&|options| options.plain_http = false);
    let missing = made(&|options| options.ca_file = Some(ca_file.clone()));
    std::fs::write(&ca_file, "no certificate").unwrap();
    let empty = made(&|options| options.ca_file = Some(ca_file.clone()));
    assert_snapshot!([plain, missing, empty].join("\n"), @"
    `git.example.com` would be asked without TLS, which the settings do not allow
    failed to read the certificates in `FOLDER/ca.pem`
    `FOLDER/ca.pem` holds no certificate in PEM form
    ");
}

#[tokio::test]
async fn reviewers_that_are_teams_are_asked_as_teams() {
    let stage = Stage::new(Product::Github);
    stage.branch(HEAD).await;
    let new = NewPullRequest {
        wishes: Wishes {
            reviewers: BTreeSet::from(["ada".to_owned(), "acme/reviewers".to_owned()]),
            ..Wishes::default()
        },
        ..wished(HEAD)
    };
    let opened = stage.forge.open(&new).await.unwrap();
    assert!(opened.complaints.is_empty(), "{:?}", opened.complaints);
    let pull = stage.fake().unwrap().pull(opened.pull_request.number);
    let asked: Vec<_> = pull.reviewers.into_iter().collect();
    assert_eq!(asked, ["ada", "reviewers"]);
}

async fn opened(stage: &Stage) -> u64 {
    stage.branch(HEAD).await;
    stage.open().await.number
}

async fn list(stage: &Stage) -> Result<Vec<super::PullRequest>, ForgeError> {
    stage.forge.open_pull_requests("towpath/").await
}

/// Another client of the same forge.
fn with(stage: &Stage, change: impl FnOnce(&mut Options)) -> Forge {
    let place = stage.forge.place().clone();
    let mut options = options(place, FakeForge::TOKEN, stage.folder.path());
    change(&mut options);
    Forge::new(options, &Traffic::default()).unwrap()
}

fn refused(status: u16, words: &'static str) -> Fault {
    Fault::Refused { status, words }
}

/// Message, causes and hint, with a fixed host and folder.
fn told(stage: &Stage, error: &ForgeError) -> String {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        write!(text, "\ncaused by: {source}").unwrap();
        cause = source.source();
    }
    if let Some(hint) = error.hint() {
        write!(text, "\nhint: {hint}").unwrap();
    }
    let folder = stage.folder.path().display().to_string();
    text.replace(&stage.server().host(), "HOST")
        .replace("merge request", "pull request")
        .replace(stage.quirks.path(), PATH)
        .replace(&folder, "FOLDER")
}
