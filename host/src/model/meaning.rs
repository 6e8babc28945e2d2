//! What a topology means, without where its file says it.

use super::{
    Arrivals, Code, ConfigKeys, DatabaseFault, DoorFault, Draw, Effect, Fault, Load, Model, Names, Place,
    Replay, Schema, Service, Target, Traffic,
};

/// A place of no file.
const NOWHERE: Place = 0..0;

impl Model {
    /// The model with every place at the beginning of the file: two topologies that mean the same are equal
    /// then, however they are written.
    pub fn without_places(mut self) -> Self {
        self.services.iter_mut().for_each(service);
        self.links.iter_mut().for_each(|link| link.place = NOWHERE);
        self.faults.iter_mut().for_each(fault);
        self.loads.iter_mut().for_each(load);
        self.schedules.iter_mut().for_each(|schedule| schedule.place = NOWHERE);
        self.objectives.iter_mut().for_each(|objective| objective.place = NOWHERE);
        for database in &mut self.databases {
            schema(&mut database.schema);
            database.rows.iter_mut().for_each(|rows| rows.place = NOWHERE);
            database.place = NOWHERE;
        }
        self.caches.iter_mut().for_each(|cache| cache.place = NOWHERE);
        self.topics.iter_mut().for_each(|topic| topic.place = NOWHERE);
        self.subscriptions.iter_mut().for_each(|subscription| subscription.place = NOWHERE);
        self
    }
}

fn service(service: &mut Service) {
    code(&mut service.code);
    service.replaced.iter_mut().for_each(code);
    service.config_places.clear();
    service.config_keys = ConfigKeys::default();
    service.place = NOWHERE;
}

fn code(code: &mut Code) {
    if let Code::File { place, .. } = code {
        *place = None;
    }
}

fn schema(schema: &mut Schema) {
    match schema {
        Schema::File { place, .. } => *place = NOWHERE,
        Schema::Inline(inline) => inline.parts = vec![(0, 0)],
    }
}

fn fault(fault: &mut Fault) {
    fault.target.iter_mut().chain(&mut fault.one_of).for_each(target);
    fault.conditions.iter_mut().for_each(|condition| condition.place = NOWHERE);
    (fault.place, fault.when_place) = (NOWHERE, NOWHERE);
    match &mut fault.effect {
        Effect::Door(DoorFault::BadDeploy { code: deployed, config_keys, .. }) => {
            code(deployed);
            *config_keys = ConfigKeys::default();
        }
        Effect::Database {
            fault:
                DatabaseFault::DropIndex { index: (_, place) }
                | DatabaseFault::LockTable { table: (_, place), .. },
            ..
        } => *place = NOWHERE,
        Effect::Topic { target, one_of, .. } => {
            target.place = NOWHERE;
            one_of.iter_mut().for_each(|target| target.place = NOWHERE);
        }
        _ => {}
    }
}

fn target(target: &mut Target) {
    let parts = [&mut target.route, &mut target.span].into_iter().flatten();
    parts.for_each(|(_, place)| *place = NOWHERE);
    target.place = NOWHERE;
}

fn load(load: &mut Load) {
    load.place = NOWHERE;
    load.requests.iter_mut().for_each(|request| request.place = NOWHERE);
    if let Traffic::Open(Arrivals::Replay(Replay::File { place, .. })) = &mut load.traffic {
        *place = NOWHERE;
    }
    for value in &mut load.values {
        if let Draw::Names(Names::File { place, .. }) = &mut value.draw {
            *place = NOWHERE;
        }
    }
}
