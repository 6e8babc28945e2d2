//! `simhost sql`: asks a database of a topology, as its schema makes it or as it is at the end of a run.

mod table;

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use simhost_sql::{
    Bounds, Call, Class, Control, Database, Done, Failure, Outcome, Part, Place, Statement, Transaction,
    Work, statements,
};

use crate::clock::VIRTUAL_START;
use crate::database;
use crate::engine::EMBEDDED;
use crate::error::{Look, Problem, Refused, SourceText, did_you_mean, printable, quote};
use crate::model::Nanos;
use crate::run::{Destinations, Intent, Options, Plan, Show, Stdout};
use crate::topology::{self, Topology};

use super::input::Scenario;
use super::tell::tell;
use super::terminal::{stdout, style};
use super::{complain, environment, failed, length, print, refuse, say};

/// Columns of a table in files and pipes.
const PAGE: usize = 80;

#[derive(Debug, Args)]
pub struct Sql {
    #[command(flatten)]
    scenario: Scenario,

    /// The database: [databases.NAME]
    database: String,

    /// Statements of SQL, with ; between them; - reads them from standard input [default: list the
    /// tables]
    statements: Option<String>,

    /// First run the topology in virtual time for this long, for example 10s, 5m or 1h [default: with
    /// --request until it is answered, else not at all]
    #[arg(long = "for", allow_hyphen_values = true, conflicts_with = "requests", value_name = "DURATION", value_parser = length)]
    stop_after: Option<Nanos>,

    /// Print each row as a line of JSON
    #[arg(long)]
    json: bool,
}

/// A database to be asked, at an instant.
struct Session {
    database: Database,
    /// Microseconds since 1970.
    now: i64,
    open: Option<Transaction>,
    json: bool,
}

/// Why there is no database to ask: it was said already.
type Opened<T> = Result<T, ExitCode>;

impl Sql {
    pub fn execute(self) -> ExitCode {
        let script = match self.statements.as_deref().map(script).transpose() {
            Ok(script) => script,
            Err(problem) => return refuse(&Refused::new(None, vec![problem])),
        };
        let json = self.json;
        let (database, now) = match self.opened() {
            Ok(opened) => opened,
            Err(code) => return code,
        };
        let now = i64::try_from(now / 1_000).unwrap_or(i64::MAX);
        let mut session = Session { database, now, open: None, json };
        match script {
            Some(script) => session.run(&script),
            None => session.tables(),
        }
    }

    /// The database, and the instant at which it is asked.
    fn opened(self) -> Opened<(Database, Nanos)> {
        let Self { scenario, database: name, stop_after, .. } = self;
        let refused = |refused| Err(refuse(&refused));
        let runs = stop_after.is_some() || !scenario.requests.is_empty();
        let in_vain = [
            ("--compute", scenario.compute.is_some()),
            ("--guest", !scenario.guests.is_empty()),
            ("--fault", !scenario.faults.is_empty()),
            ("--load", !scenario.loads.is_empty()),
        ];
        if let Some((flag, _)) = in_vain.into_iter().find(|(_, given)| *given && !runs) {
            let problem = Problem::new(format!("{flag} was given, but nothing runs"));
            let help = "say for how long the topology runs before: --for 1m";
            return refused(Refused::new(None, vec![problem.help(help)]));
        }
        let mut topology = match topology::load(&scenario.topology, &EMBEDDED.map(|(name, _)| name)) {
            Ok(topology) => topology,
            Err(found) => return refused(found),
        };
        topology.model.seed = scenario.seed.unwrap_or(topology.model.seed);
        let at = match place(&topology, &name, &scenario.topology) {
            Ok(at) => at,
            Err(problem) => return refused(Refused::new(None, vec![problem])),
        };
        if runs {
            return after_run(topology, at, scenario.options(stop_after));
        }
        let (model, found) = (&topology.model, &topology.model.databases[at]);
        match database::open(model, found, VIRTUAL_START) {
            Ok(database) => Ok((database, VIRTUAL_START)),
            Err(problems) => refused(topology.refuse(problems, 0)),
        }
    }
}

/// The place of a database in the topology.
fn place(topology: &Topology, name: &str, file: &Path) -> Result<usize, Problem> {
    let databases = &topology.model.databases;
    databases.iter().position(|database| database.name == name).ok_or_else(|| {
        let names: Vec<&str> = databases.iter().map(|database| database.name.as_str()).collect();
        let help = match &names[..] {
            [] => format!("{} has no [databases.NAME]", quote(&file.display().to_string())),
            _ => did_you_mean(name, "databases", names),
        };
        Problem::new(format!("no database {}", quote(name))).help(help)
    })
}

/// Runs the topology in virtual time, and gives the database as it is then. Nothing of the run is exported.
fn after_run(mut topology: Topology, at: usize, options: Options) -> Opened<(Database, Nanos)> {
    topology.model.telemetry.otlp = None;
    let options = Options {
        virtual_time: true,
        keeps_databases: true,
        destinations: Destinations { show: Some(Show::None), ..Destinations::default() },
        ..options
    };
    let plan = match Plan::from_topology(topology, options, Intent::Run, |_| None) {
        Ok(plan) => plan,
        Err(refused) => return Err(refuse(&refused)),
    };
    say(&plan.warnings().render(Look::of_stderr()));
    let mut outcome = plan.run(tell).map_err(|error| failed(&error))?;
    outcome.replies.iter().for_each(|reply| say(&reply.text()));
    for failure in &outcome.failures {
        complain("error", &failure.what, Some(failure.help));
    }
    if outcome.failures.is_empty() {
        Ok((outcome.databases.swap_remove(at), outcome.end))
    } else {
        Err(ExitCode::FAILURE)
    }
}

/// The statements, and what they are called in errors.
fn script(given: &str) -> Result<Arc<SourceText>, Problem> {
    if given != "-" {
        return Ok(Arc::new(SourceText { name: "statement".to_owned(), text: given.to_owned() }));
    }
    let most = Bounds::default().schema_bytes;
    let mut text = String::new();
    let read = std::io::stdin().take(most as u64 + 1).read_to_string(&mut text);
    let problem = |message: String, help: &str| Err(Problem::new(message).help(help));
    match read {
        Err(error) => problem(format!("cannot read standard input: {error}"), "give SQL as UTF-8 text"),
        Ok(bytes) if bytes > most => {
            problem(format!("standard input has more than {} MiB", most >> 20), "give fewer statements")
        }
        Ok(_) => {
            let text = database::without_mark(&text).to_owned();
            Ok(Arc::new(SourceText { name: "standard input".to_owned(), text }))
        }
    }
}

impl Session {
    /// Runs statements one after the other, until one fails: prints their rows, and says what they took.
    fn run(&mut self, script: &Arc<SourceText>) -> ExitCode {
        let start = Place { line: 1, column: 1 };
        let wrong = |failure: &Failure, place: Place| {
            Refused::new(None, vec![database::in_text(failure, place, script)])
        };
        let parts = match statements(&script.text) {
            Ok(parts) => parts,
            Err(failure) => return refuse(&wrong(&failure, failure.place.unwrap_or(start))),
        };
        let mut has_printed = false;
        for (done, part) in parts.iter().enumerate() {
            let (result, plan) = match self.one(part) {
                Ok(result) => result,
                Err(failure) => {
                    let place = failure.place.map_or(part.place, |place| part.locate(place));
                    let refused = wrong(&failure, place);
                    let before = format!("stopped after {done} of {} statements", parts.len());
                    return refuse(&if done > 0 { refused.after(before) } else { refused });
                }
            };
            let rows = if self.json { table::json(&result) } else { table::drawn(&result, page(), style()) };
            let gap = if has_printed && !self.json && !rows.is_empty() { "\n" } else { "" };
            has_printed |= !rows.is_empty();
            let code = print(&format!("{gap}{rows}"));
            say(&printable(&told(&result, &plan)));
            if code != ExitCode::SUCCESS {
                return code;
            }
        }
        ExitCode::SUCCESS
    }

    /// Runs one statement; gives its result, and how it was executed.
    fn one(&mut self, part: &Part) -> Result<(Done, Vec<String>), Failure> {
        let statement = self.database.prepare(&part.text)?;
        if let Class::Control(control) = statement.class() {
            return self.control(control).map(|()| (nothing(), Vec::new()));
        }
        match self.database.execute(self.open, &statement, &[], Call::at(self.now)) {
            Outcome::Done(done) => {
                let plan = self.database.plan(&statement).unwrap_or_default();
                Ok((done, plan))
            }
            Outcome::Failed(failed) => Err(failed.failure),
            Outcome::Blocked(_) => Err(self.locked(&statement)),
        }
    }

    /// Nobody else has a transaction: none is open when the run is over.
    fn locked(&self, statement: &Statement) -> Failure {
        let message = format!("{} waits for a lock", statement.summary());
        Failure { sqlstate: "55P03", message, hint: None, place: None }
    }

    fn control(&mut self, control: Control) -> Result<(), Failure> {
        match (control, self.open.take()) {
            (Control::Begin, None) => {
                self.open = Some(self.database.begin(self.now)?);
                Ok(())
            }
            // PostgreSQL only warns of a BEGIN within a transaction.
            (Control::Begin, open) => {
                self.open = open;
                Ok(())
            }
            (Control::Commit, Some(open)) => self.database.commit(open).map(drop),
            (Control::Rollback, Some(open)) => self.database.rollback(open),
            (Control::Commit | Control::Rollback, None) => Ok(()),
        }
    }

    /// The tables with their rows and columns, then the indexes.
    fn tables(&mut self) -> ExitCode {
        let tables = match self.database.tables() {
            Ok(tables) => tables,
            Err(failure) => {
                let problem = Problem::new(format!("{} (SQLSTATE {})", failure.message, failure.sqlstate));
                return refuse(&Refused::new(None, vec![problem]));
            }
        };
        let mut text = String::new();
        for table in tables {
            text.push_str(&format!("{}: {} rows\n", table.name, table.rows));
            for column in &table.columns {
                text.push_str(&format!("  {} {}\n", column.name, column.kind.name()));
            }
            for index in self.database.indexes().iter().filter(|index| index.table == table.name) {
                let unique = if index.unique { ", unique" } else { "" };
                text.push_str(&format!("  index {} ({}){unique}\n", index.name, index.keys.join(", ")));
            }
        }
        print(&printable(&text))
    }
}

/// Columns of a table: as many as the terminal has, or `COLUMNS` says.
fn page() -> usize {
    let Stdout { is_terminal, style } = stdout();
    if is_terminal || environment("COLUMNS").is_some() { style.columns() } else { PAGE }
}

/// What a statement gives that only begins or ends a transaction.
fn nothing() -> Done {
    Done { columns: Arc::from([]), rows: Vec::new(), affected: 0, work: Work::default() }
}

/// What a statement took, for standard error.
fn told(done: &Done, plan: &[String]) -> String {
    let work = done.work;
    let mut text = format!("rows: {}; steps: {}", done.affected, work.steps);
    if work.scanned > 0 {
        text.push_str(&format!("; rows scanned: {}", work.scanned));
    }
    if work.sorts > 0 {
        text.push_str(&format!("; sorts: {}", work.sorts));
    }
    text.push('\n');
    plan.iter().for_each(|line| text.push_str(&format!("plan: {line}\n")));
    text
}
