//! What drives a run: the requests of the command line, the loads, the ingress; and
//! the orderly end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::bus::{Bus, External, NodeCode};
use crate::ingress::{self, Inbound, Ingress};
use crate::jobs::{JobStats, Jobs};
use crate::load::{LoadStats, Loads, Surroundings, Transport};
use crate::model::Model;
use crate::sched::{NEVER, Sched};
use crate::socket::Shortage;
use crate::telemetry::record::ResourceId;

use super::drain::Drain;
use super::event::RunEvent;
use super::requests::{self, Reply};
use super::{Failure, Options, RunError, first};

/// What a run has done when it has been driven to its end.
#[derive(Debug, Default)]
pub struct Driven {
    pub replies: Vec<Reply>,
    /// By name, in the order of the topology.
    pub loads: Vec<(String, LoadStats)>,
    /// In the order of the topology.
    pub jobs: Vec<JobStats>,
    /// Why not all that was under way is done, if something is wrong with it.
    pub left: Option<Failure>,
}

/// What makes requests and begins jobs by itself.
struct Going {
    loads: Loads,
    jobs: Jobs,
}

impl Going {
    /// Lets nothing further begin. What is under way goes on.
    fn stop(&self) {
        self.loads.stop();
        self.jobs.stop();
    }
}

/// A run that is ready to go.
pub struct Drive<'a> {
    pub bus: &'a Rc<Bus>,
    pub sched: &'a Sched,
    pub model: &'a Model,
    pub options: &'a Options,
    /// The Resource of the first load that has one.
    pub loads: ResourceId,
    /// What loads go through the ingress with, if they are to.
    pub client: Option<Rc<dyn External>>,
    /// Turns true when the run is told to stop.
    pub stop: &'a watch::Sender<bool>,
    /// Who is told when the system gives no more connections.
    pub shortage: &'a Shortage,
    /// Is called when nothing more comes in.
    pub drains: &'a dyn Fn(),
}

impl Drive<'_> {
    /// Lets in all that comes, until nothing more does, and what has come in finish.
    ///
    /// # Errors
    /// The ingress cannot be opened.
    pub async fn run(
        self,
        listener: Option<TcpListener>,
        network: &Runtime,
        on_event: &mut impl FnMut(RunEvent),
    ) -> Result<Driven, RunError> {
        let start = self.sched.now();
        self.bus.stats().requests_begin(start);
        let replies = self.send(on_event).await;
        let is_served = listener.is_some();
        let going = match listener {
            Some(listener) => self.serve(listener, network, on_event).await?,
            None => self.wait(on_event).await,
        };
        (self.drains)();
        let Self { bus, sched, stop, .. } = self;
        // A run that listens is also stopped at the end of its time: there a stop need not be a signal.
        let left = Drain { bus, sched, network, stop, is_stop_a_signal: !is_served, start }.run().await;
        Ok(Driven { replies, loads: going.loads.snapshot(), jobs: going.jobs.snapshot(), left })
    }

    /// Sends the requests of the command line, one after the other, until it is told to stop.
    async fn send(&self, on_event: &mut impl FnMut(RunEvent)) -> Vec<Reply> {
        let mut replies = Vec::new();
        let Some(ingress) = &self.model.ingress else { return replies };
        let address = self.bus.client_address(requests::CLIENT);
        let client = requests::client(address, &self.model.service(ingress.to).name);
        let mut stop = self.stop.subscribe();
        for asked in &self.options.requests {
            let before = self.sched.now();
            let answering = Box::pin(Rc::clone(self.bus).enter(asked.entry(ingress.to, &client)));
            let (answer, told) = match select(answering, pin!(stop.wait_for(|stop| *stop))).await {
                Either::Left((answer, _)) => (answer, false),
                Either::Right((_, answering)) => {
                    on_event(RunEvent::Draining);
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

    /// Lets the loads go by this way, and the jobs run.
    fn set_going(&self, transport: &Transport) -> Going {
        let loads = Loads::start(&Surroundings {
            model: self.model,
            bus: self.bus,
            sched: self.sched,
            transport,
            resource: self.loads,
            until: self.options.stop_after,
        });
        Going { loads, jobs: Jobs::start(self.model, self.bus, self.sched, self.options.stop_after) }
    }

    /// Waits until the loads are over, time is up, or it is told to stop. Jobs run as long as the loads do,
    /// or until time is up.
    async fn wait(&self, on_event: &mut impl FnMut(RunEvent)) -> Going {
        let going = self.set_going(&Transport::Bus);
        let first = going.loads.begin();
        if let Some(begin) = first.filter(|_| going.jobs.is_empty()) {
            self.bus.stats().requests_begin(begin);
        }
        let until = self.options.stop_after.map(|after| self.sched.now().saturating_add(after));
        let takes_time = first.is_some() || until.is_some() || !going.jobs.is_empty();
        let over = async {
            going.loads.over().await;
            if !going.jobs.is_empty() && (until.is_some() || first.is_none()) {
                self.sched.sleep_until(until.unwrap_or(NEVER)).await;
            }
            going.jobs.stop();
            self.requests_end(takes_time);
            // Also when the loads end earlier: all of this time is to be simulated. Nobody waits
            // for nothing in real time, though.
            if let Some(until) = until.filter(|_| self.sched.is_virtual()) {
                self.sched.sleep_until(until).await;
            }
        };
        if let Either::Right(_) = select(pin!(over), pin!(self.told())).await
            && *self.stop.borrow()
        {
            on_event(RunEvent::Draining);
        }
        self.requests_end(takes_time);
        going.stop();
        going
    }

    /// Serves what comes in until it is told to stop, or time is up.
    async fn serve(
        &self,
        listener: TcpListener,
        network: &Runtime,
        on_event: &mut impl FnMut(RunEvent),
    ) -> Result<Going, RunError> {
        let at = self.model.ingress.as_ref().expect("who listens has an ingress");
        let settings = ingress::Settings {
            to: at.to,
            limits: self.model.service(at.to).limits.clone(),
            bounds: self.model.bounds.clone(),
            shortage: self.shortage.clone(),
        };
        let (ingress, inbound) = {
            let _network = network.enter();
            Ingress::open(listener, settings)?
        };
        self.sched.spawn(pump(Rc::clone(self.bus), inbound));
        let to = self.model.service(at.to).name.clone();
        on_event(RunEvent::Listening { address: ingress.address, to });
        let base = format!("http://{}", reachable(ingress.address));
        if let NodeCode::Guest(guest) = &self.bus.nodes()[at.to.index()].code
            && !self.model.loads.iter().any(|load| load.enabled)
        {
            let curl = first::curl(self.model, &guest.set.routes, &base);
            on_event(RunEvent::Idle { curl, load: self.model.loads.first().map(|load| load.name.clone()) });
        }
        let transport = match &self.client {
            Some(client) => Transport::ingress(Rc::clone(client), base, self.model.bounds.connections),
            None => Transport::Bus,
        };
        let going = self.set_going(&transport);
        match self.options.stop_after {
            Some(after) => match select(pin!(self.told()), self.sched.sleep(after)).await {
                Either::Left(_) | Either::Right(_) => {}
            },
            None => self.told().await,
        }
        // From here on one more signal ends the process, also when time was up.
        self.stop.send_replace(true);
        on_event(RunEvent::Draining);
        self.requests_end(true);
        going.stop();
        network.spawn(ingress.close()).await.ok();
        Ok(going)
    }

    /// Nothing more comes in. What did has come over some time, or was asked for by the command line alone.
    fn requests_end(&self, takes_time: bool) {
        let host = self.bus.host();
        self.bus.stats().requests_end(self.sched.now());
        host.topics.requests_end(takes_time, self.sched.now());
        host.databases.requests_end();
        host.caches.requests_end();
    }

    /// Waits until it is told to stop, or messages have led to too many.
    async fn told(&self) {
        // The sender lives as long as the network does.
        let mut stop = self.stop.subscribe();
        select(pin!(stop.wait_for(|stop| *stop)), pin!(self.bus.host().topics.growth.over())).await;
    }
}

/// Where this machine reaches what listens at `address`: what listens everywhere
/// is nowhere in particular.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Brings requests from the ingress onto the bus, until the ingress is closed.
async fn pump(bus: Rc<Bus>, mut inbound: mpsc::Receiver<Inbound>) {
    while let Some(Inbound { entry, reply, share }) = inbound.recv().await {
        // A client that has hung up wants no answer.
        bus.enter_then(entry, |answer| {
            reply.send(answer).ok();
            drop(share);
        });
    }
}
