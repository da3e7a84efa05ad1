//! The sample that the demonstration runs on: `manifests/` and the policies of `config/`, within the program.

/// The files of the sample manifests repository, by their path in it.
pub(super) const MANIFESTS: &[(&str, &str)] = &[
    ("README.md", include_str!("../../manifests/README.md")),
    (
        "apps/api/base/deployment.yaml",
        include_str!("../../manifests/apps/api/base/deployment.yaml"),
    ),
    (
        "apps/api/base/kustomization.yaml",
        include_str!("../../manifests/apps/api/base/kustomization.yaml"),
    ),
    (
        "apps/api/base/service.yaml",
        include_str!("../../manifests/apps/api/base/service.yaml"),
    ),
    (
        "apps/api/overlays/dev/kustomization.yaml",
        include_str!("../../manifests/apps/api/overlays/dev/kustomization.yaml"),
    ),
    (
        "apps/api/overlays/production/kustomization.yaml",
        include_str!("../../manifests/apps/api/overlays/production/kustomization.yaml"),
    ),
    (
        "apps/api/overlays/staging/kustomization.yaml",
        include_str!("../../manifests/apps/api/overlays/staging/kustomization.yaml"),
    ),
    (
        "apps/portal/base/deployment.yaml",
        include_str!("../../manifests/apps/portal/base/deployment.yaml"),
    ),
    (
        "apps/portal/base/kustomization.yaml",
        include_str!("../../manifests/apps/portal/base/kustomization.yaml"),
    ),
    (
        "apps/portal/base/service.yaml",
        include_str!("../../manifests/apps/portal/base/service.yaml"),
    ),
    (
        "apps/portal/overlays/dev/kustomization.yaml",
        include_str!("../../manifests/apps/portal/overlays/dev/kustomization.yaml"),
    ),
    (
        "apps/portal/overlays/production/kustomization.yaml",
        include_str!("../../manifests/apps/portal/overlays/production/kustomization.yaml"),
    ),
    (
        "apps/portal/overlays/staging/kustomization.yaml",
        include_str!("../../manifests/apps/portal/overlays/staging/kustomization.yaml"),
    ),
    (
        "apps/report/dev.yaml",
        include_str!("../../manifests/apps/report/dev.yaml"),
    ),
    (
        "apps/report/production.yaml",
        include_str!("../../manifests/apps/report/production.yaml"),
    ),
    (
        "apps/worker/Chart.yaml",
        include_str!("../../manifests/apps/worker/Chart.yaml"),
    ),
    (
        "apps/worker/values-dev.yaml",
        include_str!("../../manifests/apps/worker/values-dev.yaml"),
    ),
    (
        "apps/worker/values-production.yaml",
        include_str!("../../manifests/apps/worker/values-production.yaml"),
    ),
    (
        "apps/worker/values-staging.yaml",
        include_str!("../../manifests/apps/worker/values-staging.yaml"),
    ),
    (
        "apps/worker/values.yaml",
        include_str!("../../manifests/apps/worker/values.yaml"),
    ),
    (
        "argocd/console-dev.yaml",
        include_str!("../../manifests/argocd/console-dev.yaml"),
    ),
    (
        "argocd/console-production.yaml",
        include_str!("../../manifests/argocd/console-production.yaml"),
    ),
    (
        "clusters/dev/gateway.yaml",
        include_str!("../../manifests/clusters/dev/gateway.yaml"),
    ),
    (
        "clusters/production/gateway.yaml",
        include_str!("../../manifests/clusters/production/gateway.yaml"),
    ),
    (
        "platform/agent/dev.yaml",
        include_str!("../../manifests/platform/agent/dev.yaml"),
    ),
    (
        "platform/agent/production.yaml",
        include_str!("../../manifests/platform/agent/production.yaml"),
    ),
    (
        "platform/scanner/dev.yaml",
        include_str!("../../manifests/platform/scanner/dev.yaml"),
    ),
    (
        "platform/scanner/production.yaml",
        include_str!("../../manifests/platform/scanner/production.yaml"),
    ),
];

/// The example policies, by their file name.
pub(super) const POLICIES: &[(&str, &str)] = &[
    (
        "agent.yaml",
        include_str!("../../config/policies/agent.yaml"),
    ),
    ("api.yaml", include_str!("../../config/policies/api.yaml")),
    (
        "console.yaml",
        include_str!("../../config/policies/console.yaml"),
    ),
    (
        "gateway.yaml",
        include_str!("../../config/policies/gateway.yaml"),
    ),
    (
        "portal.yaml",
        include_str!("../../config/policies/portal.yaml"),
    ),
    (
        "report.yaml",
        include_str!("../../config/policies/report.yaml"),
    ),
    (
        "scanner.yaml",
        include_str!("../../config/policies/scanner.yaml"),
    ),
    (
        "worker.yaml",
        include_str!("../../config/policies/worker.yaml"),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::{MANIFESTS, POLICIES};

    fn files_below(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => files_below(&path, root, found),
                false => {
                    assert!(found.insert(path.strip_prefix(root).unwrap().display().to_string()));
                }
            }
        }
    }

    #[test]
    fn every_file_of_the_sample_is_in_the_program() {
        for (folder, embedded) in [("manifests", MANIFESTS), ("config/policies", POLICIES)] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let mut found = BTreeSet::new();
            files_below(&root, &root, &mut found);
            let embedded: BTreeSet<String> = embedded
                .iter()
                .map(|(path, _)| (*path).to_owned())
                .collect();
            assert_eq!(embedded, found, "{folder}");
        }
    }
}
