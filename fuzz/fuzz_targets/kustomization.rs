//! Fuzzes an image that is set in a kustomization, as `manifest::properties` says.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::kustomization(input));
