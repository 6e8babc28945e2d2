//! Requests that meet no route: those of loads, and those of the command line.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Problem, quote};
use crate::model::{Draw, Load, Names, Piece, RequestTemplate, Template, Value};
use crate::report::words;

use super::super::calls::Meets;
use super::{Run, graded};

/// Paths that one kind of request is tried with.
const PATHS_AT_MOST: usize = 256;

/// Of a load, what is sure to be more than a rounding of shares.
const ALL: f64 = 1.0 - 1e-9;

/// Requests that are answered 404 or 405 before any guest sees them.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let loads = run.model.loads.iter().filter_map(|load| of_load(run, load));
    loads.chain(of_command_line(run)).collect()
}

/// A request that meets no route.
struct Lost<'a> {
    request: &'a RequestTemplate,
    asked: String,
    meets: Meets,
}

fn of_load(run: &Run<'_>, load: &Load) -> Option<Problem> {
    let sum: f64 = load.requests.iter().map(|request| request.weight).sum();
    let (mut share, mut first) = (0.0, None);
    for request in load.requests.iter().filter(|request| request.weight > 0.0) {
        for (of_these, path) in paths(&request.target, &load.values) {
            let meets = run.found.meets(load.to, &request.method, &path);
            if let Meets::Nothing | Meets::OtherMethods(_) = meets {
                share += of_these * request.weight / sum;
                let asked = format!("{} {path}", request.method);
                first.get_or_insert(Lost { request, asked, meets });
            }
        }
    }
    let Lost { request, asked, meets } = first?;
    let (name, to) = (quote(&load.name), run.name(load.to));
    let message = match share > ALL {
        true => format!("no request of the load {name} meets a route of {to}: {}", quote(&asked)),
        false => {
            let share = words::percent(share);
            format!("{share} of the requests of the load {name} meet no route of {to}: {}", quote(&asked))
        }
    };
    let label = if let Meets::OtherMethods(_) = meets { "answered 405" } else { "answered 404" };
    let problem = Problem::new(message).at(request.place.clone(), label);
    let problem = problem.help(run.instead(load.to, &asked, &meets));
    Some(graded(problem, share > ALL && load.enabled && !run.is_swapped(load.to)))
}

fn of_command_line<'a>(run: &'a Run<'_>) -> impl Iterator<Item = Problem> + 'a {
    let to = run.model.ingress.as_ref().map(|ingress| ingress.to);
    run.options.requests.iter().zip(std::iter::repeat(to)).filter_map(|(request, to)| {
        let (to, asked) = (to?, request.to_string());
        let meets = run.found.meets(to, request.method(), request.target());
        let status = match meets {
            Meets::Unknown | Meets::Route(_) => return None,
            Meets::OtherMethods(_) => 405,
            Meets::Nothing => 404,
        };
        let problem = Problem::warning(format!(
            "--request {} meets no route of {}: it is answered {status}",
            quote(&asked),
            run.name(to)
        ));
        Some(problem.help(run.instead(to, &asked, &meets)))
    })
}

/// The paths that a template may give, each with its share. Of values without a list, one example does.
fn paths(template: &Template, values: &[Value]) -> Vec<(f64, String)> {
    let mut paths = vec![(1.0, Vec::new())];
    for piece in &template.0 {
        let Piece::Value { index, .. } = piece else { continue };
        let mut choices = choices(&values[*index].draw);
        if paths.len() * choices.len() > PATHS_AT_MOST {
            choices = choices.into_iter().take(1).map(|(_, text)| (1.0, text)).collect();
        }
        // A value that stands twice in a path is the same both times.
        paths = paths
            .iter()
            .flat_map(|(share, drawn): &(f64, Vec<(usize, String)>)| {
                let before = drawn.iter().find(|(known, _)| known == index).cloned();
                let of_it: Vec<_> = match before {
                    Some((_, text)) => vec![(1.0, text)],
                    None => choices.clone(),
                };
                of_it.into_iter().map(move |(part, text)| {
                    let drawn = drawn.iter().cloned().chain([(*index, text)]);
                    (share * part, drawn.collect())
                })
            })
            .collect();
    }
    let filled = |(share, drawn): (f64, Vec<(usize, String)>)| {
        let mut drawn = drawn.into_iter();
        let piece = |piece: &Piece| match piece {
            Piece::Fixed(text) => text.clone(),
            Piece::Value { .. } => drawn.next().map(|(_, text)| encoded(&text)).unwrap_or_default(),
        };
        (share, template.0.iter().map(piece).collect())
    };
    paths.into_iter().map(filled).collect()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What a value may be, with shares; of what has too many, an example.
fn choices(draw: &Draw) -> Vec<(f64, String)> {
    let one = |text: &str| vec![(1.0, text.to_owned())];
    match draw {
        Draw::Pick(picks) => {
            let sum = picks.last().map_or(1.0, |(sum, _)| *sum);
            let mut before = 0.0;
            let shares = picks.iter().map(|(up_to, literal)| {
                let share = (up_to - before) / sum;
                before = *up_to;
                (share, literal.text.clone())
            });
            shares.filter(|(share, _)| *share > 0.0).collect()
        }
        Draw::Names(Names::Read(names)) => {
            names.iter().map(|name| (1.0 / names.len() as f64, name.clone())).collect()
        }
        Draw::Int { min, .. } => one(&min.to_string()),
        Draw::Sequence { from, .. } => one(&from.to_string()),
        Draw::Float { .. } | Draw::Uuid | Draw::Names(Names::File { .. }) => one("1"),
    }
}
