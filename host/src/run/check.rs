//! What `simhost check` says of a topology that is good.

pub(super) mod fault;
mod link;

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::clock::show;
use crate::model::{Distribution, Model};

use super::services::Service;

/// What a topology would run, as a table: services, their code, their routes.
pub fn description(model: &Model, services: &[Service]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.force_no_tty();
    table.set_header(["service", "guest", "version", "replicas", "workers", "routes"]);
    for (described, service) in model.services.iter().zip(services) {
        let routes: Vec<_> = service.guest.iter().flat_map(|guest| guest.routes.names()).collect();
        let counts = match service.guest {
            Some(_) => [described.replicas.to_string(), described.workers.to_string()],
            None => [String::new(), String::new()],
        };
        let [replicas, workers] = counts;
        let version = service.version.clone().unwrap_or_default();
        table.add_row([
            service.name.to_string(),
            service.source.clone(),
            version,
            replicas,
            workers,
            routes.join("\n"),
        ]);
    }
    for column in table.column_iter_mut().skip(3).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{}: good to run\n{}\n", model.name, table.trim_fmt());
    if let Some(ingress) = &model.ingress {
        let to = &model.service(ingress.to).name;
        writeln!(text, "ingress: http://{} to {to}", ingress.listen).expect("a String takes every write");
    }
    for link in &model.links {
        writeln!(text, "{}", link::line(link, model)).expect("a String takes every write");
    }
    for load in &model.loads {
        let to = &model.service(load.to).name;
        let when = if load.real_time { "" } else { ", in virtual time only" };
        writeln!(text, "load {}: to {to}{when}", load.name).expect("a String takes every write");
    }
    for fault in &model.faults {
        writeln!(text, "{}", fault::line(fault, model)).expect("a String takes every write");
    }
    text
}

/// A random length of time, as short as can be.
fn length(distribution: &Distribution) -> String {
    match distribution {
        Distribution::Fixed(nanos) => show(*nanos),
        Distribution::Normal { mean, stddev } => format!("{} +/- {}", show(*mean), show(*stddev)),
        Distribution::Lognormal { median, .. } => format!("some {}", show(*median)),
        Distribution::Exponential { mean } => format!("{} on average", show(*mean)),
        Distribution::Uniform { min, max } => format!("{} to {}", show(*min), show(*max)),
        Distribution::Pareto { min, .. } => format!("{} or more", show(*min)),
        Distribution::Percentiles(points) => {
            let ends = points.first().zip(points.last());
            ends.map_or_else(String::new, |((_, min), (_, max))| format!("{} to {}", show(*min), show(*max)))
        }
    }
}

fn percent(share: f64) -> String {
    // What a product of binary fractions adds behind the twelfth digit, nobody wrote.
    format!("{} %", (share * 100.0 * 1e9).round() / 1e9)
}
