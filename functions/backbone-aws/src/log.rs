//! Log lines: one JSON object each, on the standard output.
//!
//! A line has `timestamp`, `level`, `service`, `message`, the fields of its event, and those of the spans around it,
//! of which the runtime's has `requestId`. Dependencies may log what they were given, which can be a token or a body:
//! of theirs only warnings are written, whatever the level.

use std::fmt;

use backbone::timestamp::to_iso;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt;

use crate::outside::system_now_ms;
use crate::settings::LOG_LEVEL;

/// Starts writing log lines of `service`, which is also the name of its crate. The level is the variable
/// [`LOG_LEVEL`], `info` if there is none or it is not a level. Does nothing if lines are being written already.
pub fn start(service: &'static str, env: &impl Fn(&str) -> Option<String>) {
    let level = env(LOG_LEVEL).and_then(|level| level.trim().parse().ok()).unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(Line { service });
    // A subscriber that is there already is a test's, and has its reasons.
    let _ = tracing_subscriber::registry().with(lines).with(targets(service, level)).try_init();
}

fn targets(service: &'static str, level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_targets([("backbone", level), ("backbone_aws", level), (service, level)])
        // The span with the request's id. At finer levels it logs whole events.
        .with_target("lambda_runtime", LevelFilter::INFO)
}

/// How a line is written.
struct Line {
    service: &'static str,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), to_iso(system_now_ms()).into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("service".to_owned(), self.service.into());
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().map(|fields| fields.fields.as_str());
            // Written by `JsonFields`, so it is an object if it is there.
            if let Some(Ok(Value::Object(fields))) = fields.map(serde_json::from_str) {
                line.extend(fields);
            }
        }
        event.record(&mut Fields(&mut line));
        // Much cheaper than through `Display`.
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writer.write_str(&line)?;
        writer.write_char('\n')
    }
}

/// Puts an event's fields into its line.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `log` writes at `level`.
    fn lines(level: LevelFilter, log: impl FnOnce()) -> Vec<Value> {
        let output = Output::default();
        let writer = output.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Line { service: "receipt" });
        let subscriber = tracing_subscriber::registry().with(layer).with(targets("receipt", level));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = output.0.lock().unwrap().clone();
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
