//! libgit2's smart transport over our own HTTP client.
//!
//! Not here: what is asked for (`fetch`).
//! Invariant: libgit2 opens no connection of its own. A mirror's thread lends it a [`Line`]; other threads have none.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};
use std::rc::Rc;
use std::sync::Once;

use git2::transport::{self, Service, SmartSubtransport, SmartSubtransportStream, Transport};
use reqwest::Response;

use super::http::{self, Http, RemoteError, Session};
use super::remote::Kept;
use super::wire;

/// The address that libgit2 is given; the real one belongs to the [`Line`].
pub(super) const ADDRESS: &str = "towpath://line";

/// How much of the list of refs is looked at: its first line has what the server can do, in 1 KiB or less.
const ADVERTISED_BYTES_MAX: usize = 8 << 10;

/// One connection to a server, for one use of libgit2.
struct Line {
    http: Http,
    kept: Kept,
    /// The start of the list of refs.
    advertised: RefCell<Vec<u8>>,
    session: RefCell<Option<Session>>,
    /// What really failed: libgit2 would reduce it to a sentence.
    failure: RefCell<Option<RemoteError>>,
}

thread_local! {
    static LINE: RefCell<Option<Rc<Line>>> = const { RefCell::new(None) };
}

/// Lets libgit2 speak to `http` while `work` runs, and gives what failed there, if anything did.
pub(super) fn lend<T>(
    (http, kept): (&Http, Kept),
    work: impl FnOnce() -> T,
) -> (T, Option<RemoteError>) {
    register();
    let line = Rc::new(Line {
        http: http.clone(),
        kept,
        advertised: RefCell::default(),
        session: RefCell::new(None),
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
            transport::register("towpath", |remote| Transport::smart(remote, true, Subtransport))
        };
        registered.expect("no other transport has this name");
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
                let answered = with_line(|line| {
                    let (session, response) = line.http.refs(http::Service::UploadPack)?;
                    line.session.replace(Some(session));
                    Ok(response)
                })?;
                Exchange::refs(answered)
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

/// A request that is written, then the answer that is read.
struct Exchange {
    request: Vec<u8>,
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

    fn refs(response: Response) -> Self {
        Self {
            response: Some(response),
            of_refs: true,
            ..Self::asking()
        }
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
            let request = std::mem::take(&mut self.request);
            let response = &mut self.response;
            let of_refs = self.of_refs;
            let chunk = with_line(|line| {
                let session = line.session.borrow();
                let session = session.as_ref().expect("the refs are asked for first");
                let response = match response {
                    Some(response) => response,
                    None => response.insert(session.upload_pack(line.narrowed(request))?),
                };
                let chunk = session.chunk(response)?;
                if of_refs {
                    line.note(chunk.as_deref().unwrap_or_default());
                }
                Ok(chunk)
            });
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
