//! Requests that meet no route: those of loads, and those of the command line.

use crate::error::{Problem, quote};
use crate::load;
use crate::model::{Draw, Load, Names, Piece, RequestTemplate, ServiceId, Template, Value};
use crate::report::words;

use super::super::calls::Meets;
use super::super::calls::paths::{Part, Pattern, Values};
use super::{Run, graded};

/// Paths that one kind of request is tried with: where there are more, some of the values are examples.
const PATHS_AT_MOST: usize = 256;

/// Paths that all loads are tried with: where there are many loads, more of the values are examples.
const PATHS_OF_ALL: usize = 100_000;

/// Of a load, what is sure to be more than a rounding of shares.
const ALL: f64 = 1.0 - 1e-9;

/// Requests that are answered 404 or 405 before any guest sees them.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let at_most = PATHS_AT_MOST.min(PATHS_OF_ALL / run.model.loads.len().max(1)).max(1);
    let loads = run.model.loads.iter().filter_map(|load| of_load(run, load, at_most));
    loads.chain(of_command_line(run)).collect()
}

/// A request that meets no route.
struct Lost<'a> {
    request: &'a RequestTemplate,
    asked: String,
    meets: Meets,
}

fn of_load(run: &Run<'_>, load: &Load, at_most: usize) -> Option<Problem> {
    let sum: f64 = load.requests.iter().map(|request| request.weight).sum();
    // The share that is sure to be lost; and whether more may be.
    let (mut share, mut is_sampled, mut first) = (0.0, false, None);
    for request in load.requests.iter().filter(|request| request.weight > 0.0) {
        for path in paths(&request.target, &load.values, at_most) {
            let Some((meets, is_sure)) = lost(run, load.to, &request.method, &path) else { continue };
            if is_sure {
                share += path.share * request.weight / sum;
            } else {
                is_sampled = true;
            }
            let asked = format!("{} {}", request.method, path.text);
            first.get_or_insert(Lost { request, asked, meets });
        }
    }
    let Lost { request, asked, meets } = first?;
    let (name, to, shown) = (quote(&load.name), run.name(load.to), quote(&asked));
    let message = if share > ALL {
        format!("no request of the load {name} meets a route of {to}: {shown}")
    } else if is_sampled {
        format!("some requests of the load {name} meet no route of {to}: {shown}")
    } else {
        let share = words::percent(share);
        format!("{share} of the requests of the load {name} meet no route of {to}: {shown}")
    };
    let label = if let Meets::OtherMethods(_) = meets { "answered 405" } else { "answered 404" };
    let problem = Problem::new(message).at(request.place.clone(), label);
    let problem = problem.help(run.instead(load.to, &asked, &meets));
    Some(graded(problem, share > ALL && load.enabled && !run.is_swapped(load.to)))
}

/// What requests meet that are lost, and whether all of this path are; none of a path that meets a route,
/// or may meet one.
fn lost(run: &Run<'_>, to: ServiceId, method: &str, path: &Path) -> Option<(Meets, bool)> {
    let is_lost = |meets: &Meets| matches!(meets, Meets::Nothing | Meets::OtherMethods(_));
    let all = run.found.meets_varying(to, method, &path.pattern);
    if is_lost(&all) {
        return Some((all, true));
    }
    let example = run.found.meets(to, method, path.example.as_deref()?);
    is_lost(&example).then_some((example, false))
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

/// Paths that a template may give.
struct Path {
    /// Of all that the template gives.
    share: f64,
    /// With what varies where a value has too many choices to try each.
    pattern: Pattern,
    /// With examples of these values; none where no example is known.
    example: Option<String>,
    /// For a person: with the names of values without an example.
    text: String,
}

/// The paths that a template may give; where there are more, some.
fn paths(template: &Template, values: &[Value], at_most: usize) -> Vec<Path> {
    let mut drawn: Vec<(f64, Vec<(usize, Choice)>)> = vec![(1.0, Vec::new())];
    for piece in &template.0 {
        let Piece::Value { index, .. } = piece else { continue };
        // A value that stands twice in a path is the same both times.
        if drawn.iter().any(|(_, known)| known.iter().any(|(known, _)| known == index)) {
            continue;
        }
        let choices = choices(&values[*index].draw, at_most / drawn.len());
        let with = |(share, known): &(f64, Vec<(usize, Choice)>)| -> Vec<_> {
            let with = choices.iter().map(|choice| {
                let known = known.iter().cloned().chain([(*index, choice.clone())]);
                (share * choice.share, known.collect())
            });
            with.collect()
        };
        drawn = drawn.iter().flat_map(with).collect();
    }
    drawn.into_iter().map(|(share, drawn)| path(template, values, share, &drawn)).collect()
}

fn path(template: &Template, values: &[Value], share: f64, drawn: &[(usize, Choice)]) -> Path {
    // Each piece as text, and the values of one that varies.
    let pieces = template.0.iter().map(|piece| match piece {
        Piece::Fixed(text) => (Some(text.clone()), None, text.clone()),
        Piece::Value { index, .. } => {
            let choice = drawn.iter().find(|(known, _)| known == index).map(|(_, choice)| choice);
            let text = choice.and_then(|choice| choice.text.as_deref()).map(load::in_path);
            let shown = text.clone().unwrap_or_else(|| format!("{{{}}}", values[*index].name));
            (text, choice.and_then(|choice| choice.varies), shown)
        }
    });
    let pieces: Vec<(Option<String>, Option<Values>, String)> = pieces.collect();
    let parts = pieces.iter().map(|(_, varies, shown)| match varies {
        Some(values) => Part::Varying(*values),
        None => Part::Fixed(shown),
    });
    Path {
        share,
        pattern: Pattern::of(parts),
        example: pieces.iter().map(|(text, ..)| text.as_deref()).collect(),
        text: pieces.iter().map(|(.., shown)| shown.as_str()).collect(),
    }
}

/// What a value may be.
#[derive(Clone)]
struct Choice {
    share: f64,
    /// None of texts in a file that was not read.
    text: Option<String>,
    /// It is an example of these values.
    varies: Option<Values>,
}

/// All that a value may be, where that is `room` choices at most; else examples.
fn choices(draw: &Draw, room: usize) -> Vec<Choice> {
    if let Some(all) = all(draw, room) {
        let choice = |(share, text)| Choice { share, text: Some(text), varies: None };
        return all.into_iter().map(choice).collect();
    }
    let (values, mut examples) = examples(draw);
    examples.dedup();
    examples.truncate(room.max(1));
    if examples.is_empty() {
        return vec![Choice { share: 1.0, text: None, varies: Some(values) }];
    }
    let share = 1.0 / examples.len() as f64;
    let choice = |text| Choice { share, text: Some(text), varies: Some(values) };
    examples.into_iter().map(choice).collect()
}

/// All that a value may be, each with its share; none where that is more than `room` choices.
fn all(draw: &Draw, room: usize) -> Option<Vec<(f64, String)>> {
    match draw {
        Draw::Pick(picks) if picks.len() <= room => {
            let sum = picks.last().map_or(1.0, |(sum, _)| *sum);
            let mut before = 0.0;
            let shares = picks.iter().map(|(up_to, literal)| {
                let share = (up_to - before) / sum;
                before = *up_to;
                (share, literal.text.clone())
            });
            Some(shares.filter(|(share, _)| *share > 0.0).collect())
        }
        Draw::Names(Names::Read(names)) if names.len() <= room => {
            Some(names.iter().map(|name| (1.0 / names.len() as f64, name.clone())).collect())
        }
        Draw::Int { min, max } if max.abs_diff(*min) < room as u64 => {
            let count = max.abs_diff(*min) + 1;
            Some((*min..=*max).map(|number| (1.0 / count as f64, number.to_string())).collect())
        }
        _ => None,
    }
}

/// What the values of a draw are like, and the first and the last of them as examples.
fn examples(draw: &Draw) -> (Values, Vec<String>) {
    let ends = |texts: &mut dyn DoubleEndedIterator<Item = String>| {
        let (first, last) = (texts.next(), texts.next_back());
        first.into_iter().chain(last).collect()
    };
    match draw {
        Draw::Pick(picks) => {
            let mut before = 0.0;
            let has_share = |(up_to, _): &&(f64, _)| std::mem::replace(&mut before, *up_to) < *up_to;
            let drawn: Vec<_> = picks.iter().filter(has_share).collect();
            (Values::Text, ends(&mut drawn.into_iter().map(|(_, literal)| literal.text.clone())))
        }
        Draw::Names(Names::Read(names)) => (Values::Text, ends(&mut names.iter().cloned())),
        Draw::Names(Names::File { .. }) => (Values::Text, Vec::new()),
        Draw::Int { min, max } => {
            let values = if *min < 0 { Values::Text } else { Values::Digits };
            (values, vec![min.to_string(), max.to_string()])
        }
        Draw::Sequence { from, step } => {
            let is_positive = *from >= 0 && *step >= 0;
            let values = if is_positive { Values::Digits } else { Values::Text };
            (values, vec![from.to_string(), from.wrapping_add(*step).to_string()])
        }
        Draw::Float { min, max, digits } => {
            let show = |number: &f64| match digits {
                Some(digits) => format!("{number:.*}", usize::from(*digits)),
                None => format!("{number:?}"),
            };
            (Values::Text, vec![show(min), show(max)])
        }
        Draw::Uuid => (Values::Text, vec!["00000000-0000-4000-8000-000000000000".to_owned()]),
    }
}
