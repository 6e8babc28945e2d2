//! The orders trace: 17 spans of four services, with the times of one capture.

use crate::console::story::{Client, INVENTORY, Internal, NOTIFICATION, ORDER, PAYMENT, Server, Story};

/// Start and duration of each span in microseconds.
type Times = [(u64, u64); 17];

const SMALL: Times = [
    (0, 48_620),
    (910, 46_600),
    (970, 10),
    (1_040, 4_370),
    (1_840, 3_490),
    (3_430, 1_490),
    (5_580, 31_800),
    (6_230, 30_880),
    (7_620, 28_920),
    (8_540, 26_770),
    (8_610, 26_620),
    (37_530, 4_910),
    (38_290, 3_970),
    (39_970, 1_860),
    (42_560, 4_930),
    (43_270, 4_060),
    (45_070, 1_920),
];

const LARGE: Times = [
    (0, 307_850),
    (1_090, 305_220),
    (1_140, 10),
    (1_200, 5_290),
    (1_970, 4_430),
    (4_010, 2_070),
    (6_580, 289_660),
    (7_200, 288_390),
    (9_030, 286_020),
    (10_120, 283_940),
    (10_170, 283_820),
    (296_360, 5_200),
    (297_310, 4_060),
    (299_200, 1_620),
    (301_700, 4_580),
    (302_350, 3_760),
    (304_180, 1_380),
];

/// One order of `quantity` books: more than 5 are slow to look up.
pub fn order(quantity: i64) -> Story {
    let (times, demand) = if quantity > 5 { (LARGE, "high") } else { (SMALL, "normal") };
    let mut story = Story::default();
    let mut times = times.into_iter();
    let mut span = |story: &mut Story, service, kind, name: &str, parent| {
        let (start, duration) = times.next().expect("17 spans");
        let id = story.span(service, kind, name, parent, start, duration);
        match kind {
            Server => {
                story.with("http.request.method", "POST").with("url.path", "/orders").code(if parent == 0 {
                    201
                } else {
                    200
                });
            }
            Client => {
                story.with("server.address", "inventory-service").code(200);
            }
            _ => {}
        }
        id
    };
    let root = span(&mut story, ORDER, Server, "POST /orders", 0);
    let process = span(&mut story, ORDER, Internal, "process_order", root);
    story
        .with("order.item", "book")
        .with("order.quantity", quantity)
        .with("order.id", "7b1c2a54-9d0e-4f63-8a21-5c7e90d1b3f8");
    span(&mut story, ORDER, Internal, "validate_order", process);
    let check = span(&mut story, ORDER, Internal, "check_inventory", process);
    let call = span(&mut story, ORDER, Client, "GET", check);
    span(&mut story, INVENTORY, Server, "GET /stock/{item}", call);
    let reserve = span(&mut story, ORDER, Internal, "reserve_inventory", process);
    let call = span(&mut story, ORDER, Client, "POST", reserve);
    let served = span(&mut story, INVENTORY, Server, "POST /stock/{item}/reserve", call);
    let stock = span(&mut story, INVENTORY, Internal, "reserve_stock", served);
    story.with("inventory.item", "book").with("inventory.quantity", quantity);
    span(&mut story, INVENTORY, Internal, "slow_lookup", stock);
    story.with("inventory.demand", demand);
    let charge = span(&mut story, ORDER, Internal, "charge_payment", process);
    let call = span(&mut story, ORDER, Client, "POST", charge);
    span(&mut story, PAYMENT, Server, "POST /charges", call);
    let notify = span(&mut story, ORDER, Internal, "send_notification", process);
    let call = span(&mut story, ORDER, Client, "POST", notify);
    span(&mut story, NOTIFICATION, Server, "POST /notify", call);
    story
}
