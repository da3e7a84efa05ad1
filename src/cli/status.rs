//! `towpath status`: asks a running daemon how it stands, and prints it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;

use super::check::count;
use super::{ConfigArgs, Failure, Output, print, table};
use crate::config;
use crate::web::{
    BranchStatus, ImageStatus, LeadershipStatus, LimitStatus, NamespaceStatus, RegistryStatus,
    Status,
};

/// How long a daemon may take to answer: it has all at hand, so this is for a busy machine and a slow network.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Largest answer: 100,000 image repositories at 300 bytes, each of them with an error as long.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,

    /// Where the daemon listens. [default: `listen` of the settings]
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,

    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let address = match args.address {
        Some(address) => address,
        None => {
            let config = config::load(&args.config.config).map_err(Failure::config)?;
            reachable(config.settings.listen).to_string()
        }
    };
    let text = ask(&address).await?;
    let status: Option<Status> = serde_json::from_slice(&text).ok().filter(Status::is_known);
    let Some(status) = status else {
        let failure = Failure::from(anyhow::anyhow!(
            "what answers at `{address}` is no towpath, or of another version"
        ));
        return Err(failure.with_hint("name the daemon's address with `--address`"));
    };
    print(&match args.output {
        Output::Text => as_text(&status),
        Output::Json => {
            let text = serde_json::to_string_pretty(&status);
            text.expect("a status has only numbers, strings and lists") + "\n"
        }
    })?;
    match status.failures() {
        0 => Ok(ExitCode::SUCCESS),
        some => {
            let readings = count(some, "reading", "readings");
            let failure = Failure::from(anyhow::anyhow!("the daemon failed in {readings}"));
            Err(failure.with_hint("what stands under `error` says why"))
        }
    }
}

/// An address to ask where a daemon listens on `listen`: all interfaces are no place to go to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: &str) -> Result<Vec<u8>, Failure> {
    use anyhow::Context as _;
    let unanswered = || format!("no daemon answers at `{address}`");
    // No proxy: a daemon's pages are for those beside it. No certificates either, which a small image may not have.
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(ANSWER_TIME_MAX)
        .build()?;
    let answer = client.get(format!("http://{address}/status")).send().await;
    let answer = answer.map_err(reqwest::Error::without_url);
    let mut answer = answer.with_context(unanswered).map_err(|error| {
        Failure::from(error).with_hint(
            "start one with `towpath run`, or name where it listens with `--address`: the line `listening` of its log has it",
        )
    })?;
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.with_context(unanswered)? {
        text.extend_from_slice(&chunk);
        if text.len() > ANSWER_BYTES_MAX {
            return Err(anyhow::anyhow!(
                "the answer of `{address}` is larger than {ANSWER_BYTES_MAX} bytes"
            )
            .into());
        }
    }
    Ok(text)
}

fn as_text(status: &Status) -> String {
    let at = status.at.parse().ok();
    let registries: Vec<_> = status
        .registries
        .iter()
        .map(|registry| registry_row(registry, at))
        .collect();
    let images: Vec<_> = status
        .images
        .iter()
        .map(|image| image_row(image, at))
        .collect();
    let branches = |list: &[BranchStatus], title| {
        let rows: Vec<_> = list.iter().map(|branch| branch_row(branch, at)).collect();
        table::render([title, "BRANCH", "HEAD", "FETCHED", "ERROR"], &rows)
    };
    let header = [
        "REGISTRY",
        "KIND",
        "REQUESTS",
        "PER SECOND",
        "IN FLIGHT",
        "WAITING",
        "LIMITS",
    ];
    let registries = table::render(header, &registries);
    let images = table::render(["IMAGE", "LISTED", "TAGS", "ERROR"], &images);
    let mut tables: Vec<String> = status.leadership.iter().map(leadership_table).collect();
    if !status.custom_resources.is_empty() {
        let rows = status.custom_resources.iter();
        let rows: Vec<_> = rows.map(|one| namespace_row(one, at)).collect();
        let header = ["NAMESPACE", "RESOURCES", "LEFT OUT", "READ", "ERROR"];
        tables.push(table::render(header, &rows));
    }
    tables.extend([registries, images, branches(&status.manifests, "MANIFESTS")]);
    if !status.sources.is_empty() {
        tables.push(branches(&status.sources, "SOURCE"));
    }
    tables.join("\n")
}

fn leadership_table(leadership: &LeadershipStatus) -> String {
    let LeadershipStatus {
        lease,
        leader,
        us,
        leads,
    } = leadership;
    let leader = leader.as_deref().filter(|leader| !leader.is_empty());
    let row = [
        lease.clone(),
        leader.unwrap_or("-").to_owned(),
        us.clone(),
        match leads {
            true => "leads".to_owned(),
            false => "follows".to_owned(),
        },
    ];
    table::render(["LEASE", "LEADER", "THIS DAEMON", "STANDING"], &[row])
}

fn namespace_row(namespace: &NamespaceStatus, at: Option<Timestamp>) -> [String; 5] {
    let NamespaceStatus {
        namespace,
        resources,
        refused,
        read_at,
        error,
    } = namespace;
    [
        namespace.clone(),
        resources.to_string(),
        refused.to_string(),
        age(read_at.as_deref(), at),
        error.clone().unwrap_or_default(),
    ]
}

fn registry_row(registry: &RegistryStatus, at: Option<Timestamp>) -> [String; 7] {
    let RegistryStatus {
        host,
        kind,
        requests,
        requests_per_second,
        in_flight,
        in_flight_max,
        waiting,
        limits,
    } = registry;
    let limits: Vec<String> = limits
        .iter()
        .filter_map(|limit| limit_text(limit, at))
        .collect();
    [
        host.clone(),
        kind.clone(),
        outcomes(requests),
        requests_per_second.map_or("-".to_owned(), |rate| rate.to_string()),
        format!("{in_flight} of {in_flight_max}"),
        waiting.to_string(),
        limits.join("; "),
    ]
}

/// `1021 good, 3 of 429, 1 failed`.
fn outcomes(requests: &BTreeMap<String, u64>) -> String {
    let is_good = |status: &str| status.starts_with(['2', '3']);
    let good: u64 = requests
        .iter()
        .filter(|(status, _)| is_good(status))
        .map(|(_, count)| count)
        .sum();
    let others = requests.iter().filter(|(status, _)| !is_good(status));
    let others = others.map(|(status, count)| match status.as_str() {
        "failed" => format!("{count} failed"),
        status => format!("{count} of {status}"),
    });
    let all: Vec<String> = std::iter::once(format!("{good} good"))
        .chain(others)
        .collect();
    all.join(", ")
}

/// `87 of 100 pulls left in 6h`, `no requests for 5m`.
pub(super) fn limit_text(limit: &LimitStatus, at: Option<Timestamp>) -> Option<String> {
    let LimitStatus {
        quota,
        limit,
        remaining,
        window_seconds,
        resets_at,
        quiet_until,
    } = limit;
    if let Some(rest) = quiet_until.as_deref().and_then(|until| between(at, until)) {
        return Some(format!("no {quota} for {rest}"));
    }
    let remaining = (*remaining)?;
    let limit = limit
        .map(|limit| format!(" of {limit}"))
        .unwrap_or_default();
    let window =
        window_seconds.map(|seconds| format!(" in {}", span(Duration::from_secs(seconds))));
    let reset = resets_at.as_deref().and_then(|reset| between(at, reset));
    let reset = reset.map(|reset| format!(", anew in {reset}"));
    let (window, reset) = (window.unwrap_or_default(), reset.unwrap_or_default());
    Some(format!("{remaining}{limit} {quota} left{window}{reset}"))
}

fn image_row(image: &ImageStatus, at: Option<Timestamp>) -> [String; 4] {
    let ImageStatus {
        repository,
        listed_at,
        tags,
        error,
    } = image;
    [
        repository.clone(),
        age(listed_at.as_deref(), at),
        tags.map_or("-".to_owned(), |tags| tags.to_string()),
        error.clone().unwrap_or_default(),
    ]
}

fn branch_row(branch: &BranchStatus, at: Option<Timestamp>) -> [String; 5] {
    let BranchStatus {
        repository,
        branch,
        head,
        fetched_at,
        error,
    } = branch;
    let short = |head: &String| head.chars().take(7).collect();
    [
        repository.clone(),
        branch.clone(),
        head.as_ref().map_or("-".to_owned(), short),
        age(fetched_at.as_deref(), at),
        error.clone().unwrap_or_default(),
    ]
}

fn age(then: Option<&str>, at: Option<Timestamp>) -> String {
    let Some(then) = then.and_then(|then| then.parse::<Timestamp>().ok()) else {
        return "never".to_owned();
    };
    let age = at.and_then(|at| Duration::try_from(at.duration_since(then)).ok());
    format!("{} ago", span(age.unwrap_or_default()))
}

/// How long it is from `at` to a later time.
fn between(at: Option<Timestamp>, later: &str) -> Option<String> {
    let later: Timestamp = later.parse().ok()?;
    let rest = Duration::try_from(later.duration_since(at?)).ok()?;
    Some(span(rest))
}

/// In whole seconds.
fn span(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::{as_text, reachable};
    use crate::web::Status;

    #[test]
    fn a_status_is_three_tables() {
        let document = r#"{
            "apiVersion": "towpath.dev/v1alpha1", "kind": "Status", "at": "2026-03-02T09:00:00Z", "version": "0.1.0",
            "registries": [
                { "host": "docker.io", "kind": "docker-hub", "requests": { "200": 1021, "307": 4, "401": 1, "429": 3, "failed": 2 },
                  "requestsPerSecond": 10.0, "inFlight": 2, "inFlightMax": 8, "waiting": 14, "limits": [
                    { "quota": "requests", "limit": null, "remaining": null, "windowSeconds": null, "resetsAt": null, "quietUntil": "2026-03-02T09:05:00Z" },
                    { "quota": "pulls", "limit": 100, "remaining": 87, "windowSeconds": 21600, "resetsAt": null, "quietUntil": null }] },
                { "host": "registry.example.com", "kind": "other", "requests": { "200": 12 }, "requestsPerSecond": null,
                  "inFlight": 0, "inFlightMax": 8, "waiting": 0, "limits": [
                    { "quota": "requests", "limit": 60, "remaining": 3, "windowSeconds": 60, "resetsAt": "2026-03-02T09:00:21Z", "quietUntil": null }] }
            ],
            "images": [
                { "repository": "docker.io/acme/web", "listedAt": "2026-03-02T08:58:25Z", "tags": 120, "error": null },
                { "repository": "registry.example.com/acme/api", "listedAt": null, "tags": null, "error": "failed to reach `registry.example.com`" }
            ],
            "manifests": [
                { "repository": "deploy", "branch": "main", "head": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567", "fetchedAt": "2026-03-02T08:59:48.2Z", "error": null },
                { "repository": "deploy", "branch": "next", "head": null, "fetchedAt": "2026-03-02T08:59:48.2Z", "error": null }
            ]
        }"#;
        let status: Status = serde_json::from_str(document).unwrap();
        assert!(status.is_known());
        assert_eq!(status.failures(), 1);
        insta::assert_snapshot!(as_text(&status), @"
        REGISTRY              KIND        REQUESTS                                 PER SECOND  IN FLIGHT  WAITING  LIMITS
        docker.io             docker-hub  1025 good, 1 of 401, 3 of 429, 2 failed  10          2 of 8     14       no requests for 5m; 87 of 100 pulls left in 6h
        registry.example.com  other       12 good                                  -           0 of 8     0        3 of 60 requests left in 1m, anew in 21s

        IMAGE                          LISTED      TAGS  ERROR
        docker.io/acme/web             1m 35s ago  120
        registry.example.com/acme/api  never       -     failed to reach `registry.example.com`

        MANIFESTS  BRANCH  HEAD     FETCHED  ERROR
        deploy     main    0a1b2c3  11s ago
        deploy     next    -        11s ago
        ");
    }

    #[test]
    fn a_namespace_that_cannot_be_read_is_shown_and_is_a_failure() {
        let document = r#"{
            "apiVersion": "towpath.dev/v1alpha1", "kind": "Status", "at": "2026-03-02T09:00:00Z", "version": "0.1.0",
            "customResources": [
                { "namespace": "team-a", "resources": 3, "refused": 1, "readAt": "2026-03-02T08:59:50Z", "error": null },
                { "namespace": "team-b", "resources": 0, "refused": 0, "readAt": null, "error": "the cluster refuses us" }
            ],
            "registries": [], "images": [], "manifests": [], "sources": []
        }"#;
        let status: Status = serde_json::from_str(document).unwrap();
        assert_eq!(status.failures(), 1);
        insta::assert_snapshot!(as_text(&status), @"
        NAMESPACE  RESOURCES  LEFT OUT  READ     ERROR
        team-a     3          1         10s ago
        team-b     0          0         never    the cluster refuses us

        REGISTRY  KIND  REQUESTS  PER SECOND  IN FLIGHT  WAITING  LIMITS

        IMAGE  LISTED  TAGS  ERROR

        MANIFESTS  BRANCH  HEAD  FETCHED  ERROR
        ");
    }

    #[test]
    fn a_daemon_on_all_interfaces_is_asked_on_this_machine() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
