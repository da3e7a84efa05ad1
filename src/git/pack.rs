//! Packs in memory: what a push sends.
//!
//! Written by hand, since a thousand commits to one repository rewrite its largest folder a thousand times: here each of
//! these is a delta of some 60 bytes against the one before, found without a search.
//! Invariant: an object is in the pack once, and a delta's base is either before it in the pack or known to the receiver.

use std::collections::HashSet;
use std::io::Write as _;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::Oid;

/// Bytes before the first object: `PACK`, version, number of objects.
const HEADER: usize = 12;

/// Deltas on deltas, at most: what git itself allows (`pack.depth`), so that reading stays cheap.
const CHAIN_MAX: usize = 50;

/// Folders smaller than this are written whole: a delta would save less than the lookup of its base costs.
const DELTA_FROM_BYTES: usize = 1024;

/// What an object is, by its number in packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Commit = 1,
    Tree = 2,
    Blob = 3,
}

const REF_DELTA: u8 = 7;

/// A folder whose versions follow each other in one pack.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) bytes: Vec<u8>,
    /// The version that the receiver has or that was last written.
    previous: Option<Previous>,
}

#[derive(Debug)]
struct Previous {
    id: Oid,
    bytes: Vec<u8>,
    chain: usize,
}

impl Folder {
    /// A folder that nobody has yet.
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            previous: None,
        }
    }
}

/// A pack that grows.
pub(super) struct Pack {
    bytes: Vec<u8>,
    objects: u32,
    /// Names of what is in the pack or known to the receiver.
    known: HashSet<Oid>,
}

impl Pack {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; HEADER],
            objects: 0,
            known: HashSet::new(),
        }
    }

    /// A folder as the receiver has it, to be changed.
    pub(super) fn standing(&mut self, id: Oid, bytes: Vec<u8>) -> Folder {
        // Were it written again, as a delta of its own descendant, the pack would be a circle.
        self.known.insert(id);
        let previous = Previous {
            id,
            bytes: bytes.clone(),
            chain: 0,
        };
        Folder {
            bytes,
            previous: Some(previous),
        }
    }

    /// Adds an object and gives its name.
    pub(super) fn add(&mut self, object: Object, bytes: &[u8]) -> Oid {
        let id = name(object, bytes);
        if self.known.insert(id) {
            self.write_header(object as u8, bytes.len());
            self.deflate(bytes);
        }
        id
    }

    /// Adds the folder as it is now.
    pub(super) fn add_folder(&mut self, folder: &mut Folder) -> Oid {
        let id = name(Object::Tree, &folder.bytes);
        let standing = folder.previous.take();
        let base = standing.filter(|previous| {
            folder.bytes.len() >= DELTA_FROM_BYTES && previous.chain < CHAIN_MAX
        });
        let chain = base.as_ref().map_or(0, |base| base.chain + 1);
        if self.known.insert(id) {
            match base {
                Some(base) => {
                    let delta = delta(&base.bytes, &folder.bytes);
                    self.write_header(REF_DELTA, delta.len());
                    self.bytes.extend_from_slice(base.id.as_bytes());
                    self.deflate(&delta);
                }
                None => {
                    self.write_header(Object::Tree as u8, folder.bytes.len());
                    self.deflate(&folder.bytes);
                }
            }
        }
        folder.previous = Some(Previous {
            id,
            bytes: folder.bytes.clone(),
            chain,
        });
        id
    }

    /// Ends the pack.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes[..4].copy_from_slice(b"PACK");
        self.bytes[4..8].copy_from_slice(&2_u32.to_be_bytes());
        self.bytes[8..HEADER].copy_from_slice(&self.objects.to_be_bytes());
        let sum = aws_lc_rs::digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.bytes);
        self.bytes.extend_from_slice(sum.as_ref());
        self.bytes
    }

    fn write_header(&mut self, kind: u8, size: usize) {
        self.objects += 1;
        let mut rest = size >> 4;
        let mut byte = (kind << 4) | low_bits(size, 4);
        while rest > 0 {
            self.bytes.push(byte | 0x80);
            byte = low_bits(rest, 7);
            rest >>= 7;
        }
        self.bytes.push(byte);
    }

    fn deflate(&mut self, bytes: &[u8]) {
        let mut encoder = ZlibEncoder::new(&mut self.bytes, Compression::fast());
        encoder
            .write_all(bytes)
            .and_then(|()| encoder.finish().map(drop))
            .expect("writing to memory does not fail");
    }
}

/// The name of an object: SHA-1 over its kind, size, and bytes.
pub(super) fn name(object: Object, bytes: &[u8]) -> Oid {
    let kind = match object {
        Object::Commit => "commit",
        Object::Tree => "tree",
        Object::Blob => "blob",
    };
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(format!("{kind} {}\0", bytes.len()).as_bytes());
    context.update(bytes);
    Oid::from_bytes(context.finish().as_ref()).expect("a SHA-1 has 20 bytes")
}

/// Instructions that make `target` from `base`: its beginning, what is new, and its end.
fn delta(base: &[u8], target: &[u8]) -> Vec<u8> {
    let same = |(a, b): &(&u8, &u8)| a == b;
    let prefix = base.iter().zip(target).take_while(same).count();
    let (base_rest, target_rest) = (&base[prefix..], &target[prefix..]);
    let backwards = base_rest.iter().rev().zip(target_rest.iter().rev());
    let suffix = backwards.take_while(same).count();

    let mut out = Vec::new();
    write_size(&mut out, base.len());
    write_size(&mut out, target.len());
    write_copy(&mut out, 0, prefix);
    for new in target_rest[..target_rest.len() - suffix].chunks(127) {
        out.push(low_bits(new.len(), 7));
        out.extend_from_slice(new);
    }
    write_copy(&mut out, base.len() - suffix, suffix);
    out
}

fn write_size(out: &mut Vec<u8>, mut size: usize) {
    while size >= 0x80 {
        out.push(low_bits(size, 7) | 0x80);
        size >>= 7;
    }
    out.push(low_bits(size, 7));
}

/// Copies in steps of 64 KiB less one, the most that every reader of packs takes.
fn write_copy(out: &mut Vec<u8>, mut offset: usize, mut size: usize) {
    while size > 0 {
        let step = size.min(0xffff);
        let instruction = out.len();
        out.push(0x80);
        let parts = [
            offset,
            offset >> 8,
            offset >> 16,
            offset >> 24,
            step,
            step >> 8,
        ];
        for (bit, part) in parts.into_iter().enumerate() {
            let byte = low_bits(part, 8);
            if byte != 0 {
                out[instruction] |= 1 << bit;
                out.push(byte);
            }
        }
        offset += step;
        size -= step;
    }
}

/// The lowest `count` bits, at most eight.
fn low_bits(value: usize, count: u32) -> u8 {
    let mask = (1_usize << count) - 1;
    u8::try_from(value & mask).expect("at most eight bits are kept")
}
