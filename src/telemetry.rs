//! Log lines on stderr: text for people, JSON for machines, and never across a progress bar.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogConfig, LogFormat};
use crate::error::{Error, Result};

/// Starts the log of this process. Lines step around the bars of `progress` while it draws any.
///
/// # Errors
/// A usage error for a filter that is none; permanent when the process has a log already.
pub fn start(log: &LogConfig, progress: Option<MultiProgress>) -> Result<()> {
    let is_terminal = io::stderr().is_terminal();
    let colour = is_terminal && wants_colour(env::var_os("NO_COLOR"));
    let format = log.format.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json });
    subscriber(&log.filter, format, colour, Stderr { progress })?
        .try_init()
        .map_err(|error| Error::permanent("start the log").with_source(error))
}

/// Colour is off when the variable holds anything (<https://no-color.org>).
fn wants_colour(no_color: Option<OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty())
}

fn subscriber<W>(filter: &str, format: LogFormat, colour: bool, writer: W) -> Result<impl Subscriber + use<W>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        Error::usage(format!("read the filter {filter:?} of the setting `log`")).with_source(error)
    })?;
    let layer = fmt::layer().with_writer(writer).with_ansi(colour);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter.and(filter_fn(holds_no_data)))))
}

/// The SDK's innermost trace shows the inputs and bodies of calls as they are: AssumeRole's holds the external
/// id, and Scan's answer the items.
fn holds_no_data(metadata: &Metadata<'_>) -> bool {
    let orchestrator = "aws_smithy_runtime::client::orchestrator";
    *metadata.level() != Level::TRACE || !metadata.target().starts_with(orchestrator)
}

/// Writes each line while the progress bars are cleared away.
struct Stderr {
    progress: Option<MultiProgress>,
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { progress: self.progress.as_ref() }
    }
}

/// One event: tracing-subscriber formats it first and writes it with one call.
struct Line<'a> {
    progress: Option<&'a MultiProgress>,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().write_all(line);
        match self.progress {
            Some(progress) => progress.suspend(write),
            None => write(),
        }?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{info, info_span};

    use super::*;
    use crate::error::Kind;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat, log: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(filter, format, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_json_line_can_be_queried_by_field_and_by_the_fields_of_its_spans() {
        let text = logged("info", LogFormat::Json, || {
            let _job = info_span!("job", run.id = "r1").entered();
            info!(size_bytes = 7, "part written");
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["message"], &line["size_bytes"]), (&"part written".into(), &7.into()));
        assert_eq!((&line["level"], &line["spans"][0]["run.id"]), (&"INFO".into(), &"r1".into()));
    }

    #[test]
    fn text_has_no_colour_codes_unless_asked_and_the_filter_holds() {
        let text = logged("warn", LogFormat::Text, || {
            info!("quiet");
            tracing::warn!(table.name = "orders", "throttled");
        });
        assert!(text.contains("throttled table.name=\"orders\"") && !text.contains("quiet"));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn the_inputs_and_bodies_of_calls_are_not_shown_at_any_level() {
        let text = logged("trace", LogFormat::Text, || {
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator::http", "hunter2");
            tracing::trace!(target: "aws_smithy_runtime::client::retries", "attempt 1");
        });
        assert!(!text.contains("hunter2") && text.contains("attempt 1"), "{text}");
    }

    #[test]
    fn a_bad_filter_is_a_usage_error_that_names_the_setting() {
        let result = subscriber("a=loud", LogFormat::Text, false, io::sink);
        let error = result.err().unwrap();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains("`log`"));
    }

    #[test]
    fn no_color_counts_when_it_is_not_empty() {
        assert!(wants_colour(None) && wants_colour(Some(OsString::new())));
        assert!(!wants_colour(Some("1".into())));
    }
}
