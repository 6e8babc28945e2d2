//! `[run]`: how the simulated world runs.

use super::key::{Key, Optional, Usual};
use super::patterns;
use super::reader::{Table, Value};
use super::schema::text;
use super::section::{Section, Sub};
use super::shapes::By;
use super::units::{INSTRUCTION_UNITS, Quantity, parse, refuse_bare};
use crate::error::{Problem, quote};
use crate::model::Picos;

/// No instruction may take longer: a microsecond.
const LONGEST: Picos = 1_000_000;

/// The time of an instruction: to thousandths of what other times are made of.
const TIME_OF_INSTRUCTION: Quantity = Quantity {
    what: "time of an instruction",
    units: &INSTRUCTION_UNITS,
    words: &[("\u{b5}s", "us"), ("\u{3bc}s", "us")],
    usual: "ns",
    usual_name: "nanoseconds",
    remedy: r#"write a number and one of ps, ns, us, as in "0.04ns", or "0" for none"#,
    list: "ps, ns, us",
    grain: "picoseconds",
};

pub(super) static RUN: Key<Sub, Optional> = Key {
    name: "run",
    of: Sub(&Section { name: "run", says: "how the simulated world runs", keys: &[&COMPUTE], rules: &[] }),
    absent: Optional("none"),
    says: "how long computing takes in virtual time",
};

static COMPUTE: Key<By<Picos>, Usual> = Key {
    name: "compute",
    of: By {
        words: "a time up to `\"1us\"`, or `\"0\"`",
        schema: |_| text(&patterns::time_of_instruction()),
        read: |value| time_of_instruction(value),
    },
    absent: Usual("\"0.04ns\""),
    says: "simulated time that an instruction of a guest takes in virtual time; `\"0\"`: computing takes none. See \
           [computing takes time](../concepts/virtual-time.md#computing-takes-time)",
};

/// The simulated time of an instruction.
pub(super) fn compute(root: &Table<'_>) -> Picos {
    RUN.open(root, "[run]").map_or_else(|| COMPUTE.usual(), |table| COMPUTE.or_usual(&table))
}

fn time_of_instruction(value: &Value<'_>) -> Option<Picos> {
    refuse_bare(value, &TIME_OF_INSTRUCTION)?;
    value.read(parse_time_of_instruction)
}

/// `"0.04ns"`, `"40ps"`, `"0"`.
pub(super) fn parse_time_of_instruction(text: &str) -> Result<Picos, Problem> {
    if text == "0" {
        return Ok(0);
    }
    match parse(text, &TIME_OF_INSTRUCTION)? {
        picos if picos > LONGEST => {
            let problem = Problem::new(format!("{} is too long for an instruction", quote(text)));
            Err(problem
                .label("too long")
                .help(format!("write a time up to {}, or \"0\" for none", show(LONGEST))))
        }
        picos => Ok(picos),
    }
}

/// The time of an instruction as it is written: `0.04ns`.
pub(super) fn show(picos: Picos) -> String {
    match (picos / 1_000, picos % 1_000) {
        (0, 0) => "0".to_owned(),
        (nanos, 0) => format!("{nanos}ns"),
        (nanos, rest) => {
            let digits = format!("{rest:03}");
            format!("{nanos}.{}ns", digits.trim_end_matches('0'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_instruction_reads_to_the_picosecond_and_back() {
        for (text, picos, shown) in [
            ("0", 0, "0"),
            ("0ns", 0, "0"),
            ("1ns", 1_000, "1ns"),
            ("0.4ns", 400, "0.4ns"),
            ("250ps", 250, "0.25ns"),
            ("0.001ns", 1, "0.001ns"),
            ("1us", 1_000_000, "1000ns"),
        ] {
            let read = parse_time_of_instruction(text).ok();
            assert_eq!((read, read.map(show).as_deref()), (Some(picos), Some(shown)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_of_an_instruction_is_refused_with_how_to_write_one() {
        for (text, label) in [
            ("-1ns", "negative"),
            ("1ms", "unknown unit"),
            ("2us", "too long"),
            ("0.1ps", "too fine"),
            ("1", "of what?"),
            ("99999999999999999999ns", "too long"),
        ] {
            let problem = parse_time_of_instruction(text).unwrap_err();
            assert_eq!(problem.label, label, "{text}");
            assert!(problem.help.is_some(), "{text}");
        }
    }
}
