//! Secrets in URLs, which spans do not repeat: the notes of `url.full` and `url.query`
//! in the semantic conventions for HTTP. What goes over the wire keeps them.

use std::borrow::Cow;

const REDACTED: &str = "REDACTED";

/// Names of query parameters whose values are secret, in this spelling: those of the
/// conventions, version 1.44.
const SECRET: [&str; 7] = [
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Goog-Signature",
];

/// A query, without its `?`.
pub(super) fn query(query: &str) -> Cow<'_, str> {
    let is_secret = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| SECRET.contains(&name));
    if !query.split('&').any(is_secret) {
        return Cow::Borrowed(query);
    }
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if SECRET.contains(&name) => Cow::Owned(format!("{name}={REDACTED}")),
        _ => Cow::Borrowed(pair),
    });
    Cow::Owned(shown.collect::<Vec<_>>().join("&"))
}

/// A path, with its query perhaps.
pub(super) fn target(target: &str) -> Cow<'_, str> {
    // Targets are short: looking at each byte is quicker than a search.
    let Some(mark) = target.bytes().position(|byte| byte == b'?') else { return Cow::Borrowed(target) };
    match query(&target[mark + 1..]) {
        Cow::Borrowed(_) => Cow::Borrowed(target),
        Cow::Owned(shown) => Cow::Owned(format!("{}?{shown}", &target[..mark])),
    }
}

/// What comes before the path in a URL that a guest gives as the address of a callee, or in
/// something like a URL.
pub(super) fn origin(given: &str) -> String {
    let shown = url(given);
    let begin = shown.find("://").map_or(0, |at| at + 3);
    let end = shown[begin..].find(['/', '?', '#']).map_or(shown.len(), |length| begin + length);
    let scheme = if begin == 0 { "http://" } else { "" };
    format!("{scheme}{}", &shown[..end])
}

/// The address of a callee as a guest gives it: a URL, or something like it.
pub(super) fn url(url: &str) -> Cow<'_, str> {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let length = url[begin..].find(['/', '?', '#']).unwrap_or(url.len() - begin);
    let (authority, rest) = url[begin..].split_at(length);
    let (authority, rest) = match authority.rsplit_once('@') {
        Some((_, host)) => (Cow::Owned(format!("{REDACTED}:{REDACTED}@{host}")), target(rest)),
        None => (Cow::Borrowed(authority), target(rest)),
    };
    match (authority, rest) {
        (Cow::Borrowed(_), Cow::Borrowed(_)) => Cow::Borrowed(url),
        (authority, rest) => Cow::Owned(format!("{}{authority}{rest}", &url[..begin])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_secret_parameters_are_redacted_and_their_names_kept() {
        for name in SECRET {
            assert_eq!(query(&format!("a=1&{name}=s3cr=t&b")), format!("a=1&{name}=REDACTED&b"));
        }
        for harmless in ["", "sig", "SIG=1", "Sig=1", "signature=1", "design=1", "a=sig&b=Signature=1", "&=&"]
        {
            assert!(matches!(query(harmless), Cow::Borrowed(shown) if shown == harmless), "{harmless}");
        }
        assert_eq!(query("sig="), "sig=REDACTED");
        assert_eq!(query("sig=1&sig=2"), "sig=REDACTED&sig=REDACTED");
        assert_eq!(target("/a?sig=1"), "/a?sig=REDACTED");
        assert_eq!(target("/a/sig=1"), "/a/sig=1");
    }

    #[test]
    fn credentials_before_a_host_are_redacted() {
        let shown = [
            ("http://user:pass@host:80/a@b?sig=1", "http://REDACTED:REDACTED@host:80/a@b?sig=REDACTED"),
            ("ftp://user@host", "ftp://REDACTED:REDACTED@host"),
            ("user:p@ss@host/x", "REDACTED:REDACTED@host/x"),
            ("http://host/user:pass@x?y=a@b", "http://host/user:pass@x?y=a@b"),
            ("stock-service", "stock-service"),
            ("http://", "http://"),
        ];
        for (given, expected) in shown {
            assert_eq!(url(given), expected);
        }
        let origins = ["https://u:p@host:80/a?b", "u:p@host/a", "stock", "http://host"].map(origin);
        let expected = ["https://REDACTED:REDACTED@host:80", "http://REDACTED:REDACTED@host", "http://stock"];
        assert_eq!(origins[..3], expected);
        assert_eq!(origins[3], "http://host");
    }
}
