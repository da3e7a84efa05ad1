//! Which Applications deploy what is written at a path.

use std::collections::BTreeMap;

use super::{Applications, ObjectName, RepositoryAddress, Source};
use crate::manifest::RepoPath;

/// The sources of all Applications, by the folders and files that they read.
#[derive(Debug, Default)]
pub(crate) struct Readers<'a> {
    by_path: BTreeMap<&'a str, Vec<(&'a ObjectName, usize, &'a Source)>>,
}

impl<'a> Readers<'a> {
    pub(crate) fn of(applications: &'a Applications) -> Self {
        let mut by_path: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (name, application) in &applications.all {
            for (number, source) in application.sources.iter().enumerate() {
                for path in source.path.iter().chain(&source.value_files) {
                    let readers = by_path.entry(path.as_str()).or_default();
                    readers.push((name, number, source));
                }
            }
        }
        Self { by_path }
    }

    /// The Applications that read `file` on `branch` of the repository at `address`, with the numbers of the sources that do: those
    /// that name it or the nearest folder above it. One that reads a folder further up puts Applications there, and no workloads.
    pub(crate) fn of_file(
        &self,
        (address, branch): (&RepositoryAddress, &str),
        file: &RepoPath,
    ) -> BTreeMap<&'a ObjectName, Vec<usize>> {
        let file = file.as_str();
        let folders = file.rmatch_indices('/').map(|(end, _)| &file[..end]);
        let mut found: BTreeMap<&ObjectName, Vec<usize>> = BTreeMap::new();
        for path in [file].into_iter().chain(folders).chain([""]) {
            for (name, number, source) in self.by_path.get(path).into_iter().flatten() {
                if source.is_at(address, branch) {
                    found.entry(*name).or_default().push(*number);
                }
            }
            if !found.is_empty() {
                break;
            }
        }
        found
    }
}

impl Source {
    /// Whether it reads `branch` of the repository at `address`. Which branch `HEAD` is, only the server knows.
    fn is_at(&self, address: &RepositoryAddress, branch: &str) -> bool {
        let own = self.address.as_ref();
        let revision = self.target_revision.as_str();
        let revision = revision.strip_prefix("refs/heads/").unwrap_or(revision);
        own.is_some_and(|own| own.is_same(address))
            && (matches!(revision, "" | "HEAD") || revision == branch)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Application, Fact};
    use super::{Applications, BTreeMap, Readers, RepositoryAddress, Source};

    const DEPLOY: &str = "https://github.com/acme/deploy";

    /// Applications whose sources are written as `PATH`, `PATH@REVISION` or `values FILE`.
    fn applications(all: &[(&str, &[&str])]) -> Applications {
        let source = |text: &&str| {
            let (text, values) = match text.strip_prefix("values ") {
                Some(file) => (None, Some(file)),
                None => (Some(*text), None),
            };
            let split = text.map(|text| text.split_once('@').unwrap_or((text, "")));
            Source {
                url: String::new(),
                address: RepositoryAddress::of("git@github.com:acme/deploy"),
                path: split.map(|(path, _)| path.parse().unwrap()),
                chart: None,
                target_revision: split.map_or_else(String::new, |(_, at)| at.to_owned()),
                value_files: values.iter().map(|file| file.parse().unwrap()).collect(),
            }
        };
        let all = all.iter().map(|(name, sources)| {
            let name = format!("argocd/{name}").parse().unwrap();
            let sources = sources.iter().map(source).collect();
            (
                name,
                Arc::new(Application {
                    sources,
                    ..Application::sample()
                }),
            )
        });
        Applications {
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            all: all.collect(),
            projects: Fact::Known(BTreeMap::new()),
            seen: BTreeMap::new(),
        }
    }

    fn found(applications: &Applications, url: &str, file: &str) -> String {
        let readers = Readers::of(applications);
        let address = RepositoryAddress::of(url).unwrap();
        let found = readers.of_file((&address, "main"), &file.parse().unwrap());
        let told = found
            .iter()
            .map(|(name, numbers)| format!("{name} {numbers:?}"));
        told.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_nearest_folder_that_is_read_tells_whose_file_it_is() {
        let all = applications(&[
            ("root", &["."]),
            ("web", &["apps/web"]),
            ("web-eu", &["apps/web"]),
            ("web-2", &["apps/web-2"]),
            ("values", &["charts/web", "values envs/dev.yaml"]),
        ]);
        let told = |file| found(&all, DEPLOY, file);
        insta::assert_snapshot!(told("apps/web/kustomization.yaml"), @"argocd/web [0], argocd/web-eu [0]");
        insta::assert_snapshot!(told("apps/web/eu/kustomization.yaml"), @"argocd/web [0], argocd/web-eu [0]");
        insta::assert_snapshot!(told("apps/other/kustomization.yaml"), @"argocd/root [0]");
        insta::assert_snapshot!(told("envs/dev.yaml"), @"argocd/values [1]");
    }

    #[test]
    fn another_repository_or_branch_is_not_what_is_read() {
        let all = applications(&[
            ("head", &["a@HEAD"]),
            ("main", &["a@main"]),
            ("full", &["a@refs/heads/main"]),
            ("next", &["a@next"]),
            ("fixed", &["a@v1.2.3"]),
        ]);
        insta::assert_snapshot!(found(&all, DEPLOY, "a/b.yaml"), @"argocd/full [0], argocd/head [0], argocd/main [0]");
        insta::assert_snapshot!(found(&all, "https://github.com/acme/other", "a/b.yaml"), @"");
    }
}
