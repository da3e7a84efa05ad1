//! nginx, with the log of its requests.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Process, program, wait_until};

/// A running nginx.
#[must_use = "the server ends when this is dropped"]
pub(crate) struct Nginx {
    _process: Process,
    /// The first port, where it speaks plain HTTP if its requests are wanted.
    port: u16,
    log: PathBuf,
}

impl Nginx {
    /// Starts nginx in `folder` with `servers`, in which FOLDER is the folder, and which listen on `ports`.
    pub(crate) fn start(folder: &Path, servers: &str, ports: &[u16]) -> Self {
        let configuration = include_str!("nginx.conf")
            .replace("RUN_AS", run_as())
            .replace("SERVERS", servers)
            .replace("FOLDER", &folder.display().to_string());
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration).expect("the folder can be written");
        let mut command = Command::new(program("nginx"));
        command.arg("-p").arg(folder);
        command.arg("-c").arg(file);
        command.arg("-e").arg(folder.join("error.log"));
        let mut process = Process::start(command, &folder.join("nginx.log"));
        wait_until("nginx to listen", || {
            assert!(!process.has_ended(), "nginx: {}", process.log());
            let listens = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
            ports.iter().all(listens)
        });
        Self {
            _process: process,
            port: ports[0],
            log: folder.join("access.log"),
        }
    }

    /// The requests so far, a line each.
    pub(crate) fn requests(&self) -> Vec<String> {
        // A request is logged after its answer was sent; once the log ends with ours, it has all that came before.
        let read = || std::fs::read_to_string(&self.log).unwrap_or_default();
        let mark = format!("/marker/{}", read().lines().count());
        let stream = TcpStream::connect(("127.0.0.1", self.port));
        let mut stream = stream.expect("nginx is running");
        write!(stream, "GET {mark} HTTP/1.0\r\n\r\n").expect("nginx reads");
        wait_until("the request log", || read().contains(&mark));
        let is_real = |line: &&str| !line.starts_with("GET /marker/");
        let requests = read();
        requests
            .lines()
            .filter(is_real)
            .map(str::to_owned)
            .collect()
    }
}

/// The line of a configuration without which nginx's workers, where root runs it, could not read the test's folder.
fn run_as() -> &'static str {
    let output = Command::new(program("id")).arg("-u").output();
    let output = output.expect("`id` can be run");
    match output.stdout.trim_ascii() {
        b"0" => "user root;",
        _ => "",
    }
}
