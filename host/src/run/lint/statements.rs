//! Databases that the guest `service` names in its configuration and may not use.

use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Code, Service};

use super::Run;

/// Each `sql-in` that is no database of its service.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let services = run.model.services.iter();
    let services =
        services.filter(|service| matches!(&service.code, Code::Embedded(name) if name == "service"));
    services.flat_map(|service| of_service(run, service)).collect()
}

fn of_service(run: &Run<'_>, service: &Service) -> Vec<Problem> {
    let names = service.databases.iter().map(|pool| run.model.databases[pool.database].name.as_str());
    let named = service.config.iter().enumerate().filter(|(_, (key, _))| {
        *key == "sql-in" || key.split_once('.').is_some_and(|(_, setting)| setting == "sql-in")
    });
    let wrong = named.filter(|(_, (_, name))| !names.clone().any(|known| known == name.as_str()));
    let problem = |(at, (key, name)): (usize, (&String, &String))| {
        let message =
            format!("config.{key} of {}: {} is no database of it", quote(&service.name), quote(name));
        let help = match names.clone().next() {
            None => format!("give it one: databases.{name} = {{}} in the service"),
            Some(_) => did_you_mean(name, "databases of this service", names.clone()),
        };
        let place = service.config_places.get(at).cloned().unwrap_or_else(|| service.place.clone());
        Problem::new(message).at(place, "no such database").help(help)
    };
    wrong.map(problem).collect()
}
