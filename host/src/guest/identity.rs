//! A replica of a service, as its workers see it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::model::{Compute, Limits, Nanos, ServiceId};
use crate::process::Process;
use crate::telemetry::record::ResourceId;

use super::budget::UnderWay;
use super::endpoint::Endpoint;
use super::waiter::WorkerPool;

/// One replica of a service, as its workers see it.
#[derive(Debug)]
pub struct Identity {
    pub service: ServiceId,
    pub name: String,
    pub replica: u32,
    /// What its workers live and die in.
    pub process: Rc<Process>,
    pub resource: ResourceId,
    /// Where it is in the network.
    pub endpoint: Rc<Endpoint>,
    pub config: Vec<(String, String)>,
    pub environment: Vec<(String, String)>,
    /// How long its guest's computing takes in virtual time.
    pub compute: Compute,
    pub limits: Limits,
    /// What its guest computes to tell what it has, as a worker does with its first request: nanoseconds.
    pub preparing: Nanos,
    /// What its workers' calls hold.
    pub under_way: Rc<UnderWay>,
    /// What its workers' memories take: bytes.
    pub memory: Arc<AtomicU64>,
    /// Its workers together.
    pub pool: Rc<WorkerPool>,
}
