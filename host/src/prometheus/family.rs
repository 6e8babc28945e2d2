//! Records as metric families, in which each name has one meaning (OpenMetrics 1.0, "Metric Family").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::telemetry::record::{MetricRecord, Resource, ResourceId, Scope};

use super::clash::{Cause, Clash};
use super::names::{self, Type};

/// The metrics of one name and type.
#[derive(Debug)]
pub struct Family<'a> {
    pub of: Type,
    pub unit: Option<String>,
    /// Not empty.
    pub records: Vec<&'a MetricRecord>,
    /// Whose metrics they are: one each.
    owners: BTreeSet<(ResourceId, Scope)>,
}

/// The family that each page has.
const TARGET: [&str; 2] = ["target", "target_info"];

/// Families by name, made of records.
#[derive(Debug, Default)]
pub struct Families<'a> {
    pub all: BTreeMap<String, Family<'a>>,
    /// The records that are in none, with their points.
    pub left_out: Vec<(Clash, u64)>,
    /// The names of samples, and those of families, each with its family.
    taken: BTreeMap<String, String>,
}

impl<'a> Families<'a> {
    pub fn of(records: &[&'a MetricRecord], resources: &[Resource]) -> Self {
        let mut families = Self::default();
        // Those of the core first, so that no guest takes a name from them.
        for scope in [Scope::Bus, Scope::Guest] {
            for record in records.iter().filter(|record| record.scope == scope) {
                if let Err(cause) = families.add(record, resources) {
                    let service = Arc::clone(&resources[record.resource.0 as usize].service);
                    let clash = Clash { service, metric: (*record.instrument.name).into(), cause };
                    families.left_out.push((clash, record.points.len() as u64));
                }
            }
        }
        families
    }

    fn add(&mut self, record: &'a MetricRecord, resources: &[Resource]) -> Result<(), Cause> {
        let of = Type::of(&record.points);
        let (name, unit) = names::family(&record.instrument, &record.points);
        let owner = (record.resource, record.scope);
        let cause = |family: &Family<'_>| {
            // Of its own process, if that has one here.
            let own = family.records.iter().rev().find(|known| known.resource == record.resource);
            let other = own.unwrap_or(&family.records[0]);
            let service = Arc::clone(&resources[other.resource.0 as usize].service);
            Cause::Name { service, metric: (*other.instrument.name).into() }
        };
        if let Some(family) = self.all.get_mut(&name) {
            if family.of != of || !family.owners.insert(owner) {
                return Err(cause(family));
            }
            family.records.push(record);
            return Ok(());
        }
        let claims = of.names(&name);
        for claim in &claims {
            if TARGET.contains(&claim.as_str()) {
                return Err(Cause::Target);
            }
            if let Some(family) = self.taken.get(claim) {
                return Err(cause(&self.all[family]));
            }
        }
        self.taken.extend(claims.into_iter().map(|claim| (claim, name.clone())));
        self.all.insert(name, Family { of, unit, records: vec![record], owners: [owner].into() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::record::{Instrument, KeyValue, Number, NumberPoint, Points, Temporality};

    fn record(process: u32, scope: Scope, name: &str, kind: Type) -> MetricRecord {
        let (name, unit, description) = (name.to_owned().into(), "".into(), "".into());
        let value = Number::Int(1);
        let points = vec![NumberPoint { attributes: [].into(), value, exemplars: Vec::new() }];
        let temporality = Temporality::Cumulative;
        let points = match kind {
            Type::Counter => Points::Sum { points, is_monotonic: true, temporality },
            Type::Gauge => Points::Gauge(points),
            Type::Histogram => Points::Histogram { points: Vec::new(), temporality },
        };
        let instrument = Arc::new(Instrument { name, unit, description });
        MetricRecord { resource: ResourceId(process), scope, instrument, start: 0, time: 0, points }
    }

    /// The names of the families, and the metrics that are in none with those that keep them out.
    #[track_caller]
    fn sorted(records: &[MetricRecord]) -> (Vec<String>, Vec<(String, String)>) {
        let resource = |service: &str| Resource {
            service: service.into(),
            attributes: vec![KeyValue::new("service.name", service.to_owned())],
        };
        let records: Vec<_> = records.iter().collect();
        let resources = ["shop", "stock"].map(resource);
        let families = Families::of(&records, &resources);
        let left_out = families.left_out.into_iter().map(|(clash, _)| {
            let other = match clash.cause {
                Cause::Name { metric, service } => format!("{metric} of {service}"),
                cause => format!("{cause:?}"),
            };
            (clash.metric.into(), other)
        });
        (families.all.into_keys().collect(), left_out.collect())
    }

    #[test]
    fn a_name_has_one_meaning_in_a_process() {
        use Type::{Counter, Gauge, Histogram};
        for (first, second) in [
            (("orders", Counter), ("orders.total", Gauge)),
            (("orders", Counter), ("orders", Gauge)),
            (("orders", Counter), ("orders.created", Gauge)),
            (("orders.total", Gauge), ("orders", Counter)),
            (("size", Histogram), ("size.count", Gauge)),
            (("size", Histogram), ("size.sum", Gauge)),
            (("size", Histogram), ("size_bucket", Gauge)),
            (("size.count", Gauge), ("size", Histogram)),
            (("a.b", Gauge), ("a_b", Gauge)),
            (("orders", Counter), ("orders.total", Counter)),
        ] {
            let of = |(name, kind)| record(0, Scope::Guest, name, kind);
            let (families, left_out) = sorted(&[of(first), of(second)]);
            assert_eq!(families.len(), 1, "{first:?} {second:?}");
            assert_eq!(left_out, [(second.0.to_owned(), format!("{} of shop", first.0))]);
        }
    }

    #[test]
    fn processes_share_a_name_of_one_type() {
        let all = [Scope::Bus, Scope::Guest].map(|scope| [0, 1].map(|process| (process, scope)));
        let records: Vec<_> =
            all.concat().into_iter().map(|(at, scope)| record(at, scope, "a", Type::Gauge)).collect();
        assert_eq!(sorted(&records), (vec!["a".to_owned()], Vec::new()));
        let (counter, gauge) = (Type::Counter, Type::Gauge);
        let records = [record(0, Scope::Guest, "orders", counter), record(1, Scope::Guest, "orders", gauge)];
        assert_eq!(sorted(&records).1, [("orders".to_owned(), "orders of shop".to_owned())]);
    }

    #[test]
    fn no_guest_takes_a_name_from_the_core_or_the_page() {
        let guest = |name| record(0, Scope::Guest, name, Type::Gauge);
        let core = record(1, Scope::Bus, "http.server.request.duration", Type::Histogram);
        let records =
            [guest("http.server.request.duration.sum"), guest("target"), guest("target.info"), core];
        let (families, left_out) = sorted(&records);
        assert_eq!(families, ["http_server_request_duration"]);
        let others: Vec<_> = left_out.iter().map(|(_, other)| other.as_str()).collect();
        assert_eq!(others, ["http.server.request.duration of stock", "Target", "Target"]);
    }
}
