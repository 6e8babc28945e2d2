//! The payment service: it asks for a score of the order, and charges the card at the bank.
//!
//! | config | default | |
//! |---|---|---|
//! | `bank-timeout` | `2s` | how long the bank may take |

use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

fn routes() -> Router {
    config::refuse_unknown();
    Router::new().state(Settings::from_config()).route("POST /payments", pay)
}

struct Settings {
    bank_timeout: Duration,
}

impl Settings {
    fn from_config() -> Self {
        Self { bank_timeout: config::duration("bank-timeout", Duration::from_secs(2)) }
    }
}

/// What a client wants paid, in cents.
#[derive(Deserialize, Serialize)]
struct Payment {
    order: String,
    amount: u64,
}

#[derive(Deserialize, Serialize)]
struct Receipt {
    payment_id: String,
    order: String,
    amount: u64,
}

/// How long an answer is kept for requests that repeat its key.
const KEPT: Duration = Duration::from_secs(60);

/// How long a key stays claimed by a worker that never comes to an end.
const CLAIMED: Duration = Duration::from_secs(10);

fn pay(
    State(settings): State<Settings>,
    headers: Headers,
    Json(payment): Json<Payment>,
) -> Result<(u16, Json<Receipt>), Error> {
    let key = headers.get("idempotency-key").ok_or_else(|| Error::bad_request("no Idempotency-Key"))?;
    if key.is_empty() || key.len() > 100 {
        return Err(Error::bad_request("an Idempotency-Key has 1 to 100 characters"));
    }
    if let Some(receipt) = earlier(key, &payment)? {
        return Ok((201, Json(receipt)));
    }
    if !claim(key)? {
        return Err(Error::unavailable("a request with this Idempotency-Key is under way"));
    }
    match charge(&settings, payment) {
        Ok(receipt) => {
            keys().set_for(&answer_of(key), serde_json::to_string(&receipt)?, KEPT)?;
            Ok((201, Json(receipt)))
        }
        Err(error) => {
            keys().delete(&claim_of(key))?;
            Err(error)
        }
    }
}

fn keys() -> simhost_sdk::Cache {
    cache("keys")
}

fn answer_of(key: &str) -> String {
    format!("answer:{key}")
}

fn claim_of(key: &str) -> String {
    format!("claim:{key}")
}

/// The receipt of an earlier request with this key.
fn earlier(key: &str, payment: &Payment) -> Result<Option<Receipt>, Error> {
    let Some(kept) = keys().get(&answer_of(key))? else {
        return Ok(None);
    };
    let receipt: Receipt = serde_json::from_slice(&kept)?;
    if (&receipt.order, receipt.amount) != (&payment.order, payment.amount) {
        return Err(Error::unprocessable("this Idempotency-Key belongs to another payment"));
    }
    Ok(Some(receipt))
}

/// Whether this request is the first one with its key: the cache executes one `increment` after the other.
fn claim(key: &str) -> Result<bool, Error> {
    let is_first = keys().increment(&claim_of(key), 1)? == 1;
    if is_first {
        keys().set_for(&claim_of(key), "1", CLAIMED)?;
    }
    Ok(is_first)
}

/// Charges the card. If it fails, the card is not charged.
fn charge(settings: &Settings, payment: Payment) -> Result<Receipt, Error> {
    let score = call("fraud").get("/scores").send().map_err(Error::gateway)?;
    if !score.is_success() {
        return Err(Error::bad_gateway(format!("no score: {}", score.status())));
    }
    let asked = call("bank").post("/authorisations").json(&payment).timeout(settings.bank_timeout);
    let answer = asked.send().map_err(Error::gateway)?;
    if !answer.is_success() {
        return Err(Error::bad_gateway(format!("the bank answered {}", answer.status())));
    }
    let payment_id = format!("pay_{}", &random::uuid_v4()[..8]);
    log::info(format!("charged {} for order {}", payment.amount, payment.order));
    Ok(Receipt { payment_id, order: payment.order, amount: payment.amount })
}
