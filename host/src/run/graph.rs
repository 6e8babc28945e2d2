//! A topology as a graph: who calls whom, and who may.

use std::collections::BTreeMap;

use crate::clock;
use crate::graph::{Edge, Graph, Kind, Node};
use crate::model::{Code, Database, Load, Model, Piece};
use crate::report::words;

use super::calls::{Calls, Meets, databases, of_job, published};
use super::loaded::LoadedService;

/// Clients and schedules first, then the services, then their databases and caches, then the topics.
pub fn graph(model: &Model, services: &[LoadedService], calls: &Calls) -> Graph {
    let mut draft =
        Draft { graph: Graph { name: model.title.clone(), ..Graph::default() }, edges: BTreeMap::new() };
    let ingress = model.ingress.as_ref();
    let clients = model.loads.len() + model.schedules.len() + usize::from(ingress.is_some());
    if let Some(ingress) = ingress {
        draft.node(Kind::Client, "clients", &format!("http://{}", ingress.listen));
        draft.edge(0, clients + ingress.to.index(), None);
    }
    for load in &model.loads {
        let node = draft.node(Kind::Client, &load.name, "load");
        for request in requests(load) {
            draft.edge(node, clients + load.to.index(), Some(request));
        }
    }
    for schedule in &model.schedules {
        let every = format!("every {}", clock::show(schedule.every));
        let node = draft.node(Kind::Client, &schedule.job, &every);
        draft.edge(node, clients + schedule.service.index(), Some(of_job(&schedule.job)));
    }
    for (described, service) in model.services.iter().zip(services) {
        let (kind, detail) = match &described.code {
            Code::External(url) => (Kind::Server, url.clone()),
            Code::Embedded(_) | Code::File { .. } => (Kind::Service, detail(described, service)),
        };
        draft.node(kind, &described.name, &detail);
    }
    for call in &calls.all {
        let Some(to) = call.to else { continue };
        let request = match &call.meets {
            Meets::Route(Some(route)) => route.clone(),
            _ => format!("{} {}", call.what.method, call.what.path),
        };
        let (from, to) = (clients + call.from.index(), clients + to.index());
        match &call.deployed_by {
            Some(fault) => draft.possible(from, to, format!("{request} (fault {fault})")),
            None => draft.edge(from, to, Some(request)),
        }
    }
    for link in &model.links {
        draft.edge(clients + link.from.index(), clients + link.to.index(), None);
    }
    for (index, service) in model.services.iter().enumerate() {
        for (system, name) in databases(&service.code, &service.config, &service.name) {
            let node = draft.database(&system, &name);
            draft.edge(clients + index, node, Some(String::new()));
        }
        let stores =
            service.databases.iter().map(|pool| (Database::SYSTEM, &model.databases[pool.database].name));
        let caches = service.caches.iter().map(|cache| &model.caches[*cache]);
        for (system, name) in stores.chain(caches.map(|cache| (cache.system.name(), &cache.name))) {
            let node = draft.database(system, name);
            draft.edge(clients + index, node, Some(String::new()));
        }
    }
    draft.topics(model, clients);
    draft.graph
}

/// What a service runs: `orders 1.4.2, 3 replicas`.
fn detail(described: &crate::model::Service, service: &LoadedService) -> String {
    let guest = match &described.code {
        Code::Embedded(name) => name.clone(),
        Code::File { path, .. } => {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        Code::External(url) => url.clone(),
    };
    let version = service.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    match described.replicas {
        1 => format!("{guest}{version}"),
        many => format!("{guest}{version}, {}", words::counted(u64::from(many), "replica")),
    }
}

/// What a load asks for: each request once, with the names of what it draws.
fn requests(load: &Load) -> impl Iterator<Item = String> {
    load.requests.iter().map(|request| {
        let piece = |piece: &Piece| match piece {
            Piece::Fixed(text) => text.clone(),
            Piece::Value { index, .. } => format!("{{{}}}", load.values[*index].name),
        };
        format!("{} {}", request.method, request.target.0.iter().map(piece).collect::<String>())
    })
}

/// A graph while it is put together.
struct Draft {
    graph: Graph,
    /// Edges by their ends.
    edges: BTreeMap<(usize, usize), usize>,
}

impl Draft {
    fn node(&mut self, kind: Kind, name: &str, detail: &str) -> usize {
        self.graph.nodes.push(Node { kind, name: name.to_owned(), detail: detail.to_owned() });
        self.graph.nodes.len() - 1
    }

    /// The database of that name, which several services may share.
    fn database(&mut self, system: &str, name: &str) -> usize {
        let found = self.graph.nodes.iter().position(|node| {
            node.kind == Kind::Database && (node.name.as_str(), node.detail.as_str()) == (system, name)
        });
        found.unwrap_or_else(|| self.node(Kind::Database, system, name))
    }

    /// The topics with who sends to them, as far as that is known, and the services that consume them.
    fn topics(&mut self, model: &Model, clients: usize) {
        let first = self.graph.nodes.len();
        for topic in &model.topics {
            self.node(Kind::Topic, &topic.name, topic.system.name());
        }
        for (index, service) in model.services.iter().enumerate() {
            for topic in published(&service.code, &service.config).unwrap_or_default() {
                let Some(at) = model.topics.iter().position(|known| known.name == topic) else { continue };
                self.edge(clients + index, first + at, Some(String::new()));
            }
        }
        for one in &model.subscriptions {
            let (topic, service) = (first + one.topic, clients + one.service.index());
            self.edge(topic, service, Some(format!("group {}", one.group)));
            if let Some(dead) = one.dead_letter {
                self.edge(service, first + dead, Some("dead letters".to_owned()));
            }
        }
    }

    /// Adds a request to what goes from one node to another; without one, that something may.
    fn edge(&mut self, from: usize, to: usize, request: Option<String>) {
        let edge = self.between(from, to);
        let Some(request) = request else { return };
        edge.known = true;
        if !request.is_empty() && !edge.requests.contains(&request) {
            edge.requests.push(request);
        }
    }

    /// Adds a request that only goes there while a fault is active.
    fn possible(&mut self, from: usize, to: usize, request: String) {
        let edge = self.between(from, to);
        if !edge.requests.contains(&request) {
            edge.requests.push(request);
        }
    }

    /// The edge from one node to another.
    fn between(&mut self, from: usize, to: usize) -> &mut Edge {
        let edges = &mut self.graph.edges;
        let index = *self.edges.entry((from, to)).or_insert_with(|| {
            edges.push(Edge { from, to, requests: Vec::new(), known: false });
            edges.len() - 1
        });
        &mut edges[index]
    }
}
