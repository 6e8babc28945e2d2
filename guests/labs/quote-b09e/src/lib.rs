//! A build of the service `quote`: a large coupon is an error.

mod quote;

simhost_sdk::service!(routes);

fn routes() -> simhost_sdk::Router {
    quote::routes(quote::Release { pair_us: 0, panics_on_large_coupons: true, taxes_coupons: true })
}
