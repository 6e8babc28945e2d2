//! The physics is right: what runs in virtual time agrees with queueing theory.

mod compare;
mod formulas;
mod lab;
mod laws;
mod paths;
mod queues;
mod stats;
