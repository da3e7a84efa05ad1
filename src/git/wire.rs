//! The pkt-lines of git's smart protocol, as far as a push needs them, and a fetch that leaves things out.
//!
//! Formats: <https://git-scm.com/docs/gitprotocol-common>, <https://git-scm.com/docs/gitprotocol-pack>.
//! Invariant: what a server sends is bytes to be doubted; nothing here panics on any of them.

use crate::manifest::CommitId;

/// What a server's words may measure before they are cut: a page, not a log.
const WORDS_BYTES_MAX: usize = 4096;

/// What the server tells before a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advertisement {
    /// Where the branch stands.
    pub(super) head: Option<CommitId>,
    pub(super) capabilities: Vec<String>,
}

impl Advertisement {
    pub(super) fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|found| found == capability)
    }
}

/// What the server tells after a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) verdict: Verdict,
    /// What hooks printed, and the reason of a refusal.
    pub(super) words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Refused,
    /// The server does not report.
    Unsaid,
}

/// The server broke the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not git's smart protocol")]
pub(super) struct Garbled;

/// One pkt-line with `payload`.
pub(super) fn line(payload: &str) -> Vec<u8> {
    format!("{:04x}{payload}", payload.len() + 4).into_bytes()
}

/// Marks the end of a list of pkt-lines.
pub(super) const FLUSH: &[u8] = b"0000";

/// Splits pkt-lines; `None` stands for a flush. Whatever follows a broken length is dropped with an error.
fn lines(mut bytes: &[u8]) -> impl Iterator<Item = Result<Option<&[u8]>, Garbled>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let taken = take_line(bytes);
        bytes = taken.map_or(&[], |(_, rest)| rest);
        Some(taken.map(|(line, _)| line).ok_or(Garbled))
    })
}

fn take_line(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let digits = std::str::from_utf8(bytes.get(..4)?).ok()?;
    match usize::from_str_radix(digits, 16).ok()? {
        0 => Some((None, &bytes[4..])),
        1..4 => None,
        length => Some((Some(bytes.get(4..length)?), &bytes[length..])),
    }
}

/// Whether `bytes` hold a flush. Looks at what came since it looked last, which `seen` remembers. What is no pkt-line is
/// the end too: nothing good follows.
pub(super) fn is_flushed(bytes: &[u8], seen: &mut usize) -> bool {
    while let Some(digits) = bytes.get(*seen..*seen + 4) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        match usize::from_str_radix(digits, 16) {
            Ok(length @ 4..) if *seen + length <= bytes.len() => *seen += length,
            Ok(4..) => return false,
            Ok(_) | Err(_) => return true,
        }
    }
    false
}

/// A request of a fetch that asks for commits alone; as it is, where it asks for nothing.
///
/// <https://git-scm.com/docs/gitprotocol-pack#_packfile_negotiation>: what is left out stands after what is wanted.
pub(super) fn commits_only(request: &[u8]) -> Vec<u8> {
    let Some((Some(first), mut rest)) = take_line(request) else {
        return request.to_vec();
    };
    let first = String::from_utf8_lossy(first);
    let mut changed = line(&format!("{} filter\n", first.trim_end_matches('\n')));
    while let Some((Some(_), after)) = take_line(rest) {
        changed.extend_from_slice(&rest[..rest.len() - after.len()]);
        rest = after;
    }
    changed.extend(line("filter tree:0\n"));
    changed.extend_from_slice(rest);
    changed
}

/// Whether a server that told of itself in these bytes can leave objects out.
pub(super) fn can_filter(advertised: &[u8]) -> bool {
    let mut told = lines(advertised).filter_map(|line| line.ok().flatten());
    let capabilities = told.find_map(|line| line.split(|byte| *byte == 0).nth(1));
    capabilities.is_some_and(|told| {
        let mut words = told.split(|byte| byte.is_ascii_whitespace());
        words.any(|word| word == b"filter")
    })
}

/// Reads what `info/refs` answered, as far as `reference` is concerned.
pub(super) fn advertisement(bytes: &[u8], reference: &str) -> Result<Advertisement, Garbled> {
    let mut read = Advertisement {
        head: None,
        capabilities: Vec::new(),
    };
    let mut seen = false;
    for line in lines(bytes) {
        let Some(line) = line? else { continue };
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches('\n');
        if text.starts_with('#') {
            continue;
        }
        let (told, capabilities) = text.split_once('\0').unwrap_or((text, ""));
        let (id, name) = told.split_once(' ').ok_or(Garbled)?;
        if !seen {
            read.capabilities = capabilities.split(' ').map(str::to_owned).collect();
        }
        seen = true;
        if name == reference {
            read.head = Some(id.parse().map_err(|_| Garbled)?);
        }
    }
    if seen { Ok(read) } else { Err(Garbled) }
}

/// Reads the answer to a push, with or without side bands.
pub(super) fn report(bytes: &[u8], banded: Banded) -> Result<Report, Garbled> {
    let mut status = Vec::new();
    let mut words = Vec::new();
    match banded {
        Banded::No => status.extend_from_slice(bytes),
        Banded::Yes => {
            for line in lines(bytes) {
                match line?.unwrap_or_default().split_first() {
                    Some((1, rest)) => status.extend_from_slice(rest),
                    Some((2 | 3, rest)) => words.extend_from_slice(rest),
                    Some(_) => return Err(Garbled),
                    None => {}
                }
            }
        }
    }
    let mut words = String::from_utf8_lossy(&words).into_owned();
    let mut verdict = Verdict::Unsaid;
    for line in lines(&status) {
        let text = String::from_utf8_lossy(line?.unwrap_or_default()).into_owned();
        let text = text.trim_end();
        let refusal = match text.split_once(' ') {
            Some(("unpack", "ok")) => None,
            Some(("unpack", reason)) => Some(reason),
            Some(("ng", rest)) => Some(rest.split_once(' ').map_or(rest, |(_, reason)| reason)),
            Some(("ok", _)) if verdict == Verdict::Unsaid => {
                verdict = Verdict::Accepted;
                None
            }
            Some(_) | None => None,
        };
        if let Some(reason) = refusal {
            verdict = Verdict::Refused;
            words.push('\n');
            words.push_str(reason);
        }
    }
    let words = tidy(&words);
    Ok(Report { verdict, words })
}

/// Whether the server was asked to send its answer in side bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Banded {
    Yes,
    No,
}

/// A server's words as lines without control characters and padding, cut where they grow long.
pub(super) fn tidy(words: &str) -> String {
    let lines = words.split(['\n', '\r']).filter_map(|line| {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let line = line.trim().to_owned();
        (!line.is_empty()).then_some(line)
    });
    let mut tidied = lines.collect::<Vec<_>>().join("\n");
    if tidied.len() > WORDS_BYTES_MAX {
        tidied.truncate(tidied.floor_char_boundary(WORDS_BYTES_MAX));
        tidied.push('…');
    }
    tidied
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{
        Banded, Verdict, advertisement, can_filter, commits_only, is_flushed, line, report,
    };

    const ID: &str = "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a";

    fn banded(parts: &[(u8, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (band, text) in parts {
            bytes.extend(line(&format!("{}{text}", char::from(*band))));
        }
        bytes.extend_from_slice(b"0000");
        bytes
    }

    fn lines_of(texts: &[&str]) -> String {
        let lines = texts.iter().flat_map(|text| line(text)).collect();
        String::from_utf8(lines).unwrap() + "0000"
    }

    #[test]
    fn an_advertisement_tells_where_the_branch_stands_and_what_the_server_can_do() {
        let mut bytes = line("# service=git-receive-pack\n");
        bytes.extend_from_slice(b"0000");
        bytes.extend(line(&format!(
            "{ID} refs/heads/main\0report-status side-band-64k\n"
        )));
        bytes.extend_from_slice(b"0000");
        let read = advertisement(&bytes, "refs/heads/main").unwrap();
        assert_eq!(read.head, Some(ID.parse().unwrap()));
        assert!(read.has("side-band-64k") && !read.has("no-thin"));
        assert_eq!(advertisement(&bytes, "refs/heads/x").unwrap().head, None);
    }

    #[test]
    fn a_refusal_carries_the_words_of_the_hook_and_the_reason() {
        let status = lines_of(&[
            "unpack ok\n",
            "ng refs/heads/main pre-receive hook declined\n",
        ]);
        let bytes = banded(&[(2, "error: frozen until \x1b[1mMonday\n"), (1, &status)]);
        let read = report(&bytes, Banded::Yes).unwrap();
        assert_eq!(read.verdict, Verdict::Refused);
        assert_eq!(
            read.words,
            "error: frozen until [1mMonday\npre-receive hook declined"
        );
    }

    #[test]
    fn an_accepted_push_is_one_that_was_unpacked_and_whose_branch_is_ok() {
        let status = lines_of(&["unpack ok\n", "ok refs/heads/main\n"]);
        let read = report(status.as_bytes(), Banded::No).unwrap();
        assert_eq!(read.verdict, Verdict::Accepted);
        let failed = lines_of(&["unpack disk is full\n", "ok refs/heads/main\n"]);
        let read = report(failed.as_bytes(), Banded::No).unwrap();
        assert_eq!(read.verdict, Verdict::Refused);
        assert_eq!(read.words, "disk is full");
        assert_eq!(report(b"", Banded::No).unwrap().verdict, Verdict::Unsaid);
    }

    #[test]
    fn a_request_for_commits_alone_says_so_after_what_it_wants() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let wants = [
            line(&format!("want {ID} multi_ack side-band-64k\n")),
            line(&format!("want {ID}\n")),
        ];
        let rest = format!("0000{}", text(line("done\n")));
        let request = wants
            .concat()
            .into_iter()
            .chain(rest.bytes())
            .collect::<Vec<_>>();
        let expected = [
            line(&format!("want {ID} multi_ack side-band-64k filter\n")),
            line(&format!("want {ID}\n")),
            line("filter tree:0\n"),
        ];
        let expected = text(expected.concat()) + &rest;
        assert_eq!(text(commits_only(&request)), expected);
        assert_eq!(text(commits_only(b"0000")), "0000");
    }

    #[test]
    fn what_a_server_can_leave_out_stands_with_its_first_ref() {
        let mut bytes = line("# service=git-upload-pack\n");
        bytes.extend_from_slice(b"0000");
        let refs = |capabilities: &str| line(&format!("{ID} HEAD\0{capabilities}\n"));
        assert!(can_filter(
            &[&bytes[..], &refs("ofs-delta filter agent=git/2.39")].concat()
        ));
        assert!(can_filter(
            &[&bytes[..], &refs("ofs-delta filter")].concat()
        ));
        assert!(!can_filter(
            &[&bytes[..], &refs("ofs-delta filters")].concat()
        ));
        assert!(!can_filter(&bytes));
    }

    #[test]
    fn a_list_ends_with_its_flush_however_its_bytes_arrive() {
        let list = lines_of(&["one\n", "two\n"]).into_bytes();
        let mut seen = 0;
        for length in 0..list.len() {
            assert!(!is_flushed(&list[..length], &mut seen), "{length}");
        }
        assert!(is_flushed(&list, &mut seen));
        assert!(is_flushed(b"fatal: no", &mut 0));
    }

    proptest! {
        #[test]
        fn no_answer_of_a_server_makes_us_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = advertisement(&bytes, "refs/heads/main");
            let _ = can_filter(&bytes);
            let _ = commits_only(&bytes);
            let _ = is_flushed(&bytes, &mut 0);
            let _ = report(&bytes, Banded::Yes);
            let _ = report(&bytes, Banded::No);
        }
    }
}
