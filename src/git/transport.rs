//! libgit2's smart transport over our own clients.
//!
//! Not here: what is asked for (`fetch`).
//! Invariant: libgit2 opens no connection of its own. A mirror's thread lends it a [`Line`]; other threads have none.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};
use std::rc::Rc;
use std::sync::Once;

use git2::transport::{self, Service, SmartSubtransport, SmartSubtransportStream, Transport};
use reqwest::Response;

use super::client::Client;
use super::http::{self, RemoteError, Session};
use super::remote::Kept;
use super::ssh::Talk;
use super::wire;

/// The schemes of the addresses that libgit2 is given: over HTTP each request stands for itself, over SSH one talk is held.
const ASKED: &str = "towpath";
const TALKED: &str = "towpath-ssh";

/// The address that libgit2 is given; the real one belongs to the [`Line`].
pub(super) fn address(client: &Client) -> &'static str {
    match client {
        Client::Http(_) => "towpath://line",
        Client::Ssh(_) => "towpath-ssh://line",
    }
}

/// How much of the list of refs is looked at: its first line has what the server can do, in 1 KiB or less.
const ADVERTISED_BYTES_MAX: usize = 8 << 10;

/// One connection to a server, for one use of libgit2.
struct Line {
    client: Client,
    kept: Kept,
    /// The start of the list of refs.
    advertised: RefCell<Vec<u8>>,
    open: RefCell<Option<Open>>,
    /// What really failed: libgit2 would reduce it to a sentence.
    failure: RefCell<Option<RemoteError>>,
}

/// What is spoken on after the refs were asked for.
enum Open {
    Http(Session),
    Ssh(Talk),
}

thread_local! {
    static LINE: RefCell<Option<Rc<Line>>> = const { RefCell::new(None) };
}

/// Lets libgit2 speak to `http` while `work` runs, and gives what failed there, if anything did.
pub(super) fn lend<T>(
    (client, kept): (&Client, Kept),
    work: impl FnOnce() -> T,
) -> (T, Option<RemoteError>) {
    register();
    let line = Rc::new(Line {
        client: client.clone(),
        kept,
        advertised: RefCell::default(),
        open: RefCell::new(None),
        failure: RefCell::new(None),
    });
    LINE.set(Some(Rc::clone(&line)));
    let done = work();
    LINE.set(None);
    let failure = line.failure.take();
    (done, failure)
}

fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        #[expect(
            unsafe_code,
            reason = "libgit2 keeps transports in an unlocked list: it is written here, once, before any mirror uses it"
        )]
        // SAFETY: the `Once` makes this the only write, and every mirror passes it before it reads the list.
        let registered = unsafe {
            transport::register(ASKED, |remote| Transport::smart(remote, true, Subtransport))
                .and_then(|()| {
                    transport::register(TALKED, |remote| {
                        Transport::smart(remote, false, Subtransport)
                    })
                })
        };
        registered.expect("no other transport has these names");
    });
}

impl Line {
    fn note(&self, refs: &[u8]) {
        let mut advertised = self.advertised.borrow_mut();
        let room = ADVERTISED_BYTES_MAX.saturating_sub(advertised.len());
        advertised.extend_from_slice(&refs[..refs.len().min(room)]);
    }

    /// A request for objects that leaves out what is not kept, if the server can. libgit2 knows no such requests, and
    /// asks for no object that is not there.
    fn narrowed(&self, request: Vec<u8>) -> Vec<u8> {
        match self.kept {
            Kept::Commits if wire::can_filter(&self.advertised.borrow()) => {
                wire::commits_only(&request)
            }
            Kept::Commits | Kept::Everything => request,
        }
    }
}

struct Subtransport;

impl SmartSubtransport for Subtransport {
    fn action(
        &self,
        _url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let exchange = match service {
            Service::UploadPackLs => {
                let response = with_line(|line| {
                    let (open, response) = match &line.client {
                        Client::Http(http) => {
                            let (session, response) = http.refs(http::Service::UploadPack)?;
                            (Open::Http(session), Some(response))
                        }
                        Client::Ssh(ssh) => (Open::Ssh(ssh.open(http::Service::UploadPack)?), None),
                    };
                    line.open.replace(Some(open));
                    Ok(response)
                })?;
                Exchange::refs(response)
            }
            Service::UploadPack => Exchange::asking(),
            Service::ReceivePackLs | Service::ReceivePack => {
                return Err(git2::Error::from_str("pushes do not pass here"));
            }
        };
        Ok(Box::new(exchange))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// A request that is written, then the answer that is read; over SSH, one after the other of them.
struct Exchange {
    request: Vec<u8>,
    /// Over HTTP.
    response: Option<Response>,
    chunk: Cursor<Vec<u8>>,
    /// Whether the answer is the list of refs.
    of_refs: bool,
}

impl Exchange {
    fn asking() -> Self {
        Self {
            request: Vec::new(),
            response: None,
            chunk: Cursor::default(),
            of_refs: false,
        }
    }

    fn refs(response: Option<Response>) -> Self {
        Self {
            response,
            of_refs: true,
            ..Self::asking()
        }
    }
}

impl Exchange {
    /// The next bytes of the answer, after what was written is sent.
    fn chunk(&mut self, line: &Line) -> Result<Option<Vec<u8>>, RemoteError> {
        let request = std::mem::take(&mut self.request);
        let mut open = line.open.borrow_mut();
        let chunk = match open.as_mut().expect("the refs are asked for first") {
            Open::Http(session) => {
                let response = match &mut self.response {
                    Some(response) => response,
                    empty => empty.insert(session.upload_pack(line.narrowed(request))?),
                };
                session.chunk(response)?
            }
            Open::Ssh(talk) => {
                if self.of_refs && !request.is_empty() {
                    self.of_refs = false;
                    talk.send(&line.narrowed(request))?;
                } else {
                    talk.send(&request)?;
                }
                talk.chunk()?
            }
        };
        if self.of_refs {
            line.note(chunk.as_deref().unwrap_or_default());
        }
        Ok(chunk)
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.request.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.chunk.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let chunk = with_line(|line| self.chunk(line));
            match chunk.map_err(io::Error::other)? {
                Some(chunk) => self.chunk = Cursor::new(chunk),
                None => return Ok(0),
            }
        }
    }
}

/// Runs `work` on the thread's line and keeps what failed for the one who lent it.
fn with_line<T>(work: impl FnOnce(&Line) -> Result<T, RemoteError>) -> Result<T, git2::Error> {
    let line = LINE.with_borrow(Clone::clone);
    let line = line.ok_or_else(|| git2::Error::from_str("no line was lent to this thread"))?;
    work(&line).map_err(|failure| {
        let told = git2::Error::from_str(&failure.to_string());
        line.failure.replace(Some(failure));
        told
    })
}
