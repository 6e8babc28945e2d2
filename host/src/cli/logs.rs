//! The flags that write the services' log records as lines.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::error::Problem;
use crate::run::LogLines;
use crate::telemetry::log_lines;
use crate::telemetry::record::Severity;

#[derive(Debug, Args)]
#[command(next_help_heading = "Log records of the services")]
pub struct Logs {
    /// Write the services' log records as lines, on standard error or to the file of --log-out
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<Format>,

    /// Write those lines to this file, compressed if its name ends in .gz or .zst; - is standard
    /// output [default of --log-format: json]
    #[arg(long, value_name = "FILE")]
    log_out: Option<PathBuf>,

    /// Leave out of those lines what is below this severity [default: trace]
    #[arg(long, value_enum, value_name = "LEVEL")]
    log_level: Option<Level>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A JSON object on each line: timestamp, level, service, message, trace_id, span_id, attributes
    Json,
    /// Time, level, service, message, attributes and ids
    Text,
}

/// The names of severities in the log data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Logs {
    /// The lines that are asked for; none where there are none.
    ///
    /// # Errors
    /// A severity is asked for, and no lines.
    pub fn lines(self) -> Result<Option<LogLines>, Problem> {
        let Self { log_format, log_out, log_level } = self;
        if log_format.is_none() && log_out.is_none() {
            let Some(level) = log_level.and_then(|level| level.to_possible_value()) else { return Ok(None) };
            let name = level.get_name();
            let problem =
                Problem::new(format!("--log-level {name} is asked for, and no log records are written"));
            return Err(
                problem.help("add --log-format json or --log-out FILE; --log is what simhost itself does")
            );
        }
        let format = match log_format {
            None | Some(Format::Json) => log_lines::Format::Json,
            Some(Format::Text) => log_lines::Format::Text,
        };
        let least = match log_level {
            None | Some(Level::Trace) => Severity::Trace,
            Some(Level::Debug) => Severity::Debug,
            Some(Level::Info) => Severity::Info,
            Some(Level::Warn) => Severity::Warn,
            Some(Level::Error) => Severity::Error,
            Some(Level::Fatal) => Severity::Fatal,
        };
        Ok(Some(LogLines { format, out: log_out, least }))
    }
}
