//! Reads distributions from the configuration.

use super::Distribution;
use crate::duration::parse_duration;
use crate::problem::Problem;
use simhost_notation::{did_you_mean, quote};
use std::time::Duration;

/// The kinds, each with a value that shows how to write it.
const KINDS: [(&str, &str); 7] = [
    ("fixed", "\"5ms\""),
    ("normal", "{ mean = \"5ms\", stddev = \"1ms\" }"),
    ("lognormal", "{ median = \"5ms\", sigma = 0.5 }"),
    ("exponential", "{ mean = \"5ms\" }"),
    ("uniform", "{ min = \"1ms\", max = \"5ms\" }"),
    ("pareto", "{ min = \"1ms\", shape = 1.5 }"),
    ("percentiles", "{ p50 = \"5ms\", p99 = \"80ms\" }"),
];

/// Reads `("", "5ms")`, or `("exponential.mean", "5ms")` with what else that kind has.
pub fn read(fields: &[(String, String)]) -> Result<Distribution, Problem> {
    if let [(key, text)] = fields
        && key.is_empty()
    {
        return from_text(text);
    }
    let kind = kind_of(fields)?;
    let read = Fields { kind, all: fields };
    Ok(match kind {
        "fixed" => Distribution::Fixed(read.duration("", &[""])?),
        "normal" => {
            let known = ["mean", "stddev"];
            Distribution::Normal {
                mean: read.duration("mean", &known)?,
                stddev: read.duration("stddev", &known)?,
            }
        }
        "lognormal" => {
            let known = ["median", "sigma"];
            Distribution::Lognormal {
                median: read.duration("median", &known)?,
                sigma: read.number("sigma", &known)?,
            }
        }
        "exponential" => Distribution::Exponential { mean: read.duration("mean", &["mean"])? },
        "uniform" => {
            let known = ["min", "max"];
            let (min, max) = (read.duration("min", &known)?, read.duration("max", &known)?);
            if min > max {
                let problem = Problem::of("uniform.min", "min is greater than max");
                return Err(problem.remedy("exchange them"));
            }
            Distribution::Uniform { min, max }
        }
        "pareto" => {
            let known = ["min", "shape"];
            Distribution::Pareto { min: read.duration("min", &known)?, shape: read.number("shape", &known)? }
        }
        _ => Distribution::Percentiles(read.percentiles()?),
    })
}

/// `5ms`, or `5ms +/- 1ms` for a normal distribution.
fn from_text(text: &str) -> Result<Distribution, Problem> {
    let read = match text.split_once("+/-") {
        None => parse_duration(text).map(Distribution::Fixed),
        Some((mean, stddev)) => parse_duration(mean)
            .and_then(|mean| Ok(Distribution::Normal { mean, stddev: parse_duration(stddev)? })),
    };
    read.map_err(|why| {
        let problem = Problem::new(format!("{} is not valid: {why}", quote(text)));
        problem
            .remedy("write \"5ms\", \"5ms +/- 1ms\", or a distribution: { exponential = { mean = \"5ms\" } }")
    })
}

/// The one kind that all fields name.
fn kind_of(fields: &[(String, String)]) -> Result<&'static str, Problem> {
    let first_part = |key: &str| key.split('.').next().unwrap_or(key).to_owned();
    let Some((first, _)) = fields.iter().find(|(key, _)| !key.is_empty()) else {
        let problem = Problem::new("it is empty");
        return Err(problem.remedy("write a duration, \"5ms\", or { exponential = { mean = \"5ms\" } }"));
    };
    let name = first_part(first);
    if let Some((other, _)) = fields.iter().find(|(key, _)| !key.is_empty() && first_part(key) != name) {
        let other = first_part(other);
        let problem = Problem::of(&other, format!("{} and {} are both given", quote(&name), quote(&other)));
        return Err(problem.remedy("keep one of them"));
    }
    let found = KINDS.iter().find(|(kind, _)| *kind == name).map(|(kind, _)| *kind);
    found.ok_or_else(|| {
        let known = did_you_mean(&name, "distributions", KINDS.map(|(kind, _)| kind));
        Problem::of(&name, "unknown distribution").remedy(known)
    })
}

/// The fields of a distribution of one kind.
struct Fields<'a> {
    kind: &'static str,
    all: &'a [(String, String)],
}

impl Fields<'_> {
    fn key(&self, name: &str) -> String {
        if name.is_empty() { self.kind.to_owned() } else { format!("{}.{name}", self.kind) }
    }

    /// Reads the field `name`, one of those `known` of this kind.
    fn take<T>(
        &self,
        name: &str,
        known: &[&str],
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Problem> {
        let unknown = self.all.iter().find(|(key, _)| known.iter().all(|known| self.key(known) != *key));
        if let Some((key, _)) = unknown {
            let wrong = key.strip_prefix(self.kind).map_or("", |name| name.trim_start_matches('.'));
            let names = known.iter().copied().filter(|known| !known.is_empty());
            let problem = Problem::of(key, "unknown key of a distribution");
            return Err(problem.remedy(match known {
                [""] => self.example(),
                _ => did_you_mean(wrong, "keys", names),
            }));
        }
        let key = self.key(name);
        let Some((_, value)) = self.all.iter().find(|(other, _)| *other == key) else {
            let problem = Problem::of(self.kind, format!("{} is missing", quote(name)));
            return Err(problem.remedy(self.example()));
        };
        read(value).map_err(|why| Problem::invalid(key, value, &why).remedy(self.example()))
    }

    fn example(&self) -> String {
        let (kind, value) = KINDS.iter().find(|(kind, _)| *kind == self.kind).unwrap_or(&KINDS[0]);
        format!("write {kind} = {value}")
    }

    fn duration(&self, name: &str, known: &[&str]) -> Result<Duration, Problem> {
        self.take(name, known, parse_duration)
    }

    fn number(&self, name: &str, known: &[&str]) -> Result<f64, Problem> {
        self.take(name, known, |value| match value.parse() {
            Ok(number) if number > 0.0 && f64::is_finite(number) => Ok(number),
            _ => Err("it is a number greater than 0, such as 0.5".into()),
        })
    }

    fn percentiles(&self) -> Result<Vec<(f64, Duration)>, Problem> {
        let mut points = Vec::new();
        for (key, value) in self.all {
            let percent = key.strip_prefix("percentiles.p").and_then(|digits| digits.parse::<f64>().ok());
            let Some(percent) = percent.filter(|percent| (0.0..=100.0).contains(percent)) else {
                let problem = Problem::of(key, "this is no percentile");
                return Err(problem.remedy("write p0 to p100, such as p50 or \"p99.9\""));
            };
            let length = parse_duration(value);
            points.push((percent, length.map_err(|why| Problem::invalid(key, value, &why))?));
        }
        points.sort_by(|one: &(f64, Duration), other| one.0.total_cmp(&other.0));
        let rises = points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        if points.len() < 2 || !rises {
            let problem = Problem::of(self.kind, "percentiles are at least two points, and never fall");
            return Err(problem.remedy(self.example()));
        }
        Ok(points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn read(fields: &[(&str, &str)]) -> Result<Distribution, Problem> {
        let owned = fields.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        Distribution::from_fields(&owned.collect::<Vec<_>>())
    }

    #[test]
    fn every_form_of_a_topology_is_read() {
        let expected = [
            (vec![("", "5ms")], Distribution::Fixed(5 * MS)),
            (vec![("", "5ms +/- 1ms")], Distribution::Normal { mean: 5 * MS, stddev: MS }),
            (vec![("fixed", "5ms")], Distribution::Fixed(5 * MS)),
            (
                vec![("normal.mean", "5ms"), ("normal.stddev", "1ms")],
                Distribution::Normal { mean: 5 * MS, stddev: MS },
            ),
            (
                vec![("lognormal.sigma", "0.5"), ("lognormal.median", "5ms")],
                Distribution::Lognormal { median: 5 * MS, sigma: 0.5 },
            ),
            (vec![("exponential.mean", "5ms")], Distribution::Exponential { mean: 5 * MS }),
            (
                vec![("uniform.min", "1ms"), ("uniform.max", "5ms")],
                Distribution::Uniform { min: MS, max: 5 * MS },
            ),
            (
                vec![("pareto.min", "1ms"), ("pareto.shape", "1.5")],
                Distribution::Pareto { min: MS, shape: 1.5 },
            ),
            (
                vec![("percentiles.p99.9", "5ms"), ("percentiles.p50", "1ms")],
                Distribution::Percentiles(vec![(50.0, MS), (99.9, 5 * MS)]),
            ),
        ];
        for (fields, distribution) in expected {
            assert_eq!(read(&fields).unwrap(), distribution, "{fields:?}");
        }
    }

    #[test]
    fn a_distribution_that_is_none_says_what_is_wrong_at_the_field_and_what_to_write() {
        let expected = [
            (vec![], "", "it is empty", "write a duration"),
            (vec![("", "soon")], "", "\"soon\" is not valid: a duration", "write \"5ms\""),
            (vec![("", "5ms +/- much")], "", "\"5ms +/- much\" is not valid: a duration", "write \"5ms\""),
            (
                vec![("exponentiel.mean", "5ms")],
                "exponentiel",
                "unknown distribution",
                "did you mean \"exponential\"?",
            ),
            (
                vec![("exponential.mean", "5ms"), ("fixed", "1ms")],
                "fixed",
                "\"exponential\" and \"fixed\" are both given",
                "keep one",
            ),
            (
                vec![("exponential.median", "5ms")],
                "exponential.median",
                "unknown key",
                "did you mean \"mean\"? Known keys: \"mean\"",
            ),
            (
                vec![("normal.mean", "5ms")],
                "normal",
                "\"stddev\" is missing",
                "write normal = { mean = \"5ms\", stddev = \"1ms\" }",
            ),
            (vec![("fixed.mean", "5ms")], "fixed.mean", "unknown key", "write fixed = \"5ms\""),
            (
                vec![("pareto.min", "1ms"), ("pareto.shape", "-1")],
                "pareto.shape",
                "\"-1\" is not valid: it is a number greater than 0",
                "write pareto",
            ),
            (vec![("pareto.min", "1ms"), ("pareto.shape", "inf")], "pareto.shape", "greater than 0", "write"),
            (
                vec![("uniform.min", "2ms"), ("uniform.max", "1ms")],
                "uniform.min",
                "min is greater than max",
                "exchange",
            ),
            (vec![("percentiles.p50", "2ms")], "percentiles", "at least two points", "write percentiles"),
            (
                vec![("percentiles.p50", "2ms"), ("percentiles.p99", "1ms")],
                "percentiles",
                "never fall",
                "write percentiles",
            ),
            (
                vec![("percentiles.p101", "2ms"), ("percentiles.p50", "1ms")],
                "percentiles.p101",
                "no percentile",
                "p0 to p100",
            ),
        ];
        for (fields, key, message, remedy) in expected {
            let problem = read(&fields).expect_err(message);
            assert_eq!(problem.key.as_deref().unwrap_or(""), key, "{fields:?}");
            assert!(problem.message.contains(message), "{fields:?}: {}", problem.message);
            assert!(problem.remedy.as_ref().unwrap().contains(remedy), "{fields:?}: {:?}", problem.remedy);
        }
    }
}
