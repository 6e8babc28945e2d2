//! Names in error messages: what was meant, what there is. Both sides find problems, and these read alike.

/// Names that a message lists; of the others it says only how many there are.
const LISTED_AT_MOST: usize = 30;

/// Characters of a quoted value that a message shows.
const QUOTED_AT_MOST: usize = 60;

/// A name longer than this is no slip of the finger, and comparing it is slow.
const COMPARED_AT_MOST: usize = 64;

/// The value in quotes, escaped, and cut when it is long.
pub fn quote(value: &str) -> String {
    match value.char_indices().nth(QUOTED_AT_MOST) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// The name that was most likely meant: the nearest that differs in at most a
/// third of its letters, without regard to case and to `_` for `-`.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.is_empty() || wrong.len() > COMPARED_AT_MOST {
        return None;
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let wrong = plain(wrong);
    let most = |name: &str| 1.max(name.len().max(wrong.len()) / 3);
    names
        .into_iter()
        // Too long and too short names first: comparing letters is slow.
        .filter(|name| name.len() <= COMPARED_AT_MOST && name.len().abs_diff(wrong.len()) <= most(name))
        .map(|name| (strsim::osa_distance(&wrong, &plain(name)), name))
        .filter(|(distance, name)| *distance <= most(name) && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `"a", "b", "c"`: every name, or the first of many.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(quote).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    let more = names.len().saturating_sub(LISTED_AT_MOST);
    names.truncate(LISTED_AT_MOST);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// A help text for an unknown name: what was meant, if a name is near, and
/// what there is. `what` says what the names are, in the plural: `services`.
pub fn did_you_mean<'a>(wrong: &str, what: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let all = list(names.clone());
    match nearest(wrong, names) {
        Some(near) => format!("did you mean {}? Known {what}: {all}", quote(near)),
        None => format!("known {what}: {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let names = ["inventory-service", "order-service", "to"];
        assert_eq!(nearest("inventry-service", names), Some("inventory-service"));
        assert_eq!(nearest("Order_Service", names), Some("order-service"));
        assert_eq!(nearest("billing", names), None);
        assert_eq!(nearest("xy", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"x".repeat(100_000), names), None);
    }

    #[test]
    fn long_values_and_long_lists_are_cut() {
        assert_eq!(quote("a\u{1b}[1m"), r#""a\u{1b}[1m""#);
        assert_eq!(quote(&"ü".repeat(61)), format!("\"{}\"…", "ü".repeat(60)));
        let many: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        assert!(list(many.iter().map(String::as_str)).ends_with(r#", "29" and 10 more"#));
        assert_eq!(list(["a", "b"]), r#""a", "b""#);
        assert_eq!(list([]), "none");
    }
}
