//! The flags that choose traces: of a file, or of a run.

use std::num::NonZeroUsize;

use clap::Args;

use crate::error::Problem;
use crate::report::between::turned;
use crate::run::Start;
use crate::telemetry::choice::{Choice, Instant, Query};

#[derive(Debug, Args)]
#[command(next_help_heading = "Which traces")]
pub struct Choose {
    /// The N longest traces, the longest first; of a run, at its end
    #[arg(long, value_name = "N", value_parser = above_zero)]
    slowest: Option<NonZeroUsize>,

    /// Traces with a span that failed
    #[arg(long)]
    errors: bool,

    /// Traces with a span of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Traces whose root, the first span, is of this service; may be repeated
    #[arg(long, value_name = "NAME")]
    root: Vec<String>,

    /// Traces whose root is of another service; may be repeated
    #[arg(long, value_name = "NAME")]
    not_root: Vec<String>,

    /// Traces with a span of this http.route, or with this in its name
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,

    /// The trace whose id is this, or begins with it
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<String>,

    /// Traces with a span that meets this, in the words of TraceQL:
    /// '{ resource.service.name = "stock" && duration > 100ms }'
    #[arg(long, value_name = "QUERY", value_parser = query)]
    query: Option<Query>,

    /// Traces that begin from A to B. Each is an instant such as 2026-01-01T00:02:00Z, or a time such as 2m
    /// after the start of the run, or after the first span of the file
    #[arg(long, num_args = 2, allow_hyphen_values = true, value_names = ["A", "B"], value_parser = instant)]
    between: Option<Vec<Instant>>,
}

impl TryFrom<Choose> for Choice {
    type Error = Problem;

    fn try_from(flags: Choose) -> Result<Self, Problem> {
        let Choose { slowest, errors, service, root, not_root, route, id, query, between } = flags;
        let slowest = slowest.map(NonZeroUsize::get);
        let between = between.map(|ends| interval(&ends)).transpose()?.flatten();
        let (roots, not_roots) = (root, not_root);
        Ok(Self { slowest, errors, service, route, id, query, roots, not_roots, between })
    }
}

/// The interval of `--between`. Whether an instant is before a time is known with the file or the run.
pub fn interval(ends: &[Instant]) -> Result<Option<(Instant, Instant)>, Problem> {
    let (Some(from), Some(to)) = (ends.first(), ends.get(1)) else { return Ok(None) };
    let interval = (*from, *to);
    let are_alike =
        matches!(interval, (Instant::At(_), Instant::At(_)) | (Instant::After(_), Instant::After(_)));
    match turned(interval, 0, "").filter(|_| are_alike) {
        Some((what, help)) => Err(Problem::new(what).help(help)),
        None => Ok(Some(interval)),
    }
}

fn above_zero(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a whole number from 1".to_owned())
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
    let time = |word: &str| crate::topology::duration(word).ok();
    Query::parse(text, time).map_err(|error| error.to_string())
}

pub fn instant(text: &str) -> Result<Instant, String> {
    const FORM: &str = "write an instant such as 2026-01-01T00:02:00Z, or a time such as 2m";
    let wrong = match crate::topology::duration(text) {
        Ok(after) => return Ok(Instant::After(after)),
        Err(wrong) => wrong,
    };
    let is_time = text.trim_start_matches(['-', '\u{2212}']).starts_with(|c: char| c.is_ascii_digit());
    match text.parse() {
        Ok(Start::At(at)) => Ok(Instant::At(at)),
        _ if is_time && text.contains(':') => {
            Err("write an instant from 1970 to 2554, with its distance from UTC: 2026-01-01T00:02:00Z"
                .to_owned())
        }
        // A date has no unit.
        _ if is_time && text.ends_with(|c: char| c.is_ascii_lowercase()) => {
            Err(format!("{wrong}; or an instant such as 2026-01-01T00:02:00Z"))
        }
        _ => Err(FORM.to_owned()),
    }
}
