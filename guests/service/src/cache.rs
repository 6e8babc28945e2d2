//! Answers that are kept: in a worker's memory, or in a cache of the topology.

use std::cell::RefCell;

use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;

/// Answers that a worker keeps. If it has this number, it keeps no other one until one has expired.
const ENTRIES_AT_MOST: usize = 10_000;

/// Which answers are still good, by the parameters of the request's path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cache {
    /// How long an answer is good; zero keeps none.
    lasting: Duration,
    /// The cache of the topology that has them; none: this one.
    shared: Option<String>,
    /// In the order of the parameters: a list is less code than a map, and a guest is to be small.
    until: RefCell<Vec<(String, Duration)>>,
}

impl Cache {
    pub fn new(lasting: Duration, shared: Option<String>) -> Self {
        Self { lasting, shared, until: RefCell::default() }
    }

    /// Makes an answer of so many `bytes` to a request of `route` with `make`, unless there is a good one. One that
    /// failed is not kept.
    pub fn serve(
        &self,
        route: &str,
        params: &Params,
        bytes: usize,
        make: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(shared) = &self.shared else { return self.or_make(params, clock::now, make) };
        let service = std::env::var("SERVICE_NAME").unwrap_or_default();
        let key = service + &path(route, params);
        cache(shared).get_or_make(&key, self.lasting, || make().map(|()| vec![b'.'; bytes])).map(drop)
    }

    /// The same in this worker's memory, at the instant `now`.
    fn or_make(
        &self,
        params: &Params,
        now: impl Fn() -> Duration,
        make: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.lasting.is_zero() {
            return make();
        }
        let key = name(params);
        if self.find(&key).is_ok_and(|at| now() < self.until.borrow()[at].1) {
            return Ok(());
        }
        make()?;
        let now = now();
        if self.until.borrow().len() >= ENTRIES_AT_MOST {
            self.until.borrow_mut().retain(|(_, until)| now < *until);
        }
        let until = now + self.lasting;
        match self.find(&key) {
            Ok(at) => self.until.borrow_mut()[at].1 = until,
            Err(_) if self.until.borrow().len() >= ENTRIES_AT_MOST => {}
            Err(at) => self.until.borrow_mut().insert(at, (key, until)),
        }
        Ok(())
    }

    /// Where an answer is, or would be.
    fn find(&self, key: &str) -> Result<usize, usize> {
        self.until.borrow().binary_search_by(|(known, _)| known.as_str().cmp(key))
    }
}

/// The path of a request: that of its route, with the parameters in their places.
fn path(route: &str, params: &Params) -> String {
    let path = route.split_once(' ').map_or(route, |(_, path)| path);
    params.0.iter().fold(path.to_owned(), |path, (name, value)| {
        let value = percent_encode(value);
        path.replace(&format!("{{{name}}}"), &value).replace(&format!("{{*{name}}}"), &value)
    })
}

/// The parameters in one text, as in a path.
fn name(params: &Params) -> String {
    let mut name = String::new();
    for (_, value) in &params.0 {
        name.push('/');
        name.push_str(&percent_encode(value));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(id: &str) -> Params {
        Params(vec![("id".to_owned(), id.to_owned())])
    }

    /// Whether an answer had to be made.
    fn is_made(cache: &Cache, id: &str, second: u64) -> bool {
        let mut made = false;
        let make = || {
            made = true;
            Ok(())
        };
        cache.or_make(&params(id), || Duration::from_secs(second), make).unwrap();
        made
    }

    #[test]
    fn an_answer_is_good_until_it_expires_and_only_for_its_path() {
        let cache = Cache::new(Duration::from_secs(10), None);
        let made = [("a", 0), ("a", 9), ("b", 9), ("a", 10), ("a", 19), ("b", 18), ("b", 19)];
        let made = made.map(|(id, second)| is_made(&cache, id, second));
        assert_eq!(made, [true, false, true, true, false, false, true]);
    }

    #[test]
    fn a_key_of_a_shared_cache_is_the_path_of_the_request() {
        let of =
            |route, name: &str, value: &str| path(route, &Params(vec![(name.to_owned(), value.to_owned())]));
        assert_eq!(of("GET /items/{id}", "id", "a b"), "/items/a%20b");
        assert_eq!(of("GET /files/{*rest}", "rest", "x"), "/files/x");
        assert_eq!(path("GET /", &Params(Vec::new())), "/");
    }

    #[test]
    fn a_failure_is_not_kept_and_without_a_time_nothing_is() {
        let cache = Cache::new(Duration::from_secs(10), None);
        let fail = || Err(Error::bad_gateway("no answer"));
        assert!(cache.or_make(&params("a"), || Duration::ZERO, fail).is_err());
        assert!(is_made(&cache, "a", 1));
        let none = Cache::default();
        assert!(is_made(&none, "a", 1) && is_made(&none, "a", 1));
    }

    #[test]
    fn a_full_cache_keeps_what_it_has_until_it_expires() {
        let cache = Cache::new(Duration::from_secs(10), None);
        for number in 0..ENTRIES_AT_MOST {
            assert!(is_made(&cache, &number.to_string(), 0));
        }
        assert!(is_made(&cache, "one more", 1) && is_made(&cache, "one more", 2));
        assert!(!is_made(&cache, "7", 2));
        assert!(is_made(&cache, "one more", 10) && !is_made(&cache, "one more", 11));
    }
}
