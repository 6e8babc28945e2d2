//! Texts with parts that each request fills in: `{id}`, `{1..20}`, `{pick:gold=1,free=9}`.

use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;

/// Names that the request does not have are numbers from 1 to this.
const NUMBERS: f64 = 1000.0;

/// A text with parts in braces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template(pub Vec<Piece>);

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Text(String),
    /// The parameter of that name in the request's path, or a number if it has none.
    Name(String),
    /// A whole number, drawn between two.
    Range(i64, i64),
    /// One of these, drawn by their weights, which are summed up.
    Pick(Vec<(f64, String)>),
}

impl Template {
    /// Reads `gold-{1..9}`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (inside, after) =
                behind.split_once('}').ok_or_else(|| format!("`{{{behind}` has a brace without its pair"))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::parse(inside)?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The text for one request.
    pub fn fill(&self, params: &Params) -> String {
        self.0.iter().map(|piece| piece.fill(params)).collect()
    }

    /// Whether it is a number and nothing else.
    pub fn is_number(&self) -> bool {
        matches!(self.0[..], [Piece::Range(..)])
    }
}

impl Piece {
    fn parse(inside: &str) -> Result<Self, String> {
        if let Some(list) = inside.strip_prefix("pick:") {
            return weights(list).map(Self::Pick);
        }
        if let Some((low, high)) = inside.split_once("..") {
            return match (low.parse(), high.parse()) {
                (Ok(low), Ok(high)) if low <= high => Ok(Self::Range(low, high)),
                _ => Err(format!("`{{{inside}}}` is no range; write {{1..20}}")),
            };
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        match !inside.is_empty() && inside.chars().all(is_name) {
            true => Ok(Self::Name(inside.to_owned())),
            false => Err(format!("`{{{inside}}}` is no value; write {{id}}, {{1..20}} or {{pick:a=3,b=1}}")),
        }
    }

    pub fn fill(&self, params: &Params) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Name(name) => match params.get(name) {
                Some(value) => value.to_owned(),
                None => (1 + random::uniform(0.0..NUMBERS) as u32).to_string(),
            },
            Self::Range(low, high) => {
                let drawn = random::uniform(0.0..(high - low + 1) as f64) as i64;
                (low + drawn).min(*high).to_string()
            }
            Self::Pick(choices) => pick(choices).clone(),
        }
    }
}

/// Reads `a=3,b=1`; the weights are summed up.
pub fn weights(list: &str) -> Result<Vec<(f64, String)>, String> {
    let (mut sum, mut choices) = (0.0, Vec::new());
    for choice in list.split(',') {
        let (what, weight) = choice.rsplit_once('=').unwrap_or((choice, "1"));
        let weight = weight.trim().parse().ok().filter(|weight: &f64| weight.is_finite() && *weight > 0.0);
        let weight = weight.ok_or_else(|| format!("`{choice}` has no weight above 0; write a=3,b=1"))?;
        if what.trim().is_empty() {
            return Err(format!("`{choice}` has no value; write a=3,b=1"));
        }
        sum += weight;
        choices.push((sum, what.trim().to_owned()));
    }
    Ok(choices)
}

/// One of several, by their weights.
pub fn pick<T>(choices: &[(f64, T)]) -> &T {
    let (sum, last) = choices.last().expect("a list of choices has one");
    let drawn = if choices.len() == 1 { 0.0 } else { random::uniform(0.0..*sum) };
    choices.iter().find(|(until, _)| drawn < *until).map_or(last, |(_, choice)| choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_braces_are_parameters_ranges_and_choices() {
        let params = Params(vec![("id".to_owned(), "a b".to_owned())]);
        let fill = |text: &str| Template::parse(text).unwrap().fill(&params);
        assert_eq!(fill("item {id}!"), "item a b!");
        let drawn: i64 = fill("{-2..3}").parse().unwrap();
        assert!((-2..=3).contains(&drawn));
        assert!(["gold", "free"].contains(&fill("{pick:gold=1,free=9}").as_str()));
        assert!((1..=1000).contains(&fill("{other}").parse::<u32>().unwrap()));
        assert!(
            Template::parse("{1..2}").unwrap().is_number()
                && !Template::parse("n{1..2}").unwrap().is_number()
        );
        assert_eq!(weights("a=3,b"), Ok(vec![(3.0, "a".to_owned()), (4.0, "b".to_owned())]));
    }

    #[test]
    fn what_is_no_template_is_said() {
        for (text, said) in [
            ("{id", "a brace without its pair"),
            ("{}", "is no value"),
            ("{5..1}", "is no range"),
            ("{pick:a=0}", "no weight above 0"),
            ("{pick:=3}", "has no value"),
        ] {
            let problem = Template::parse(text).expect_err(text);
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }
}
