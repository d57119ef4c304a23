//! Logs: where they go and in which form.
//!
//! One subscriber for the process, on standard error, so that standard output stays free for what
//! commands print. Secrets are kept out where they are held (`secrecy`), not here.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Starts logging. A second call in the same process (tests) changes nothing.
pub fn init(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // An error means that a subscriber is there already: the first one stays.
    let _first_stays = match log.format {
        LogFormat::Json => {
            registry.with(lines.json().flatten_event(true).with_current_span(true)).try_init()
        }
        LogFormat::Pretty => {
            let colours = std::io::stderr().is_terminal();
            registry.with(lines.with_ansi(colours).with_target(false)).try_init()
        }
    };
}

/// Whether the text can be used as `log.level`.
pub fn is_filter(text: &str) -> bool {
    !text.trim().is_empty() && EnvFilter::try_new(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_filter;

    #[test]
    fn levels_and_filters_are_known() {
        for good in ["info", "debug", "info,buynow=debug", "warn,buynow::journal=trace"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", " ", "buynow=loud", "info,=debug="] {
            assert!(!is_filter(bad), "{bad}");
        }
    }
}
