//! The invoices of a shop: each is laid out from a template, signed, and archived.

use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

fn routes() -> Router {
    config::refuse_unknown();
    Router::new().route("POST /invoices", invoice)
}

#[derive(Deserialize)]
struct Order {
    order: u64,
    customer: String,
    lines: u64,
}

#[derive(Serialize)]
struct Invoice {
    number: String,
    pages: u64,
}

/// How often a signature is tried.
const ATTEMPTS: u64 = 3;

fn invoice(Json(order): Json<Order>) -> Result<(u16, Json<Invoice>), Error> {
    let template = in_span("load_template", |span| {
        let template = load_template(&order)?;
        span.set("template.name", &template);
        Ok(template)
    })?;
    // The line that was there has stayed.
    let pages = lay_out(&order, &template)?;
    in_span("lay_out", |span| {
        span.set("invoice.lines", order.lines);
        lay_out(&order, &template)
    })?;
    sign_patiently()?;
    let number = format!("R-{:06}", order.order);
    let stored = json!({ "number": number, "customer": order.customer, "pages": pages });
    call("archive").post("/documents").json(&stored).send().map_err(Error::gateway)?.error_for_status()?;
    Ok((201, Json(Invoice { number, pages })))
}

/// The template of the customer's kind. One in twenty-five has to be made anew.
fn load_template(order: &Order) -> Result<String, Error> {
    clock::sleep(milliseconds(4.0..9.0));
    if random::chance(0.04) {
        clock::sleep(milliseconds(150.0..250.0));
    }
    Ok(format!("{}-template", order.customer.split('-').next().unwrap_or("retail")))
}

/// Puts the lines on pages.
fn lay_out(order: &Order, _template: &str) -> Result<u64, Error> {
    let mut filled = 0;
    for _line in 0..order.lines {
        clock::sleep(milliseconds(7.0..9.0));
        filled += 1;
    }
    Ok(1 + filled / 20)
}

/// Has the invoice signed. The device fails now and then, and is asked again.
fn sign_patiently() -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        let signed = in_span("sign", |span| {
            span.set("sign.attempt", attempt);
            sign()
        });
        match signed {
            Err(_) if attempt < ATTEMPTS => {
                clock::sleep(milliseconds(50.0..60.0));
                attempt += 1;
            }
            signed => return signed,
        }
    }
}

/// One attempt to sign.
fn sign() -> Result<(), Error> {
    clock::sleep(milliseconds(35.0..45.0));
    if random::chance(0.06) {
        return Err(Error::unexpected("DeviceBusy", "the signing device is busy"));
    }
    Ok(())
}

fn milliseconds(range: std::ops::Range<f64>) -> Duration {
    Duration::from_secs_f64(random::uniform(range) / 1000.0)
}
