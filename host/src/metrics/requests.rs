//! The metrics of HTTP requests, on one side: those that a replica serves, or those that it sends.

use std::sync::Arc;

use crate::model::Nanos;
use crate::telemetry::record::KeyValue;

use super::catalogue::Own;
use super::collecting::Collecting;
use super::exemplars::{ExemplarRule, Origin};
use super::histogram::{Histogram, Shape};
use super::series::{One, Series};
use super::value::Measured;

/// Stands for the attributes of a request: small numbers that the bus has anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// The route that was met, or where the request went.
    pub place: u32,
    /// The known methods by number.
    pub method: u8,
    pub version: HttpVersion,
    /// 0 without a response.
    pub status: u16,
    /// `error.type`, where it is not the status.
    pub error: Option<&'static str>,
}

/// `network.protocol.version`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// Nothing is known of the connection.
    #[default]
    Unknown,
    Http10,
    Http11,
    Http2,
}

impl HttpVersion {
    /// That of a text, such as `1.1`.
    pub fn of(text: &str) -> Self {
        match text {
            "1.0" => Self::Http10,
            "1.1" => Self::Http11,
            "2" => Self::Http2,
            _ => Self::Unknown,
        }
    }

    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Http10 => Some("1.0"),
            Self::Http11 => Some("1.1"),
            Self::Http2 => Some("2"),
        }
    }
}

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub took: Nanos,
    pub sizes: Option<Sizes>,
    pub origin: Origin,
}

/// The bodies of a request and its response, where they are measured: bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub request: u64,
    /// None without a response.
    pub response: Option<u64>,
}

/// The requests of one side.
#[derive(Debug, Default)]
pub struct Requests(Series<RequestKey, Of>);

/// Those with the same attributes.
#[derive(Debug)]
struct Of {
    duration: Histogram,
    sizes: Option<Box<[Histogram; 2]>>,
}

/// The instruments of a side: durations, sizes of requests and of responses.
pub type Side = [Own; 3];

pub const SERVER: Side = [Own::ServerDuration, Own::ServerRequestSize, Own::ServerResponseSize];
pub const CLIENT: Side = [Own::ClientDuration, Own::ClientRequestSize, Own::ClientResponseSize];

impl Requests {
    /// Counts a request that has ended.
    pub fn note(
        &mut self,
        (shape, rule): (Shape, &ExemplarRule),
        [durations, requests, responses]: Side,
        key: RequestKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        Ended { took, sizes, origin }: Ended,
    ) {
        let took = Measured::Time(took);
        let new = || Of { duration: Histogram::new(shape, durations.bounds(), took), sizes: None };
        let of = self.0.at(key, attributes, new);
        of.duration.record(took, durations.bounds(), rule.candidate(took, origin));
        let Some(Sizes { request, response }) = sizes else { return };
        let [of_requests, of_responses] = &mut **of.sizes.get_or_insert_with(|| {
            Box::new([requests, responses].map(|own| Histogram::new(shape, own.bounds(), Measured::Whole(0))))
        });
        let record = |histogram: &mut Histogram, own: Own, bytes: u64| {
            let bytes = Measured::Whole(bytes as i64);
            histogram.record(bytes, own.bounds(), rule.candidate(bytes, origin));
        };
        record(of_requests, requests, request);
        response.into_iter().for_each(|bytes| record(of_responses, responses, bytes));
    }

    /// Leaves what there is.
    pub fn leave(&self, [durations, requests, responses]: Side, collecting: &mut Collecting<'_>) {
        let all = self.0.iter().map(|one| (&one.attributes, &one.state.duration));
        collecting.histograms(durations, all);
        for (at, own) in [requests, responses].into_iter().enumerate() {
            let all = self.0.iter();
            let all = all.filter_map(|one| Some((&one.attributes, &one.state.sizes.as_ref()?[at])));
            collecting.histograms(own, all);
        }
    }

    /// It has left: another interval begins at this instant.
    pub fn collected(&mut self, now: Nanos) {
        for One { state: Of { duration, sizes }, .. } in self.0.iter_mut() {
            duration.collected(now);
            sizes.iter_mut().flat_map(|sizes| sizes.iter_mut()).for_each(|of| of.collected(now));
        }
    }
}
