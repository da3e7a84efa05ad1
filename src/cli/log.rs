//! The log on stderr: what it looks like, and what is in it, which may change while the daemon runs.

use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::{Failure, Global, LogFormat, Verb};
use crate::config::{LogSettings, Settings};

#[cfg(feature = "otel")]
use super::traces::Traces;

/// Nothing is traced.
#[cfg(not(feature = "otel"))]
pub(super) struct Traces;

#[cfg(not(feature = "otel"))]
impl Traces {
    fn start() -> Result<Self, Failure> {
        Ok(Self)
    }

    fn layer(&self) -> Option<tracing_subscriber::layer::Identity> {
        None
    }
}

/// The log of this process.
pub(super) struct Log {
    filter: Handle<EnvFilter, Registry>,
    says: Mutex<Says>,
}

/// What is in the log.
#[derive(PartialEq, Eq)]
enum Says {
    /// As `--log` or TOWPATH_LOG says, which wins.
    Asked(String),
    /// As nobody said, or the settings.
    Set(String),
}

impl Log {
    /// Logs from now on, to the end of the process, and traces until what stands beside it is dropped.
    pub(super) fn start(global: &Global, verb: &Verb) -> Result<(Self, Traces), Failure> {
        let default = if matches!(verb, Verb::Run(_)) {
            "info"
        } else {
            "warn"
        };
        let says = match &global.log {
            // A variable without a value says nothing.
            Some(written) if !written.trim().is_empty() => Says::Asked(written.clone()),
            Some(_) | None => Says::Set(default.to_owned()),
        };
        let (Says::Asked(directives) | Says::Set(directives)) = &says;
        let filter = EnvFilter::try_new(directives)
            .map_err(|error| Failure::usage(format!("`{directives}` is no log filter: {error}")))?;
        let (filter, handle) = reload::Layer::new(filter);
        let lines: Box<dyn Layer<Registry> + Send + Sync> = {
            let lines = fmt::layer().with_writer(io::stderr).with_target(false);
            match global.log_format {
                LogFormat::Text => Box::new(lines.with_ansi(io::stderr().is_terminal())),
                LogFormat::Json => Box::new(lines.json().flatten_event(true)),
            }
        };
        let traces = Traces::start()?;
        tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(traces.layer())
            .init();
        let log = Self {
            filter: handle,
            says: Mutex::new(says),
        };
        Ok((log, traces))
    }

    /// Logs what `settings` say from now on, unless this process was told what to log.
    pub(super) fn take(&self, settings: &Settings) {
        let wanted = settings.log.as_ref().map(LogSettings::filter);
        let mut says = self.says.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match &*says {
            Says::Asked(filter) => {
                if wanted.is_some_and(|wanted| wanted != *filter) {
                    tracing::info!(
                        filter,
                        "`--log` or TOWPATH_LOG wins over the settings' `log`"
                    );
                }
                return;
            }
            Says::Set(now) => now,
        };
        let wanted = wanted.unwrap_or_else(|| "info".to_owned());
        if *now == wanted {
            return;
        }
        let filter = EnvFilter::try_new(&wanted);
        let filter = filter.expect("names and levels that were checked make a filter");
        // Whether it is turned up or down, the line is in the log.
        let is_shown = tracing::enabled!(tracing::Level::INFO);
        let say = || {
            tracing::info!(
                filter = wanted,
                "what is logged was changed by the settings"
            );
        };
        if is_shown {
            say();
        }
        self.filter
            .reload(filter)
            .expect("the log lasts as long as the process");
        if !is_shown {
            say();
        }
        *says = Says::Set(wanted);
    }
}
