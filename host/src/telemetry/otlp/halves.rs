//! An encoded request as two, each with half of the records: for a receiver to which
//! it is too large.

use bytes::Bytes;
use prost::Message;

/// `ExportTraceServiceRequest`, `ExportLogsServiceRequest`, …: their fields have the same
/// numbers. Records stay as they are encoded.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<OfResource>,
}

/// `ResourceSpans`, `ResourceLogs`, ….
#[derive(Clone, PartialEq, Message)]
struct OfResource {
    #[prost(bytes = "bytes", optional, tag = "1")]
    resource: Option<Bytes>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<OfScope>,
    #[prost(string, tag = "3")]
    schema_url: String,
}

/// `ScopeSpans`, `ScopeLogs`, ….
#[derive(Clone, PartialEq, Message)]
struct OfScope {
    #[prost(bytes = "bytes", optional, tag = "1")]
    scope: Option<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    records: Vec<Bytes>,
    #[prost(string, tag = "3")]
    schema_url: String,
}

/// Two requests for one, each with half of its records, and what `items` counts in them; none
/// where it has less than two records.
pub fn halve(request: Bytes, items: fn(&[u8]) -> usize) -> Option<[(Bytes, usize); 2]> {
    let mut first = Request::decode(request).ok()?;
    let mut room = first.records().count() / 2;
    if room == 0 {
        return None;
    }
    let tails = first.resources.iter_mut().map(|resource| resource.split(&mut room));
    let second = Request { resources: tails.filter(|tail| !tail.scopes.is_empty()).collect() };
    first.resources.retain(|resource| !resource.scopes.is_empty());
    Some([first, second].map(|half| {
        let items = half.records().map(|record| items(record)).sum();
        (half.encode_to_vec().into(), items)
    }))
}

impl Request {
    fn records(&self) -> impl Iterator<Item = &Bytes> {
        let scopes = self.resources.iter().flat_map(|resource| &resource.scopes);
        scopes.flat_map(|scope| &scope.records)
    }
}

impl OfResource {
    /// Keeps as many records as there is `room` for; with the others.
    fn split(&mut self, room: &mut usize) -> Self {
        let tails = self.scopes.iter_mut().map(|scope| scope.split(room));
        let scopes = tails.filter(|tail| !tail.records.is_empty()).collect();
        self.scopes.retain(|scope| !scope.records.is_empty());
        Self { resource: self.resource.clone(), scopes, schema_url: self.schema_url.clone() }
    }
}

impl OfScope {
    fn split(&mut self, room: &mut usize) -> Self {
        let records = self.records.split_off((*room).min(self.records.len()));
        *room -= self.records.len();
        Self { scope: self.scope.clone(), records, schema_url: self.schema_url.clone() }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    /// A request whose scopes have these numbers of spans, two scopes to a resource.
    fn request(spans: &[usize]) -> ExportTraceServiceRequest {
        let mut number = 0..;
        let scope = |count: &usize| ScopeSpans {
            scope: Some(InstrumentationScope { name: format!("scope of {count}"), ..Default::default() }),
            spans: number
                .by_ref()
                .take(*count)
                .map(|number| Span { name: format!("{number}"), ..Span::default() })
                .collect(),
            schema_url: "https://example.com/scope".to_owned(),
        };
        let scopes: Vec<_> = spans.iter().map(scope).collect();
        let resource = |scopes: &[ScopeSpans]| ResourceSpans {
            resource: Some(Resource { dropped_attributes_count: 7, ..Resource::default() }),
            scope_spans: scopes.to_vec(),
            schema_url: "https://example.com/resource".to_owned(),
        };
        ExportTraceServiceRequest { resource_spans: scopes.chunks(2).map(resource).collect() }
    }

    /// The spans of a request, each with all that it stands in.
    fn flat(request: &ExportTraceServiceRequest) -> Vec<String> {
        let resources = request.resource_spans.iter();
        let scopes = resources.flat_map(|of| of.scope_spans.iter().map(move |scope| (of, scope)));
        let spans = scopes.flat_map(|(of, scope)| scope.spans.iter().map(move |span| (of, scope, span)));
        let told = spans.map(|(of, scope, span)| {
            format!("{:?} {} {:?} {} {span:?}", of.resource, of.schema_url, scope.scope, scope.schema_url)
        });
        told.collect()
    }

    #[test]
    fn two_halves_have_all_records_below_their_own_resources_and_scopes() {
        for spans in [&[2][..], &[1, 1], &[3, 0, 5, 4], &[1, 1, 1, 1, 1], &[9, 1]] {
            let whole = request(spans);
            let halves = halve(whole.encode_to_vec().into(), |_| 1).expect("it has two records");
            let mut together = Vec::new();
            for (bytes, records) in halves {
                let half = flat(&ExportTraceServiceRequest::decode(bytes).expect("a request"));
                assert_eq!(half.len(), records, "{spans:?}");
                assert!(records * 2 + 1 >= spans.iter().sum(), "{spans:?}: {records} are about a half");
                together.extend(half);
            }
            assert_eq!(together, flat(&whole), "{spans:?}");
        }
    }

    #[test]
    fn a_half_counts_for_the_items_of_its_records() {
        let whole = request(&[1, 2, 3]).encode_to_vec();
        let halves = halve(whole.into(), |record| record.len()).expect("it has two records");
        for (bytes, items) in halves {
            let half = ExportTraceServiceRequest::decode(bytes).expect("a request");
            let scopes = half.resource_spans.iter().flat_map(|of| &of.scope_spans);
            let lengths = scopes.flat_map(|scope| &scope.spans).map(Message::encoded_len);
            assert_eq!(items, lengths.sum::<usize>());
        }
    }

    #[test]
    fn one_record_has_no_halves() {
        assert_eq!(halve(request(&[1]).encode_to_vec().into(), |_| 1), None);
        assert_eq!(halve(request(&[]).encode_to_vec().into(), |_| 1), None);
    }
}
