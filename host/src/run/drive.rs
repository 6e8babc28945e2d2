//! What drives a run: the requests of the command line, the loads, the door; and
//! the orderly end.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::bus::Bus;
use crate::error::{Problem, quote};
use crate::ingress::{self, Inbound, Ingress};
use crate::load::{LoadStats, Loads};
use crate::model::{Load, Model, Nanos};
use crate::sched::Sched;

use super::requests::Reply;
use super::{Event, Options, RunError, unknown};

/// Callees that still work when a run in real time ends have this long: simulated nanoseconds.
const DRAIN: Nanos = 10_000_000_000;

/// A run that is ready to go.
#[derive(Clone, Copy, Debug)]
pub struct Drive<'a> {
    pub bus: &'a Rc<Bus>,
    pub sched: &'a Sched,
    pub model: &'a Model,
    pub options: &'a Options,
    /// Turns true when the run is told to stop.
    pub stop: &'a watch::Sender<bool>,
}

impl Drive<'_> {
    /// Lets in all that comes, until nothing more does, and what has come in finish.
    ///
    /// # Errors
    /// The door cannot be opened.
    pub async fn to_the_end(
        self,
        listener: Option<TcpListener>,
        network: &Runtime,
        on_event: &mut impl FnMut(Event),
    ) -> Result<(Vec<Reply>, Vec<(String, LoadStats)>), RunError> {
        let replies = self.send(on_event).await;
        let loads = Loads::start(self.model, self.bus, self.sched, self.options.stop_after);
        match listener {
            Some(listener) => self.serve(listener, network, &loads, on_event).await?,
            None => self.wait(&loads, on_event).await,
        }
        if self.sched.is_virtual() {
            // Patience costs nothing.
            self.sched.drained().await;
        } else {
            select(pin!(self.sched.drained()), self.sched.sleep(DRAIN)).await;
        }
        Ok((replies, loads.snapshot()))
    }

    /// Sends the requests of the command line, one after the other, until it is told to stop.
    async fn send(&self, on_event: &mut impl FnMut(Event)) -> Vec<Reply> {
        let mut replies = Vec::new();
        let Some(ingress) = &self.model.ingress else { return replies };
        let mut stop = self.stop.subscribe();
        for asked in &self.options.requests {
            let before = self.sched.now();
            let answering = Box::pin(Rc::clone(self.bus).enter(asked.entry(ingress.to)));
            let (answer, told) = match select(answering, pin!(stop.wait_for(|stop| *stop))).await {
                Either::Left((answer, _)) => (answer, false),
                Either::Right((_, answering)) => {
                    on_event(Event::Draining);
                    (answering.await, true)
                }
            };
            replies.push(Reply { asked: asked.clone(), answer, took: self.sched.now() - before });
            if told {
                break;
            }
        }
        replies
    }

    /// Waits until the loads are over, time is up, or it is told to stop.
    async fn wait(&self, loads: &Loads, on_event: &mut impl FnMut(Event)) {
        if self.model.loads.is_empty() {
            return;
        }
        let over = async {
            match self.options.stop_after {
                // Also when the loads end earlier: so much was to be simulated.
                Some(after) => self.sched.sleep(after).await,
                None => loads.over().await,
            }
        };
        if let Either::Right(_) = select(pin!(over), pin!(self.told())).await {
            on_event(Event::Draining);
        }
        loads.stop();
    }

    /// Serves what comes in until it is told to stop, or time is up.
    async fn serve(
        &self,
        listener: TcpListener,
        network: &Runtime,
        loads: &Loads,
        on_event: &mut impl FnMut(Event),
    ) -> Result<(), RunError> {
        let Some(at) = &self.model.ingress else { return Ok(()) };
        let settings = ingress::Settings {
            to: at.to,
            limits: self.model.service(at.to).limits.clone(),
            bounds: self.model.bounds.clone(),
        };
        let (door, inbound) = {
            let _network = network.enter();
            Ingress::open(listener, settings)?
        };
        self.sched.spawn(pump(Rc::clone(self.bus), self.sched.clone(), inbound));
        let to = self.model.service(at.to).name.clone();
        on_event(Event::Listening { address: door.address, to });
        match self.options.stop_after {
            Some(after) => match select(pin!(self.told()), self.sched.sleep(after)).await {
                Either::Left(_) | Either::Right(_) => {}
            },
            None => self.told().await,
        }
        // From here on one more signal ends the process, also when time was up.
        self.stop.send_replace(true);
        on_event(Event::Draining);
        loads.stop();
        network.spawn(door.close()).await.ok();
        Ok(())
    }

    /// Waits until it is told to stop.
    async fn told(&self) {
        // The sender lives as long as the network does.
        self.stop.subscribe().wait_for(|stop| *stop).await.ok();
    }
}

/// Brings requests from the door onto the bus, until the door is closed.
async fn pump(bus: Rc<Bus>, sched: Sched, mut inbound: mpsc::Receiver<Inbound>) {
    while let Some(Inbound { entry, reply }) = inbound.recv().await {
        let bus = Rc::clone(&bus);
        sched.spawn(async move {
            // A client that has hung up wants no answer.
            reply.send(bus.enter(entry).await).ok();
        });
    }
}

/// Leaves the model those loads that are to run, as the command line and the clock have it.
pub fn choose_loads(options: &Options, model: &mut Model) -> Vec<Problem> {
    let names: Vec<_> = model.loads.iter().map(|load| load.name.clone()).collect();
    let wrong = options.loads.iter().filter(|(name, _)| !names.contains(name));
    let problems = wrong.map(|(name, _)| unknown("--load", "load", name, &names)).collect();
    model.loads.retain(|load| {
        let switched = options.loads.iter().rev().find(|(name, _)| *name == load.name);
        let by_itself = load.real_time || options.virtual_time;
        switched.map_or(by_itself, |(_, on)| *on) && options.requests.is_empty()
    });
    problems
}

/// What keeps a run from beginning, or from ending.
pub fn problems(options: &Options, model: &Model) -> Vec<Problem> {
    if !options.virtual_time {
        return Vec::new();
    }
    if options.requests.is_empty() && model.loads.is_empty() {
        let problem = Problem::new("a run in virtual time has nothing to do");
        return vec![
            problem.help("give it requests: --request 'POST /orders {\"item\":\"book\"}', or a [[load]]"),
        ];
    }
    if options.stop_after.is_some() {
        return Vec::new();
    }
    let endless = |load: &&Load| load.lasts.is_none() && load.max_requests.is_none();
    let problem = |load: &Load| {
        let problem = Problem::new(format!("the load {} never ends, nor would the run", quote(&load.name)));
        let help = "say how long: --for 10m, or for = \"10m\" in the load";
        problem.at(load.place.clone(), "neither for nor max-requests").help(help)
    };
    model.loads.iter().filter(endless).map(problem).collect()
}
