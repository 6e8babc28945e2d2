//! The inventory service of the checkout: it reserves stock in a database.
//!
//! It shows a transaction whose statements have CLIENT spans, errors of the database by their SQLSTATE, and what a
//! statement was to the database: one that scanned a table leaves the event `slow-index-scan-detected` with its rows.
//!
//! | config | default | |
//! |---|---|---|
//! | `database` | `inventory` | the database with the table `stock` (`sku`, `available`, `reserved`) |
//! | `scan-rows` | `1000` | from this many scanned rows on, a statement is an event |

use simhost_sdk::prelude::*;
use simhost_sdk::{Status, sql};

simhost_sdk::service!(routes);

const RESERVE: &str = "UPDATE stock SET reserved = reserved + $1 WHERE sku = $2";
const LEVEL: &str = "SELECT available, reserved FROM stock WHERE sku = $1";

/// The constraint that no more is reserved than there is: PostgreSQL's `check_violation`.
const CHECK_VIOLATION: &str = "23514";

fn routes() -> Router {
    config::refuse_unknown();
    Router::new()
        .state(Settings::from_config())
        .route("GET /health", health)
        .route("GET /stock/{sku}", level)
        .route("POST /reserve", reserve)
}

struct Settings {
    database: String,
    scan_rows: u64,
}

impl Settings {
    fn from_config() -> Self {
        Self { database: config::text("database", "inventory"), scan_rows: config::parse("scan-rows", 1000) }
    }
}

#[derive(Serialize)]
struct Level {
    sku: String,
    available: i64,
    reserved: i64,
}

fn level(State(settings): State<Settings>, Path(sku): Path<String>) -> Result<Json<Level>, Error> {
    let rows = sql::query(&settings.database, LEVEL, &[sku.as_str().into()]).map_err(answer)?;
    let row = rows.first().ok_or_else(|| Error::not_found(format!("no item has the sku {sku}")))?;
    Ok(Json(Level { available: row.get("available")?, reserved: row.get("reserved")?, sku }))
}

#[derive(Deserialize)]
struct Reservation {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    sku: String,
    qty: i64,
}

#[derive(Serialize)]
struct Reserved {
    reserved: usize,
}

fn reserve(
    State(settings): State<Settings>,
    Json(order): Json<Reservation>,
) -> Result<Json<Reserved>, Error> {
    let Reservation { mut items } = order;
    // All reservations lock rows in one order: two of them never wait for one another.
    items.sort_by(|one, other| one.sku.cmp(&other.sku));
    let span = Span::start("db.reserve-stock");
    span.set("db.items_count", items.len() as i64);
    let reserved = sql::transaction(&settings.database, |stock| {
        items.iter().try_for_each(|item| reserve_item(&settings, stock, item, &span))
    });
    match reserved {
        Ok(()) => {
            span.status(Status::Ok, "");
            Ok(Json(Reserved { reserved: items.len() }))
        }
        Err(error) => {
            span.error(&error);
            Err(error)
        }
    }
}

fn reserve_item(
    settings: &Settings,
    stock: &sql::Transaction,
    item: &Item,
    span: &Span,
) -> Result<(), Error> {
    let done = stock.query(RESERVE, &[item.qty.into(), item.sku.as_str().into()]);
    if let Some(work) = sql::last_work() {
        note(settings, &work, done.as_ref().map_or(0, |rows| rows.affected), span);
    }
    match done {
        Ok(rows) if rows.affected == 0 => Err(Error::not_found(format!("no item has the sku {}", item.sku))),
        Ok(_) => Ok(()),
        Err(error) if error.sqlstate() == Some(CHECK_VIOLATION) => {
            Err(Error::conflict(format!("there is not enough of {}", item.sku)))
        }
        Err(error) => Err(answer(error)),
    }
}

/// Says on the span what the statement was to the database.
fn note(settings: &Settings, work: &sql::Work, found: u64, span: &Span) {
    let rows = work.rows_scanned.max(found);
    span.set("db.rows_scanned", rows as i64);
    if work.rows_scanned >= settings.scan_rows {
        let plan = work.plan.first().map_or("", String::as_str);
        let attributes = attributes!["db.plan" => plan, "db.rows_scanned" => work.rows_scanned as i64];
        span.event("slow-index-scan-detected", attributes);
        log::write(
            log::Level::Warn,
            "slow index scan detected",
            attributes!["db.rows_scanned" => rows as i64],
        );
    }
}

/// What the client learns of an error of the database.
fn answer(error: sql::Error) -> Error {
    match error.sqlstate() {
        // A database that is busy, or away, may serve the same request later.
        Some("53300" | "55P03" | "57014" | "57P01" | "57P03" | "40P01" | "08006") => {
            Error::unavailable(error.to_string())
        }
        None if error == sql::Error::PoolTimeout => Error::unavailable(error.to_string()),
        _ => Error::from(error),
    }
}
