//! What a guest may try in order to take more of its host than it may have. Without the SDK.
//!
//! | path | what it does |
//! |---|---|
//! | `/ok` | answers |
//! | `/body/{bytes}` | answers with a body of this size |
//! | `/sleep/{ns}` | answers after this time |
//! | `/hoard/{calls}/{bytes}` | calls `back` for bodies of this size, and collects none until all are there |
//! | `/pile/{calls}/{bytes}` | makes calls with bodies of this size, each of which takes a second |
//! | `/fire/{calls}/{bytes}` | the same, and forgets them at once |
//! | `/give-up/{calls}/{bytes}` | the same, and waits for each no longer than a nanosecond |
//! | `/spans/{spans}/{attributes}` | opens spans, each with attributes of 2 MiB |
//! | `/events/{spans}/{events}` | opens spans, each with events that have an attribute of 2 MiB |
//! | `/logs/{records}` | logs records, each with an attribute of 2 MiB |
//! | `/annotate/{attributes}` | says attributes of 2 MiB of its SERVER span |
//! | `/forget/{spans}` | begins spans, and never gives their handles back |
//! | `/argument/{copies}` | passes this many times 2 MiB to the host at once |
//! | `/spin/{what}` | does the same again and again: see [`spin::times`] |
//! | `/spin/{what}/{turns}` | does the same this many times, and answers |
//!
//! What it does when it is asked for its routes is in its configuration, `routes`: see [`spin::describe`].

#![allow(missing_docs, reason = "generated; the documentation is in the WIT file")]

mod hoard;
mod spin;

wit_bindgen::generate!({ path: "../../wit", world: "service" });

use exports::simhost::service::handler::{Guest, Problem, Response, Route};
use simhost::service::{bus, clock, incoming};

struct Hostile;

export!(Hostile);

impl Guest for Hostile {
    fn routes() -> Result<Vec<Route>, Vec<Problem>> {
        spin::describe()
    }

    fn handle(_: Option<u32>) -> Response {
        let path = incoming::path_and_query();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let number = |at: usize| parts.get(at).and_then(|part| part.parse().ok()).unwrap_or(0_u64);
        let (first, second) = (number(1), number(2));
        match parts[0] {
            "ok" => answer("fine"),
            "body" => Response { status: 200, headers: Vec::new(), body: vec![b'x'; first as usize] },
            "sleep" => {
                clock::sleep(first);
                answer("slept")
            }
            "hoard" => answer(&hoard::answers(first, second)),
            "pile" => answer(&hoard::requests(first, second)),
            "fire" => answer(&hoard::forgotten(first, second)),
            "give-up" => answer(&hoard::given_up(first, second)),
            "spans" => answer(&hoard::spans(first, second)),
            "events" => answer(&hoard::events(first, second)),
            "logs" => answer(&hoard::logs(first)),
            "annotate" => answer(&hoard::annotations(first)),
            "forget" => answer(&hoard::handles(first)),
            "argument" => answer(&hoard::argument(first)),
            "spin" if parts.len() > 2 => spin::times(parts[1], second),
            "spin" => spin::forever(parts.get(1).copied().unwrap_or_default()),
            _ => Response { status: 404, headers: Vec::new(), body: Vec::new() },
        }
    }
}

fn answer(text: &str) -> Response {
    Response { status: 200, headers: Vec::new(), body: text.as_bytes().to_vec() }
}

fn request(path: String, body: Vec<u8>) -> bus::Request {
    bus::Request { method: "GET".into(), path_and_query: path, headers: Vec::new(), body }
}

const PATIENT: bus::CallOptions = bus::CallOptions { timeout_ns: None };
