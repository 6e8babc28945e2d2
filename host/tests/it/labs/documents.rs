//! The results that programs read, each by the rules of who reads it.

use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::Value;

use super::{CHANGE, Home};
use crate::support::{finish, schema, simhost};

/// A result of a solved lab, of one that is not, of a frozen change and of broken files.
fn results(format: &str) -> Vec<(Option<i32>, String)> {
    let edits: [&[(&str, &str)]; 4] =
        [&[CHANGE], &[], &[("workers = 1", "workers = 2")], &[("[topology]", "[topology")]];
    let result = |edits: &[(&str, &str)]| {
        let home = Home::new();
        home.start();
        edits.iter().for_each(|edit| home.edit("mine/topology.toml", *edit));
        let done = home.lab(&["check", "mine", "--seeds", "1", "--format", format, "--out", "result"]);
        (done.code, home.read("result"))
    };
    edits.map(result).into()
}

/// What is wrong with a document by a schema of `host/tests/it/labs/`.
fn problems(schema: &str, document: &Value) -> String {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/labs").join(schema);
    let text = std::fs::read_to_string(path).expect("a schema");
    compiler.add_resource("schema.json", serde_json::from_str(&text).expect("JSON")).expect("a resource");
    let index = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
    schemas.validate(document, index).err().map(|error| format!("{error:#}")).unwrap_or_default()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn our_own_result_fits_its_schema() {
    let described = finish(simhost().args(["schema", "lab-result"])).json();
    let results = results("json");
    for (code, text) in &results {
        assert_eq!(schema::problems(&described, &json(text)), Vec::<String>::new(), "{code:?}: {text}");
    }
    let codes: Vec<_> = results.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [Some(0), Some(1), Some(1), Some(2)]);
    let failed = json(&results[1].1);
    let check = super::named(&failed, "pages come");
    assert_eq!((check["seed"].as_u64(), check["failed_seeds"].as_u64()), (Some(1), Some(1)));
    assert!(check["trace_id"].as_str().is_some_and(|id| id.len() == 32), "{check:#}");
    assert!(json(&results[3].1)["error"].as_str().is_some_and(|error| error.contains("not valid TOML")));
}

#[test]
fn gradescope_gets_its_results() {
    let all: Vec<_> = results("gradescope").into_iter().map(|(_, text)| json(&text)).collect();
    for result in &all {
        assert_eq!(problems("gradescope.schema.json", result), "", "{result:#}");
    }
    let scores: Vec<_> = all.iter().map(|result| result["score"].as_f64().expect("a score")).collect();
    assert_eq!(scores, [4.0, 0.0, 0.0, 0.0]);
    assert!(all[2]["output"].as_str().is_some_and(|text| text.contains("services.stock.workers")));
    let said = |result: &Value, test: usize| result["tests"][test]["output"].as_str().map(str::to_owned);
    assert!(
        said(&all[1], 1).is_some_and(|text| text.contains("its points count when one of the others passes"))
    );
    for result in &all[2..] {
        assert_eq!(said(result, 0).as_deref(), Some("it was not judged"), "{result:#}");
    }
}

#[test]
fn exercism_gets_its_results() {
    let all: Vec<_> = results("exercism").into_iter().map(|(_, text)| json(&text)).collect();
    for result in &all {
        assert_eq!(problems("exercism.schema.json", result), "", "{result:#}");
    }
    let states: Vec<_> = all.iter().map(|result| result["status"].as_str().expect("a status")).collect();
    // A change that is not allowed is as a file that cannot be read: no check is made.
    assert_eq!(states, ["pass", "fail", "error", "error"]);
    assert!(
        all[1]["tests"][0]["message"].as_str().is_some_and(|said| said.contains("100% of the pages fail"))
    );
    assert!(all[2]["message"].as_str().is_some_and(|said| said.contains("services.stock.workers")));
}

/// As text: `.ci/run labs` reads such a file with a library of those who read JUnit.
#[test]
fn junit_has_the_counts_of_its_cases() {
    let number = |text: &str, name: &str| -> usize {
        let (_, rest) = text.split_once(&format!("{name}=\"")).expect("a count");
        rest.split('"').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    let expected = [[2, 0, 0, 0], [2, 1, 0, 0], [3, 1, 0, 2], [3, 0, 1, 2]];
    for ((_, text), expected) in results("junit").iter().zip(expected) {
        assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "), "{text}");
        assert_eq!(
            ["tests", "failures", "errors", "skipped"].map(|name| number(text, name)),
            expected,
            "{text}"
        );
        let elements = ["<testcase ", "<failure ", "<error ", "<skipped "];
        assert_eq!(elements.map(|element| text.matches(element).count()), expected, "{text}");
        // GitLab shows the text of what became of a case, and not its attribute.
        for message in text.lines().filter(|line| line.contains(" message=\"")) {
            let (attribute, rest) =
                message.split_once("message=\"").expect("one").1.split_once("\">").expect("text");
            assert!(!attribute.is_empty() && rest.starts_with(attribute), "{message}");
        }
        assert_eq!(
            text.matches("</testcase>").count() + text.matches("\"/>\n").count(),
            text.matches("classname=").count()
        );
        assert!(text.ends_with("  </testsuite>\n</testsuites>\n"), "{text}");
    }
}
