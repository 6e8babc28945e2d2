//! Everything that a guest must not do, one route each, for `GET` and `POST` alike.
//!
//! | route | what it does |
//! |---|---|
//! | `/panic`, `/unreachable`, `/exit` | traps: a panic with a message, a bare trap, `process::exit(3)` |
//! | `/loop`, `/loop-sleep`, `/loop-log` | never ends: busy, in sleeps of 1 ms, writing log records |
//! | `/allocate`, `/recurse` | takes memory, or stack, without end |
//! | `/ask-too-much` | asks for more memory than there can be, and answers that there is none |
//! | `/status/{code}` | answers with any status, also one that HTTP does not have |
//! | `/bad-headers` | answers with header names and values that HTTP does not allow |
//! | `/header-flood/{n}` | answers with `n` headers |
//! | `/body/{bytes}` | answers with a body of this size |
//! | `/big-call/{bytes}` | calls the service in config `next` at `/` with a body of this size |
//! | `/bad-call` | calls it with a method and a header that HTTP does not allow |
//! | `/spans/{n}` | starts `n` spans, each ended before the next; with `?open=true` all stay open |
//! | `/counter` | counts this worker's requests: 1, 2, 3, and 1 again in a new worker |

mod messages;
mod traps;

use simhost_sdk::Handler;
use simhost_sdk::prelude::*;
use std::cell::Cell;

simhost_sdk::service!(routes);

fn routes() -> Router {
    let router = Router::new().state(Cell::new(0_u32)).route("GET /health", health);
    let router = both(router, "/panic", traps::panic);
    let router = both(router, "/unreachable", traps::unreachable);
    let router = both(router, "/exit", traps::exit);
    let router = both(router, "/loop", traps::busy_loop);
    let router = both(router, "/loop-sleep", traps::loop_sleep);
    let router = both(router, "/loop-log", traps::loop_log);
    let router = both(router, "/allocate", traps::allocate);
    let router = both(router, "/ask-too-much", traps::ask_too_much);
    let router = both(router, "/recurse", traps::recurse);
    let router = both(router, "/status/{code}", messages::status);
    let router = both(router, "/bad-headers", messages::bad_headers);
    let router = both(router, "/header-flood/{n}", messages::header_flood);
    let router = both(router, "/body/{bytes}", messages::body);
    let router = both(router, "/big-call/{bytes}", messages::big_call);
    let router = both(router, "/bad-call", messages::bad_call);
    let router = both(router, "/spans/{n}", spans);
    both(router, "/counter", counter)
}

fn both<A: 'static, H: Handler<A> + Copy>(router: Router, path: &str, handler: H) -> Router {
    router.route(&format!("GET {path}"), handler).route(&format!("POST {path}"), handler)
}

#[derive(Deserialize)]
struct Flood {
    #[serde(default)]
    open: bool,
}

fn spans(Path(n): Path<u32>, Query(flood): Query<Flood>) -> String {
    let mut open = Vec::new();
    for number in 0..n {
        let span = Span::start("flood");
        span.set("flood.number", number);
        if flood.open {
            open.push(span);
        }
    }
    format!("{n}")
}

fn counter(State(served): State<Cell<u32>>) -> String {
    served.set(served.get() + 1);
    served.get().to_string()
}
