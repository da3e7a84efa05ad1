//! Real servers on loopback for the tests: each has its own folder and process group, is ready when it
//! answers, and ends on drop. A missing program fails the test in words; nothing is skipped silently.

mod apiserver;
pub mod argo;
pub mod argocd;
pub mod aws;
mod built;
mod cluster;
mod crane;
pub mod forge;
mod git;
pub mod gitea;
mod gpg;
mod limit;
mod nginx;
mod process;
mod push;
pub mod registry;
mod smoke;
mod ssh;
mod tls;
mod tokens;
mod zot;

pub use apiserver::ApiServer;
pub use built::{Module, built, corpus, say};
pub use cluster::{Cluster, NODE};
pub use crane::CraneRegistry;
pub use git::{GitServer, create_bare, git, git_at, import, install_hook};
pub use gpg::Keyring;
pub use limit::RateLimit;
pub use process::{Process, free_port, program, wait_until};
pub use push::Pusher;
pub use smoke::Smoke;
pub use ssh::{SshServer, make_key};
pub use tls::{Authority, Certificate};
pub use zot::ZotRegistry;
