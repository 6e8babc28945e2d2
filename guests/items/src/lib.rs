//! A service that stores items: it validates, inserts, and writes a log record of the event.
//!
//! It shows validation whose errors the client learns, a conflict that the database finds, a page of rows, and log
//! records that carry the ids of trace and span.
//!
//! | config | default | |
//! |---|---|---|
//! | `database` | `items` | the database with the table `items` (`id`, `name`, `price`, `created_at`) |
//! | `framework` | `12ms +/- 1ms` | how long a framework takes to read a request and to write its response |
//! | `validation` | `2ms +/- 0.2ms` | how long validating takes |
//! | `logging` | `1ms` | how long writing a log record takes |

use simhost_sdk::prelude::*;
use simhost_sdk::{Distribution, sql};

simhost_sdk::service!(routes);

const INSERT: &str = "INSERT INTO items (name, price) VALUES ($1, $2) RETURNING id, created_at";
const SELECT: &str = "SELECT id, name, price, created_at FROM items WHERE id = $1";
const LATEST: &str = "SELECT id, name, price, created_at FROM items ORDER BY id DESC LIMIT $1 OFFSET $2";

/// PostgreSQL's `unique_violation`.
const UNIQUE_VIOLATION: &str = "23505";

/// The longest name of an item, in characters.
const LONGEST_NAME: usize = 100;

/// The largest page of items.
const LARGEST_PAGE: i64 = 100;

fn routes() -> Router {
    config::refuse_unknown();
    Router::new()
        .state(Settings::from_config())
        .route("GET /health", health)
        .route("GET /api/v1/items/", list)
        .route("GET /api/v1/items/{id}", show)
        .route("POST /api/v1/items/", create)
}

struct Settings {
    database: String,
    framework: Distribution,
    validation: Distribution,
    logging: Distribution,
}

impl Settings {
    fn from_config() -> Self {
        let about = |mean, stddev| Distribution::Normal {
            mean: Duration::from_micros(mean),
            stddev: Duration::from_micros(stddev),
        };
        Self {
            database: config::text("database", "items"),
            framework: config::distribution("framework", about(12_000, 1_000)),
            validation: config::distribution("validation", about(2_000, 200)),
            logging: config::distribution("logging", Distribution::Fixed(Duration::from_millis(1))),
        }
    }
}

#[derive(Deserialize)]
struct NewItem {
    name: String,
    price: f64,
}

#[derive(Serialize)]
struct Item {
    id: i64,
    name: String,
    price: f64,
    created_at: String,
}

fn create(State(settings): State<Settings>, Json(item): Json<NewItem>) -> Result<(u16, Json<Item>), Error> {
    clock::sleep(settings.framework.sample());
    in_span("validate_input", |_| {
        clock::sleep(settings.validation.sample());
        validate(&item)
    })?;
    let item = in_span("DB INSERT items", |span| {
        let item = insert(&settings, item)?;
        span.set("item.id", item.id);
        Ok(item)
    })?;
    in_span("log_event", |_| {
        let attributes = attributes!["item.id" => item.id, "item.name" => &item.name];
        log::write(log::Level::Info, "item_created", attributes);
        clock::sleep(settings.logging.sample());
        Ok(())
    })?;
    Ok((201, Json(item)))
}

fn validate(item: &NewItem) -> Result<(), Error> {
    let length = item.name.chars().count();
    if item.name.trim().is_empty() || length > LONGEST_NAME {
        return Err(Error::unprocessable(format!("name: 1 to {LONGEST_NAME} characters, not {length}")));
    }
    if !(item.price.is_finite() && item.price >= 0.0) {
        return Err(Error::unprocessable(format!("price: 0 or more, not {}", item.price)));
    }
    Ok(())
}

fn insert(settings: &Settings, NewItem { name, price }: NewItem) -> Result<Item, Error> {
    let rows = match sql::query(&settings.database, INSERT, &[name.as_str().into(), price.into()]) {
        Ok(rows) => rows,
        Err(error) if error.sqlstate() == Some(UNIQUE_VIOLATION) => {
            return Err(Error::conflict(format!("there is an item with the name {name}")));
        }
        Err(error) => return Err(error.into()),
    };
    let row = rows.first().ok_or_else(|| Error::internal("the INSERT returned no row"))?;
    Ok(Item { id: row.get("id")?, created_at: row.get("created_at")?, name, price })
}

fn show(State(settings): State<Settings>, Path(id): Path<i64>) -> Result<Json<Item>, Error> {
    clock::sleep(settings.framework.sample());
    let rows = sql::query(&settings.database, SELECT, &[id.into()])?;
    let row = rows.first().ok_or_else(|| Error::not_found(format!("no item has the id {id}")))?;
    Ok(Json(read(&row)?))
}

#[derive(Deserialize)]
struct Page {
    limit: Option<i64>,
    offset: Option<i64>,
}

fn list(State(settings): State<Settings>, Query(page): Query<Page>) -> Result<Json<Vec<Item>>, Error> {
    clock::sleep(settings.framework.sample());
    let limit = page.limit.unwrap_or(20).clamp(0, LARGEST_PAGE);
    let rows =
        sql::query(&settings.database, LATEST, &[limit.into(), page.offset.unwrap_or(0).max(0).into()])?;
    let items: Result<Vec<_>, _> = rows.iter().map(|row| read(&row)).collect();
    Ok(Json(items?))
}

fn read(row: &sql::Row<'_>) -> Result<Item, sql::Error> {
    Ok(Item {
        id: row.get("id")?,
        name: row.get("name")?,
        price: row.get("price")?,
        created_at: row.get("created_at")?,
    })
}
