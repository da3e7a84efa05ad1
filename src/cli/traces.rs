//! Traces by OpenTelemetry: the spans of rounds, sent over OTLP where the environment names an endpoint.
//!
//! What may be set is read by the SDK: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>. Only built
//! with the feature `otel`. Not here: the spans themselves, which stand where the work is done.
//! Invariant: the log and the spans are filtered apart, so that neither has more for the other.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::Failure;
use crate::login::Environment;

/// How long the end of the process waits for the last spans: half of the SDK's own limit for one request.
const END_MAX: Duration = Duration::from_secs(5);

/// Sends spans until it is dropped; what is on its way then is waited for.
pub(super) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends, if the environment names an endpoint: an SDK of its own would take `localhost` for one.
    pub(super) fn start() -> Result<Self, Failure> {
        let environment = Environment::default();
        let is = |name: &str, value: &str| {
            let set = environment.var(name);
            set.is_some_and(|set| set.eq_ignore_ascii_case(value))
        };
        let endpoints = [
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ];
        let is_named = endpoints.iter().any(|name| environment.var(name).is_some());
        if !is_named || is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(Self(None));
        }
        let exporter = SpanExporter::builder().with_http().build();
        let exporter = exporter.context("failed to make ready to send traces")?;
        let attributes = environment.var("OTEL_RESOURCE_ATTRIBUTES");
        let is_called = environment.var("OTEL_SERVICE_NAME").is_some()
            || attributes.is_some_and(|all| all.contains("service.name="));
        let resource = match is_called {
            true => Resource::builder(),
            false => Resource::builder().with_service_name("towpath"),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Ok(Self(Some(provider)))
    }

    /// What makes spans of ours out of those of `tracing`. Events in them are those of the log at its usual level.
    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.0.as_ref()?.tracer("towpath");
        let is_ours = |of: &Metadata<'_>| {
            let is_loud = of.is_span() || *of.level() <= Level::INFO;
            is_loud && of.target().starts_with("towpath")
        };
        let filter = filter_fn(is_ours).with_max_level_hint(LevelFilter::DEBUG);
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        Some(layer.with_location(false).with_filter(filter))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(END_MAX)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
