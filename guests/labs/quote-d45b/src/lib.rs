//! A build of the service `quote`: it leaves out a call.

mod quote;

simhost_sdk::service!(routes);

fn routes() -> simhost_sdk::Router {
    quote::routes(quote::Release { pair_us: 0, panics_on_large_coupons: false, taxes_coupons: false })
}
