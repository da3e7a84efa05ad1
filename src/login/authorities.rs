//! The certificate authorities that settings name, to be trusted beside the system's.

use std::io;
use std::path::{Path, PathBuf};

use reqwest::Certificate;

/// Why a file with certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthoritiesError {
    #[error("failed to read the certificates in `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{}` holds no certificate in PEM form", path.display())]
    Empty { path: PathBuf },
}

/// The certificates in a file in PEM form, at least one; none where no file is named.
pub(crate) fn authorities(path: Option<&Path>) -> Result<Vec<Certificate>, AuthoritiesError> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let pem = std::fs::read(path).map_err(|source| AuthoritiesError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    match certificates.is_empty() {
        true => Err(AuthoritiesError::Empty {
            path: path.to_owned(),
        }),
        false => Ok(certificates),
    }
}
