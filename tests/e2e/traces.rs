//! Traces: what a collector of OpenTelemetry is sent of a promotion.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::lab::Lab;

/// Head and body of each request.
type Taken = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A collector that takes everything, and keeps it as it came.
struct Collector {
    address: String,
    taken: Taken,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let taken = Taken::default();
        let keeps = taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if let Some(request) = take(stream.unwrap()) {
                    keeps.lock().unwrap().push(request);
                }
            }
        });
        Self { address, taken }
    }

    /// Whether `text` stands in what came: names and texts are written as they are in protobuf.
    fn has(&self, text: &str) -> bool {
        let taken = self.taken.lock().unwrap();
        let holds = |body: &[u8]| body.windows(text.len()).any(|part| part == text.as_bytes());
        taken.iter().any(|(_, body)| holds(body))
    }
}

/// Reads one request and says that all is well.
fn take(mut stream: TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lines = head.to_ascii_lowercase();
    let mut lines = lines.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer.as_bytes()).ok()?;
    Some((head, body))
}

#[test]
fn a_collector_sees_the_spans_of_a_round_and_the_last_ones_at_the_end() {
    let collector = Collector::start();
    let mut lab = Lab::portal();
    let endpoint = format!("http://{}", collector.address);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=shop"),
        // Longer than the test: all that comes is sent at the end.
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ];
    for (name, value) in variables {
        lab.set(name, value);
    }
    let mut daemon = lab.start();
    lab.push(&["develop-2-1b2c3d4"]);
    daemon.wait_until("the promotion", || {
        let overlay = "apps/portal/overlays/dev/kustomization.yaml";
        lab.pushed(overlay).contains("develop-2-1b2c3d4")
    });
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
    let words = [
        "service.name",
        "towpath",
        "fetch",
        "listing",
        "round",
        "decide",
        "push",
        "portal/dev",
    ];
    for word in words {
        assert!(collector.has(word), "{word} is missing");
    }
    let taken = collector.taken.lock().unwrap();
    let (head, _) = &taken[0];
    assert!(head.starts_with("POST /v1/traces "), "{head}");
    assert!(head.contains("x-team: shop"), "{head}");
    // The log is as it is without.
    assert!(!daemon.log().contains("round{"), "{}", daemon.log());
}

#[test]
fn a_collector_that_is_away_delays_nothing_but_the_end_for_a_moment() {
    let mut lab = Lab::portal();
    lab.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let mut daemon = lab.start();
    lab.push(&["develop-2-1b2c3d4"]);
    daemon.wait_until("the promotion", || {
        let overlay = "apps/portal/overlays/dev/kustomization.yaml";
        lab.pushed(overlay).contains("develop-2-1b2c3d4")
    });
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
}
