//! Edited: drafted edits carried out, and proved.
//!
//! Not here: drafting (`draft`).
//! Invariant: the text that comes back was scanned again: every value is what it was or what was drafted, in its
//! style, and the same edit finds nothing left to do in it.

use super::draft::Draft;
use super::refusal::{Reason, Refusal};
use super::scan::Scan;

/// The scanned text with what `edit` drafts for it, or why that cannot be done exactly.
///
/// `edit` is run a second time, on what came out: that it then drafts nothing is part of the proof.
pub(crate) fn edited<E: From<Refusal>>(
    scan: &Scan<'_>,
    edit: impl Fn(&mut Draft<'_, '_>) -> Result<(), E>,
) -> Result<String, E> {
    let mut draft = Draft::new(scan);
    edit(&mut draft)?;
    let Some(line) = draft.first_line() else {
        return Ok(scan.text.to_owned());
    };
    scan.refuse_sealed(&draft, line)?;
    let inexact = || Refusal::at(line, Reason::NotExact);
    let text = draft.carried_out().ok_or_else(inexact)?;
    let after = Scan::new(&text).map_err(|_| inexact())?;
    if !after
        .nodes
        .iter()
        .map(|node| &node.token)
        .eq(draft.expected())
    {
        return Err(inexact().into());
    }
    let mut again = Draft::new(&after);
    match edit(&mut again) {
        Ok(()) if again.first_line().is_none() => Ok(text),
        Ok(()) | Err(_) => Err(inexact().into()),
    }
}
