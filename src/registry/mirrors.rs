//! Images that are copies of others: a pull-through cache or a mirror, by whose name clusters pull, lists often only what
//! it has been asked for, so what it copies is read instead. Pure.

use std::collections::BTreeMap;

use super::error::RegistryError;
use crate::image::Repository;

/// The starts of names whose images are copies, each with the start of what they are copies of:
/// `harbor.example.com/hub` and `docker.io`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mirrors(BTreeMap<String, String>);

impl From<BTreeMap<String, String>> for Mirrors {
    fn from(mirrors: BTreeMap<String, String>) -> Self {
        Self(mirrors)
    }
}

impl Mirrors {
    /// Where `repository` is read: at what it is a copy of by its longest start in whole segments, else at itself. One
    /// step: a mirror of a mirror is read at the latter.
    pub(super) fn origin(&self, repository: &Repository) -> Result<Repository, RegistryError> {
        let name = repository.to_string();
        let rest = |mirror: &str| name.strip_prefix(mirror)?.strip_prefix('/');
        // The starts of one name are in the order of their lengths.
        let mut fitting = self.0.iter().rev();
        let fitting = fitting.find_map(|(mirror, of)| Some((of, rest(mirror)?)));
        let Some((of, rest)) = fitting else {
            return Ok(repository.clone());
        };
        let origin = format!("{of}/{rest}").parse();
        origin.map_err(|_| RegistryError::OriginUnusable {
            repository: repository.clone(),
            of: of.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Mirrors;

    fn mirrors(mirrors: &[(&str, &str)]) -> Mirrors {
        let owned = |(mirror, of): &(&str, &str)| ((*mirror).to_owned(), (*of).to_owned());
        Mirrors(mirrors.iter().map(owned).collect())
    }

    #[test]
    fn a_copy_is_read_where_the_longest_start_of_its_name_says() {
        let mirrors = mirrors(&[
            ("harbor.example.com/hub", "docker.io"),
            ("harbor.example.com/hub/acme", "ghcr.io/acme"),
            ("cache.example.com:5000", "quay.io"),
            ("loop.example.com", "harbor.example.com/hub"),
        ]);
        for (name, expected) in [
            ("harbor.example.com/hub/nginx", "docker.io/library/nginx"),
            (
                "harbor.example.com/hub/library/nginx",
                "docker.io/library/nginx",
            ),
            ("harbor.example.com/hub/acme/web", "ghcr.io/acme/web"),
            ("harbor.example.com/hub2/web", "harbor.example.com/hub2/web"),
            ("harbor.example.com/hub", "harbor.example.com/hub"),
            ("cache.example.com:5000/a/b", "quay.io/a/b"),
            ("cache.example.com/a", "cache.example.com/a"),
            ("loop.example.com/a/b", "harbor.example.com/hub/a/b"),
            ("nginx", "docker.io/library/nginx"),
        ] {
            let origin = mirrors.origin(&name.parse().unwrap()).unwrap();
            assert_eq!(origin.to_string(), expected, "{name}");
        }
    }

    #[test]
    fn an_origin_whose_name_would_be_too_long_is_an_error() {
        let of = format!("quay.io/{}", "b".repeat(100));
        let mirrors = mirrors(&[("cache.example.com", &of)]);
        let name = format!("cache.example.com/{}a", "a/".repeat(110));
        let error = mirrors.origin(&name.parse().unwrap()).unwrap_err();
        let said = format!(
            "what `{name}` is a copy of, below `{of}`, has no name that a repository can have"
        );
        assert_eq!(error.to_string(), said);
    }
}
