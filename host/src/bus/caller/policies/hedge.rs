//! `hedge`: attempts beside one another, of which the first answer counts.

use futures_util::future::{Either, FutureExt, LocalBoxFuture, select_all};

use crate::bus::caller::attempt::ClientSpan;
use crate::model::Hedge;

use super::{Cause, GuardedCall, Landed, is_among};

/// The attempt was sent beside another that had no answer yet.
const HEDGE: &str = "simhost.link.hedge";

impl GuardedCall {
    /// Attempts beside one another: the next begins when those before have had no
    /// answer for a while, and the first answer counts (gRPC proposal A6). Who has
    /// lost is dropped: its span ends as cancelled, and its callee works on.
    pub(super) async fn hedged(&self, hedge: &Hedge) -> Landed {
        let mut flying: Vec<LocalBoxFuture<'_, Landed>> = vec![self.attempt(0, Cause::First).boxed_local()];
        let mut number = 1;
        loop {
            let next = (number < hedge.attempts).then(|| self.now().saturating_add(hedge.after));
            let landed = match self.wait(select_all(flying), next).await {
                Either::Left((landed, _, others)) => {
                    flying = others;
                    landed
                }
                Either::Right(landing) => {
                    flying = landing.into_inner();
                    flying.push(self.attempt(number, Cause::Hedge).boxed_local());
                    number += 1;
                    continue;
                }
            };
            let is_answer = !landed.never_left() && !is_among(&hedge.on, &landed.outcome);
            // Nothing comes of a hedge that its own side refuses.
            let may_follow = number < hedge.attempts && !landed.never_left();
            if is_answer || flying.is_empty() && !may_follow {
                return landed;
            }
            landed.end().ok();
            if may_follow {
                flying.push(self.attempt(number, Cause::Hedge).boxed_local());
                number += 1;
            }
        }
    }
}

impl ClientSpan {
    pub(super) fn is_hedge(&mut self) {
        self.say(|span, _| span.set(HEDGE, true));
    }
}
