//! Fuzzes an edit of a value, as `edit::properties` says.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::edit(input));
