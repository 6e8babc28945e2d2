//! Looks at the simulated world from inside, and answers with what it saw, as JSON.
//!
//! | route | what it shows |
//! |---|---|
//! | `GET /now` | the clocks: `SystemTime`, `clock::now`, and how far `Instant` moved between two looks |
//! | `GET /sleep/{ms}` | `thread::sleep`, or with `?via=sdk` the SDK's, and how long it took by each clock |
//! | `GET /env` | environment variables, arguments, and the whole configuration |
//! | `GET /random` | random bytes, numbers, a UUID, and the order of a `HashMap` |
//! | `GET /print` | stdout and stderr in lines and pieces, log records with attributes |
//! | `GET /files` | what the file system and the network say |
//! | `GET /spans` | spans: nested, with all kinds of values, an error, ended out of order, leaked |
//! | `GET /measure` | instruments of all kinds, with values of both types, in a span and outside of one |
//! | `GET /misuse` | what the simulator keeps nothing of: bad instruments, bad values |
//! | `POST /sql/{database}` | one statement with its parameters, its result, and what it was to the database |
//! | `POST /transaction/{database}` | statements in one transaction, which is committed, rolled back or left |
//! | `GET /cache/{all,get,set,delete,increment,get-many,made}?cache=&key=` | what a cache answers |
//! | `GET /cache/misuse?cache=` | what it refuses |
//! | `GET /baggage?key=&value=` | the baggage that came; with a value it is set and `next` is called at `/baggage` |
//! | `GET /call?service=&path=&method=&timeout-ms=` | one call, and its result or error by name |
//! | `GET /parallel?ms=` | three calls at a time to `next` at `/sleep/{ms}`, and how long they took together |
//! | `GET /fire-and-forget` | a call to `next` at `/sleep/50` that nobody waits for |
//! | `GET /double-wait` | a second wait on one call |
//! | `GET`, `POST /headers` | the request as it arrived |
//! | `GET /incoming?header=` | one header of it by the raw contract, and whether asking again gives the same |
//!
//! | config | default | |
//! |---|---|---|
//! | `next` | none | the service that `/parallel`, `/baggage` and others call |

mod caches;
mod calls;
mod measured;
mod statements;
mod telemetry;
mod world;

use simhost_sdk::bindings::simhost::service::incoming as raw;
use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

fn routes() -> Router {
    Router::new()
        .route("GET /health", health)
        .route("GET /now", world::now)
        .route("GET /sleep/{ms}", world::sleep)
        .route("GET /env", world::env)
        .route("GET /random", world::random_draws)
        .route("GET /print", world::print)
        .route("GET /files", world::files)
        .route("GET /spans", telemetry::spans)
        .route("GET /measure", measured::measure)
        .route("GET /misuse", measured::misuse)
        .route("POST /sql/{database}", statements::query)
        .route("POST /transaction/{database}", statements::transaction)
        .route("GET /cache/all", caches::all)
        .route("GET /cache/get", caches::get)
        .route("GET /cache/set", caches::set)
        .route("GET /cache/delete", caches::delete)
        .route("GET /cache/increment", caches::increment)
        .route("GET /cache/get-many", caches::get_many)
        .route("GET /cache/made", caches::made)
        .route("GET /cache/misuse", caches::misuse)
        .route("GET /baggage", telemetry::baggage)
        .route("GET /call", calls::call_any)
        .route("GET /parallel", calls::parallel)
        .route("GET /fire-and-forget", calls::fire_and_forget)
        .route("GET /double-wait", calls::double_wait)
        .route("GET /headers", headers)
        .route("POST /headers", headers)
        .route("GET /incoming", incoming)
}

fn headers(request: Request) -> Json<Value> {
    let headers: Vec<_> = request.headers().iter().collect();
    Json(json!({
        "method": request.method(),
        "path_and_query": request.path_and_query(),
        "headers": headers,
        "body": String::from_utf8_lossy(request.bytes()),
    }))
}

#[derive(Deserialize)]
struct Wanted {
    header: String,
}

fn incoming(Query(wanted): Query<Wanted>) -> Json<Value> {
    let look =
        || (raw::method(), raw::path_and_query(), raw::headers(), raw::header(&wanted.header), raw::body());
    Json(json!({ "header": raw::header(&wanted.header), "same_again": look() == look() }))
}
