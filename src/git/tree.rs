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

/// Walks the entries of a folder; ends early where the bytes are no folder.
fn slots(folder: &[u8]) -> impl Iterator<Item = (&[u8], Slot)> {
    let mut start = 0;
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
pub(super) fn find(folder: &[u8], name: &str) -> Option<Slot> {
    slots(folder)
        .find(|(found, _)| *found == name.as_bytes())
        .map(|(_, slot)| slot)
}

/// Points the entry called `name` to `id`; a missing one is added as a plain file or folder.
pub(super) fn put(folder: &mut Vec<u8>, name: &str, kind: Kind, id: Oid) {
    if let Some(slot) = find(folder, name) {
        folder[slot.id_start..slot.id_start + ID].copy_from_slice(id.as_bytes());
        return;
    }
    let key = sort_key(name.as_bytes(), kind);
    let at = slots(folder)
        .find(|(found, slot)| sort_key(found, slot.kind) > key)
        .map_or(folder.len(), |(_, slot)| slot.start);
    let mut entry = format!("{} {name}\0", kind.mode()).into_bytes();
    entry.extend_from_slice(id.as_bytes());
    folder.splice(at..at, entry);
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

    use super::{Kind, find, put};

    fn id(text: &str) -> Oid {
        Oid::hash_object(ObjectType::Blob, text.as_bytes()).unwrap()
    }

    #[test]
    fn entries_are_kept_in_gits_order_where_a_folder_sorts_with_its_slash() {
        let mut folder = Vec::new();
        put(&mut folder, "a", Kind::Folder, id("1"));
        put(&mut folder, "a.yaml", Kind::File, id("2"));
        put(&mut folder, "a0", Kind::File, id("3"));
        put(&mut folder, "A", Kind::File, id("4"));
        let names: Vec<_> = super::slots(&folder).map(|(name, _)| name).collect();
        assert_eq!(names, [b"A".as_slice(), b"a.yaml", b"a", b"a0"]);
    }

    #[test]
    fn an_entry_that_stands_keeps_its_mode() {
        let mut folder = b"100755 run\0".to_vec();
        folder.extend_from_slice(id("1").as_bytes());
        put(&mut folder, "run", Kind::File, id("2"));
        assert!(folder.starts_with(b"100755 run\0"));
        assert_eq!(find(&folder, "run").unwrap().id, id("2"));
    }

    #[test]
    fn bytes_that_are_no_folder_have_no_entries() {
        for bytes in [b"".as_slice(), b"100644", b"100644 x", b"100644 x\0short"] {
            assert_eq!(super::slots(bytes).count(), 0);
        }
    }
}
