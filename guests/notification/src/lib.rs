//! The notification service: it tells the customer, if it feels like it.
//!
//! It shows a service that is unreliable by configuration: slow for some requests, broken for some.
//!
//! | config | default | |
//! |---|---|---|
//! | `failure-rate` | `0` | the probability of a 500 |
//! | `delay` | `0` | how long a slow request takes |
//! | `delay-rate` | `1` | the probability that a request is slow |
//! | `sleeps` | `true` | `false` leaves out the delay |

use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

fn routes() -> Router {
    config::refuse_unknown();
    Router::new().state(Temper::from_config()).route("GET /health", health).route("POST /notify", notify)
}

struct Temper {
    failure_rate: f64,
    delay: Duration,
    delay_rate: f64,
}

impl Temper {
    fn from_config() -> Self {
        let delay = config::duration("delay", Duration::ZERO);
        Self {
            failure_rate: config::probability("failure-rate", 0.0),
            delay: if config::parse("sleeps", true) { delay } else { Duration::ZERO },
            delay_rate: config::probability("delay-rate", 1.0),
        }
    }
}

#[derive(Deserialize)]
struct Notice {
    order_id: String,
    item: String,
}

#[derive(Serialize)]
struct Sent {
    status: &'static str,
    order_id: String,
}

fn notify(State(temper): State<Temper>, Json(notice): Json<Notice>) -> Result<Json<Sent>, Error> {
    if !temper.delay.is_zero() && random::chance(temper.delay_rate) {
        clock::sleep(temper.delay);
    }
    if random::chance(temper.failure_rate) {
        return Err(Error::internal(format!("Nobody could be told of {}", notice.item)));
    }
    Ok(Json(Sent { status: "sent", order_id: notice.order_id }))
}
