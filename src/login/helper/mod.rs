//! A program that keeps logins: `docker-credential-NAME get` reads the name of a server and writes its login.
//!
//! <https://docs.docker.com/reference/cli/docker/login/#credential-helper-protocol>.
//! Invariant: no shell is run, the program ends with whoever waits for it, and what it wrote is told only as far as it
//! cannot be a login.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::ask::words;
use super::wire::HelperAnswer;
use super::{Environment, Login};

/// What all such programs are called, before their own name.
const PREFIX: &str = "docker-credential-";

/// Longest name: a file's name has 255 bytes, of which the prefix takes 18.
const NAME_MAX: usize = 255 - PREFIX.len();

/// How long a program may take. Those for clouds ask a service or two, which may take 15 s each.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Largest output: tokens are headers, and servers take no headers beyond 8 to 16 KiB.
const BYTES_MAX: u64 = 64 * 1024;

/// Longest word of a program's own that is passed on: tokens of clouds have hundreds of letters, a file's path has fewer.
const WORD_MAX: usize = 80;

/// What a program says, with a status that is not 0, where it has no login.
///
/// <https://github.com/docker/docker-credential-helpers/blob/master/credentials/error.go>
const NOT_FOUND: &str = "credentials not found in native keychain";

/// The user name by which a program says that its secret is an identity token.
const TOKEN_USERNAME: &str = "<token>";

/// The end of a program's name: `ecr-login` is `docker-credential-ecr-login`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Helper(String); // Invariant: 1 to NAME_MAX of [A-Za-z0-9._-], so a file's name and no path.

/// Why a program gave no login. Names the program, never what may be a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum HelperError {
    #[error("there is no program `{program}` in any folder of PATH")]
    Missing { program: String },
    #[error("failed to run the program `{program}`: {words}")]
    NotRun { program: String, words: String },
    #[error("the program `{program}` did not end within {} s", TIMEOUT.as_secs())]
    Slow { program: String },
    #[error("the program `{program}` wrote more than {BYTES_MAX} bytes")]
    TooLarge { program: String },
    #[error("the program `{program}` ended with {status}{}", said(words))]
    Failed {
        program: String,
        status: ExitStatus,
        words: String,
    },
    /// What came is not shown: it may hold a secret.
    #[error("the program `{program}` did not write a login: JSON with `Username` and `Secret`")]
    Incomplete { program: String },
}

/// What a program wrote, as far as it was read.
struct Output {
    status: ExitStatus,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Helper {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let is_good = !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(allowed);
        is_good.then(|| Self(name.to_owned()))
    }

    /// The name of the program's file.
    pub(super) fn program(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    /// Where the program is. What is relative in PATH does not count: it is not the user's choice but that of the folder.
    pub(super) fn find(&self, environment: &Environment) -> Option<PathBuf> {
        let folders = environment.var("PATH")?;
        let files = std::env::split_paths(&folders).map(|folder| folder.join(self.program()));
        let is_program = |file: &PathBuf| {
            let found = file.metadata();
            file.is_absolute()
                && found.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        files.into_iter().find(is_program)
    }

    /// Runs the program for the login of `server`; `None` where it has none.
    pub(super) async fn get(
        &self,
        server: &str,
        environment: &Environment,
    ) -> Result<Option<Login>, HelperError> {
        let program = self.program();
        let Some(file) = self.find(environment) else {
            return Err(HelperError::Missing { program });
        };
        let child = Command::new(file)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let not_run = |error: std::io::Error| HelperError::NotRun {
            program: program.clone(),
            words: error.to_string(),
        };
        let talk = talk(child.map_err(not_run)?, server);
        let Ok(output) = tokio::time::timeout(TIMEOUT, talk).await else {
            return Err(HelperError::Slow { program });
        };
        let output = output.map_err(not_run)?;
        if output.out.len() as u64 > BYTES_MAX {
            return Err(HelperError::TooLarge { program });
        }
        understand(program, &output)
    }
}

impl HelperError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => Some(
                "install it (towpath's container image has no such program), or give the registry `credentials` of its own in the settings",
            ),
            Self::NotRun { .. }
            | Self::Slow { .. }
            | Self::TooLarge { .. }
            | Self::Failed { .. }
            | Self::Incomplete { .. } => {
                Some("run it by hand: `echo SERVER | docker-credential-NAME get`")
            }
        }
    }
}

/// Reads no further than one byte beyond the limit of what counts; the child is killed where it goes on.
async fn talk(mut child: Child, server: &str) -> std::io::Result<Output> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let tell = async {
        // Who does not read this closes the pipe, and says something of its own.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(server.as_bytes()).await;
        }
    };
    let ((), out, err) = tokio::join!(tell, read(stdout), read(stderr));
    let (out, err) = (out?, err?);
    if out.len() as u64 > BYTES_MAX {
        child.start_kill()?;
    }
    let status = child.wait().await?;
    Ok(Output { status, out, err })
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(BYTES_MAX + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn understand(program: String, output: &Output) -> Result<Option<Login>, HelperError> {
    let Output { status, out, err } = output;
    if !status.success() {
        return match String::from_utf8_lossy(out).trim() {
            NOT_FOUND => Ok(None),
            // Failures are told on either. JSON may be a login, whatever the status.
            said => Err(HelperError::Failed {
                program,
                status: *status,
                words: match said.is_empty() || said.contains('{') {
                    true => told(err),
                    false => told(said.as_bytes()),
                },
            }),
        };
    }
    let answer: Option<HelperAnswer> = serde_json::from_slice(out).ok();
    let Some(HelperAnswer { username, secret }) = answer else {
        return Err(HelperError::Incomplete { program });
    };
    match (&*username, &*secret) {
        ("", "") => Ok(None),
        (TOKEN_USERNAME, secret) if !secret.is_empty() => {
            Ok(Some(Login::Identity(secret.to_owned().into())))
        }
        ("", _) | (_, "") => Err(HelperError::Incomplete { program }),
        (..) => Ok(Some(Login::Basic {
            username,
            password: secret.into(),
        })),
    }
}

/// A program's own words, without those that are as long as tokens are.
fn told(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let short = text
        .split_whitespace()
        .map(|word| match word.len() > WORD_MAX {
            true => "***",
            false => word,
        });
    words(&short.collect::<Vec<_>>().join(" "))
}

fn said(words: &str) -> String {
    match words {
        "" => String::new(),
        words => format!(", saying `{words}`"),
    }
}

#[cfg(test)]
mod tests;
