//! What is recorded, measured and kept of a run changes no instant of it.

use std::collections::BTreeMap;

use crate::support::{METRICS, World};

/// Two services that record and measure all that there is, in processes so slow that a nanosecond more of
/// computing shows.
fn world() -> World {
    let mut sections = "[run]\ncompute = \"0.37ns\"\n".to_owned();
    for service in ["front", "back"] {
        sections += &format!(
            "[[faults]]\nname = \"slow-{service}\"\nkind = \"cpu\"\ntimes = 2.37\n\
             target = {{ service = \"{service}\" }}\n"
        );
    }
    for path in ["/spans", "/measure", "/misuse", "/print", "/call?service=back&path=/spans"] {
        let name = path.trim_start_matches('/').split('?').next().expect("a name");
        sections += &format!(
            "[[load]]\nname = \"{name}\"\nto = \"front\"\nspan = true\narrivals = {{ constant = \"10/s\" }}\n\
             request = {{ path = \"{path}\" }}\n"
        );
    }
    World::of("probe", "").and("back", "probe", "").with(&sections).flags(&["--for", "2s"])
}

/// When each span began and ended, by trace and id.
fn instants(world: &World) -> BTreeMap<(String, String), (String, u64, u64)> {
    let run = world.virtually(&[]);
    let of = |span: &crate::support::Span| {
        ((span.trace.clone(), span.id.clone()), (span.name.clone(), span.start, span.end))
    };
    run.spans().iter().map(of).collect()
}

#[test]
fn neither_metrics_nor_exceptions_nor_limits_nor_sizes_change_an_instant() {
    let usual = instants(&world());
    assert!(usual.len() > 500, "{}", usual.len());
    let sizes = "[telemetry]\nbody-sizes = true";
    for (what, other) in [
        ("metrics", world().env(METRICS, "")),
        ("metrics, collected often", world().measured(10)),
        ("sizes of bodies", world().with(sizes).env(METRICS, "")),
        ("exceptions as log records", world().env("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs")),
        ("exceptions as both", world().env("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs/dup")),
        ("few attributes", world().env("OTEL_ATTRIBUTE_COUNT_LIMIT", "1")),
        ("short attributes", world().env("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "2")),
        ("no events", world().env("OTEL_SPAN_EVENT_COUNT_LIMIT", "0")),
        ("exemplars", world().env(METRICS, "").env("OTEL_METRICS_EXEMPLAR_FILTER", "always_on")),
    ] {
        assert!(instants(&other) == usual, "{what} change an instant");
    }
}

#[test]
fn sampling_changes_no_instant_of_what_is_kept() {
    for exceptions in ["", "logs"] {
        let world = world().env("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", exceptions);
        let usual = instants(&world);
        let half = world.env("OTEL_TRACES_SAMPLER", "traceidratio").env("OTEL_TRACES_SAMPLER_ARG", "0.5");
        let kept = instants(&half);
        assert!(kept.len() > usual.len() / 4 && kept.len() < usual.len() * 3 / 4);
        for (id, span) in kept {
            assert_eq!(usual.get(&id), Some(&span), "exceptions as {exceptions:?}");
        }
    }
}
