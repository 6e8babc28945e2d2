//! The topology file: TOML in, a validated [`Model`] or every problem out.
//!
//! Reading is strict and goes on after a problem: unknown keys, values out of
//! range and names that lead nowhere are reported together, in the order of
//! the file. The walk itself is in `reader`; each section has a file of its own.

use std::net::SocketAddr;
use std::path::Path;

use toml::de::DeTable;

use crate::error::{Problem, Refused, Warnings, quote};
use crate::files::{self, Unreadable};
use crate::model::{Fault, Model, Nanos, Picos, Target};

mod address;
mod answer;
mod cache;
mod database;
mod distribution;
mod fault;
mod inline;
pub(crate) mod key;
mod limits;
mod link;
mod load;
mod names;
mod objectives;
mod patterns;
mod rates;
pub(crate) mod reader;
mod remedy;
mod run;
mod schedule;
pub(crate) mod schema;
pub(crate) mod section;
mod service;
pub(crate) mod shapes;
mod subscription;
pub(crate) mod syntax;
mod telemetry;
mod topic;
mod traffic;
pub(crate) mod types;
pub(crate) mod units;

pub use distribution::show_distribution;
pub use link::{PolicyRows, policy_lines};
pub use units::show_size;

use key::{Key, Optional, Required, Usual};
use names::Names;
use reader::{Problems, Table};
use schema::Defs;
use section::{Section, Sub};
use service::Surroundings;
use shapes::{By, Whole};

/// No simulated time may be longer: 365 days, in nanoseconds.
pub const LONGEST: Nanos = units::LONGEST;

/// No run may have more workers: see `limits.workers`.
pub const WORKERS_AT_MOST: u32 = limits::WORKERS_AT_MOST;

/// Bytes of a topology file. A thousand services take a tenth of it.
pub const FILE_AT_MOST: u64 = 1 << 20;

/// A topology, with the text that later problems point into.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    pub model: Model,
    /// The file as it was named, for reports.
    pub name: String,
    pub text: String,
    /// What may be a mistake in it.
    pub warnings: Vec<Problem>,
}

impl Topology {
    /// The refusal for problems that are found after the file was read: a
    /// guest that does not load, a route that no guest has. There are `further` ones beside those given.
    pub fn refuse(&self, problems: Vec<Problem>, further: usize) -> Refused {
        Refused::counted(Some((&self.name, &self.text)), problems, further)
    }

    /// What is doubtful, with the text that it points into.
    pub fn doubt(&self, problems: Vec<Problem>) -> Warnings {
        Warnings::new((&self.name, &self.text), problems)
    }
}

/// Reads the topology in the file at `path`. Guests' paths in it begin at its folder.
///
/// `embedded` holds the names of the guests that are part of the program.
///
/// # Errors
/// When the file cannot be read, is no UTF-8, is larger than [`FILE_AT_MOST`],
/// or for any reason of [`parse`].
pub fn load(path: &Path, embedded: &[&str]) -> Result<Topology, Refused> {
    let name = path.display().to_string();
    let text = read(path).map_err(|problem| Refused::new(None, vec![problem]))?;
    parse(&name, &text, path.parent().unwrap_or(Path::new("")), embedded)
}

/// Reads a length of time as topologies write it, `350ms` or `10m`: nanoseconds.
///
/// # Errors
/// What is wrong with the text, and what to write instead.
pub fn duration(text: &str) -> Result<Nanos, String> {
    units::parse_duration(text).map_err(in_one_line)
}

/// Reads the simulated time of an instruction as topologies write it, `0.04ns`.
///
/// # Errors
/// What is wrong with the text, and what to write instead.
pub fn compute(text: &str) -> Result<Picos, String> {
    run::parse_time_of_instruction(text).map_err(in_one_line)
}

/// The simulated time of an instruction as topologies write it.
pub fn show_compute(picos: Picos) -> String {
    run::show(picos)
}

/// Reads an address as topologies write it, `127.0.0.1:8001`.
///
/// # Errors
/// What is wrong with the text, and what to write instead.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    address::listen(text).map_err(in_one_line)
}

/// Reads the name of a topology.
///
/// # Errors
/// What is wrong with the text, and what to write instead.
pub fn name(text: &str) -> Result<String, String> {
    address::name(text).map_err(in_one_line)
}

/// The JSON Schema of a topology (2020-12), made of the declarations of its keys.
pub fn schema() -> schemars::Schema {
    let mut defs = Defs::default();
    let mut root = ROOT.schema(&mut defs);
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "A topology of simhost".into();
    root["$defs"] = defs.into_json();
    root.try_into().expect("an object is a schema")
}

/// The tables of the reference, by the names of what has the keys: Markdown. That of the kinds of fault
/// is called `kinds`.
pub fn reference_tables() -> Vec<(&'static str, String)> {
    let mut defs = Defs::default();
    ROOT.schema(&mut defs);
    defs.tables
}

/// Whether a fault works within a replica or its guest at this target: none of a real server's can be
/// reached.
pub fn is_inside(fault: &Fault, target: &Target) -> bool {
    fault::is_inside(fault, target)
}

/// The names of the parameters of a route: `item` of `GET /stock/{item}`.
pub fn parameters(route: &str) -> impl Iterator<Item = &str> {
    let names = route.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    names.map(|(name, _)| name.trim_start_matches('*'))
}

fn in_one_line(problem: Problem) -> String {
    match problem.help {
        Some(help) => format!("{}: {help}", problem.message),
        None => problem.message,
    }
}

/// Reads the topology in `text`. `name` is the file's in reports, `folder` is
/// where guests' paths begin, `embedded` are the guests of the program.
///
/// # Errors
/// When the text is no TOML, or with everything in it that is no topology:
/// unknown and missing keys, values out of range, names that lead nowhere.
pub fn parse(name: &str, text: &str, folder: &Path, embedded: &[&str]) -> Result<Topology, Refused> {
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_AT_MOST {
        return Err(Refused::new(None, vec![too_large(name)]));
    }
    // Some editors begin a file with a byte order mark, which TOML ignores.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let refused = |problems, further| Refused::counted(Some((name, text)), problems, further);
    let document = DeTable::parse(text).map_err(|error| refused(vec![syntax::problem(text, &error)], 0))?;
    if document.get_ref().is_empty() {
        return Err(refused(vec![empty(name)], 0));
    }
    let problems = Problems::new(text);
    let model = model(&Table::root(&document, &problems), folder, embedded);
    let (mut errors, warnings, further) = problems.into_sorted();
    match model {
        Some(model) if errors.is_empty() => {
            Ok(Topology { model, name: name.to_owned(), text: text.to_owned(), warnings })
        }
        _ => {
            errors.extend(warnings);
            Err(refused(errors, further))
        }
    }
}

/// The file.
static ROOT: Section = Section {
    name: "file",
    says: "a topology of simhost: services, what lies between them, who asks them, and what goes wrong",
    keys: &[
        &TOPOLOGY,
        &run::RUN,
        &traffic::INGRESS,
        &traffic::NETWORK,
        &service::SERVICES,
        &database::DATABASES,
        &cache::CACHES,
        &topic::TOPICS,
        &subscription::SUBSCRIPTIONS,
        &link::LINKS,
        &fault::FAULTS,
        &load::LOADS,
        &schedule::SCHEDULES,
        &objectives::OBJECTIVES,
        &telemetry::TELEMETRY,
        &limits::LIMITS,
    ],
    rules: &[],
};

/// The model, with defaults in place of what is wrong.
fn model(root: &Table<'_>, folder: &Path, embedded: &[&str]) -> Option<Model> {
    ROOT.keys_of(root);
    let head = head(root);
    let compute = run::compute(root);
    let (limits, bounds) = limits::of_topology(root);
    let databases = database::names(root);
    let caches = cache::names(root);
    let code = Surroundings { folder, embedded, limits, databases: &databases, caches: &caches };
    let services = service::services(root, &code);
    let databases = database::databases(root, folder);
    let caches = cache::caches(root);
    let names = Names::new(&services);
    let topic_names = topic::names(root);
    let topics = topic::topics(root);
    let around = subscription::Surroundings { names: &names, services: &services, topics: &topic_names };
    let (subscriptions, groups) = subscription::subscriptions(root, &around, &topics);
    let traffic::Network { latency, timer_slack, allowed_hosts } = traffic::network(root);
    let ingress = traffic::ingress(root, &names);
    let links = link::links(root, &names);
    let around = fault::Surroundings {
        names: &names,
        services: &services,
        topics: &topics,
        topic_names: &topic_names,
        groups: groups.as_deref(),
        code: &code,
        off: false,
    };
    let faults = fault::faults(root, &around);
    let (loads, names_of_loads) =
        load::loads(root, &load::Surroundings { names: &names, bounds: &bounds, folder });
    let schedules = schedule::schedules(root, &names);
    let objectives = objectives::objectives(root, &names, &names_of_loads);
    let telemetry = telemetry::telemetry(root);
    let Head { name, namespace, seed, environment } = head?;
    Some(Model {
        key_name: name.clone(),
        title: name.clone(),
        namespace: namespace.unwrap_or_else(|| name.clone()),
        name,
        seed,
        environment,
        ingress,
        latency,
        timer_slack,
        services,
        links,
        faults,
        loads,
        schedules,
        objectives,
        databases,
        caches,
        topics,
        subscriptions,
        telemetry,
        bounds,
        compute,
        allowed_hosts,
    })
}

static TOPOLOGY: Key<Sub, Required> = Key {
    name: "topology",
    of: Sub(&Section {
        name: "topology",
        says: "what the topology is called",
        keys: &[&NAME, &NAMESPACE, &SEED, &ENVIRONMENT],
        rules: &[],
    }),
    absent: Required("begin the file with [topology] and below it name = \"…\""),
    says: "name, namespace, seed, environment",
};

static NAME: Key<By<String>, Required> = Key {
    name: "name",
    of: types::NAME,
    absent: Required("give the topology a name: name = \"…\""),
    says: "takes part in every random draw: two topologies share no ids",
};

static NAMESPACE: Key<By<String>, Optional> = Key {
    name: "namespace",
    of: types::TEXT,
    absent: Optional("the name"),
    says: "`service.namespace` of every service. `--blind` shows it in place of the name",
};

static SEED: Key<Whole, Usual> =
    Key { name: "seed", of: Whole(0, u64::MAX), absent: Usual("0"), says: "of every random draw" };

static ENVIRONMENT: Key<By<String>, Optional> = Key {
    name: "environment",
    of: types::TEXT,
    absent: Optional("`\"local\"`"),
    says: "`deployment.environment.name` of every service",
};

/// `[topology]`.
#[derive(Debug)]
struct Head {
    name: String,
    namespace: Option<String>,
    seed: u64,
    environment: Option<String>,
}

fn head(root: &Table<'_>) -> Option<Head> {
    if TOPOLOGY.get(root).is_none() {
        let problem = Problem::new("the file has no [topology]").label("it is missing");
        root.note(problem.help(TOPOLOGY.absent.0));
        return None;
    }
    let table = TOPOLOGY.open(root, "[topology]")?;
    let (name, namespace) = (NAME.read(&table), NAMESPACE.read(&table));
    let (seed, environment) = (SEED.read(&table), ENVIRONMENT.read(&table));
    Some(Head { name: name?, namespace: namespace?, seed: seed?, environment: environment? })
}

/// The file's text.
fn read(path: &Path) -> Result<String, Problem> {
    let name = quote(&path.display().to_string());
    let bytes = files::read(path, FILE_AT_MOST).map_err(|reason| cannot_read(path, &name, &reason))?;
    if is_utf_16(&bytes) {
        return Err(Problem::new(format!("{name} is UTF-16")).help("save it as UTF-8"));
    }
    String::from_utf8(bytes)
        .map_err(|error| not_text(&name, error.as_bytes(), error.utf8_error().valid_up_to()))
}

fn cannot_read(path: &Path, name: &str, reason: &Unreadable) -> Problem {
    let (what, help) = match reason {
        Unreadable::Missing => (
            format!("there is no file {name}"),
            "check the path: relative paths start at the current directory",
        ),
        Unreadable::Forbidden => {
            (format!("no permission to read {name}"), "make the file readable for this user")
        }
        Unreadable::NoFile(files::FOLDER) => (
            format!("{name} is a directory, not a topology"),
            "name the file in it, such as topologies/orders.toml",
        ),
        Unreadable::NoFile(kind) => {
            (format!("{name} is {kind}, not a topology"), "name a TOML file, such as topologies/orders.toml")
        }
        Unreadable::Silent => (
            format!("{name} is a pipe to which nothing writes"),
            "start first what writes to it, or name a file",
        ),
        Unreadable::TooLarge(_) => return too_large(&path.display().to_string()),
        Unreadable::Failed(error) => return Problem::new(format!("cannot read {name}: {error}")),
    };
    Problem::new(what).help(help)
}

fn too_large(name: &str) -> Problem {
    Problem::new(format!("{} is larger than {}", quote(name), units::show_size(FILE_AT_MOST)))
        .help("a topology is a short TOML file: is this the right one?")
}

/// Whether a text is UTF-16: by its byte order mark, or as the first characters of a topology are ASCII.
fn is_utf_16(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..] | [1..=0x7f, 0, 1..=0x7f, 0, ..]
    )
}

fn not_text(name: &str, bytes: &[u8], valid: usize) -> Problem {
    let line = bytes[..valid].split(|byte| *byte == b'\n').count();
    Problem::new(format!("{name} is not UTF-8 text: line {line}, byte {valid} of the file"))
        .help("save it as UTF-8; if it is no text at all, it is the wrong file")
}

fn empty(name: &str) -> Problem {
    Problem::new(format!("{} is empty", quote(name)))
        .help("a topology needs a [topology] with a name and at least one [services.NAME]")
}
