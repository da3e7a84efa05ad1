//! Folders in git's own form, edited in place.
//!
//! Not here: where the bytes come from and where they go (`read`, `push`).
//! Invariant: an edited folder is sorted as git demands, and entries that were not named keep their mode and bytes.

use git2::Oid;

/// Bytes of an object's name.
const ID: usize = 20;

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Symlink,
    Submodule,
}

impl Kind {
    fn of(mode: &[u8]) -> Self {
        match mode {
            b"40000" | b"040000" => Self::Folder,
            b"120000" => Self::Symlink,
            b"160000" => Self::Submodule,
            _ => Self::File,
        }
    }

    /// The mode that a new entry of this kind gets.
    fn mode(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Folder => "40000",
            Self::Symlink => "120000",
            Self::Submodule => "160000",
        }
    }
}

/// One entry of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) kind: Kind,
    pub(super) id: Oid,
    /// Where the entry and where its 20 bytes of name begin.
    start: usize,
    id_start: usize,
}

/// Where in a folder the last search ended. Names come sorted, as folders are, so the next search starts there: a
/// folder of ten thousand files is walked once for all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor(usize); // Invariant: the start of an entry, or the end.

/// Walks the entries of a folder from `start` on; ends early where the bytes are no folder.
pub(super) fn slots(folder: &[u8], mut start: usize) -> impl Iterator<Item = (&[u8], Slot)> {
    std::iter::from_fn(move || {
        let rest = folder.get(start..)?;
        let space = rest.iter().position(|byte| *byte == b' ')?;
        let end = space + rest[space..].iter().position(|byte| *byte == 0)?;
        let id = Oid::from_bytes(rest.get(end + 1..end + 1 + ID)?).ok()?;
        let slot = Slot {
            kind: Kind::of(&rest[..space]),
            id,
            start,
            id_start: start + end + 1,
        };
        start = slot.id_start + ID;
        Some((&rest[space + 1..end], slot))
    })
}

/// The entry called `name`.
pub(super) fn find(folder: &[u8], name: &str, cursor: &mut Cursor) -> Option<Slot> {
    let from = cursor.0;
    let behind = slots(folder, from);
    let before = slots(folder, 0).take_while(|(_, slot)| slot.start < from);
    let (_, slot) = behind
        .chain(before)
        .find(|(found, _)| *found == name.as_bytes())?;
    *cursor = Cursor(slot.start);
    Some(slot)
}

/// Points the entry called `name` to `id`; a missing one is added as a plain file or folder.
pub(super) fn put(folder: &mut Vec<u8>, (name, kind): (&str, Kind), id: Oid, cursor: &mut Cursor) {
    if let Some(slot) = find(folder, name, cursor) {
        folder[slot.id_start..slot.id_start + ID].copy_from_slice(id.as_bytes());
        return;
    }
    let key = sort_key(name.as_bytes(), kind);
    let at = slots(folder, 0)
        .find(|(found, slot)| sort_key(found, slot.kind) > key)
        .map_or(folder.len(), |(_, slot)| slot.start);
    let mut entry = format!("{} {name}\0", kind.mode()).into_bytes();
    entry.extend_from_slice(id.as_bytes());
    folder.splice(at..at, entry);
    *cursor = Cursor(at);
}

/// Git sorts folders as if their names ended in a slash.
fn sort_key(name: &[u8], kind: Kind) -> Vec<u8> {
    let mut key = name.to_vec();
    if kind == Kind::Folder {
        key.push(b'/');
    }
    key
}

#[cfg(test)]
mod tests {
    use git2::{ObjectType, Oid};

    use super::{Cursor, Kind, find, put};

    fn id(text: &str) -> Oid {
        Oid::hash_object(ObjectType::Blob, text.as_bytes()).unwrap()
    }

    #[test]
    fn entries_are_kept_in_gits_order_where_a_folder_sorts_with_its_slash() {
        let (mut folder, mut cursor) = (Vec::new(), Cursor::default());
        let mut add = |name, kind, text| put(&mut folder, (name, kind), id(text), &mut cursor);
        add("a", Kind::Folder, "1");
        add("a.yaml", Kind::File, "2");
        add("a0", Kind::File, "3");
        add("A", Kind::File, "4");
        add("a0", Kind::File, "5");
        let names: Vec<_> = super::slots(&folder, 0).map(|(name, _)| name).collect();
        assert_eq!(names, [b"A".as_slice(), b"a.yaml", b"a", b"a0"]);
        let mut found = |name| find(&folder, name, &mut cursor).map(|slot| slot.id);
        assert_eq!(found("a0"), Some(id("5")));
        assert_eq!(found("A"), Some(id("4")), "a search goes on at the start");
        assert_eq!(found("b"), None);
    }

    #[test]
    fn an_entry_that_stands_keeps_its_mode() {
        let mut folder = b"100755 run\0".to_vec();
        folder.extend_from_slice(id("1").as_bytes());
        let mut cursor = Cursor::default();
        put(&mut folder, ("run", Kind::File), id("2"), &mut cursor);
        assert!(folder.starts_with(b"100755 run\0"));
        assert_eq!(find(&folder, "run", &mut cursor).unwrap().id, id("2"));
    }

    #[test]
    fn bytes_that_are_no_folder_have_no_entries() {
        for bytes in [b"".as_slice(), b"100644", b"100644 x", b"100644 x\0short"] {
            assert_eq!(super::slots(bytes, 0).count(), 0);
        }
    }
}
