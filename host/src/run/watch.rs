//! Who watches a run while it goes on: its exporters, its files, its ingress; and the line of progress.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::clock::Stopwatch;
use crate::model::Model;
use crate::progress::{self, Course, Line};
use crate::prometheus::clash::{Clash, Clashes};
use crate::socket::Shortage;
use crate::telemetry::exporter::{Account, Totals};
use crate::telemetry::pipeline::Pipeline;

use super::event::RunEvent;
use super::truth::Truth;
use super::unread::Unread;
use super::{Options, loads};

/// Lets everything be said that happens beside the simulated world.
pub fn spawn_watchers(
    network: &Runtime,
    pipeline: &Pipeline,
    truth: Option<&Truth>,
    unread: &Unread,
    shortage: &Shortage,
    on_event: &(impl Fn(RunEvent) + Clone + Send + 'static),
) {
    for account in pipeline.accounts() {
        network.spawn(unread.clone().watch(account));
    }
    network.spawn(watch_exporters(pipeline.accounts(), on_event.clone()));
    if let Some(truth) = truth {
        network.spawn(watch_truth(truth.watch(), on_event.clone(), unread.clone()));
    }
    network.spawn(watch_doors(shortage.noticed(), on_event.clone()));
}

/// Lets it be said that a page for Prometheus cannot have a metric.
pub fn spawn_page_watcher(
    network: &Runtime,
    clashes: Option<&Arc<Clashes>>,
    on_event: &(impl Fn(RunEvent) + Clone + Send + 'static),
) {
    if let Some(clashes) = clashes {
        network.spawn(watch_pages(clashes.noticed(), on_event.clone()));
    }
}

/// What the line of progress is about.
pub fn course(
    options: &Options,
    model: &Model,
    pipeline: &Pipeline,
    is_watched: bool,
    watch: Stopwatch,
) -> Course {
    Course {
        what: None,
        is_virtual: options.virtual_time,
        total: loads::length(options, model),
        exporters: pipeline.accounts(),
        is_watched,
        worlds: options.worlds() as usize,
        watch,
    }
}

/// Shows the line of a run that is not over at once.
pub async fn show_later(line: Line) {
    tokio::time::sleep(progress::SHOWN_AFTER).await;
    line.show();
}

/// Says when an exporter gets into trouble, and when into trouble that no retry mends,
/// once each: who mistyped an endpoint wants to know before the end.
async fn watch_exporters(accounts: Vec<Arc<Account>>, on_event: impl Fn(RunEvent)) {
    const EVERY: Duration = Duration::from_millis(500);
    let mut told = vec![[false; 2]; accounts.len()];
    loop {
        tokio::time::sleep(EVERY).await;
        for (account, told) in accounts.iter().zip(&mut told) {
            let Totals { name, trouble, .. } = account.totals();
            if let Some(trouble) = trouble
                && !std::mem::replace(&mut told[usize::from(trouble.is_permanent)], true)
            {
                on_event(RunEvent::Trouble { exporter: name, trouble });
            }
        }
    }
}

/// Says when connections cannot be accepted, once.
async fn watch_doors(noticed: impl Future<Output = String>, on_event: impl Fn(RunEvent)) {
    let reason = noticed.await;
    on_event(RunEvent::Shortage { reason });
}

/// Says when a page cannot have a metric, once.
async fn watch_pages(noticed: impl Future<Output = Option<Clash>>, on_event: impl Fn(RunEvent)) {
    noticed.await.into_iter().for_each(|clash| on_event(RunEvent::Clash(clash)));
}

/// Says when the file of the truth takes no more; ends the run when nobody reads it.
async fn watch_truth(
    trouble: impl Future<Output = Option<RunEvent>>,
    on_event: impl Fn(RunEvent),
    unread: Unread,
) {
    match trouble.await {
        Some(trouble) => on_event(trouble),
        None => unread.end(),
    }
}

/// Lets what is told go above the line of progress.
pub fn above_line(line: Line, on_event: impl Fn(RunEvent) + Clone) -> impl Fn(RunEvent) + Clone {
    move |event| line.suspend(|| on_event(event))
}
