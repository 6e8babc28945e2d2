//! What strikes replicas: their resources and their lives.

use serde_json::json;
use toml::de::DeValue;

use super::super::super::distribution::show_distribution;
use super::super::super::key::{Key, Optional, Required, Type, Usual};
use super::super::super::schema::any;
use super::super::super::service::{CODE, SETTINGS, config_keys, guest_code, read_config};
use super::super::super::shapes::{By, Written};
use super::super::super::types::{DISTRIBUTION, OFFSET, POSITIVE_DISTRIBUTION, SHARE, Size, TEXT};
use super::super::super::units::show_size;
use super::LooksAt::{Replicas, Requests};
use super::{Declaration, Keys, Read, TIMES_AS_LONG};
use crate::clock::show;
use crate::error::{Problem, quote, show_share};
use crate::model::{Canary, Distribution, DoorFault, Effect, RecordFault, ReplicaFault, Target, WorkerFault};

pub(super) static KINDS: [Declaration; 9] = [
    Declaration::new(Replicas, "cpu", "a noisy neighbour, a throttled container", &[&TIMES], cpu)
        .by_magnitude(),
    Declaration::new(Replicas, "pause", "a collection of garbage, a live migration", &[], |_| {
        Read::plain(Effect::Replica(ReplicaFault::Pause))
    }),
    Declaration::new(Requests, "memory-leak", "an unbounded cache", &[&PER_REQUEST], memory_leak)
        .by_magnitude()
        .inside(),
    Declaration::new(
        Replicas,
        "pool-exhaustion",
        "threads or connections that others hold",
        &[&WORKERS],
        pool_exhaustion,
    )
    .by_magnitude(),
    Declaration::new(Replicas, "clock-skew", "a machine without time service", &[&WRONG_BY], clock_skew)
        .by_magnitude(),
    Declaration::new(Requests, "crash", "a request that kills its process", &[&RESTART], crash)
        .inside()
        .outlasting(),
    Declaration::new(
        Replicas,
        "restart-loop",
        "a process that dies again and again",
        &[&UP, &DOWN],
        restart_loop,
    ),
    Declaration::new(Replicas, "down", "a lost node", &[], |_| {
        Read::plain(Effect::Replica(ReplicaFault::Down))
    }),
    Declaration::new(
        Requests,
        "bad-deploy",
        "a new version, for all or for some",
        &[&GUEST, &VERSION, &CONFIG, &REPLICAS, &REQUESTS],
        bad_deploy,
    )
    .inside(),
];

static TIMES: Key<By<f64>, Required> = Key {
    name: "times",
    of: TIMES_AS_LONG,
    absent: Required("say how many times as long work takes: times = 4"),
    says: "how many times as long work takes",
};

fn cpu(keys: &Keys<'_, '_>) -> Option<Read> {
    let times = keys.read(&TIMES)?;
    Read::detailed(Effect::Replica(ReplicaFault::Cpu { times }), format!(" times {times}"))
}

static PER_REQUEST: Key<Size, Required> = Key {
    name: "per-request",
    of: Size(1, 4 << 30),
    absent: Required("say how much of its memory a worker loses each time: per-request = \"1MiB\""),
    says: "how much of its memory a worker loses each time",
};

fn memory_leak(keys: &Keys<'_, '_>) -> Option<Read> {
    let per_request = keys.read(&PER_REQUEST)?;
    let detail = format!(" of {} for each request", show_size(per_request));
    Read::detailed(Effect::Worker(WorkerFault::MemoryLeak { per_request }), detail)
}

static WORKERS: Key<Written, Required> = Key {
    name: "workers",
    of: Written {
        words: "a whole number, or `\"all\"`",
        schema: |_| any([json!({ "type": "integer", "minimum": 1 }), json!({ "const": "all" })]),
    },
    absent: Required("say how many workers are taken: workers = \"all\", or a number"),
    says: "how many are taken, per replica. Idle workers are taken first, busy ones when they are done",
};

fn pool_exhaustion(keys: &Keys<'_, '_>) -> Option<Read> {
    let workers = keys.need(&WORKERS)?;
    // Of several targets, as many as the largest has: more than there are, are all.
    let workers_of = |target: &Target| keys.around.services[target.service.index()].workers;
    let all = keys.targets.iter().map(workers_of).max().unwrap_or(u32::MAX);
    let workers = match workers.item() {
        DeValue::String(text) if text == "all" => Some(all),
        DeValue::String(text) => workers.refuse(
            Problem::new(format!("{} is no number of workers", quote(text)))
                .label("how many?")
                .help(format!("write workers = \"all\", or a whole number from 1 to {all}")),
        ),
        _ => workers.count(1..=all),
    }?;
    let detail = format!(" of {workers} workers");
    Read::detailed(Effect::Replica(ReplicaFault::PoolExhaustion { workers }), detail)
}

static WRONG_BY: Key<By<i64>, Required> = Key {
    name: "by",
    of: OFFSET,
    absent: Required("say how wrong the clock is: by = \"-250ms\" if it is behind, \"5s\" if ahead"),
    says: "`\"-250ms\"`: behind; `\"5s\"`: ahead",
};

fn clock_skew(keys: &Keys<'_, '_>) -> Option<Read> {
    let by = keys.read(&WRONG_BY)?;
    let direction = if by < 0 { "behind" } else { "ahead" };
    let detail = format!(" of {} {direction}", show(by.unsigned_abs()));
    Read::detailed(Effect::Record(RecordFault::ClockSkew { by }), detail)
}

static RESTART: Key<By<Distribution>, Usual> =
    Key { name: "restart", of: DISTRIBUTION, absent: Usual("\"1s\""), says: "how long the replica is away" };

fn crash(keys: &Keys<'_, '_>) -> Option<Read> {
    let restart = keys.read(&RESTART)?;
    let detail = format!(" for {}", show_distribution(&restart));
    Read::detailed(Effect::Replica(ReplicaFault::Crash { restart }), detail)
}

static UP: Key<By<Distribution>, Required> = Key {
    name: "up",
    of: POSITIVE_DISTRIBUTION,
    absent: Required("say how long the replica lives: up = { exponential = { mean = \"20s\" } }"),
    says: "how long it lives, drawn for each cycle",
};

static DOWN: Key<By<Distribution>, Required> = Key {
    name: "down",
    of: POSITIVE_DISTRIBUTION,
    absent: Required("say how long it is away: down = \"2s\""),
    says: "how long it is away, drawn for each cycle",
};

fn restart_loop(keys: &Keys<'_, '_>) -> Option<Read> {
    let (up, down) = (keys.read(&UP), keys.read(&DOWN));
    let (up, down) = (up?, down?);
    let detail = format!(", up {} and down {}", show_distribution(&up), show_distribution(&down));
    Read::detailed(Effect::Replica(ReplicaFault::RestartLoop { up, down }), detail)
}

static GUEST: Key<Written, Required> = Key {
    name: "guest",
    of: CODE,
    absent: Required("name what is deployed: guest = \"./broken.wasm\", or a guest that is built in"),
    says: "as in a service: built in, or a file. A missing file is refused. A file that is not a valid guest is \
           deployed, and its replicas do not start",
};

static VERSION: Key<By<String>, Optional> = Key {
    name: "version",
    of: TEXT,
    absent: Optional("the service's, with `+` and the build"),
    says: "`service.version` of its spans",
};

static CONFIG: Key<Written, Optional> = Key {
    name: "config",
    of: SETTINGS,
    absent: Optional("the service's"),
    says: "keys that differ from the service's. A built-in guest in place of another one, or of a file, gets \
           these keys only; so does a file in place of a built-in guest",
};

static REPLICAS: Key<By<f64>, Usual> = Key {
    name: "replicas",
    of: SHARE,
    absent: Usual("1.0"),
    says: "the share of the replicas that get it, rounded up, from the last; route, match and chance do not apply. \
           Not together with `requests`",
};

static REQUESTS: Key<By<f64>, Optional> = Key {
    name: "requests",
    of: SHARE,
    absent: Optional("none"),
    says: "or the share of the traces; a trace stays on one version",
};

fn bad_deploy(keys: &Keys<'_, '_>) -> Option<Read> {
    let code = keys.need(&GUEST).and_then(|value| guest_code(&value, keys.around.code));
    let version = keys.read(&VERSION);
    let config = keys.get(&CONFIG);
    let (config, config_keys) =
        config.map(|value| (read_config(&value).0, config_keys(&value))).unwrap_or_default();
    let canary = match (keys.get(&REPLICAS), keys.get(&REQUESTS)) {
        (Some(_), Some(requests)) => requests.refuse_key(
            Problem::new("the fault has both replicas and requests")
                .label("replicas are given as well")
                .help("keep replicas to replace some of them, or requests for a share of the traces"),
        ),
        (Some(replicas), None) => REPLICAS.of.read(&replicas).map(Canary::Replicas),
        (None, Some(requests)) => REQUESTS.of.read(&requests).map(Canary::Requests),
        (None, None) => Some(Canary::Replicas(REPLICAS.usual())),
    };
    let canary = canary?;
    let detail = match canary {
        Canary::Replicas(share) => format!(" to {} of the replicas", show_share(share)),
        Canary::Requests(share) => format!(" for {} of the traces", show_share(share)),
    };
    let deploy = DoorFault::BadDeploy { code: code?, version: version?, config, config_keys, canary };
    Read::detailed(Effect::Door(deploy), detail)
}
