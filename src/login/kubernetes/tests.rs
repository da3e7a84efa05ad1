//! Names of objects. What is read from a cluster is tried to the end in `tests/contract/pull_secrets.rs`.

use super::is_object_name;

#[test]
fn the_name_of_an_object_is_labels_with_dots_and_so_never_a_path() {
    for name in ["a", "pull-secret", "a.b.c", "0-a", &"a".repeat(253)] {
        assert!(is_object_name(name), "{name}");
    }
    let long = "a".repeat(254);
    for name in [
        "", ".", "..", "a..b", "A", "a_b", "-a", "a-", "a/b", "../x", "a%2f", "a?b", &long,
    ] {
        assert!(!is_object_name(name), "{name}");
    }
}
