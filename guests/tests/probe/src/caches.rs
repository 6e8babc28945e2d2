//! What a cache answers.

use simhost_sdk::CacheError;
use simhost_sdk::bindings::simhost::service::cache as raw;
use simhost_sdk::prelude::*;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wanted {
    cache: String,
    key: Option<String>,
    value: Option<String>,
    /// Fills the value up to this size: bytes.
    size: Option<usize>,
    ttl_ms: Option<u64>,
    by: Option<i64>,
}

impl Wanted {
    fn key(&self) -> &str {
        self.key.as_deref().unwrap_or("key")
    }

    fn value(&self) -> Vec<u8> {
        let mut value = self.value.clone().unwrap_or_default().into_bytes();
        value.resize(self.size.unwrap_or(value.len()), b'x');
        value
    }
}

/// A value in short: its text, or the size of a long one.
fn shown(value: &[u8]) -> Value {
    if value.len() > 100 { json!(value.len()) } else { json!(String::from_utf8_lossy(value)) }
}

fn outcome(answer: Result<Value, CacheError>) -> Json<Value> {
    Json(match answer {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}

pub fn all() -> Json<Value> {
    Json(json!(cache::all()))
}

pub fn get(Query(wanted): Query<Wanted>) -> Json<Value> {
    outcome(cache(&wanted.cache).get(wanted.key()).map(|value| json!(value.as_deref().map(shown))))
}

pub fn set(Query(wanted): Query<Wanted>) -> Json<Value> {
    let (cache, value) = (cache(&wanted.cache), wanted.value());
    let done = match wanted.ttl_ms {
        Some(ttl) => cache.set_for(wanted.key(), value, Duration::from_millis(ttl)),
        None => cache.set(wanted.key(), value),
    };
    outcome(done.map(|()| Value::Null))
}

pub fn delete(Query(wanted): Query<Wanted>) -> Json<Value> {
    outcome(cache(&wanted.cache).delete(wanted.key()).map(|was_there| json!(was_there)))
}

pub fn increment(Query(wanted): Query<Wanted>) -> Json<Value> {
    outcome(cache(&wanted.cache).increment(wanted.key(), wanted.by.unwrap_or(1)).map(|sum| json!(sum)))
}

/// Keys with `,` between them.
pub fn get_many(Query(wanted): Query<Wanted>) -> Json<Value> {
    let keys: Vec<&str> = wanted.key().split(',').collect();
    let values = cache(&wanted.cache).get_many(&keys);
    outcome(values.map(|values| values.iter().map(|value| json!(value.as_deref().map(shown))).collect()))
}

/// A value that is made once.
pub fn made(Query(wanted): Query<Wanted>) -> Result<Json<Value>, Error> {
    let mut is_made = false;
    let value = cache(&wanted.cache).get_or_make(wanted.key(), Duration::from_secs(1), || {
        is_made = true;
        Ok::<_, Error>(wanted.value())
    })?;
    Ok(Json(json!({ "value": shown(&value), "made": is_made })))
}

/// What is over a bound, by the raw contract.
pub fn misuse(Query(wanted): Query<Wanted>) -> Json<Value> {
    let said = |answer: Result<(), raw::Error>| match answer {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("{error:?}"),
    };
    let name = &wanted.cache;
    let many = |count| raw::get_many(name, &vec!["key".to_owned(); count]).map(drop);
    Json(json!([
        said(raw::get(name, &"k".repeat(1_025)).map(drop)),
        said(raw::set(name, "key", &vec![0; (1 << 20) + 1], None)),
        said(raw::set(name, "key", &vec![0; 1 << 20], None)),
        said(many(257)),
        said(many(5)),
        said(many(0)),
        said(raw::increment(name, "key", 1).map(drop)),
        said(raw::get("nobody", "key").map(drop)),
    ]))
}
