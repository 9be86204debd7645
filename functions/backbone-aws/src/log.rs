//! Log lines: one JSON object each, on the standard output.
//!
//! A line has `timestamp`, `level`, `service`, `message`, the fields of its event, and those of the spans around it,
//! of which the runtime's has `requestId`. Dependencies may log what they were given, which can be a token or a body:
//! of theirs only warnings are written, whatever the level.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use backbone::timestamp::to_iso;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt;

use crate::outside::system_now_ms;
use crate::settings::LOG_LEVEL;

/// Starts writing log lines of `service`, a function whose crate has its name. The level is the variable
/// [`LOG_LEVEL`], `info` if there is none or it is not a level. Does nothing if lines are being written already.
pub fn start(service: &'static str, env: &impl Fn(&str) -> Option<String>) {
    let level = env(LOG_LEVEL).and_then(|level| level.trim().parse().ok()).unwrap_or(LevelFilter::INFO);
    // Nobody can be told that a line was not written.
    let lines = Lines { service, write: |line: &[u8]| drop(io::stdout().write_all(line)) };
    // A subscriber that is there already is a test's, and has its reasons.
    let _ = tracing_subscriber::registry().with(lines).with(targets(service, level)).try_init();
}

fn targets(service: &str, level: LevelFilter) -> Targets {
    let own = service.replace('-', "_");
    Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_targets([("backbone", level), ("backbone_aws", level), (own.as_str(), level)])
        // The span with the request's id. At finer levels it logs whole events.
        .with_target("lambda_runtime", LevelFilter::INFO)
}

/// Writes a line for each event. A layer of our own, as the library's writes every span's fields as JSON, whether there
/// will be a line or not, and reads them again for each line.
struct Lines<W> {
    service: &'static str,
    write: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&[u8]) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Fields::default();
        line.put("timestamp", to_iso(system_now_ms()));
        line.put("level", event.metadata().level().as_str());
        line.put("service", self.service);
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let fields = extensions.get::<Fields>().into_iter().flat_map(|Fields(fields)| fields);
            line.0.extend(fields.map(|(name, value)| (*name, value.clone())));
        }
        event.record(&mut line);
        let mut line = serde_json::to_vec(&line.0).expect("texts and numbers can be written");
        line.push(b'\n');
        (self.write)(&line);
    }
}

/// The fields of a span or of a line, by their names.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, Value>);

impl Fields {
    fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.insert(name, value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// The lines that `log` writes at `level` in the function `receipt`.
    fn lines(level: LevelFilter, log: impl FnOnce()) -> Vec<Value> {
        lines_of("receipt", level, log)
    }

    fn lines_of(service: &'static str, level: LevelFilter, log: impl FnOnce()) -> Vec<Value> {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let output = Arc::clone(&written);
        let write = move |line: &[u8]| output.lock().unwrap().extend_from_slice(line);
        let lines = Lines { service, write };
        let subscriber = tracing_subscriber::registry().with(lines).with(targets(service, level));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = written.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_reads_alone() {
        let lines = lines(LevelFilter::INFO, || {
            let span =
                tracing::info_span!(target: "lambda_runtime::layers::trace", "invoke", requestId = "r-1");
            let _entered = span.enter();
            tracing::warn!(target: "receipt", { receipt.id = "01K", age_ms = 7, old = true }, "held \"back\"");
        });
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        for (name, value) in [
            ("level", Value::from("WARN")),
            ("service", "receipt".into()),
            ("requestId", "r-1".into()),
            ("receipt.id", "01K".into()),
            ("age_ms", 7.into()),
            ("old", true.into()),
            ("message", "held \"back\"".into()),
        ] {
            assert_eq!(line[name], value, "{name}");
        }
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    /// Spans have levels too, and a span that is filtered out takes its fields along.
    #[test]
    fn the_correlation_id_is_there_at_every_level() {
        for level in [LevelFilter::ERROR, LevelFilter::WARN, LevelFilter::DEBUG] {
            let lines = lines(level, || {
                let outer =
                    tracing::error_span!(target: "backbone::delivery", "message", correlation.id = "c-1");
                let _outer = outer.enter();
                tracing::error!(target: "backbone::mailbox", "the message's");
                let waiting = Some("c-0".to_owned());
                let inner =
                    tracing::error_span!(target: "backbone::mailbox", "waiting", correlation.id = waiting);
                let _inner = inner.enter();
                tracing::error!(target: "backbone::mailbox", "the receipt's");
            });
            let ids: Vec<_> = lines.iter().map(|line| line["correlation.id"].as_str().unwrap()).collect();
            assert_eq!(ids, ["c-1", "c-0"], "{level}");
        }
    }

    #[test]
    fn what_a_span_learns_later_is_there() {
        let lines = lines(LevelFilter::INFO, || {
            let span = tracing::info_span!(target: "receipt", "s", known = 1, later = tracing::field::Empty);
            span.record("later", "now");
            span.in_scope(|| tracing::info!(target: "receipt", "done"));
        });
        assert_eq!((&lines[0]["known"], &lines[0]["later"]), (&Value::from(1), &Value::from("now")));
    }

    #[test]
    fn a_function_has_one_name_and_its_crate_writes_lines() {
        let lines = lines_of("registry-events", LevelFilter::DEBUG, || {
            tracing::debug!(target: "registry_events::handler", "ours");
        });
        assert_eq!((lines.len(), &lines[0]["service"]), (1, &Value::from("registry-events")));
    }

    #[test]
    fn dependencies_are_quiet_whatever_the_level() {
        let lines = lines(LevelFilter::TRACE, || {
            tracing::trace!(target: "backbone::mailbox", "ours");
            tracing::debug!(target: "aws_smithy_runtime", "a request with its token");
            tracing::debug!(target: "lambda_runtime", "an event with its body");
            tracing::warn!(target: "hyper", "a warning");
        });
        let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(messages, ["ours", "a warning"]);
    }
}
