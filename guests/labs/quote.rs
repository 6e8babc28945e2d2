//! The quote of a basket, of which the lab `which-build` has several builds: they differ by their [`Release`].

use simhost_sdk::prelude::*;

/// What differs from build to build.
pub struct Release {
    /// The time that each pair of lines takes, in microseconds.
    pub pair_us: u64,
    /// Whether a coupon that is worth more than the basket is an error of the service.
    pub panics_on_large_coupons: bool,
    /// Whether the tax of a basket with a coupon is asked for.
    pub taxes_coupons: bool,
}

#[derive(Deserialize)]
struct Basket {
    basket: u64,
    lines: u64,
    #[serde(default)]
    coupon: u64,
}

#[derive(Serialize)]
struct Quote {
    basket: u64,
    subtotal: u64,
    discount: u64,
    tax: u64,
}

/// The price of a line in cents.
const LINE: u64 = 1250;

/// Routes of a release.
pub fn routes(release: Release) -> Router {
    config::refuse_unknown();
    Router::new().state(release).route("POST /quotes", quote)
}

fn quote(State(release): State<Release>, Json(basket): Json<Basket>) -> Result<Json<Quote>, Error> {
    if basket.lines == 0 {
        return Err(Error::unprocessable("a basket has at least one line"));
    }
    let subtotal = prices(&release, &basket)?;
    let discount = discount(&release, &basket, subtotal);
    let is_taxed = release.taxes_coupons || basket.coupon == 0;
    let tax = if is_taxed { tax(&basket, subtotal - discount)? } else { (subtotal - discount) / 5 };
    Ok(Json(Quote { basket: basket.basket, subtotal, discount, tax }))
}

fn prices(release: &Release, basket: &Basket) -> Result<u64, Error> {
    let asked =
        call("prices").post("/prices").json(&json!({ "basket": basket.basket, "lines": basket.lines }));
    succeeded(asked.send())?;
    in_span("price_lines", |span| {
        span.set("basket.lines", basket.lines);
        clock::sleep(Duration::from_micros(4000 + release.pair_us * basket.lines * basket.lines));
        clock::sleep(Duration::from_secs_f64(random::uniform(0.0..0.004)));
        Ok(basket.lines * LINE)
    })
}

fn discount(release: &Release, basket: &Basket, subtotal: u64) -> u64 {
    let _span = Span::start("apply_coupon");
    clock::sleep(Duration::from_micros(300));
    if release.panics_on_large_coupons {
        assert!(basket.coupon <= subtotal, "the coupon is worth no more than the basket");
    }
    basket.coupon.min(subtotal)
}

fn tax(basket: &Basket, taxed: u64) -> Result<u64, Error> {
    succeeded(call("tax").get(&format!("/rates/{}", basket.basket % 30)).send())?;
    Ok(taxed / 5)
}

fn succeeded(answer: Result<Response, CallError>) -> Result<(), Error> {
    answer.map_err(Error::gateway)?.error_for_status()?;
    Ok(())
}
