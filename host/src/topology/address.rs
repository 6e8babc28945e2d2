//! Names and addresses: who listens where, what lies outside, which route.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::error::{Problem, quote};
use crate::message::is_token;

/// Characters of a service's name, the most that DNS allows for a label.
const LABEL_AT_MOST: usize = 63;

/// Characters of a name that is not a host's.
const NAME_AT_MOST: usize = 100;

/// Characters of a host name, the most that DNS allows.
const HOST_AT_MOST: usize = 253;

/// The name of a topology or a fault: letters, digits, `.`, `_` and `-`.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    let wrong = |label: &str| {
        Problem::new(format!("{} is not a name", quote(text))).label(label).help(format!(
            "a name has 1 to {NAME_AT_MOST} letters (a to z, A to Z), digits, '.', '_' and '-'"
        ))
    };
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "._-".contains(*c))) {
        Some(c) => Err(wrong(&format!("{c:?} is not allowed"))),
        None if text.is_empty() => Err(wrong("empty")),
        None if text.len() > NAME_AT_MOST => Err(wrong("too long")),
        None => Ok(text.to_owned()),
    }
}

/// Refuses what could not be the host of a URL: guests call `http://<service>/…`.
pub(super) fn check_service_name(text: &str) -> Result<(), Problem> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.starts_with(edge)
        && text.ends_with(edge)
        && text.chars().all(allowed)
        && text.len() <= LABEL_AT_MOST
    {
        return Ok(());
    }
    let label = match text.chars().find(|c| !allowed(*c)) {
        Some(c) => format!("{c:?} is not allowed"),
        None if text.len() > LABEL_AT_MOST => "too long".to_owned(),
        None => "begins or ends with something else than a letter or a digit".to_owned(),
    };
    Err(Problem::new(format!("{} is not a service name", quote(text))).label(label).help(format!(
        "a service name is part of URLs: 1 to {LABEL_AT_MOST} lower-case letters, digits, '-' and '_', \
         with a letter or a digit at each end"
    )))
}

/// `127.0.0.1:8001`: an IP address and a port.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Problem> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let all_digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let (message, label) = match port.parse::<u16>() {
        Err(_) if all_digits => (format!("port {} is out of range", quote(port)), "out of range"),
        _ => (format!("{} is not an address to listen at", quote(text)), "not an IP address and a port"),
    };
    let help = match (host, port.parse::<u16>()) {
        (_, Err(_)) if all_digits => "ports go from 1 to 65535; 0 takes any free one".to_owned(),
        ("" | "localhost" | "*", Ok(port)) => format!(
            r#"write "127.0.0.1:{port}" for this machine alone, "0.0.0.0:{port}" for the whole network"#
        ),
        _ => r#"write an IP address and a port, such as "127.0.0.1:8080""#.to_owned(),
    };
    Err(Problem::new(message).label(label).help(help))
}

/// `api.example.com` or `127.0.0.1:9000`, in lower case.
pub(super) fn host_and_port(text: &str) -> Result<String, Problem> {
    let (host, port) = split_port(text);
    if is_host(host) && port.is_none_or(is_port) {
        return Ok(text.to_ascii_lowercase());
    }
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split(['/', '?', '#']).next().unwrap_or(bare);
    let (host, port) = split_port(bare);
    let help = match bare != text && is_host(host) && port.is_none_or(is_port) {
        true => format!("write {}, without scheme and path", quote(&bare.to_ascii_lowercase())),
        false => r#"write each host in full, such as "api.example.com" or "127.0.0.1:9000""#.to_owned(),
    };
    Err(Problem::new(format!("{} is not a host", quote(text))).label("not a host").help(help))
}

/// `http(s)://host[:port]`, without a slash behind.
pub(super) fn origin(text: &str) -> Result<String, Problem> {
    let (origin, rest) = split_url(text)?;
    match rest {
        "" | "/" => Ok(origin),
        _ => Err(Problem::new(format!("{} has a path", quote(text)))
            .label("only scheme, host and port")
            .help(format!("write {}: the path comes with each request", quote(&origin)))),
    }
}

/// `http(s)://host[:port][/path]`.
pub(super) fn endpoint(text: &str) -> Result<String, Problem> {
    let (origin, path) = split_url(text)?;
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte);
    match path.bytes().all(plain) {
        true => Ok(format!("{origin}{path}")),
        false => Err(Problem::new(format!("{} is not an endpoint", quote(text)))
            .label("only scheme, host, port and path")
            .help(format!("write {}, or with a plain path behind it", quote(&origin)))),
    }
}

/// A URL's `scheme://host[:port]` in lower case, and what follows.
fn split_url(text: &str) -> Result<(String, &str), Problem> {
    let wrong = |label: &str, help: &str| {
        Err(Problem::new(format!("{} is not a URL of a server", quote(text))).label(label).help(help))
    };
    let example = r#"write scheme, host and port, such as "http://127.0.0.1:9000""#;
    let Some((scheme, rest)) = text.split_once("://") else {
        let guess = text.split('/').next().filter(|guess| host_and_port(guess).is_ok());
        return match guess {
            Some(_) => wrong("no scheme", &format!("write {}", quote(&format!("http://{text}")))),
            None => wrong("no scheme", example),
        };
    };
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return wrong("neither http nor https", example);
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        // The message goes to logs: it must not repeat what is in front of the @.
        return Err(Problem::new("the URL holds a user or a password")
            .label("credentials")
            .help("leave them out: a topology is no place for secrets"));
    }
    let (host, port) = split_port(authority);
    if !is_host(host) {
        return wrong("no valid host", example);
    }
    if !port.is_none_or(is_port) {
        return wrong("no valid port", "ports go from 1 to 65535");
    }
    Ok((format!("{scheme}://{}", authority.to_ascii_lowercase()), rest))
}

/// The host, and the port behind the last colon, if there is one.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if text.ends_with(']') {
        return (text, None);
    }
    text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port != 0)
}

/// An IPv4 address, an IPv6 address in brackets or a DNS name.
fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    // All digits and dots: an address, which may not be half of one.
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return text.parse::<IpAddr>().is_ok();
    }
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        inner
            && (1..=LABEL_AT_MOST).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= HOST_AT_MOST && text.split('.').all(label)
}

/// `POST /stock/{item}/reserve`: a method and a path as a guest names them.
pub(super) fn route(text: &str) -> Result<String, Problem> {
    let wrong = |label: &str, help: String| {
        Err(Problem::new(format!("{} is not a route", quote(text))).label(label).help(help))
    };
    let example = r#"write a method, a blank and a path, as in "POST /stock/{item}/reserve""#.to_owned();
    let Some((method, path)) = text.split_once(' ') else {
        let help = if text.starts_with('/') {
            format!("write the method too, as in {}", quote(&format!("GET {text}")))
        } else {
            example
        };
        return wrong("no method and path", help);
    };
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return wrong("no method", example);
    }
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let help = format!("write {}", quote(&format!("{} {path}", method.to_uppercase())));
        return wrong("methods are upper-case", help);
    }
    match path_template(path) {
        Ok(()) => Ok(text.to_owned()),
        Err(label) => wrong(label, example),
    }
}

/// `POST`: the method of a request.
pub(super) fn method(text: &str) -> Result<String, Problem> {
    if is_token(text) && text.to_uppercase() == text {
        return Ok(text.to_owned());
    }
    let help = if is_token(text) { quote(&text.to_uppercase()) } else { "\"GET\" or \"POST\"".to_owned() };
    Err(Problem::new(format!("{} is not a method", quote(text)))
        .label("not a method")
        .help(format!("write {help}")))
}

/// Refuses a path whose braces do not pair up.
fn path_template(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("the path does not begin with '/'");
    }
    if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("a blank in the path");
    }
    if path.contains(['?', '#']) {
        return Err("a route has no query");
    }
    let mut open = None;
    for (at, c) in path.char_indices() {
        match (c, open) {
            ('{', None) => open = Some(at),
            ('}', Some(start)) if at - start > 1 && &path[start..at] != "{*" => open = None,
            ('{' | '}', _) => return Err("braces that do not pair up around a name"),
            _ => {}
        }
    }
    match open {
        Some(_) => Err("a brace that is not closed"),
        None => Ok(()),
    }
}

/// `/health`: the path of requests that get no spans.
pub(super) fn path(text: &str) -> Result<String, Problem> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
    match text.starts_with('/') && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(Problem::new(format!("{} is not a path", quote(text)))
            .label("not a path")
            .help(r#"write a path from its '/' on, without query, such as "/health""#)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_whole_addresses() {
        for text in ["api.example.com", "127.0.0.1:9000", "[::1]:80", "[::1]", "localhost", "a_b"] {
            assert!(host_and_port(text).is_ok(), "{text}");
        }
        let wrong =
            ["", "127.0.0", "a..b", "*.example.com", "http://a", "a:0", "a:65536", "a:", "::1", "[x]", "a b"];
        for text in wrong {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_has_scheme_host_and_port_only() {
        assert_eq!(origin("HTTP://Example.com:80/").unwrap(), "http://example.com:80");
        for text in
            ["example.com", "ftp://a", "http://", "http://u:p@a", "http://a/b", "http://a?b", "http://a:x"]
        {
            assert!(origin(text).is_err(), "{text}");
        }
        assert_eq!(endpoint("http://a:4318/base/").unwrap(), "http://a:4318/base/");
        assert!(endpoint("http://a/?x").is_err());
    }

    #[test]
    fn a_route_is_a_method_and_a_template() {
        for text in ["POST /stock/{item}/reserve", "GET /", "GET /{*rest}"] {
            assert!(route(text).is_ok(), "{text}");
        }
        let wrong = [
            "",
            "/stock",
            "get /",
            "GET stock",
            "GET /{",
            "GET /}",
            "GET /{}",
            "GET /{{a}}",
            "GET /a b",
            "GET /?q",
        ];
        for text in wrong {
            assert!(route(text).is_err(), "{text}");
        }
    }
}
