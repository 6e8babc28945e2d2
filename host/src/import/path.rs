//! Routes and paths as recorders write them, as routes of a topology: `GET /items/{id}`.

use std::collections::BTreeSet;

use super::bounds::MAX_PATH;

/// What stands for a number or an id in a path.
const ID: &str = "{id}";

/// Digits from which on a hexadecimal segment is an id: shorter ones may be words.
const HEX_DIGITS: usize = 8;

/// The methods of HTTP (RFC 9110, RFC 5789) that a span's name may begin with.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The method that the name of a span begins with, and the rest of the name.
pub fn split_method(name: &str) -> (Option<&str>, &str) {
    let name = name.strip_prefix("HTTP ").unwrap_or(name).trim();
    let (first, rest) = name.split_once(' ').unwrap_or((name, ""));
    if METHODS.contains(&first) { (Some(first), rest.trim()) } else { (None, name) }
}

/// A method as a topology writes it.
pub fn method(text: &str) -> Option<String> {
    let text = text.to_ascii_uppercase();
    METHODS.contains(&text.as_str()).then_some(text)
}

/// A route's path with one notation of parameters: `:id`, `<int:id>`, `{id:[0-9]+}`, `{*rest}` and `*` of the
/// frameworks become `{id}` and `{rest}`.
pub fn route(path: &str) -> String {
    build(path, |segment| parameter(segment).map(str::to_owned))
}

/// The path of a request, without its query: numbers and ids become `{id}`, and names in braces stay.
pub fn of_request(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let named = |segment: &str| parameter(segment).filter(|_| segment.starts_with('{')).map(str::to_owned);
    build(path, |segment| named(segment).or_else(|| is_id(segment).then(|| "id".to_owned())))
}

/// The path within a URL: `http://host:80/path?query`.
pub fn of_url(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// The host within a URL.
pub fn host_of_url(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next()?;
    (!host.is_empty()).then_some(host)
}

/// A path for what has none: the name of a job or of a span.
pub fn of_name(name: &str) -> String {
    let slug = slug(name);
    if slug.is_empty() { "/".to_owned() } else { format!("/{slug}") }
}

/// Lower-case letters, digits and single `-`, none at an end.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// The same for two routes that take the same requests.
pub fn shape(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// Whether a path that [`of_request`] has made is one of a route's.
pub fn meets(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other || one.starts_with('{') && !other.is_empty() => {}
            _ => return false,
        }
    }
}

/// The names of a path's parameters.
pub fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn build(path: &str, name_of: impl Fn(&str) -> Option<String>) -> String {
    let (mut built, mut names) = (String::new(), BTreeSet::new());
    let ends_with_slash = path.len() > 1 && path.ends_with('/');
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let segment = match name_of(segment) {
            Some(name) => format!("{{{}}}", unique(&name, &mut names)),
            None => literal(segment),
        };
        if built.len() + 1 + segment.len() > MAX_PATH {
            break;
        }
        built.push('/');
        built.push_str(&segment);
    }
    if ends_with_slash || built.is_empty() {
        built.push('/');
    }
    built
}

/// A name of letters, digits and `_` that this path does not have yet.
fn unique(name: &str, names: &mut BTreeSet<String>) -> String {
    let mut name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        ID.trim_matches(['{', '}']).clone_into(&mut name);
    }
    let mut candidate = name.clone();
    let mut number = 2;
    while !names.insert(candidate.clone()) {
        candidate = format!("{name}{number}");
        number += 1;
    }
    candidate
}

/// The name of a parameter in any framework's notation; none of text.
fn parameter(segment: &str) -> Option<&str> {
    if segment.starts_with('*') {
        let name = segment.trim_start_matches('*');
        return Some(if name.is_empty() { "rest" } else { name });
    }
    if let Some(name) = segment.strip_prefix(':') {
        return Some(name.split(['(', '?', '*', '+', '<']).next().unwrap_or(name));
    }
    let inside = |open: char, close: char| {
        let (_, rest) = segment.split_once(open)?;
        Some(rest.split(close).next().unwrap_or(rest))
    };
    if let Some(inside) = inside('{', '}') {
        let name = inside.trim_start_matches('*');
        return Some(name.split([':', '=', '?', '*', '.']).next().unwrap_or(name));
    }
    // `<int:id>` of Flask and Django: the name comes last.
    inside('<', '>').map(|inside| inside.rsplit(':').next().unwrap_or(inside))
}

/// Whether a segment of a path is a number, a UUID, another long id, or an address.
fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return segment.contains(['@', '%', '{', '=']);
    }
    let is_number = segment.bytes().all(|byte| byte.is_ascii_digit() || b".-_,".contains(&byte));
    let is_hex = segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    // `v1` and `oauth2` are words, `SKU-0042` and `order12345` are not.
    is_number || is_hex && segment.len() >= HEX_DIGITS || digits >= 3 || segment.contains(['@', '%', '='])
}

/// Text that both a route and a call may have.
fn literal(segment: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || "-._~".contains(c) { c } else { '-' };
    segment.chars().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_every_framework_become_braces() {
        let written = [
            ("/items/{id}", "/items/{id}"),
            ("items/:itemId/parts/", "/items/{itemId}/parts/"),
            ("/users/<int:user_id>", "/users/{user_id}"),
            ("/files/{path:.*}", "/files/{path}"),
            ("/files/{*rest}", "/files/{rest}"),
            ("/static/*", "/static/{rest}"),
            ("/a/{id}/b/{id}", "/a/{id}/b/{id2}"),
            ("/x/{name}.json", "/x/{name}"),
            ("/a b,c/d?", "/a-b-c/d-"),
            ("", "/"),
        ];
        for (text, expected) in written {
            assert_eq!(route(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_and_ids_of_a_path_become_parameters_and_words_stay() {
        let paths = [
            ("/api/v1/items/17?x=1", "/api/v1/items/{id}"),
            ("/orders/0b6e6c2e-5b1f-4f7e-9c55-0d6c7f1f2a3b/lines/3", "/orders/{id}/lines/{id2}"),
            ("/stock/SKU-001/reserve", "/stock/{id}/reserve"),
            ("/oauth2/token", "/oauth2/token"),
            ("/stock/{sku}/7", "/stock/{sku}/{id}"),
            ("/deadbeef", "/deadbeef"),
            ("/", "/"),
        ];
        for (path, expected) in paths {
            assert_eq!(of_request(path), expected, "{path}");
        }
        assert_eq!(of_url("https://a.b:8080/x/1?y"), "/x/1?y");
        assert_eq!((of_url("http://a"), host_of_url("http://u@a.b:80/x")), ("/", Some("a.b")));
    }

    #[test]
    fn a_path_meets_the_routes_that_take_it() {
        assert!(meets("/stock/{item}", "/stock/book"));
        assert!(!meets("/stock/{item}", "/stock/book/reserve"));
        assert_eq!(shape("/a/{id}/b"), shape("/a/{name}/b"));
    }

    #[test]
    fn a_span_name_may_begin_with_a_method() {
        assert_eq!(split_method("GET /items/{id}"), (Some("GET"), "/items/{id}"));
        assert_eq!(split_method("HTTP POST"), (Some("POST"), ""));
        assert_eq!(split_method("nightly report"), (None, "nightly report"));
        assert_eq!(slug("Nightly Report (v2)"), "nightly-report-v2");
    }
}
