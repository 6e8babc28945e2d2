//! What the bus does when faults come and go that no request asks for.

use std::rc::Rc;

use crate::fault::{Faults, Rule, Stage};

use super::Bus;

impl Stage for Bus {
    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn opened(&self, _rule: &Rc<Rule>) {}

    fn closed(&self, _rule: &Rc<Rule>) {}
}
