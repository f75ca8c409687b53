use std::sync::{Arc, Mutex};

use expect_test::{Expect, expect};
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::{layer, targets};

/// What `guest` logs when `LOG_LEVEL` is `wanted`, without the times.
#[track_caller]
fn check(wanted: &str, guest: impl FnOnce(), expected: Expect) {
    let log = Arc::new(Mutex::new(String::new()));
    let sink = log.clone();
    let layer = layer(move |line| sink.lock().unwrap().push_str(line)).with_filter(targets(Some(wanted)).0);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), guest);
    let log = log.lock().unwrap().clone();
    let lines = log.lines().map(|line| {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
        let (time, rest) = line.strip_prefix("{\"time\":\"").unwrap().split_once("\",").unwrap();
        assert!(time.len() == "2026-03-01T12:00:00.123456Z".len() && time.ends_with('Z'), "{time}");
        format!("{{{rest}\n")
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn an_event_is_a_line_with_its_level_and_fields() {
    check(
        "info",
        || {
            tracing::warn!(order = 17, paid = false, share = 0.5, who = %"ann", "slow \"answer\"\nof two lines");
            tracing::error!(why = ?Some("x"));
            tracing::debug!("not shown");
        },
        expect![[r#"
            {"level":"warn","message":"slow \"answer\"\nof two lines","target":"wasmk_sdk::logs::tests","order":17,"paid":false,"share":0.5,"who":"ann"}
            {"level":"error","message":"","target":"wasmk_sdk::logs::tests","why":"Some(\"x\")"}
        "#]],
    );
}

#[test]
fn spans_give_their_fields_and_the_innermost_wins() {
    check(
        "trace",
        || {
            let outer = tracing::info_span!("request", path = "/a", user = tracing::field::Empty);
            let _in = outer.enter();
            outer.record("user", "ann");
            let inner = tracing::info_span!("query", path = "/b");
            inner.in_scope(|| tracing::trace!(table = "t", "inside"));
            tracing::info!("outside");
        },
        expect![[r#"
            {"level":"trace","message":"inside","target":"wasmk_sdk::logs::tests","path":"/b","table":"t","user":"ann"}
            {"level":"info","message":"outside","target":"wasmk_sdk::logs::tests","path":"/a","user":"ann"}
        "#]],
    );
}

#[test]
fn the_four_names_of_every_line_are_not_overwritten() {
    check(
        "info",
        || tracing::info!(time = 1, level = "high", target = "t", "m"),
        expect![[r#"
            {"level":"info","message":"m","target":"wasmk_sdk::logs::tests","level_":"high","target_":"t","time_":1}
        "#]],
    );
}

#[test]
fn an_error_has_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("read settings")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("disk on fire"));
    check(
        "info",
        || tracing::error!(error = &error as &(dyn std::error::Error + 'static), "no settings"),
        expect![[r#"
            {"level":"error","message":"no settings","target":"wasmk_sdk::logs::tests","error":"read settings: disk on fire"}
        "#]],
    );
}

#[test]
fn levels_go_by_target() {
    check(
        "warn,shop=debug",
        || {
            tracing::debug!(target: "shop::orders", "shown");
            tracing::info!(target: "other", "not shown");
        },
        expect![[r#"
            {"level":"debug","message":"shown","target":"shop::orders"}
        "#]],
    );
}

#[test]
fn a_level_that_is_not_understood_is_said_and_info_taken() {
    let (taken, problem) = targets(Some("loud=very"));
    assert_eq!(taken, targets(None).0);
    expect![[r#"LOG_LEVEL="loud=very" is not understood, so it is info; set it to error, warn, info, debug or trace, or to levels by target such as warn,shop=debug"#]]
        .assert_eq(&problem.unwrap());
    assert_eq!(targets(Some(" ")), (targets(None).0, None));
}
