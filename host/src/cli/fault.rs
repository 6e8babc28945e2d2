//! `simhost fault`: faults of a run that goes on, listed and switched by hand.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::uri::Authority;

use crate::control::{Listing, Order, State, Trouble, client};
use crate::error::{printable, quote};
use crate::report::grid::{Grid, Kind};
use crate::report::words;

use super::terminal::style;
use super::{REFUSED, environment, print, say};

/// Where the address of the run is looked for, unless `--at` has it.
const ADDRESS: &str = "SIMHOST_CONTROL";

#[derive(Debug, Args)]
pub struct Fault {
    #[command(subcommand)]
    what: What,

    /// The control address that the run has printed: a URL or ADDRESS:PORT
    /// [default: the variable SIMHOST_CONTROL]
    #[arg(long, global = true, value_name = "URL")]
    at: Option<String>,

    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the faults of the topology, and what they do
    List,
    /// Switch a fault on, whatever its schedule says
    On(Named),
    /// Switch a fault off, whatever its schedule says
    Off(Named),
    /// Let the schedule of a fault decide again
    Auto(Named),
    /// Change a fault: how many of the requests it strikes
    Set(Set),
}

#[derive(Debug, Args)]
struct Named {
    /// The fault's name
    name: String,
}

#[derive(Debug, Args)]
struct Set {
    /// The fault's name
    name: String,

    /// probability=SHARE: the share that is struck of the requests that it matches, from 0 to 1
    #[arg(value_name = "KEY=VALUE", value_parser = probability)]
    probability: f64,
}

impl What {
    /// The fault, and what is to become of it.
    fn order(&self) -> Option<(&str, Order)> {
        let none = Order::default();
        match self {
            Self::List => None,
            Self::On(fault) => Some((&fault.name, Order { active: Some(true), ..none })),
            Self::Off(fault) => Some((&fault.name, Order { active: Some(false), ..none })),
            Self::Auto(fault) => Some((&fault.name, Order { scheduled: Some(true), ..none })),
            Self::Set(set) => Some((&set.name, Order { probability: Some(set.probability), ..none })),
        }
    }
}

impl Fault {
    pub fn execute(self) -> ExitCode {
        match self.ask().and_then(|answer| self.text(answer)) {
            Ok(text) => print(&printable(&text)),
            Err(trouble) => fail(&trouble),
        }
    }

    fn ask(&self) -> Result<String, Trouble> {
        let order = self.what.order();
        if let Some((_, order)) = order {
            order.check()?;
        }
        client::ask(&address(self.at.clone())?, order)
    }

    /// What a person reads of the answer, or a program.
    fn text(&self, answer: String) -> Result<String, Trouble> {
        let misread = |error| {
            let help = "name the address that a run of this version prints behind \"control on\"";
            Trouble::new(502, format!("the answer is not one of simhost: {error}"), help)
        };
        if matches!(self.what, What::List) {
            let listing: Listing = serde_json::from_str(&answer).map_err(misread)?;
            return Ok(if self.json { answer } else { table(&listing) });
        }
        let state: State = serde_json::from_str(&answer).map_err(misread)?;
        if self.json {
            return Ok(answer);
        }
        let share = match self.what {
            What::Set(_) => format!(", probability {}", state.probability),
            _ => String::new(),
        };
        Ok(format!("{}: {}{share}\n", state.name, condition(&state)))
    }
}

fn probability(text: &str) -> Result<f64, String> {
    let share = text.strip_prefix("probability=").and_then(|share| share.parse().ok());
    share.ok_or_else(|| "write it as probability=SHARE, for example probability=0.2".to_owned())
}

/// The address of the run, `host:port`.
fn address(flag: Option<String>) -> Result<String, Trouble> {
    const HELP: &str = "start the run with --control 127.0.0.1:0, and write --at with what it prints";
    let said = flag.or_else(|| environment(ADDRESS).filter(|text| !text.is_empty()));
    let Some(said) = said else {
        return Err(Trouble::new(400, format!("which run? Neither --at nor {ADDRESS} says so"), HELP));
    };
    let address = said.strip_prefix("http://").unwrap_or(&said).trim_end_matches('/');
    let is_address = address.parse::<Authority>().is_ok_and(|authority| authority.port().is_some());
    if is_address {
        return Ok(address.to_owned());
    }
    Err(Trouble::new(400, format!("{} is no address of a run", quote(&said)), HELP))
}

/// Says what is wrong: with what was asked for, or with the run.
fn fail(trouble: &Trouble) -> ExitCode {
    say(&format!("error: {}\n  help: {}\n", printable(&trouble.error), printable(&trouble.help)));
    if trouble.status < 500 { ExitCode::from(REFUSED) } else { ExitCode::FAILURE }
}

fn table(listing: &Listing) -> String {
    if listing.faults.is_empty() {
        return "the topology has no faults\n".to_owned();
    }
    let names = [("fault", Kind::Name), ("kind", Kind::Name), ("target", Kind::Name), ("state", Kind::Name)];
    let numbers = ["probability", "matched", "injected"].map(|head| (head, Kind::Number));
    let mut grid = Grid::new(names.into_iter().chain(numbers));
    for fault in &listing.faults {
        let target =
            [&fault.service, &fault.route, &fault.database, &fault.cache, &fault.topic].map(Option::as_deref);
        let target = target.into_iter().flatten().collect::<Vec<_>>().join(" ");
        grid.row([
            fault.name.clone(),
            fault.kind.clone(),
            target,
            condition(fault),
            words::share(fault.probability),
            words::count(fault.matched),
            words::count(fault.injected),
        ]);
    }
    let mut text = format!("after {}\n", words::time(listing.simulated_ns));
    let left_out = grid.write(&mut text, style());
    if !left_out.is_empty() {
        text.push_str(&format!(
            " left out, as the page is narrow: {}; --json has all\n",
            left_out.join(", ")
        ));
    }
    text
}

/// `active until 1m30s`, `off by hand`.
fn condition(fault: &State) -> String {
    let word = if fault.active { "active" } else { "off" };
    match fault.next_ns {
        _ if fault.held => format!("{word} by hand"),
        Some(next) => format!("{word} until {}", words::time(next)),
        None => word.to_owned(),
    }
}
