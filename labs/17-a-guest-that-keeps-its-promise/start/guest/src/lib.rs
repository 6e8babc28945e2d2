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

fn pay(
    State(settings): State<Settings>,
    Json(payment): Json<Payment>,
) -> Result<(u16, Json<Receipt>), Error> {
    Ok((201, Json(charge(&settings, payment)?)))
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
