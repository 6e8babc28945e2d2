//! A build of the service `quote`: its time grows with the square of the lines.

mod quote;

simhost_sdk::service!(routes);

fn routes() -> simhost_sdk::Router {
    quote::routes(quote::Release { pair_us: 350, panics_on_large_coupons: false, taxes_coupons: true })
}
