//! What befalls replicas: their resources and their lives.

use toml::de::DeValue;

use super::super::super::distribution::{distribution, positive_distribution, show_distribution};
use super::super::super::rates::share;
use super::super::super::service::{guest_code, read_config};
use super::super::super::units::{offset, show_size, size};
use super::{Declaration, Keys, Read};
use crate::clock::show;
use crate::error::{Problem, quote, show_share};
use crate::model::{Canary, Distribution, DoorFault, Effect, RecordFault, ReplicaFault, Target, WorkerFault};

/// How long a replica is away after a crash, where the file does not say: a second.
const RESTART: Distribution = Distribution::Fixed(1_000_000_000);

/// Work that takes longer than this does not come to an end.
const TIMES_AT_MOST: f64 = 1e6;

pub(super) static KINDS: [Declaration; 9] = [
    Declaration::replicas("cpu", "a noisy neighbour, a throttled container", &["times"], cpu).by_magnitude(),
    Declaration::replicas("pause", "a collection of garbage, a live migration", &[], |_| {
        Read::plain(Effect::Replica(ReplicaFault::Pause))
    }),
    Declaration::requests("memory-leak", "an unbounded cache", &["per-request"], memory_leak)
        .by_magnitude()
        .inside(),
    Declaration::replicas(
        "pool-exhaustion",
        "threads or connections that others hold",
        &["workers"],
        pool_exhaustion,
    )
    .by_magnitude(),
    Declaration::replicas("clock-skew", "a machine without time service", &["by"], clock_skew).by_magnitude(),
    Declaration::requests("crash", "a request that kills its process", &["restart"], crash).inside().outlasting(),
    Declaration::replicas(
        "restart-loop",
        "a process that dies again and again",
        &["up", "down"],
        restart_loop,
    ),
    Declaration::replicas("down", "a lost node", &[], |_| Read::plain(Effect::Replica(ReplicaFault::Down))),
    Declaration::requests(
        "bad-deploy",
        "a new version, for all or for some",
        &["guest", "version", "config", "replicas", "requests"],
        bad_deploy,
    )
    .inside(),
];

fn cpu(keys: &Keys<'_, '_>) -> Option<Read> {
    let times = keys.need("times", "say how many times as long work takes: times = 4")?;
    let fits = |times| times > 1.0 && times <= TIMES_AT_MOST;
    let times = times.number("a number above 1, up to 1000000", fits)?;
    Read::detailed(Effect::Replica(ReplicaFault::Cpu { times }), format!(" times {times}"))
}

fn memory_leak(keys: &Keys<'_, '_>) -> Option<Read> {
    let remedy = "say how much of its memory a worker loses each time: per-request = \"1MiB\"";
    let per_request = size(&keys.need("per-request", remedy)?, 1..=4 << 30)?;
    let detail = format!(" of {} for each request", show_size(per_request));
    Read::detailed(Effect::Worker(WorkerFault::MemoryLeak { per_request }), detail)
}

fn pool_exhaustion(keys: &Keys<'_, '_>) -> Option<Read> {
    let workers = keys.need("workers", "say how many workers are taken: workers = \"all\", or a number")?;
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

fn clock_skew(keys: &Keys<'_, '_>) -> Option<Read> {
    let by =
        keys.need("by", "say how wrong the clock is: by = \"-250ms\" if it is behind, \"5s\" if ahead")?;
    let by = offset(&by)?;
    let direction = if by < 0 { "behind" } else { "ahead" };
    let detail = format!(" of {} {direction}", show(by.unsigned_abs()));
    Read::detailed(Effect::Record(RecordFault::ClockSkew { by }), detail)
}

fn crash(keys: &Keys<'_, '_>) -> Option<Read> {
    let restart = keys.get("restart").map_or(Some(RESTART), |value| distribution(&value))?;
    let detail = format!(" for {}", show_distribution(&restart));
    Read::detailed(Effect::Replica(ReplicaFault::Crash { restart }), detail)
}

fn restart_loop(keys: &Keys<'_, '_>) -> Option<Read> {
    let up = keys.need("up", "say how long the replica lives: up = { exponential = { mean = \"20s\" } }");
    let down = keys.need("down", "say how long it is away: down = \"2s\"");
    let up = up.and_then(|value| positive_distribution(&value));
    let down = down.and_then(|value| positive_distribution(&value));
    let (up, down) = (up?, down?);
    let detail = format!(", up {} and down {}", show_distribution(&up), show_distribution(&down));
    Read::detailed(Effect::Replica(ReplicaFault::RestartLoop { up, down }), detail)
}

fn bad_deploy(keys: &Keys<'_, '_>) -> Option<Read> {
    let remedy = "name what is deployed: guest = \"./broken.wasm\", or a guest that is built in";
    let code = keys.need("guest", remedy).and_then(|value| guest_code(&value, keys.around.code));
    let version = match keys.get("version") {
        Some(value) => value.filled().map(|version| Some(version.to_owned())),
        None => Some(None),
    };
    let config = keys.get("config").map(|value| read_config(&value).0).unwrap_or_default();
    let canary = match (keys.get("replicas"), keys.get("requests")) {
        (Some(_), Some(requests)) => requests.refuse_key(
            Problem::new("the fault has both replicas and requests")
                .label("replicas are given as well")
                .help("keep replicas to replace some of them, or requests for a share of the traces"),
        ),
        (Some(replicas), None) => share(&replicas).map(Canary::Replicas),
        (None, Some(requests)) => share(&requests).map(Canary::Requests),
        (None, None) => Some(Canary::Replicas(1.0)),
    };
    let canary = canary?;
    let detail = match canary {
        Canary::Replicas(share) => format!(" to {} of the replicas", show_share(share)),
        Canary::Requests(share) => format!(" for {} of the traces", show_share(share)),
    };
    let deploy = DoorFault::BadDeploy { code: code?, version: version?, config, canary };
    Read::detailed(Effect::Door(deploy), detail)
}
