//! `target = { … }`: the service, and what of it.

use super::super::key::{Key, Optional, Type};
use super::super::reader::{Table, Value};
use super::super::section;
use super::super::shapes::Count;
use super::Surroundings;
use super::kinds::{Declaration, LooksAt, Scope};
use super::stores;
use super::target_keys::{
    EACH, FROM, FROM_REPLICA, LINK, ONE_OF, REPLICA, ROUTE, SERVICE, SEVERAL, SPAN, TARGET, several_of,
};
use crate::error::{Problem, quote};
use crate::model::{Canary, Code, DoorFault, Effect, ServiceId, Target};

/// The target of a fault, or those of which one is drawn; none of a kind that concerns no
/// service.
pub(super) fn targets(
    fault: &Table<'_>,
    kind: Option<&Declaration>,
    around: &Surroundings<'_>,
) -> Option<Vec<Target>> {
    if let Some(kind) = kind.filter(|kind| kind.looks_at == LooksAt::Receivers) {
        let help = "leave it out: the receivers take telemetry of all services";
        return match TARGET.get(fault) {
            Some(value) => value.refuse_key(kind.scope().takes_no("target").help(help)),
            None => Some(Vec::new()),
        };
    }
    if kind.is_some_and(|kind| stores::is_at_store(fault, kind)) {
        return Some(Vec::new());
    }
    let table = TARGET.need(fault)?.table("the target")?;
    table.know(section::names(SEVERAL.keys));
    // What a kind strikes that nobody knows may be no service.
    if kind.is_none() && [&SERVICE, &LINK, &FROM].iter().all(|key| key.get(&table).is_none()) {
        table.refuse_others();
        return None;
    }
    match ONE_OF.get(&table) {
        Some(several) => one_of(&table, &several, kind, around),
        None => {
            table.refuse_others();
            target(&table, kind, around).map(|target| vec![target])
        }
    }
}

/// `one-of = [{ service = "a" }, { service = "b" }]`
fn one_of(
    table: &Table<'_>,
    several: &Value<'_>,
    kind: Option<&Declaration>,
    around: &Surroundings<'_>,
) -> Option<Vec<Target>> {
    let values = several_of(table, several, "{ service = \"a\" }, { service = \"b\", replica = 1 }")?;
    let read = |value: &Value<'_>| target(&EACH.open(value, "each target of one-of")?, kind, around);
    let read: Vec<_> = values.iter().map(read).collect();
    let targets = read.into_iter().collect::<Option<Vec<Target>>>()?;
    let names_span = |target: &Target| target.span.is_some();
    let other = targets.iter().position(|target| names_span(target) != names_span(&targets[0]));
    if let Some(other) = other {
        return values[other].refuse(
            Problem::new("some targets of one-of name a span, and others do not")
                .label("differs from the first")
                .help(
                    "name a span in each of them, or in none: the fault strikes within spans or before them",
                ),
        );
    }
    Some(targets)
}

/// One target.
fn target(table: &Table<'_>, kind: Option<&Declaration>, around: &Surroundings<'_>) -> Option<Target> {
    if let Some(kind) = kind {
        let requests = [FROM.get(table), LINK.get(table), ROUTE.get(table), FROM_REPLICA.get(table)];
        requests.iter().flatten().chain(&SPAN.get(table)).for_each(|value| refuse_alien(value, kind));
        stores::refuse(table, kind);
    }
    let ends = match LINK.get(table) {
        Some(link) => of_link(&link, [&SERVICE.get(table), &FROM.get(table)], around),
        None => ends(table, around),
    };
    let ends = ends.and_then(|ends| of_guest(ends, kind, SPAN.get(table).is_some(), around));
    let route = ROUTE.read(table).map(|route| route.zip(ROUTE.get(table).map(|value| value.place())));
    let service = ends.as_ref().map(|ends| ends.service);
    let replica = replica_of(&REPLICA, table, service, around);
    let from = ends.as_ref().and_then(|ends| ends.from);
    let from_replica = match FROM_REPLICA.get(table) {
        Some(value) if ends.as_ref().is_some_and(|ends| ends.from.is_none()) => value.refuse_key(
            Problem::new("from-replica needs the service that it is a replica of")
                .label("of which service?")
                .help("name the calling service: from = \"…\", or link = \"caller -> callee\""),
        ),
        _ => replica_of(&FROM_REPLICA, table, from, around),
    };
    let span = SPAN.read(table).map(|span| span.zip(SPAN.get(table).map(|value| value.place())));
    Some(Target {
        service: service?,
        route: route?,
        from,
        replica: replica?,
        from_replica: from_replica?,
        span: span?,
        place: ends?.place.place(),
    })
}

/// The two services, and where the called one is named.
struct Ends<'a> {
    service: ServiceId,
    from: Option<ServiceId>,
    place: Value<'a>,
}

/// `service = "b"`, `from = "a"`.
fn ends<'a>(table: &Table<'a>, around: &Surroundings<'_>) -> Option<Ends<'a>> {
    let from = FROM.get(table);
    let what = if from.is_some() { "the called service" } else { "the service" };
    let remedy = format!("name {what}: service = \"…\"");
    let service = table.need(SERVICE.name, SERVICE.get(table), &remedy);
    let found = service.as_ref().and_then(|value| around.names.find(value));
    let from = match from {
        Some(value) => around.names.find(&value).and_then(|id| caller(&value, id, around)).map(Some),
        None => Some(None),
    };
    Some(Ends { service: found?, from: from?, place: service? })
}

/// `link = "a -> b"`.
fn of_link<'a>(
    link: &Value<'a>,
    others: [&Option<Value<'a>>; 2],
    around: &Surroundings<'_>,
) -> Option<Ends<'a>> {
    if let Some(other) = others.into_iter().flatten().next() {
        return link.refuse_key(
            Problem::new(format!("the target has both link and {}", other.key))
                .label(format!("{} is given as well", other.key))
                .help("keep link = \"caller -> callee\", or from and service"),
        );
    }
    let text = link.text()?;
    let names = text.split_once("->").map(|(from, to)| (from.trim(), to.trim()));
    let Some((from, to)) = names.filter(|(from, to)| !from.is_empty() && !to.is_empty()) else {
        return link.refuse(
            Problem::new(format!("{} is not a link", quote(text)))
                .label("which two services?")
                .help("write the caller, an arrow and the callee: link = \"caller -> callee\""),
        );
    };
    let (from, to) = (around.names.find_text(link, from), around.names.find_text(link, to));
    let from = from.and_then(|id| caller(link, id, around));
    Some(Ends { service: to?, from: Some(from?), place: link.clone() })
}

/// A service that calls others.
fn caller(value: &Value<'_>, id: ServiceId, around: &Surroundings<'_>) -> Option<ServiceId> {
    let service = &around.services[id.index()];
    match &service.code {
        Code::External(_) => {
            let problem =
                Problem::new(format!("{} is a real server: it calls nobody here", quote(&service.name)));
            let problem = problem.label("not a caller").help("name a service with a guest");
            around.outside(value, problem, id)
        }
        _ => Some(id),
    }
}

/// Refuses a real server as the target of what works within a replica.
fn of_guest<'a>(
    ends: Ends<'a>,
    kind: Option<&Declaration>,
    in_span: bool,
    around: &Surroundings<'_>,
) -> Option<Ends<'a>> {
    let service = &around.services[ends.service.index()];
    let inside = kind.is_some_and(|kind| kind.kind.is_inside) || in_span;
    match (&service.code, kind) {
        (Code::External(_), Some(kind)) if inside => {
            let problem = Problem::new(format!(
                "{} is a real server: a fault of kind {} cannot reach into it",
                quote(&service.name),
                quote(kind.kind.name)
            ));
            let help =
                "name a service with a guest, or let something go wrong on the way: latency, error, reset";
            let problem = problem.label("simhost does not run this service").help(help);
            around.outside(&ends.place.clone(), problem, ends)
        }
        _ => Some(ends),
    }
}

/// A replica of a service, by its number.
fn replica_of(
    key: &Key<Count, Optional>,
    table: &Table<'_>,
    service: Option<ServiceId>,
    around: &Surroundings<'_>,
) -> Option<Option<u32>> {
    let Some(value) = key.get(table) else { return Some(None) };
    let number = key.of.read(&value)?;
    let service = &around.services[service?.index()];
    if matches!(service.code, Code::External(_)) {
        let problem = Problem::new(format!("{} is a real server: it has no replicas", quote(&service.name)));
        let problem = problem.label("has no effect").help("leave it out");
        return around.outside(&value, problem, Some(number));
    }
    if number < service.replicas {
        return Some(Some(number));
    }
    let (name, last) = (quote(&service.name), service.replicas - 1);
    let help = match last {
        0 => "replicas count from 0: leave it out, or give the service more replicas".to_owned(),
        last => format!("replicas count from 0: write a number from 0 to {last}"),
    };
    let replicas = if last == 0 { "one replica".to_owned() } else { format!("{} replicas", last + 1) };
    value.refuse(
        Problem::new(format!("{name} has {replicas}, and none with the number {number}"))
            .label("no such replica")
            .help(help),
    )
}

/// Notes what chooses among requests, in the target of a deployment to replicas.
pub(super) fn refuse_requests(target: &Value<'_>, effect: &Effect, scope: &Scope) {
    if !matches!(effect, Effect::Door(DoorFault::BadDeploy { canary: Canary::Replicas(_), .. })) {
        return;
    }
    let Some(table) = target.table("the target") else { return };
    for entry in table.entries().iter().filter(|entry| !["service", "replica"].contains(&entry.key)) {
        match entry.key {
            "one-of" => entry.list().iter().flatten().for_each(|each| refuse_requests(each, effect, scope)),
            _ => _ = scope.allow(entry),
        }
    }
}

/// Notes what a fault of this kind does not look at.
fn refuse_alien(value: &Value<'_>, kind: &Declaration) {
    let (looks_at, key) = (kind.looks_at, value.key);
    let allowed = match key {
        "span" => kind.in_spans,
        "route" => looks_at != LooksAt::Replicas,
        _ => looks_at == LooksAt::Requests,
    };
    if allowed {
        return;
    }
    let help = match (looks_at, key) {
        (LooksAt::Requests, _) => {
            "leave it out; only latency, lose-spans, late-spans and cardinality know spans"
        }
        (LooksAt::Spans, _) => "leave it out: spans are those of a service, whoever called it",
        _ => "leave it out: it strikes whole replicas, whatever they are asked and by whom",
    };
    let problem = kind.scope().takes_no(&format!("target.{key}"));
    value.refuse_key::<()>(problem.help(help));
}
