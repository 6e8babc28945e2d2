//! What a route says: `POST /stock/{item}/reserve`.

use crate::bindings::exports::simhost::service::handler::Route;
use std::fmt;

/// A route that is well-formed.
pub(crate) struct Pattern {
    method: String,
    path: String,
}

impl Pattern {
    /// Reads `METHOD /path`, or says what is wrong with it.
    pub fn parse(route: &str) -> Result<Self, String> {
        let Some((method, path)) = route.split_once(' ') else {
            return Err("write it as `METHOD /path`, for example `GET /stock/{item}`".into());
        };
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("the method `{method}` is not in capitals, as `GET` is"));
        }
        check_path(path)?;
        Ok(Self { method: method.into(), path: path.into() })
    }

    /// Whether both take the same requests: the names of parameters make no difference.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.path.split('/'), other.path.split('/'));
        self.method == other.method
            && loop {
                match (ours.next(), theirs.next()) {
                    (None, None) => break true,
                    (Some(a), Some(b)) if a == b || (shape(a).is_some() && shape(a) == shape(b)) => {}
                    _ => break false,
                }
            }
    }
}

/// One segment's kind: nothing for a literal, `{` for a parameter, `{*` for the rest of the path.
fn shape(segment: &str) -> Option<&str> {
    ["{*", "{"].into_iter().find(|prefix| segment.starts_with(prefix))
}

fn check_path(path: &str) -> Result<(), String> {
    let Some(inside) = path.strip_prefix('/') else {
        return Err(format!("the path `{path}` does not begin with `/`"));
    };
    if let Some(odd) = path.chars().find(|c| c.is_whitespace() || c.is_control() || "?#".contains(*c)) {
        return Err(format!("a path cannot contain {odd:?}"));
    }
    let segments: Vec<&str> = inside.split('/').collect();
    let mut names = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        if segment.is_empty() && !is_last {
            return Err("a segment between two `/` is empty".into());
        }
        let Some(name) = parameter(segment)? else { continue };
        if name.starts_with('*') && !is_last {
            return Err(format!("`{segment}` takes all that follows, so it must come last"));
        }
        if names.contains(&name) {
            return Err(format!("two parameters are named `{name}`"));
        }
        names.push(name);
    }
    Ok(())
}

/// The name in `{name}`, with its `*` if it has one; nothing if the segment is a literal.
fn parameter(segment: &str) -> Result<Option<&str>, String> {
    if !segment.contains(['{', '}']) {
        return Ok(None);
    }
    let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match name {
        Some(name) if !name.trim_start_matches('*').is_empty() && !name.contains(['{', '}']) => {
            Ok(Some(name))
        }
        _ => Err(format!(
            "`{segment}` is neither text nor one parameter: write `{{name}}` for a whole segment"
        )),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl From<&Pattern> for Route {
    fn from(pattern: &Pattern) -> Self {
        Self { method: pattern.method.clone(), path: pattern.path.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(route: &str) -> String {
        Pattern::parse(route).err().unwrap_or_default()
    }

    #[test]
    fn good_routes_are_kept_as_written() {
        for route in ["GET /", "POST /orders", "GET /stock/{item}", "GET /a/{b}/c/", "DELETE /files/{*path}"]
        {
            assert_eq!(Pattern::parse(route).map(|pattern| pattern.to_string()).as_deref(), Ok(route));
        }
    }

    #[test]
    fn a_bad_route_says_what_is_wrong() {
        let expected = [
            ("/orders", "METHOD /path"),
            ("post /orders", "`post` is not in capitals"),
            (" /orders", "not in capitals"),
            ("POST orders", "does not begin with `/`"),
            ("POST  /orders", "does not begin with `/`"),
            ("GET /a b", "cannot contain ' '"),
            ("GET /a?b=1", "cannot contain '?'"),
            ("GET /a//b", "is empty"),
            ("GET /x/{", "`{` is neither"),
            ("GET /x/{}", "`{}` is neither"),
            ("GET /x/{*}", "`{*}` is neither"),
            ("GET /x/{a}{b}", "is neither"),
            ("GET /x/a{b}", "is neither"),
            ("GET /{*rest}/x", "must come last"),
            ("GET /{a}/{a}", "two parameters are named `a`"),
        ];
        for (route, part) in expected {
            assert!(problem(route).contains(part), "{route}: {}", problem(route));
        }
    }

    #[test]
    fn routes_overlap_whatever_their_parameters_are_called() {
        let overlap = |a, b| Pattern::parse(a).unwrap().overlaps(&Pattern::parse(b).unwrap());
        assert!(overlap("GET /a/{x}/b", "GET /a/{y}/b"));
        assert!(overlap("GET /{*x}", "GET /{*y}"));
        assert!(!overlap("GET /a/{x}", "POST /a/{x}"));
        assert!(!overlap("GET /a/{x}", "GET /a/b"));
        assert!(!overlap("GET /a/{x}", "GET /a/{*x}"));
        assert!(!overlap("GET /a", "GET /a/"));
    }
}
