//! A server that says by one status whether all is well, as those of checks do.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use crate::forge::server::read;

/// Answers everything with the status that it was told to.
pub struct Smoke {
    /// Address and port.
    pub host: String,
    status: Arc<AtomicU16>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Smoke {
    /// Starts one that answers with `status`, until the process ends.
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback is free");
        let host = listener.local_addr().expect("it is bound").to_string();
        let (status, asked) = (Arc::new(AtomicU16::new(status)), Arc::default());
        let smoke = Self {
            host,
            status: status.clone(),
            asked: Arc::clone(&asked),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = read(&stream) else {
                    continue;
                };
                asked
                    .lock()
                    .expect("nothing panics while it holds the requests")
                    .push(request.target);
                let status = status.load(Ordering::SeqCst);
                // Whoever asked may be gone.
                let _ = write!(
                    &stream,
                    "HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                );
            }
        });
        smoke
    }

    /// Answers with `status` from now on.
    pub fn say(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// What was asked since the last time: paths with their queries.
    pub fn take_asked(&self) -> Vec<String> {
        let asked = self.asked.lock();
        std::mem::take(&mut *asked.expect("nothing panics while it holds the requests"))
    }
}
