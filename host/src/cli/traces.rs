//! `simhost traces`: looking at the traces of a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::run::Start;
use crate::traces::{self, Instant, Query, Wanted};

use super::terminal::style;
use super::{REFUSED, print, say};

/// Traces that are drawn, and lines of a list, where nothing else is asked for.
const DRAWN: usize = 10;
const LISTED: usize = 30;

#[derive(Debug, Args)]
pub struct Traces {
    /// A file of OTLP JSON lines, as --out writes it, also compressed (.gz, .zst); - is standard input
    file: PathBuf,

    /// The N longest traces, the longest first
    #[arg(long, value_name = "N")]
    slowest: Option<usize>,

    /// Traces with a span that failed
    #[arg(long)]
    errors: bool,

    /// Traces with a span of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Traces with a span of this http.route, or with this in its name
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,

    /// The trace with this id, or with an id that begins so
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<String>,

    /// Traces with a span that meets this, in the words of TraceQL:
    /// '{ resource.service.name = "stock" && duration > 100ms }'
    #[arg(long, value_name = "QUERY", value_parser = query)]
    query: Option<Query>,

    /// Traces that begin from A to B: instants such as 2026-01-01T00:02:00Z, or times after the
    /// first span, such as 2m
    #[arg(long, num_args = 2, value_names = ["A", "B"], value_parser = instant)]
    between: Option<Vec<Instant>>,

    /// A line for each trace, not a tree
    #[arg(long)]
    list: bool,

    /// How many traces are shown [default: 10 trees, 30 lines]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Traces {
    pub fn execute(self) -> ExitCode {
        let Self { file, slowest, errors, service, route, id, query, between, list, limit } = self;
        let is_choosy = slowest.is_some() || errors || service.is_some() || route.is_some() || id.is_some();
        let is_choosy = is_choosy || query.is_some() || between.is_some();
        let most = if list || !is_choosy { LISTED } else { DRAWN.max(slowest.unwrap_or(0)) };
        let wanted = Wanted {
            file: (file.as_os_str() != "-").then_some(file),
            slowest,
            errors,
            service,
            route,
            id,
            query,
            between: between.and_then(|ends| Some((*ends.first()?, *ends.get(1)?))),
            limit: limit.unwrap_or(most),
            list,
        };
        match traces::find(&wanted, style()) {
            Ok(found) => print(found.text()),
            Err(error) => {
                say(&format!(
                    "error: {error}\n  help: name a file that --out has written, or - for standard input\n"
                ));
                ExitCode::from(REFUSED)
            }
        }
    }
}

fn id(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let is_hexadecimal = text.chars().all(|digit| digit.is_ascii_hexdigit());
    if is_hexadecimal && (1..=32).contains(&text.len()) {
        return Ok(text);
    }
    Err("write up to 32 hexadecimal digits, for example 3f68bf9a6204ef0a12e1643673f84d28 or 3f68".to_owned())
}

fn query(text: &str) -> Result<Query, String> {
    Query::parse(text).map_err(|error| error.to_string())
}

fn instant(text: &str) -> Result<Instant, String> {
    if let Ok(after) = crate::topology::duration(text) {
        return Ok(Instant::After(after));
    }
    match text.parse() {
        Ok(Start::At(at)) => Ok(Instant::At(at)),
        _ => Err("write an instant such as 2026-01-01T00:02:00Z, or a time after the first span such as 2m"
            .to_owned()),
    }
}
