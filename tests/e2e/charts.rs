//! Helm charts on real programs: helm pushes them to docker-registry, towpath writes their versions, and helm and
//! kustomize read what it wrote.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use bed::registry::{DockerRegistry, PASSWORD, USERNAME, basic};
use bed::{Authority, built};
use serde_json::Value;

use crate::lab::{Lab, promotions};

const CHART: &str = "charts/portal/Chart.yaml";
const KUSTOMIZATION: &str = "apps/portal/kustomization.yaml";

/// A registry of charts, and what programs need to know of it.
struct Charts {
    lab: Lab,
    docker: DockerRegistry,
    authority: Authority,
    helm: PathBuf,
}

impl Charts {
    fn start(helm: PathBuf) -> Self {
        let mut lab = Lab::new(&[]);
        let authority = Authority::new(lab.path());
        let docker = DockerRegistry::with_password(&authority);
        let login = format!(
            "{{\"auths\": {{\"{}\": {{\"auth\": \"{}\"}}}}}}",
            docker.host,
            basic(USERNAME, PASSWORD)
        );
        lab.write("login.json", &login);
        let ca_file = authority.ca_file.display();
        let credentials = format!(
            "{{ docker-config: '{}' }}",
            lab.path().join("login.json").display()
        );
        let settings = format!("ca-file: '{ca_file}', credentials: {credentials}");
        lab.registry_settings(&docker.host, &settings);
        Self {
            lab,
            docker,
            authority,
            helm,
        }
    }

    /// Runs a program in the lab's folder, with the registry's authority and login, and gives what it printed.
    fn run(&self, program: &Path, arguments: &[&str]) -> String {
        let printed = self.try_run(program, arguments);
        printed.unwrap_or_else(|said| panic!("{arguments:?}: {said}"))
    }

    /// The same, or what it said when it failed.
    fn try_run(&self, program: &Path, arguments: &[&str]) -> Result<String, String> {
        let folder = self.lab.path();
        let output = Command::new(program)
            .current_dir(folder)
            .args(arguments)
            .env_clear()
            .env("HOME", folder)
            .env("HELM_REGISTRY_CONFIG", folder.join("login.json"))
            .env("SSL_CERT_FILE", &self.authority.ca_file)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8(output.stderr).unwrap()),
        }
    }

    /// Makes and pushes a version of the chart `web`, which renders what it is, as if it were packed on that day of 2026.
    fn push(&self, version: &str, day: u64) {
        let chart = format!("apiVersion: v2\nname: web\nversion: {version}\n");
        self.lab.write("web/Chart.yaml", &chart);
        let template = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: web}\ndata: {version: '{{ .Chart.Version }}'}\n";
        self.lab.write("web/templates/version.yaml", template);
        self.lab.write("web/values.yaml", "{}\n");
        self.run(&self.helm, &["package", "web"]);
        let (package, to) = (format!("web-{version}.tgz"), self.repository("oci://"));
        // Helm takes the time of the file for that of the chart.
        let packed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + day * 86_400);
        let file = File::options()
            .write(true)
            .open(self.lab.path().join(&package));
        file.unwrap().set_modified(packed).unwrap();
        self.run(&self.helm, &["push", &package, &to]);
    }

    /// The repository of all charts.
    fn repository(&self, scheme: &str) -> String {
        format!("{scheme}{}/charts", self.docker.host)
    }

    /// The manifests as they were pushed, in a folder.
    fn checked_out(&self) -> PathBuf {
        let folder = self.lab.path().join("seen");
        self.lab
            .git(&["clone", "-q", "-b", "main", "deploy.git", "seen"]);
        folder
    }
}

#[test]
fn the_version_of_a_chart_that_helm_pushed_is_one_that_helm_and_kustomize_pull() {
    let (Some(helm), Some(kustomize)) = (built("helm"), built("kustomize")) else {
        return;
    };
    let charts = Charts::start(helm);
    let (lab, oci) = (&charts.lab, charts.repository("oci://"));
    charts.push("1.2.3+build.5", 1);
    let chart = format!(
        "apiVersion: v2\nname: portal\nversion: 0.1.0\ndependencies:\n  - name: web\n    repository: {oci}\n    version: 1.2.3+build.5   # moves by itself\n"
    );
    let kustomization = format!(
        "helmCharts:\n  - name: web\n    repo: {oci}\n    version: 1.2.3+build.5   # moves by itself\n    releaseName: web\n"
    );
    lab.commit(
        "portal",
        &[(CHART, &chart), (KUSTOMIZATION, &kustomization)],
    );
    lab.policies(&format!(
        "kind: PromotionPolicy\nmetadata: {{ name: portal }}\nspec:\n  repository: deploy\n  images: {{ web: {oci}/web }}\n  environments:\n    - name: dev\n      tags: {{ semver: ^1 }}\n      update: [apps/portal, {{ yaml: {CHART}, at: \"dependencies[name=web].version\" }}]\n"
    ));
    assert_eq!(lab.run(&["plan", "--exit-code"]).code, Some(0));

    charts.push("1.3.0-rc.1+build.6", 2);
    charts.push("1.3.0+build.7", 3);
    let ran = lab.run(&["apply"]);

    assert_eq!(ran.code, Some(0), "{ran:?}");
    let moved = |text: &str| text.replace("1.2.3+build.5", "1.3.0+build.7");
    assert_eq!(lab.pushed(CHART), moved(&chart));
    assert_eq!(lab.pushed(KUSTOMIZATION), moved(&kustomization));
    let (promoted, count) = promotions(lab).pop_first().unwrap();
    let name = format!("web {}/web:1.3.0_build.7@sha256:", charts.repository(""));
    assert!(promoted.starts_with(&name) && count == 1, "{promoted}");

    let seen = charts.checked_out();
    let portal = seen.join("charts/portal");
    let portal = portal.to_str().unwrap();
    charts.run(&charts.helm, &["dependency", "update", portal]);
    assert!(fs::exists(seen.join("charts/portal/charts/web-1.3.0+build.7.tgz")).unwrap());
    let helm = format!("--helm-command={}", charts.helm.display());
    let folder = seen.join("apps/portal");
    let build = ["build", "--enable-helm", &helm, folder.to_str().unwrap()];
    let rendered = charts.run(&kustomize, &build);
    assert!(rendered.contains("version: 1.3.0+build.7"), "{rendered}");
    // Why a tag that stands for a version is refused.
    let chart = format!("{oci}/web");
    let by_tag = charts.try_run(
        &charts.helm,
        &["pull", &chart, "--version", "1.3.0_build.7"],
    );
    assert!(by_tag.unwrap_err().contains("1.3.0_build.7"));
    assert_eq!(lab.run(&["plan", "--exit-code"]).code, Some(0));
}

#[test]
fn a_signature_that_looks_like_the_newest_chart_is_held_as_what_it_is() {
    let Some(helm) = built("helm") else {
        return;
    };
    let charts = Charts::start(helm);
    let (lab, oci) = (&charts.lab, charts.repository("oci://"));
    charts.push("0.1.0+g0a1b2c3", 1);
    let kustomization = |version: &str| {
        format!("helmCharts:\n  - name: web\n    repo: {oci}\n    version: {version}\n")
    };
    lab.commit(
        "portal",
        &[(KUSTOMIZATION, &kustomization("0.1.0+g0a1b2c3"))],
    );
    lab.policies(&format!(
        "kind: PromotionPolicy\nmetadata: {{ name: portal }}\nspec:\n  repository: deploy\n  images: {{ web: {oci}/web }}\n  environments:\n    - {{ name: dev, tags: {{ pattern: \"{{any}}\", newest-by: created }}, update: apps/portal }}\n"
    ));
    charts.push("0.1.0+gf0e1d2c", 2);
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    assert_eq!(lab.pushed(KUSTOMIZATION), kustomization("0.1.0+gf0e1d2c"));

    let pusher = charts.docker.pusher();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let chart = pusher.get("charts/web", "manifests/0.1.0_gf0e1d2c").await;
        let mut manifest: Value = serde_json::from_slice(&chart.bytes().await.unwrap()).unwrap();
        manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json".into();
        manifest["config"]["mediaType"] = "application/vnd.cncf.notary.signature".into();
        pusher.put("charts/web", "signed", &manifest).await;
    });
    let ran = lab.run(&["plan"]);

    let told = "is no image but a signature or another attachment (`application/vnd.cncf.notary.signature`)";
    assert!(ran.stdout.contains(told), "{ran:?}");
    assert_eq!(lab.run(&["apply"]).code, Some(1));
    assert_eq!(lab.pushed(KUSTOMIZATION), kustomization("0.1.0+gf0e1d2c"));
}
