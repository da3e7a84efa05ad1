//! What the daemon costs a registry when nothing is new.

use std::time::{Duration, Instant};

use towpath::demo_registry::{Access, Image, Kind, MemoryRegistry};

use crate::lab::Lab;

const POLICIES: usize = 20;
const REPOSITORIES: usize = 4;
/// Polls are a second apart, and a tenth early at most.
const POLL_LEAST: Duration = Duration::from_millis(900);

#[test]
fn each_poll_costs_one_request_per_repository_however_many_policies_share_it() {
    let mut lab = Lab::new(&[]);
    let registry = MemoryRegistry::start(Access::Token {
        username: "bot".to_owned(),
        password: "s3cret".to_owned(),
        life: Duration::from_secs(3600),
    })
    .unwrap();
    let tag = "develop-1-0a1b2c3";
    let name = |n: usize| format!("acme/app-{}", n % REPOSITORIES);
    for n in 0..REPOSITORIES {
        registry.push(&name(n), tag, &Image::default());
    }
    let image = |n: usize| format!("{}/{}", registry.host(), name(n));
    lab.applications(POLICIES, image, tag);
    let login = "credentials: { username: bot, password: { env: PASSWORD } }";
    lab.registry_settings(&registry.host(), &format!("{login}, plain-http: true"));
    lab.set("PASSWORD", "s3cret");
    let daemon = lab.start();
    daemon.wait_until("a first view", || {
        daemon.log().contains("first complete view")
    });

    registry.take_requests();
    let start = Instant::now();
    let mut listings = 0;
    daemon.wait_until("several polls of each repository", || {
        let mut requests = registry.take_requests();
        listings += requests.remove(&Kind::Tags).unwrap_or_default();
        assert!(requests.is_empty(), "more than listings: {requests:?}");
        listings >= 5 * REPOSITORIES as u64
    });

    let polls = start.elapsed().as_nanos() / POLL_LEAST.as_nanos() + 1;
    let most = polls * REPOSITORIES as u128;
    assert!(
        u128::from(listings) <= most,
        "{listings} listings, {most} polls at most"
    );
    assert!(!daemon.log().contains("WARN"), "{}", daemon.log());
}
