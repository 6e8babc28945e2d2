//! What goes over the control API, as JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Nanos;

/// All faults of the topology, in its order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    /// Simulated time since the start of the run.
    pub simulated_ns: Nanos,
    pub faults: Vec<State>,
}

/// A fault at this moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct State {
    pub name: String,
    /// As topologies write it: `latency`.
    pub kind: String,
    /// The service that it concerns; null where it concerns none.
    pub service: Option<String>,
    /// The route of that service; null where it concerns all.
    pub route: Option<String>,
    /// The database that it strikes; null where it strikes none.
    pub database: Option<String>,
    /// The cache that it strikes; null where it strikes none.
    pub cache: Option<String>,
    /// The topic that it strikes; null where it strikes none.
    pub topic: Option<String>,
    /// Whether it strikes now.
    pub active: bool,
    /// Whether a hand holds it as it is; otherwise its schedule says what it is.
    pub held: bool,
    /// The share that is struck of the requests that it matches, from 0 to 1.
    pub probability: f64,
    /// How far it has grown in, from 0 to 1; 0 where it is not active.
    pub strength: f64,
    /// How often it has become active.
    pub windows: u64,
    /// When its schedule opens or closes its next window: simulated time since the
    /// start of the run. Null where it does so no more, or it depends on another fault.
    pub next_ns: Option<Nanos>,
    /// Requests, messages and runs of jobs that met its target and conditions while it was active, messages
    /// that it keeps at this moment from who consumes them included; of a fault that strikes none of these:
    /// what it strikes.
    pub matched: u64,
    /// Of those, the ones that it struck.
    pub injected: u64,
    /// And the ones that it spared, by reason.
    pub suppressed: BTreeMap<String, u64>,
}

/// What is to become of a fault. What is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Switches it on, or off; its schedule, which goes on below that, has no say
    /// any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// True lets its schedule decide again, from where that has come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<bool>,
    /// The share that is struck of the requests that it matches, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

impl Order {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Trouble> {
        let wrong = |error: &str, help: &str| Err(Trouble::new(400, error, help));
        match *self {
            Self { active: None, scheduled: None, probability: None } => {
                wrong("the order changes nothing", "send active, scheduled or probability")
            }
            Self { active: Some(_), scheduled: Some(_), .. } => {
                wrong("active and scheduled contradict each other", "send one of the two")
            }
            Self { scheduled: Some(false), .. } => {
                wrong("scheduled can only be true", "send active, to switch the fault by hand")
            }
            Self { probability: Some(share), .. } if !(0.0..=1.0).contains(&share) => {
                let error = format!("probability {share} is not between 0 and 1");
                wrong(&error, "send a share, such as 0.2 for one request in five")
            }
            _ => Ok(()),
        }
    }
}

/// Why a request was refused, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// The HTTP status of the answer.
    pub status: u16,
    pub error: String,
    pub help: String,
}

impl Trouble {
    pub fn new(status: u16, error: impl Into<String>, help: impl Into<String>) -> Self {
        Self { status, error: error.into(), help: help.into() }
    }
}

/// Anything that goes over the control API.
#[derive(JsonSchema)]
#[schemars(title = "What goes over the control API of simhost", untagged)]
pub enum Document {
    Listing(Listing),
    State(State),
    Order(Order),
    Trouble(Trouble),
}

impl Document {
    /// The JSON Schema of all that goes over the control API.
    pub fn schema() -> schemars::Schema {
        let settings = schemars::generate::SchemaSettings::draft2020_12();
        settings.into_generator().into_root_schema_for::<Self>()
    }
}
