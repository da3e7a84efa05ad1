//! The demonstration: an OCI registry in memory, the sample repository as a bare git repository, example policies.
//!
//! Not here: promoting; that is done by the rooms that always do it. The registry serves tests and benchmarks too.

pub mod registry;
mod sample;
mod script;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::TempDir;

use crate::git::{self, Person, SeedError};
use registry::{Access, Image, MemoryRegistry};

pub(crate) use script::{Build, Script};

/// The host that stands in the sample's image names.
const SAMPLE_HOST: &str = "registry.example.com";

/// A registry, a repository and a configuration, gone when this is dropped.
pub(crate) struct Stage {
    folder: TempDir,
    registry: MemoryRegistry,
}

/// Why the demonstration cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    #[error("failed to start the registry on loopback")]
    Registry(#[source] io::Error),
    #[error("failed to write the sample")]
    Files(#[source] io::Error),
    #[error("failed to make the sample repository")]
    Repository(#[source] SeedError),
}

impl Stage {
    /// Sets everything up; the registry holds what the sample runs.
    pub(crate) fn set(now: Timestamp) -> Result<Self, StageError> {
        let registry = MemoryRegistry::start(Access::Anonymous).map_err(StageError::Registry)?;
        let folder = TempDir::with_prefix("towpath-demo-").map_err(StageError::Files)?;
        let stage = Self { folder, registry };
        stage.write_configuration().map_err(StageError::Files)?;
        let files: Vec<(&str, String)> = sample::MANIFESTS
            .iter()
            .map(|(path, text)| (*path, stage.localised(text)))
            .collect();
        let author = Person {
            name: "A Person".to_owned(),
            email: "person@acme.example".to_owned(),
        };
        git::seed(&stage.repository(), &files, (&author, now)).map_err(StageError::Repository)?;
        for build in script::STANDING {
            stage.push(build, now);
        }
        Ok(stage)
    }

    /// Pushes a build, made at `now`.
    pub(crate) fn push(&self, build: &Build, now: Timestamp) {
        let image = Image {
            created: Some(now),
            ..Image::default()
        };
        self.registry.push(build.repository, &build.tag, &image);
    }

    /// The settings file.
    pub(crate) fn settings(&self) -> PathBuf {
        self.folder.path().join("towpath.yaml")
    }

    /// The bare repository.
    pub(crate) fn repository(&self) -> PathBuf {
        self.folder.path().join("deploy.git")
    }

    /// The registry's host, with its port.
    pub(crate) fn registry(&self) -> String {
        self.registry.host()
    }

    fn write_configuration(&self) -> io::Result<()> {
        let settings = format!(
            "apiVersion: towpath.dev/v1alpha1\n\
             kind: Settings\n\
             repositories:\n  deploy: {{ url: deploy.git }}\n\
             registries:\n  \"{}\": {{ plain-http: true }}\n\
             policies: [policies]\n\
             cache: cache\n",
            self.registry.host()
        );
        std::fs::write(self.settings(), settings)?;
        let policies: &Path = &self.folder.path().join("policies");
        std::fs::create_dir(policies)?;
        for (name, text) in sample::POLICIES {
            std::fs::write(policies.join(name), self.localised(text))?;
        }
        Ok(())
    }

    fn localised(&self, text: &str) -> String {
        text.replace(SAMPLE_HOST, &self.registry.host())
    }
}
