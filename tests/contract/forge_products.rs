//! What only one product does, or does in its own way: GitLab, both Bitbuckets, and Azure DevOps.

use std::collections::BTreeSet;

use bed::forge::{FakeForge, Fault, Product, Reply};
use jiff::SignedDuration;
use serde_json::json;

use super::contract::{HEAD, Stage, wished};
use super::{ForgeError, MergeWay, NewPullRequest, State, Status, Update, Verdict, Wishes};

#[tokio::test]
async fn on_gitlab_a_status_that_waits_waits_for_another_reason() {
    let stage = Stage::new(Product::Gitlab);
    let commit = stage.branch(HEAD).await;
    let told = || stage.fake().unwrap().statuses(commit.as_str());
    for why in ["until 14:00", "until 15:00"] {
        let status = waits(why);
        stage.forge.set_status(&commit, &status).await.unwrap();
        let told = &told()["towpath/soak"];
        assert_eq!((&*told.state, &*told.why), ("pending", why));
    }
    stage.server().take_requests();
    let same = waits("until 15:00");
    stage.forge.set_status(&commit, &same).await.unwrap();
    let requests = stage.server().take_requests();
    let methods: Vec<_> = requests.iter().map(|line| &line[..4]).collect();
    assert_eq!(
        methods,
        ["POST", "GET "],
        "nothing is cancelled for nothing"
    );
}

#[tokio::test]
async fn gitlab_rebases_where_the_project_does() {
    let stage = Stage::new(Product::Gitlab);
    let head = stage.branch(HEAD).await;
    let number = stage.open().await.number;
    let merge = || {
        stage
            .forge
            .merge_when_ready(number, MergeWay::Rebase, &head)
    };
    let refused = merge().await.unwrap_err();
    assert!(
        matches!(refused, ForgeError::Unsupported { .. }),
        "{refused}"
    );
    let repository = stage.fake().unwrap();
    repository.rebase_always();
    merge().await.unwrap();
    assert_eq!(
        repository.pull(number).auto_merge.as_deref(),
        Some("rebase")
    );
}

#[tokio::test]
async fn on_bitbucket_cloud_a_comment_later_does_not_move_the_time_of_a_decline() {
    let stage = Stage::new(Product::BitbucketCloud);
    stage.branch(HEAD).await;
    let pull = stage.open().await;
    stage.fake().unwrap().close(pull.number, "ada");
    let changed = || stage.forge.changed_pull_requests("towpath/", pull.updated);
    let before = changed().await.unwrap().remove(0);
    stage.forge.comment(pull.number, "why?").await.unwrap();
    let after = changed().await.unwrap().remove(0);
    assert!(after.updated > before.updated);
    assert_eq!(after.state, before.state);
    let State::Closed { at, by } = after.state else {
        panic!("{:?}", after.state);
    };
    assert_eq!((at, by.as_deref()), (before.updated, Some("ada")));
}

#[tokio::test]
async fn on_bitbucket_cloud_a_branch_whose_pull_request_was_declined_gets_another() {
    let stage = Stage::new(Product::BitbucketCloud);
    stage.branch(HEAD).await;
    let first = stage.open().await.number;
    stage.fake().unwrap().close(first, "ada");
    assert_eq!(stage.open_ones().await, []);
    let second = stage.open().await;
    assert_ne!(second.number, first);
    assert_eq!(stage.open_ones().await, [second]);
}

#[tokio::test]
async fn on_bitbucket_cloud_people_are_found_by_what_identifies_them() {
    let stage = Stage::new(Product::BitbucketCloud);
    let ids = [
        "ada",
        "557058:00000000-0000-4000-8000-000000000001",
        "{00000000-0000-4000-8000-000000000001}",
    ];
    for (index, id) in ids.into_iter().enumerate() {
        let branch = format!("towpath/prod/{index}");
        stage.branch(&branch).await;
        let new = reviewed_by(&branch, id);
        let opened = stage.forge.open(&new).await.unwrap();
        assert!(opened.complaints.is_empty(), "{:?}", opened.complaints);
        let pull = stage.fake().unwrap().pull(opened.pull_request.number);
        assert_eq!(pull.reviewers, BTreeSet::from(["ada".to_owned()]), "{id}");
    }
}

#[tokio::test]
async fn who_may_not_review_on_bitbucket_cloud_does_not_keep_it_from_being_opened() {
    let stage = Stage::new(Product::BitbucketCloud);
    stage.server().know(FakeForge::USER);
    stage.branch(HEAD).await;
    let new = reviewed_by(HEAD, FakeForge::USER);
    let opened = stage.forge.open(&new).await.unwrap();
    let words: Vec<_> = opened.complaints.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), 1);
    assert!(words[0].contains("is the author"), "{words:?}");
    assert_eq!(stage.open_ones().await, [opened.pull_request]);
}

#[tokio::test]
async fn reviewers_stay_when_a_text_changes() {
    for product in [Product::BitbucketCloud, Product::BitbucketServer] {
        let stage = Stage::new(product);
        stage.branch(HEAD).await;
        let new = reviewed_by(HEAD, "ada");
        let number = stage.forge.open(&new).await.unwrap().pull_request.number;
        stage.forge.update(number, &retitled()).await.unwrap();
        let pull = stage.fake().unwrap().pull(number);
        assert_eq!(
            (&*pull.title, pull.reviewers),
            ("web to v3", new.wishes.reviewers)
        );
    }
}

#[tokio::test]
async fn what_changed_on_bitbucket_server_since_it_was_read_is_read_again_once() {
    let stage = Stage::new(Product::BitbucketServer);
    stage.branch(HEAD).await;
    let number = stage.open().await.number;
    stage.fake().unwrap().retitle(number, "by hand");
    let branch =
        |name: &str| json!({ "id": format!("refs/heads/{name}"), "repository": { "id": 1 } });
    let old = json!({
        "id": number,
        "version": 0,
        "title": "web to v2 in prod",
        "state": "OPEN",
        "updatedDate": 0,
        "fromRef": branch(HEAD),
        "toRef": branch("main"),
    });
    let old = Fault::Answer(Reply::new(200, old));
    stage.server().fail(old.clone(), 1);
    stage.server().take_requests();
    let pull = stage.forge.update(number, &retitled()).await.unwrap();
    assert_eq!(pull.title, "web to v3");
    let requests = stage.server().take_requests();
    let methods: Vec<_> = requests.iter().map(|line| &line[..3]).collect();
    assert_eq!(methods, ["GET", "PUT", "GET", "PUT"]);
}

#[tokio::test]
async fn bitbucket_server_is_not_asked_for_what_is_older() {
    let stage = Stage::new(Product::BitbucketServer);
    stage.server().set_page_size_max(1);
    for index in 0..5 {
        let branch = format!("towpath/prod/{index}");
        stage.branch(&branch).await;
        stage.forge.open(&wished(&branch)).await.unwrap();
    }
    let newest = stage.open_ones().await.remove(0);
    stage.server().take_requests();
    let changed = stage
        .forge
        .changed_pull_requests("towpath/", newest.updated);
    assert_eq!(changed.await.unwrap(), [newest]);
    assert_eq!(
        stage.server().take_requests().len(),
        2,
        "the second page is older"
    );
}

#[tokio::test]
async fn a_body_that_azure_devops_cuts_in_lists_is_read_whole_and_once() {
    let stage = Stage::new(Product::AzureDevops);
    stage.branch(HEAD).await;
    let body = "ä".repeat(3_990) + "<!-- x -->";
    let new = NewPullRequest {
        body: body.clone(),
        ..wished(HEAD)
    };
    let number = stage.forge.open(&new).await.unwrap().pull_request.number;
    stage.server().take_requests();
    // One list with one more request, and then none.
    for requests in [2, 1, 1] {
        assert_eq!(stage.open_ones().await[0].body, body);
        assert_eq!(stage.server().take_requests().len(), requests);
    }
    stage.fake().unwrap().retitle(number, "by hand");
    assert_eq!(stage.open_ones().await[0].body, body);
    assert_eq!(stage.server().take_requests().len(), 2);
    let update = Update {
        body: Some(body.replace('x', "y")),
        ..Update::default()
    };
    stage.forge.update(number, &update).await.unwrap();
    assert_eq!(stage.open_ones().await[0].body, body.replace('x', "y"));
}

#[tokio::test]
async fn azure_devops_says_which_body_is_too_long() {
    let stage = Stage::new(Product::AzureDevops);
    stage.branch(HEAD).await;
    let new = NewPullRequest {
        body: "x".repeat(stage.forge.place().kind.body_length_max() + 1),
        ..wished(HEAD)
    };
    let error = stage.forge.open(&new).await.unwrap_err().to_string();
    assert!(
        error.ends_with("must not be longer than 4000 characters."),
        "{error}"
    );
}

#[tokio::test]
async fn azure_devops_lists_all_pull_requests_of_more_than_one_page() {
    let stage = Stage::new(Product::AzureDevops);
    let repository = stage.fake().unwrap();
    for index in 0..250 {
        repository.open(&format!("towpath/prod/{index}"), "main");
    }
    assert_eq!(stage.open_ones().await.len(), 250);
    assert_eq!(stage.server().take_requests().len(), 3);
    let all = stage
        .forge
        .changed_pull_requests("towpath/", jiff::Timestamp::MIN);
    assert_eq!(all.await.unwrap().len(), 250);
}

#[tokio::test]
async fn on_azure_devops_a_status_is_said_of_the_pull_request_where_there_is_one() {
    let stage = Stage::new(Product::AzureDevops);
    let commit = stage.branch(HEAD).await;
    let set = async || {
        let status = waits("until 14:00");
        stage.forge.set_status(&commit, &status).await.unwrap();
        stage.server().take_requests().pop().unwrap()
    };
    assert!(set().await.contains("/commits/"));
    let number = stage.open().await.number;
    let last = set().await;
    assert!(
        last.contains(&format!("/pullRequests/{number}/statuses")),
        "{last}"
    );
    stage.fake().unwrap().close(number, "ada");
    assert!(set().await.contains("/commits/"));
}

#[tokio::test]
async fn a_token_that_azure_devops_does_not_know_is_refused() {
    let stage = Stage::new(Product::AzureDevops);
    std::fs::write(stage.folder.path().join("token"), "another").unwrap();
    let error = stage.forge.open_pull_requests("").await.unwrap_err();
    assert!(matches!(&error, ForgeError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("the page to sign in"), "{error}");
}

#[tokio::test]
async fn what_was_closed_on_azure_devops_before_a_time_is_not_told() {
    let stage = Stage::new(Product::AzureDevops);
    stage.branch(HEAD).await;
    let number = stage.open().await.number;
    stage.fake().unwrap().close(number, "ada");
    let all = stage
        .forge
        .changed_pull_requests("towpath/", jiff::Timestamp::MIN);
    let closed = all.await.unwrap().remove(0);
    let after = closed.updated + SignedDuration::from_secs(1);
    let none = stage.forge.changed_pull_requests("towpath/", after);
    assert_eq!(none.await.unwrap(), []);
}

fn waits(why: &str) -> Status {
    Status {
        name: "towpath/soak".to_owned(),
        verdict: Verdict::Waits,
        why: why.to_owned(),
    }
}

fn reviewed_by(head: &str, name: &str) -> NewPullRequest {
    NewPullRequest {
        wishes: Wishes {
            reviewers: BTreeSet::from([name.to_owned()]),
            ..Wishes::default()
        },
        ..wished(head)
    }
}

fn retitled() -> Update {
    Update {
        title: Some("web to v3".to_owned()),
        ..Update::default()
    }
}
