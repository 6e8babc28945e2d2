//! Words that services, routes and tables are named by.

/// What a shop deals with: one and several of it. The first ones are the best known.
pub const NOUNS: [(&str, &str); 64] = [
    ("order", "orders"),
    ("product", "products"),
    ("cart", "carts"),
    ("payment", "payments"),
    ("customer", "customers"),
    ("shipment", "shipments"),
    ("price", "prices"),
    ("review", "reviews"),
    ("invoice", "invoices"),
    ("promotion", "promotions"),
    ("account", "accounts"),
    ("session", "sessions"),
    ("offer", "offers"),
    ("category", "categories"),
    ("warehouse", "warehouses"),
    ("supplier", "suppliers"),
    ("address", "addresses"),
    ("refund", "refunds"),
    ("coupon", "coupons"),
    ("wishlist", "wishlists"),
    ("message", "messages"),
    ("parcel", "parcels"),
    ("return", "returns"),
    ("voucher", "vouchers"),
    ("subscription", "subscriptions"),
    ("ticket", "tickets"),
    ("image", "images"),
    ("recommendation", "recommendations"),
    ("profile", "profiles"),
    ("device", "devices"),
    ("campaign", "campaigns"),
    ("segment", "segments"),
    ("merchant", "merchants"),
    ("listing", "listings"),
    ("auction", "auctions"),
    ("bid", "bids"),
    ("contract", "contracts"),
    ("quote", "quotes"),
    ("tax", "taxes"),
    ("currency", "currencies"),
    ("wallet", "wallets"),
    ("reward", "rewards"),
    ("gift", "gifts"),
    ("store", "stores"),
    ("region", "regions"),
    ("route", "routes"),
    ("driver", "drivers"),
    ("vehicle", "vehicles"),
    ("slot", "slots"),
    ("pickup", "pickups"),
    ("claim", "claims"),
    ("dispute", "disputes"),
    ("transfer", "transfers"),
    ("ledger", "ledgers"),
    ("report", "reports"),
    ("audit", "audits"),
    ("document", "documents"),
    ("comment", "comments"),
    ("question", "questions"),
    ("answer", "answers"),
    ("feed", "feeds"),
    ("banner", "banners"),
    ("event", "events"),
    ("alert", "alerts"),
];

/// What services between the edge and the data do with it.
pub const ROLES: [&str; 24] = [
    "service",
    "search",
    "validation",
    "history",
    "pricing",
    "limits",
    "rules",
    "matching",
    "ranking",
    "scoring",
    "planning",
    "status",
    "tracking",
    "policy",
    "enrichment",
    "routing",
    "approval",
    "summary",
    "export",
    "sync",
    "metadata",
    "rendering",
    "quota",
    "archive",
];

/// Where it is kept: how services are named, and `db.system.name`.
pub const STORES: [(&str, &str); 10] = [
    ("db", "postgresql"),
    ("cache", "redis"),
    ("index", "elasticsearch"),
    ("documents", "mongodb"),
    ("ledger-db", "mysql"),
    ("timeline", "cassandra"),
    ("replica-db", "postgresql"),
    ("session-cache", "redis"),
    ("archive-db", "mysql"),
    ("feature-store", "cassandra"),
];

/// What the rows of a table are grouped by, and what they have: columns.
pub const GROUPS: [&str; 5] = ["customer", "region", "merchant", "warehouse", "campaign"];
pub const VALUES: [&str; 5] = ["amount", "quantity", "score", "weight", "priority"];

/// What a service tells of its work.
pub const LOGS: [&str; 6] = [
    "token renewed",
    "configuration reloaded",
    "entry refreshed",
    "connection opened",
    "page of results served",
    "request took the second route",
];

/// What it warns of.
pub const WARNINGS: [&str; 6] = [
    "answer is older than a minute",
    "pool is nearly full",
    "field is deprecated",
    "entry without an owner",
    "clock of the caller is ahead",
    "batch was split",
];

/// What can be done with a thing over HTTP.
#[derive(Debug, PartialEq, Eq)]
pub struct Verb {
    /// The key of its table in a configuration.
    pub key: &'static str,
    pub method: &'static str,
    /// Whether it is about one of them.
    pub is_single: bool,
    /// Whether it leaves everything as it is.
    pub only_reads: bool,
}

pub const VERBS: [Verb; 5] = [
    Verb { key: "show", method: "GET", is_single: true, only_reads: true },
    Verb { key: "list", method: "GET", is_single: false, only_reads: true },
    Verb { key: "add", method: "POST", is_single: false, only_reads: false },
    Verb { key: "change", method: "PUT", is_single: true, only_reads: false },
    Verb { key: "remove", method: "DELETE", is_single: true, only_reads: false },
];

/// How often services have each of them.
pub const VERB_WEIGHTS: [f64; 5] = [10.0, 5.0, 4.0, 2.0, 1.0];

/// What a database does for a verb, in its own words.
pub fn statement(database: &str, verb: &Verb) -> &'static str {
    let words = match database {
        "redis" => ["GET", "SCAN", "SET", "SET", "DEL"],
        "mongodb" => ["findOne", "find", "insert", "update", "delete"],
        "elasticsearch" => ["get", "search", "index", "update", "delete"],
        _ => ["SELECT", "SELECT", "INSERT", "UPDATE", "DELETE"],
    };
    let at = VERBS.iter().position(|other| other == verb);
    words[at.expect("every verb is one of them")]
}
