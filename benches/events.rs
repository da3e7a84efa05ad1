//! From the event of a registry to the commit that was pushed, and what a burst of events costs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bed::{Process, free_port};
use towpath::demo_registry::Kind;

use crate::fleet::{Fleet, Login, Plan, Tree};
use crate::measure::{Samples, memory_kib, memory_peak_kib};
use crate::table::{Aim, Met, Table};

const RUNS: usize = 21;
/// Events of one image repository that come closer than a second are one listing.
const BETWEEN: Duration = Duration::from_millis(1_200);
const BURST: usize = 10_000;
const CONNECTIONS: usize = 10;

pub(crate) fn events(table: &mut Table) {
    let mut fleet = Fleet::start(Plan {
        policies: 1,
        images: 1,
        poll_interval: "1h",
        login: Login::Anonymous,
        tree: Tree::Applications,
    });
    let address = format!("127.0.0.1:{}", free_port());
    fleet.add_settings(&format!(
        "hooks: {{ listen: \"{address}\", registry: {{ generic: {{ unauthenticated: true }} }} }}\n"
    ));
    let daemon = fleet.daemon();
    daemon.wait_until("a first view", || {
        daemon.log().contains("first complete view")
    });
    let mut times = Vec::new();
    for _ in 0..RUNS {
        std::thread::sleep(BETWEEN);
        let base = fleet.head();
        fleet.push_tags([0]);
        let start = Instant::now();
        assert_eq!(send(&address, &event(&fleet, Connection::Ends)), 1);
        fleet.watch_to_push(&daemon);
        times.push(start.elapsed());
        assert_eq!(fleet.commits_since(&base), 1, "one tag, one commit");
    }
    table.times(
        "an event by HTTP to its commit in 30,000 files pushed, `towpath run`, the next poll an hour away",
        &Samples::new(times),
        Aim::Time(Duration::from_millis(150)),
    );
    std::thread::sleep(BETWEEN);
    burst(table, &mut fleet, (&daemon, &address));
}

/// Ten thousand events of one image repository over ten connections, with a new tag at the end.
fn burst(table: &mut Table, fleet: &mut Fleet, (daemon, address): (&Process, &str)) {
    let base = fleet.head();
    let each = BURST / CONNECTIONS;
    let requests =
        event(fleet, Connection::Stays).repeat(each - 1) + &event(fleet, Connection::Ends);
    fleet.registry.take_requests();
    let before = memory_kib(daemon.id()).unwrap_or_default();
    fleet.push_tags([0]);
    let start = Instant::now();
    let accepted: usize = std::thread::scope(|scope| {
        let sending: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(|| send(address, &requests)))
            .collect();
        let counts = sending.into_iter().map(|count| count.join());
        counts.map(|count| count.expect("sending ends")).sum()
    });
    let answered = start.elapsed();
    assert_eq!(accepted, BURST, "none is refused");
    while fleet.head() == base {
        std::thread::sleep(Duration::from_millis(2));
    }
    // Whatever looks again has done so.
    std::thread::sleep(Duration::from_secs(8));
    let listings = fleet.registry.take_requests()[&Kind::Tags];
    assert!(
        listings <= 3 + answered.as_secs() + 2,
        "{listings} listings"
    );
    assert_eq!(fleet.commits_since(&base), 1, "one tag, one commit");
    table.times(
        "10,000 events in a burst over 10 connections: all answered",
        &Samples::new([answered]),
        Aim::None,
    );
    table.single(
        "the same, listings of the image repository",
        &listings.to_string(),
        "a few: one now, one a second, two to look again",
        Met::Yes,
    );
    let grown = memory_peak_kib(daemon.id())
        .unwrap_or_default()
        .saturating_sub(before);
    let text = format!("{} MiB", grown.div_ceil(1024));
    table.single(
        "the same, memory above what it had before",
        &text,
        "",
        Met::NoAim,
    );
}

/// What becomes of the connection after a request.
#[derive(Clone, Copy)]
enum Connection {
    Stays,
    Ends,
}

/// The request that tells of a push to the first image.
fn event(fleet: &Fleet, connection: Connection) -> String {
    let body = format!("{{\"repository\": \"{}\"}}", fleet.image(0));
    let end = match connection {
        Connection::Stays => "",
        Connection::Ends => "Connection: close\r\n",
    };
    format!(
        "POST /hooks/registry/generic HTTP/1.1\r\nHost: towpath\r\n{end}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends `requests` over one connection and gives how many were accepted.
fn send(address: &str, requests: &str) -> usize {
    let mut stream = TcpStream::connect(address).expect("the hooks are served");
    let mut reading = stream.try_clone().expect("a socket can be cloned");
    std::thread::scope(|scope| {
        scope.spawn(move || stream.write_all(requests.as_bytes()));
        let mut answers = String::new();
        reading
            .read_to_string(&mut answers)
            .expect("the answers are text");
        answers.matches("HTTP/1.1 202").count()
    })
}
