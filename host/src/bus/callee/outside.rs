//! Real servers: those that a topology names, and hosts that it allows.

use std::cell::OnceCell;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use crate::bus::spans::Connection;
use crate::bus::visit::{Hop, Outcome, Visit};
use crate::fault::{Candidate, Spans};
use crate::guest::CallError;
use crate::message::{Request, Response};

use super::CalleeSide;

/// A real server that a call goes out to; implemented where the network is.
pub trait External {
    /// Sends `request` to `base` (`http://host:port`) and waits for the response.
    fn send(&self, base: &str, request: Request) -> LocalBoxFuture<'static, Result<Exchange, CallError>>;
}

/// What a real server has answered.
#[derive(Debug)]
pub struct Exchange {
    pub response: Response,
    pub connection: Connection,
}

impl CalleeSide {
    /// The real server has it: faults of services strike before the request leaves.
    pub(in crate::bus) async fn outside(self: Rc<Self>, visit: &mut Visit) -> Outcome {
        let (now, to) = (self.now(), visit.to);
        let verdict = {
            let candidate = visit.candidate(None, None, &[], visit.outermost());
            // It makes no spans of ours.
            let candidate = Candidate { spans: Spans { server: None, ..candidate.spans }, ..candidate };
            if let Some(refusal) = self.faults.door(&candidate, now) {
                return Ok(refusal);
            }
            self.faults.worker(&candidate, now)
        };
        self.host.sched.sleep(verdict.delay).await;
        if let Some(answer) = verdict.answer {
            return Ok(answer);
        }
        let request = std::mem::take(&mut visit.request);
        let connection = match &visit.hop {
            Hop::ToRealServer(connection) => Rc::clone(connection),
            Hop::FromOutside(_) | Hop::BetweenServices(..) => Rc::default(),
        };
        Rc::clone(&self).send_out(&self.node(to).base, request, &connection).await
    }

    /// Sends a request to a real server at `base` (`http://host:port`); `connection` takes in what becomes
    /// known of it.
    pub(in crate::bus) async fn send_out(
        self: Rc<Self>,
        base: &str,
        request: Request,
        connection: &OnceCell<Connection>,
    ) -> Outcome {
        let Some(external) = &self.external else {
            return Err(CallError::Refused("a run in virtual time reaches no real servers".to_owned()));
        };
        let exchange = external.send(base, request).await?;
        // Set already where a fault has sent the request twice.
        connection.set(exchange.connection).ok();
        Ok(exchange.response)
    }
}
