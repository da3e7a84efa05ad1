//! HTTP/1.1 as far as a fake of an API needs it, so that it can also break off where no good server would.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use serde_json::Value as Json;

/// Largest body that is taken.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// A request, taken apart.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The path in decoded segments.
    pub path: Vec<String>,
    pub query: BTreeMap<String, String>,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// `null` where there is none.
    pub body: Json,
    /// Path and query as they came.
    pub target: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// `None`: no body at all.
    pub body: Option<Json>,
}

/// How an answer goes out.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    Whole(Reply),
    /// The connection is closed before the first byte.
    Nothing,
    /// Half of the body, and then the connection is closed although more was announced.
    Half(Reply),
    /// A whole answer whose JSON breaks off.
    CutJson(Reply),
}

impl Reply {
    pub fn new(status: u16, body: Json) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    pub fn empty(status: u16) -> Self {
        Self {
            body: None,
            ..Self::new(status, Json::Null)
        }
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

impl Request {
    /// What stands in the body under `key`, if it is a text.
    pub fn text(&self, key: &str) -> Option<String> {
        Some(self.body.get(key)?.as_str()?.to_owned())
    }

    /// The texts in the list under `key`.
    pub fn texts(&self, key: &str) -> Vec<String> {
        let all = self.body.get(key).and_then(Json::as_array);
        let texts = all.into_iter().flatten().filter_map(Json::as_str);
        texts.map(str::to_owned).collect()
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.query.get(key)?.parse().ok()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Answers one connection on a thread of its own.
pub(super) fn serve_one(stream: TcpStream, answer: Arc<dyn Fn(Request) -> Sent + Send + Sync>) {
    std::thread::spawn(move || {
        if let Some(request) = read(&stream) {
            // Whoever asked may be gone.
            let _ = send(&stream, answer(request));
        }
        let _ = stream.shutdown(Shutdown::Both);
    });
}

/// Reads a request; `None` where none comes.
pub(crate) fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length");
    let length: u64 = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    let mut reader = reader.take(length.min(BODY_BYTES_MAX));
    reader.read_to_end(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key, true), decoded(value, true))
    };
    let segments = path.trim_start_matches('/').split('/');
    Some(Request {
        method,
        path: segments.map(|segment| decoded(segment, false)).collect(),
        query: query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(pair)
            .collect(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Json::Null),
        target,
    })
}

fn send(mut stream: &TcpStream, sent: Sent) -> std::io::Result<()> {
    let (reply, whole) = match &sent {
        Sent::Nothing => return Ok(()),
        Sent::Whole(reply) | Sent::CutJson(reply) => (reply, true),
        Sent::Half(reply) => (reply, false),
    };
    let mut body = reply.body.as_ref().map(Json::to_string).unwrap_or_default();
    if matches!(sent, Sent::CutJson(_)) {
        body.truncate(body.len() / 2);
    }
    let mut head = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", reply.status);
    head += "content-type: application/json; charset=utf-8\r\n";
    head += &format!("content-length: {}\r\n", body.len());
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    let part = match whole {
        true => body.len(),
        false => body.len() / 2,
    };
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body.as_bytes()[..part])?;
    stream.flush()
}

fn decoded(text: &str, plus_is_space: bool) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' if plus_is_space => bytes.push(b' '),
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
