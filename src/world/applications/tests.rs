//! Which URLs name one repository.

use super::RepositoryAddress;

fn address(url: &str) -> RepositoryAddress {
    RepositoryAddress::of(url).unwrap_or_else(|| panic!("{url} is one"))
}

#[test]
fn all_ways_to_one_repository_are_the_same() {
    for forms in [
        &[
            "https://github.com/acme/deploy.git",
            "https://GitHub.com/Acme/deploy",
            "https://github.com:443/acme/deploy/",
            "https://bob:s3cret@github.com/acme/deploy.git",
            "http://github.com/acme/deploy",
            "git@github.com:acme/deploy.git",
            "ssh://git@github.com/acme/deploy.git",
            "ssh://git@ssh.github.com:443/acme/deploy.git",
            " git@github.com:acme/deploy ",
        ][..],
        &[
            "https://git.example.com:8443/acme/deploy",
            "ssh://git@git.example.com:2222/acme/deploy.git",
        ],
        &[
            "https://git.example.com/scm/acme/deploy.git",
            "ssh://git@git.example.com:7999/acme/deploy.git",
        ],
        &[
            "https://acme@dev.azure.com/acme/shop/_git/deploy",
            "git@ssh.dev.azure.com:v3/acme/shop/deploy",
        ],
        &["/srv/git/deploy.git", "file:///srv/git/deploy"],
    ] {
        for one in forms {
            for other in forms {
                assert!(address(one).is_same(&address(other)), "{one} {other}");
            }
        }
    }
}

#[test]
fn other_repositories_are_others() {
    for (one, other) in [
        (
            "https://github.com/acme/deploy",
            "https://github.com/acme/other",
        ),
        (
            "https://github.com/acme/deploy",
            "https://gitlab.com/acme/deploy",
        ),
        (
            "https://git.example.com/acme/deploy",
            "https://git.example.com:8443/acme/deploy",
        ),
        (
            "https://github.com/acme/deploy",
            "https://github.com/acme/deploy.git.git",
        ),
        ("/srv/git/deploy", "/srv/git/Deploy"),
    ] {
        assert!(!address(one).is_same(&address(other)), "{one} {other}");
    }
    for none in [
        "",
        "registry.example.com/charts",
        "oci://ghcr.io/charts",
        "https://x",
        "s3://b/c",
    ] {
        assert_eq!(RepositoryAddress::of(none), None, "{none}");
    }
}
