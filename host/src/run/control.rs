//! The faults of a run are changed by hand while it goes on, and what is answered.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tracing::info;

use crate::control::{Control, FaultQuery, FaultReply, Inbound, Listing, Order, State, Trouble};
use crate::error::{Problem, did_you_mean, quote};
use crate::fault::{FaultScheduler, ManualChange, Rule, Suppression};
use crate::model::{Model, Nanos};
use crate::sched::Sched;
use crate::socket::Shortage;

use super::event::RunEvent;
use super::{Options, RunError};

/// What keeps a run from being controlled.
pub fn problems(options: &Options) -> Vec<Problem> {
    let Some(address) = options.control else { return Vec::new() };
    let mut problems = Vec::new();
    if !address.ip().is_loopback() {
        let what =
            format!("--control {address} is not a loopback address: whoever reaches it could change faults");
        problems.push(Problem::new(what).help(format!("write --control 127.0.0.1:{}", address.port())));
    }
    if options.virtual_time && options.speed.is_none() {
        let what = "--control was given, but time jumps: the run would be over before anybody did anything";
        problems.push(Problem::new(what).help("pace it, with --speed 1, or leave --control out"));
    }
    if options.shards.is_some_and(|shards| shards > 1) {
        let what = "--control was given, but it changes the faults of one world, and --shards makes several";
        problems.push(Problem::new(what).help("leave --shards out, or --control"));
    }
    problems
}

/// Opens the port that `--control` asks for.
pub fn open_listener(options: &Options, network: &Runtime) -> Result<Option<TcpListener>, RunError> {
    let Some(address) = options.control else { return Ok(None) };
    let listener = network.block_on(TcpListener::bind(address));
    listener.map(Some).map_err(|error| RunError::Control { address, error })
}

/// Answers the control API, on the core thread.
struct Responder {
    scheduler: Rc<FaultScheduler>,
    sched: Sched,
    start: Nanos,
    /// Service, route, database, cache and topic of each fault.
    targets: Vec<[Option<String>; 5]>,
}

/// Serves the control API, from now on until the run is told to stop.
///
/// # Errors
/// The socket has no local address.
pub fn attend(
    listener: TcpListener,
    network: &Runtime,
    stop: watch::Receiver<bool>,
    scheduler: &Rc<FaultScheduler>,
    sched: &Sched,
    model: &Model,
    shortage: &Shortage,
) -> Result<RunEvent, RunError> {
    let (control, inbound) = {
        let _network = network.enter();
        Control::open(listener, stop, shortage.clone())?
    };
    let target = |fault: &crate::model::Fault| {
        let target = fault.target.as_ref();
        let service = target.map(|target| model.service(target.service).name.clone());
        let route = target.and_then(|target| Some(target.route.as_ref()?.0.clone()));
        let database = fault.database().map(|database| model.databases[database].name.clone());
        let cache = fault.cache().map(|cache| model.caches[cache].name.clone());
        let topic = fault.topic().map(|of| model.topics[of.topic].name.clone());
        [service, route, database, cache, topic]
    };
    let responder = Responder {
        scheduler: Rc::clone(scheduler),
        sched: sched.clone(),
        start: sched.now(),
        targets: model.faults.iter().map(target).collect(),
    };
    scheduler.allow_changes();
    sched.spawn_background(responder.serve(inbound));
    Ok(RunEvent::Control { address: control.address })
}

impl Responder {
    async fn serve(self, mut inbound: mpsc::Receiver<Inbound>) {
        while let Some(Inbound { query, reply }) = inbound.recv().await {
            // A client that has hung up wants no answer.
            reply.send(self.answer(query)).ok();
        }
    }

    fn answer(&self, query: FaultQuery) -> Result<FaultReply, Trouble> {
        match query {
            FaultQuery::All => {
                let faults = self.scheduler.rules().iter().map(|rule| self.state(rule)).collect();
                Ok(FaultReply::All(Listing { simulated_ns: self.sched.now() - self.start, faults }))
            }
            FaultQuery::One(name) => Ok(FaultReply::One(Box::new(self.state(self.find(&name)?)))),
            FaultQuery::Change(name, order) => {
                let rule = self.find(&name)?;
                info!(fault = name, ?order, "fault changed by the control API");
                for change in changes(order) {
                    self.scheduler.change(rule.index, change);
                }
                Ok(FaultReply::One(Box::new(self.state(rule))))
            }
        }
    }

    fn find(&self, name: &str) -> Result<&Rc<Rule>, Trouble> {
        let rules = self.scheduler.rules();
        rules.iter().find(|rule| *rule.name == *name).ok_or_else(|| {
            let known = rules.iter().map(|rule| &*rule.name);
            Trouble::new(404, format!("unknown fault {}", quote(name)), did_you_mean(name, "faults", known))
        })
    }

    fn state(&self, rule: &Rule) -> State {
        let [service, route, database, cache, topic] = self.targets[rule.index].clone();
        let (counts, kept) = (rule.counts(), self.scheduler.kept(rule));
        let by_reason = Suppression::ALL.iter().zip(counts.suppressed);
        let spared = by_reason.filter(|(_, count)| *count > 0);
        State {
            name: rule.name.to_string(),
            kind: rule.kind.name.to_owned(),
            service,
            route,
            database,
            cache,
            topic,
            active: rule.is_active(),
            held: self.scheduler.is_manual(rule.index),
            probability: rule.probability(),
            strength: if rule.is_active() { rule.strength(self.sched.now()) } else { 0.0 },
            windows: rule.windows(),
            next_ns: self.scheduler.next_turn(rule.index).map(|at| at - self.start),
            matched: counts.matched + kept,
            injected: counts.injected + kept,
            suppressed: spared.map(|(why, count)| (why.name().to_owned(), count)).collect::<BTreeMap<_, _>>(),
        }
    }
}

/// What is to be done, in an order in which no window opens that is not meant to.
fn changes(order: Order) -> impl Iterator<Item = ManualChange> {
    let Order { active, scheduled, probability } = order;
    let switch = match active {
        Some(true) => Some(ManualChange::On),
        Some(false) => Some(ManualChange::Off),
        None => scheduled.map(|_| ManualChange::Schedule),
    };
    let (before, after) = if switch == Some(ManualChange::Off) { (switch, None) } else { (None, switch) };
    before.into_iter().chain(probability.map(ManualChange::Probability)).chain(after)
}
