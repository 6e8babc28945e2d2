//! `lab.toml`: what a lab is about, what is run, and what a solution has to do.

mod answers;
mod bound;
mod checks;
mod contract;
mod file;
mod kinds;
mod numbers;
mod seeds;
mod selector;
mod spans;
mod wrong;

pub use answers::{Fact, Of, Question, Truth};
pub use bound::{Bound, Quantity};
pub use checks::Check;
pub use contract::{Contract, Step};
pub use kinds::Kind;
pub use numbers::Wanted;
pub use seeds::SEEDS_AT_MOST;
pub use selector::{Selector, matches};
pub use spans::{Ask, CriticalPath, Sampled};
pub use wrong::{FROZEN_CHECK, Wrong};

use serde_json::json;
use toml::de::DeTable;

use crate::error::{Problem, Refused, quote};
use crate::model::Nanos;
use crate::topology::key::{Key, Optional, Required, Usual};
use crate::topology::reader::{Problems, Table};
use crate::topology::schema::{Defs, text};
use crate::topology::section::{Section, Sub, Subs};
use crate::topology::shapes::{By, Count, List, OneOrMore, Whole};
use crate::topology::syntax;
use crate::topology::types::{FLAG, TEXT, Within};

use checks::Checks;
use file::FILE;
use seeds::SEEDS;
use wrong::WRONG;

/// The layout of labs that this program reads.
const FORMAT: u64 = 1;

/// How long a run of a lab may be: two simulated hours.
const LONGEST_RUN: Nanos = 2 * 3_600_000_000_000;

/// The manifest of a lab.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub id: String,
    pub title: String,
    /// 1 to read, 2 to change a topology, 3 to design, 4 to write a guest, 5 an exam.
    pub level: u32,
    pub minutes: u32,
    pub needs: Vec<String>,
    pub after: Vec<String>,
    pub objectives: Vec<String>,
    pub run: Run,
    /// The run that is recorded for observation.
    pub record: Option<Record>,
    pub frozen: Option<Frozen>,
    pub checks: Vec<Check>,
    pub hints: Vec<String>,
    pub wrong: Vec<Wrong>,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// One file of the student's folder; or several below `hidden/`, of which the salt draws one.
    pub topologies: Vec<String>,
    /// Whether they lie in `hidden/`, and not in the student's folder.
    pub hidden: bool,
    pub length: Nanos,
    pub seeds: Vec<u64>,
    pub shuffle: Vec<Vec<String>>,
}

/// The run that is recorded for observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub length: Nanos,
    /// Whether its report is written beside its telemetry.
    pub report: bool,
}

/// What has to be as in the starter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frozen {
    /// Paths of the topology that are free.
    pub except: Vec<String>,
    /// Files beside the topology that are not.
    pub files: Vec<String>,
}

static ROOT: Section = Section {
    name: "lab.toml",
    says: "a lab of simhost: what it is about, what is run, and what a solution has to do",
    keys: &[&LAB, &RUN, &RECORD, &FROZEN, &CHECKS, &HINTS, &WRONG],
    rules: &[],
};

static LAB: Key<Sub, Required> = Key {
    name: "lab",
    of: Sub(&Section {
        name: "lab",
        says: "what the lab is about",
        keys: &[&ID, &LAYOUT, &TITLE, &LEVEL, &MINUTES, &NEEDS, &AFTER, &OBJECTIVES],
        rules: &[],
    }),
    absent: Required("begin the file with [lab] and below it id = \"…\""),
    says: "what the lab is about",
};

static ID: Key<By<String>, Required> = Key {
    name: "id",
    of: By {
        words: "lower-case letters, digits, `-`",
        schema: |_| text(ID_PATTERN),
        read: |value| value.read(id),
    },
    absent: Required("give the lab an id: id = \"retry-storm\""),
    says: "names the lab; its folder is called `NN-id`. Hidden seeds follow from it",
};

const ID_PATTERN: &str = "[a-z0-9]+(-[a-z0-9]+)*";

static LAYOUT: Key<Whole, Required> = Key {
    name: "format",
    of: Whole(1, u64::MAX),
    absent: Required("say of which layout the lab is: format = 1"),
    says: "of this layout: `1`",
};

static TITLE: Key<By<String>, Required> =
    Key { name: "title", of: TEXT, absent: Required("give the lab a title"), says: "what people read" };

static LEVEL: Key<Count, Required> = Key {
    name: "level",
    of: Count(1, 5),
    absent: Required("say how hard it is: level = 1 to 5"),
    says: "1 read, 2 change a topology, 3 design, 4 write a guest, 5 exam",
};

static MINUTES: Key<Count, Required> = Key {
    name: "minutes",
    of: Count(1, 600),
    absent: Required("say how long it takes: minutes = 25"),
    says: "how long it takes a student",
};

static NEEDS: Key<List<By<String>>, Usual> = Key {
    name: "needs",
    of: TEXTS,
    absent: Usual("[]"),
    says: "what else has to be installed, such as `\"rust\"`",
};

static AFTER: Key<List<By<String>>, Usual> =
    Key { name: "after", of: TEXTS, absent: Usual("[]"), says: "ids of the labs that come before it" };

static OBJECTIVES: Key<List<By<String>>, Required> = Key {
    name: "objectives",
    of: TEXTS,
    absent: Required("say what a student can do afterwards: objectives = [\"…\"]"),
    says: "what a student can do afterwards",
};

const TEXTS: List<By<String>> = List { words: "a list of texts", of: TEXT };

static RUN: Key<Sub, Required> = Key {
    name: "run",
    of: Sub(&Section {
        name: "lab-run",
        says: "what is run",
        keys: &[&TOPOLOGY, &HIDDEN, &FOR, &SEEDS, &SHUFFLE],
        rules: &[crate::topology::section::Rule::One(&["topology", "hidden"])],
    }),
    absent: Required("say what is run: [run] topology = \"topology.toml\", for = \"5m\", seeds = [101, 102]"),
    says: "what is run",
};

static TOPOLOGY: Key<By<String>, Optional> =
    Key { name: "topology", of: FILE, absent: Optional("none"), says: "a file of the student's folder" };

static HIDDEN: Key<OneOrMore<By<String>>, Optional> = Key {
    name: "hidden",
    of: OneOrMore { words: "the name of a file, or a list of them", of: FILE },
    absent: Optional("none"),
    says: "in place of `topology`: a file in `hidden/`, which the student never sees; of several the salt draws one",
};

static FOR: Key<Within, Required> = Key {
    name: "for",
    of: Within(1_000_000, LONGEST_RUN),
    absent: Required("say how long a run is: for = \"5m\""),
    says: "how long a run is, in simulated time",
};

static SHUFFLE: Key<List<List<By<String>>>, Usual> = Key {
    name: "shuffle",
    of: List { words: "a list of lists of services", of: List { words: "a list of services", of: TEXT } },
    absent: Usual("[]"),
    says: "services whose names the salt permutes, in each list among themselves",
};

static RECORD: Key<Sub, Optional> = Key {
    name: "record",
    of: Sub(&Section {
        name: "record",
        says: "what `simhost lab record` writes: telemetry of one run",
        keys: &[&FOR, &REPORT],
        rules: &[],
    }),
    absent: Optional("nothing is recorded"),
    says: "what `simhost lab record` writes: `telemetry.jsonl` and `report.txt` of one run",
};

static REPORT: Key<By<bool>, Usual> = Key {
    name: "report",
    of: FLAG,
    absent: Usual("true"),
    says: "whether `report.txt` is written: without it, the student has the telemetry alone",
};

static FROZEN: Key<Sub, Optional> = Key {
    name: "frozen",
    of: Sub(&Section {
        name: "frozen",
        says: "what a student may change: all else of the topology is as in the starter",
        keys: &[&EXCEPT, &FILES],
        rules: &[],
    }),
    absent: Optional("all may be changed"),
    says: "what a student may change: all else of the topology has to be as in the starter",
};

static EXCEPT: Key<List<By<String>>, Usual> = Key {
    name: "except",
    of: TEXTS,
    absent: Usual("[]"),
    says: "paths that are free, with all below them, such as `\"links.*.retry\"`; `*` is any one step",
};

static FILES: Key<List<By<String>>, Usual> = Key {
    name: "files",
    of: List { words: "a list of files", of: FILE },
    absent: Usual("[]"),
    says: "files beside the topology that may not be changed",
};

static CHECKS: Key<Checks, Required> = Key {
    name: "check",
    of: Checks,
    absent: Required("say what a solution has to do: [[check]] name = \"…\", kind = \"report\", …"),
    says: "what a solution has to do: see [checks](#checks)",
};

static HINTS: Key<Subs, Optional> = Key {
    name: "hint",
    of: Subs(&Section {
        name: "hint",
        says: "where to look, what it is, how to mend it",
        keys: &[&HINT],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "three, in this order: where to look, what it is, how to mend it",
};

static HINT: Key<By<String>, Required> =
    Key { name: "text", of: TEXT, absent: Required("write the hint: text = \"…\""), says: "what is said" };

impl Manifest {
    /// Reads a manifest; `name` is the file's in reports.
    ///
    /// # Errors
    /// It is no TOML, of a newer layout, or all that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Refused> {
        let refused = |problems, further| Refused::counted(Some((name, text)), problems, further);
        let document =
            DeTable::parse(text).map_err(|error| refused(vec![syntax::problem(text, &error)], 0))?;
        let problems = Problems::new(text);
        let root = Table::root(&document, &problems);
        if let Some(newer) = newer(&root) {
            return Err(refused(vec![newer], 0));
        }
        let manifest = manifest(&root);
        let (errors, _, further) = problems.into_sorted();
        manifest.filter(|_| errors.is_empty()).ok_or_else(|| refused(errors, further))
    }

    /// The points of all checks.
    pub fn points(&self) -> u32 {
        self.checks.iter().map(|check| check.weight).sum()
    }
}

/// The problem of a lab of a later layout, of which nothing else can be said.
fn newer(root: &Table<'_>) -> Option<Problem> {
    let lab = root.entries().iter().find(|entry| entry.key == LAB.name)?;
    let toml::de::DeValue::Table(table) = lab.item() else { return None };
    let (_, format) = table.iter().find(|(key, _)| key.get_ref() == LAYOUT.name)?;
    let toml::de::DeValue::Integer(number) = format.get_ref() else { return None };
    let number =
        u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| *number > FORMAT)?;
    let problem = Problem::new(format!("the lab is of format {number}, made by a newer simhost"))
        .at(format.span(), format!("this simhost reads format {FORMAT}"));
    Some(problem.help("install a newer simhost"))
}

fn manifest(root: &Table<'_>) -> Option<Manifest> {
    ROOT.keys_of(root);
    let lab = LAB.need(root).and_then(|value| LAB.of.0.open(&value, "[lab]"));
    let lab = lab.as_ref().and_then(of_lab);
    let run = RUN.need(root).and_then(|value| RUN.of.0.open(&value, "[run]"));
    let run = run.as_ref().and_then(of_run);
    let record = RECORD.open(root, "[record]").map(|table| {
        let (length, report) = (FOR.read(&table), REPORT.read(&table));
        Some(Record { length: length?, report: report? })
    });
    let frozen = FROZEN.open(root, "[frozen]").map(|table| {
        let (except, files) = (EXCEPT.read(&table), FILES.read(&table));
        Some(Frozen { except: except?, files: files? })
    });
    let checks = CHECKS.read(root);
    let hints: Option<Vec<_>> = HINTS.open(root, "this hint").iter().map(|table| HINT.read(table)).collect();
    let wrong = WRONG.open(root, "this wrong answer");
    let wrong = wrong.iter().map(|table| wrong::read(table, checks.as_deref().unwrap_or_default()));
    let wrong: Option<Vec<_>> = wrong.collect();
    if let (Some(None) | None, Some(checks)) = (&record, &checks)
        && let Some(check) = checks.iter().find(|check| check.kind.is_of_recording())
    {
        let problem = Problem::new(format!("the check {} asks for a recording", quote(&check.name)));
        let help = "say how long it is: [record] for = \"4m\"; `simhost lab record` writes it";
        CHECKS.need(root)?.refuse_key::<()>(problem.label("there is no [record]").help(help));
    }
    let (lab, run) = (lab?, run?);
    Some(Manifest {
        run,
        record: record.map_or(Some(None), |read| read.map(Some))?,
        frozen: frozen.map_or(Some(None), |read| read.map(Some))?,
        checks: checks?,
        hints: hints?,
        wrong: wrong?,
        ..lab
    })
}

/// What `[lab]` says, in a manifest that has nothing else yet.
fn of_lab(table: &Table<'_>) -> Option<Manifest> {
    let (id, format, title) = (ID.read(table), LAYOUT.read(table), TITLE.read(table));
    let (level, minutes) = (LEVEL.read(table), MINUTES.read(table));
    let (needs, after, objectives) = (NEEDS.read(table), AFTER.read(table), OBJECTIVES.read(table));
    format?;
    Some(Manifest {
        id: id?,
        title: title?,
        level: level?,
        minutes: minutes?,
        needs: needs?,
        after: after?,
        objectives: objectives?,
        run: Run { topologies: Vec::new(), hidden: false, length: 0, seeds: Vec::new(), shuffle: Vec::new() },
        record: None,
        frozen: None,
        checks: Vec::new(),
        hints: Vec::new(),
        wrong: Vec::new(),
    })
}

fn of_run(table: &Table<'_>) -> Option<Run> {
    let (topology, hidden) = (TOPOLOGY.read(table), HIDDEN.read(table));
    let (length, seeds, shuffle) = (FOR.read(table), seeds::read(table), SHUFFLE.read(table));
    let (topologies, hidden) = match (topology?, hidden?) {
        (Some(topology), None) => (vec![topology], false),
        (None, Some(topologies)) if !topologies.is_empty() => (topologies, true),
        _ => {
            let problem = Problem::new("[run] names one topology: in the student's folder, or hidden");
            table.note(problem.help("write topology = \"topology.toml\", or hidden = \"topology.toml\""));
            return None;
        }
    };
    Some(Run { topologies, hidden, length: length?, seeds: seeds?, shuffle: shuffle? })
}

fn id(text: &str) -> Result<String, Problem> {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if text.split('-').all(is_part) && text.len() <= 60 {
        return Ok(text.to_owned());
    }
    let problem = Problem::new(format!("{} is no id of a lab", quote(text))).label("not an id");
    Err(problem.help("write lower-case letters and digits with - between words, such as \"retry-storm\""))
}

/// The JSON Schema of a manifest (2020-12), made of the declarations of its keys.
pub fn schema() -> schemars::Schema {
    let mut defs = Defs::default();
    let mut root = ROOT.schema(&mut defs);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("A lab of simhost");
    root["$defs"] = defs.into_json();
    root.try_into().expect("an object is a schema")
}

/// The tables of the reference, by the names of what has the keys: Markdown.
pub fn reference_tables() -> Vec<(&'static str, String)> {
    let mut defs = Defs::default();
    ROOT.schema(&mut defs);
    let others = [("check-kinds", kinds::table()), ("metrics-of-labs", crate::lab::measure::reference())];
    defs.tables.into_iter().chain(others).collect()
}
