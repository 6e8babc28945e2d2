//! What befalls replicas: their resources and their lives.

use toml::de::DeValue;

use super::super::super::distribution::{distribution, positive_distribution};
use super::super::super::rates::share;
use super::super::super::service::{guest_code, read_config};
use super::super::super::units::{offset, size};
use super::Keys;
use crate::error::{Problem, quote};
use crate::model::{Canary, Distribution, FaultKind, Target};

/// How long a replica is away after a crash, where the file does not say: a second.
const RESTART: Distribution = Distribution::Fixed(1_000_000_000);

/// Work that takes longer than this does not come to an end.
const TIMES_AT_MOST: f64 = 1e6;

pub(super) fn cpu(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let times = keys.need("times", "say how many times as long work takes: times = 4")?;
    let fits = |times| times > 1.0 && times <= TIMES_AT_MOST;
    Some(FaultKind::Cpu { times: times.number("a number above 1, up to 1000000", fits)? })
}

pub(super) fn memory_leak(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let remedy = "say how much of its memory a worker loses each time: per-request = \"1MiB\"";
    let per_request = keys.need("per-request", remedy)?;
    Some(FaultKind::MemoryLeak { per_request: size(&per_request, 1..=4 << 30)? })
}

pub(super) fn pool_exhaustion(keys: &Keys<'_, '_>) -> Option<FaultKind> {
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
    };
    Some(FaultKind::PoolExhaustion { workers: workers? })
}

pub(super) fn clock_skew(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let by =
        keys.need("by", "say how wrong the clock is: by = \"-250ms\" if it is behind, \"5s\" if ahead")?;
    Some(FaultKind::ClockSkew { by: offset(&by)? })
}

pub(super) fn crash(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let restart = keys.get("restart").map_or(Some(RESTART), |value| distribution(&value));
    Some(FaultKind::Crash { restart: restart? })
}

pub(super) fn restart_loop(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let up = keys.need("up", "say how long the replica lives: up = { exponential = { mean = \"20s\" } }");
    let down = keys.need("down", "say how long it is away: down = \"2s\"");
    let up = up.and_then(|value| positive_distribution(&value));
    let down = down.and_then(|value| positive_distribution(&value));
    Some(FaultKind::RestartLoop { up: up?, down: down? })
}

pub(super) fn bad_deploy(keys: &Keys<'_, '_>) -> Option<FaultKind> {
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
    Some(FaultKind::BadDeploy { code: code?, version: version?, config, canary: canary? })
}
