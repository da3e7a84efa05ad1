//! The other verbs as people meet them: help, errors, exit codes.

use crate::lab::Lab;

#[test]
fn help_names_every_verb() {
    let lab = Lab::new(&[]);
    let ran = lab.run(&["--help"]);
    assert_eq!(ran.code, Some(0));
    insta::assert_snapshot!(ran.stdout, @"");
}

#[test]
fn a_policy_or_environment_that_does_not_exist_is_a_usage_error_that_names_those_that_do() {
    let lab = Lab::portal();
    let policy = lab.run(&["explain", "portall", "dev"]);
    assert_eq!(policy.code, Some(2));
    insta::assert_snapshot!(policy.stderr, @"");
    let environment = lab.run(&["explain", "portal", "prod"]);
    assert_eq!(environment.code, Some(2));
    insta::assert_snapshot!(environment.stderr, @"");
}

#[test]
fn an_invalid_configuration_ends_every_verb_with_exit_code_3() {
    let lab = Lab::portal();
    let policies = std::fs::read_to_string(lab.path().join("policies/all.yaml")).unwrap();
    lab.write("policies/all.yaml", &policies.replace("pattern", "patern"));
    for verb in [
        vec!["check"],
        vec!["plan"],
        vec!["apply"],
        vec!["run"],
        vec!["observe"],
        vec!["explain", "portal", "dev"],
    ] {
        let ran = lab.run(&verb);
        assert_eq!(ran.code, Some(3), "{verb:?}: {ran:?}");
        assert!(
            ran.stderr.contains("did you mean `pattern`?") || ran.stderr.contains("`pattern`"),
            "{ran:?}"
        );
    }
}

#[test]
fn completions_are_printed_for_a_shell() {
    let lab = Lab::new(&[]);
    let ran = lab.run(&["completions", "bash"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("complete -F _towpath"), "{ran:?}");
}
