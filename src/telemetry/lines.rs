//! Log lines to stderr: each event is one line, whatever stands in it.
//!
//! Whoever logs a request names its kind and its id; no token, address or body is ever logged.

use std::io::{IsTerminal, Write, stderr};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::model::plain::deceives;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    Text,
    Json,
}

/// What says how much is logged.
const WANTED: &str = "PITLANE_LOG";

/// Starts logging to stderr. How much comes from `PITLANE_LOG` (`debug`, `pitlane=trace`, `warn,pitlane=debug`, …);
/// `level` counts where the variable is not set. A second call changes nothing.
pub fn start(lines: Lines, level: LevelFilter) {
    let wanted = std::env::var(WANTED).map(|wanted| wanted.parse::<Targets>());
    let filter = match &wanted {
        Ok(Ok(filter)) => filter.clone(),
        _ => Targets::new().with_default(level),
    };
    let lines: Box<dyn Layer<_> + Send + Sync> = match lines {
        Lines::Text => {
            fmt::layer().with_writer(|| OneLine(stderr())).with_ansi(stderr().is_terminal()).boxed()
        }
        Lines::Json => fmt::layer().with_writer(|| OneLine(stderr())).json().boxed(),
    };
    // An error here means that somebody logs already (tests do); that is what was wanted.
    let _ = Registry::default().with(lines.with_filter(filter)).try_init();
    if let Ok(Err(error)) = wanted {
        tracing::error!("{WANTED} is not understood: {error}; write for example debug, or pitlane=trace");
    }
}

/// Each event is one line, whatever a name in it holds: nobody writes a line of our log but we. Colours stay; what else
/// would work on a terminal is escaped by the subscriber.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(one_line(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

fn one_line(event: &str) -> String {
    let (text, end) = event.strip_suffix('\n').map_or((event, ""), |text| (text, "\n"));
    let mut line = String::with_capacity(event.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\u{1b}' => line.push(c),
            c if deceives(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whoever_named_the_part() {
        let forged = "INFO leaves: FAN\n2026-01-01 ERROR all is lost\u{202e}\r\u{9b}2J\n";
        let line = one_line(forged);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.starts_with("INFO leaves: FAN\\n2026") && line.ends_with("\\r\\u{9b}2J\n"), "{line:?}");
        assert_eq!(one_line("\u{1b}[32m INFO\u{1b}[0m Lüfter\n"), "\u{1b}[32m INFO\u{1b}[0m Lüfter\n");
    }
}
