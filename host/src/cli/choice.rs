//! The flags that choose traces: of a file, or of a run.

use std::num::NonZeroUsize;

use clap::Args;

use crate::error::Problem;
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

    /// The trace with this id, or with an id that begins so
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<String>,

    /// Traces with a span that meets this, in the words of TraceQL:
    /// '{ resource.service.name = "stock" && duration > 100ms }'
    #[arg(long, value_name = "QUERY", value_parser = query)]
    query: Option<Query>,

    /// Traces that begin from A to B: instants such as 2026-01-01T00:02:00Z, or times after the
    /// start of the run, or the first span of the file, such as 2m
    #[arg(long, num_args = 2, value_names = ["A", "B"], value_parser = instant)]
    between: Option<Vec<Instant>>,
}

impl TryFrom<Choose> for Choice {
    type Error = Problem;

    fn try_from(flags: Choose) -> Result<Self, Problem> {
        let Choose { slowest, errors, service, root, not_root, route, id, query, between } = flags;
        let slowest = slowest.map(NonZeroUsize::get);
        let between = between.map(|ends| interval(&ends, "trace begins")).transpose()?.flatten();
        let (roots, not_roots) = (root, not_root);
        Ok(Self { slowest, errors, service, route, id, query, roots, not_roots, between })
    }
}

/// The interval of `--between`, in which nothing of this kind is.
pub fn interval(ends: &[Instant], what: &str) -> Result<Option<(Instant, Instant)>, Problem> {
    let (Some(from), Some(to)) = (ends.first(), ends.get(1)) else { return Ok(None) };
    if let (Instant::At(first), Instant::At(last)) | (Instant::After(first), Instant::After(last)) =
        (from, to)
        && first >= last
    {
        let problem = format!("no {what} in the interval of --between: its end is not after its start");
        return Err(Problem::new(problem).help("write the earlier end first: --between 1m 2m"));
    }
    Ok(Some((*from, *to)))
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
    if let Ok(after) = crate::topology::duration(text) {
        return Ok(Instant::After(after));
    }
    match text.parse() {
        Ok(Start::At(at)) => Ok(Instant::At(at)),
        _ => Err("write an instant such as 2026-01-01T00:02:00Z, or a time such as 2m".to_owned()),
    }
}
