use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;

#[track_caller]
fn check_update(schema: &str, value: Value, old: Option<Value>, expected: Expect) {
    let schema =
        Schema::parse(&json!({"type": "object", "properties": {"x": serde_yaml::from_str::<Value>(schema).unwrap()}}));
    let found = validate(&schema, &json!({"x": value}), old.map(|old| json!({"x": old})).as_ref());
    let lines = found.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message));
    expected.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[track_caller]
fn check(schema: &str, value: Value, expected: Expect) {
    check_update(schema, value, None, expected);
}

#[test]
fn types() {
    check("{type: integer}", json!(1.0), expect![""]);
    check(
        "{type: integer}",
        json!(1.5),
        expect![[r#"x: Invalid value: "number": x in body must be of type integer: "number""#]],
    );
    check("{type: number}", json!(1), expect![""]);
    check(
        "{type: string}",
        json!(null),
        expect![[r#"x: Invalid value: "null": x in body must be of type string: "null""#]],
    );
    check("{type: string, nullable: true}", json!(null), expect![""]);
    check("{x-kubernetes-int-or-string: true}", json!("a"), expect![""]);
    check(
        "{x-kubernetes-int-or-string: true}",
        json!(true),
        expect![[r#"x: Invalid value: "boolean": x in body must be of type integer,string: "boolean""#]],
    );
    check(
        "{type: array, items: {type: boolean}}",
        json!([true, 1]),
        expect![[r#"x[1]: Invalid value: "integer": x[1] in body must be of type boolean: "integer""#]],
    );
}

#[test]
fn texts_and_numbers() {
    check("{type: string, maxLength: 1}", json!("ab"), expect!["x: Too long: may not be more than 1 byte"]);
    check(
        "{type: string, minLength: 1}",
        json!(""),
        expect![[r#"x: Invalid value: "": x in body should be at least 1 chars long"#]],
    );
    check(
        "{type: string, pattern: '^a+$'}",
        json!("b"),
        expect![[r#"x: Invalid value: "b": x in body should match '^a+$'"#]],
    );
    check(
        "{type: string, enum: [a, b]}",
        json!("c"),
        expect![[r#"x: Unsupported value: "c": supported values: "a", "b""#]],
    );
    check(
        "{type: integer, maximum: 1000000}",
        json!(2000000),
        expect!["x: Invalid value: 2000000: x in body should be less than or equal to 1e+06"],
    );
    check(
        "{type: number, minimum: 1, exclusiveMinimum: true}",
        json!(1),
        expect!["x: Invalid value: 1: x in body should be greater than 1"],
    );
    check(
        "{type: integer, multipleOf: 2}",
        json!(3),
        expect!["x: Invalid value: 3: x in body should be a multiple of 2"],
    );
    check(
        "{type: string, format: date-time}",
        json!("today"),
        expect![[r#"x: Invalid value: "today": x in body must be of type date-time: "today""#]],
    );
    for (format, good, bad) in [
        ("ipv4", "10.0.0.1", "10.0.0"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
        ("uuid", "c2b4a0f0-0b1d-4b9e-8a4c-0e7a5f0c9d11", "x"),
        ("duration", "1h30m", "1x"),
        ("uri", "https://a.example", "a b"),
        ("unheard-of", "anything", ""),
    ] {
        check(&format!("{{type: string, format: {format}}}"), json!(good), expect![""]);
        assert_eq!(format::fits(format, bad), format == "unheard-of", "{format}");
    }
}

#[test]
fn objects_and_lists() {
    check("{type: object, required: [a], properties: {a: {type: string}}}", json!({}), expect!["x.a: Required value"]);
    check(
        "{type: array, items: {type: string}, maxItems: 1}",
        json!(["a", "b"]),
        expect!["x: Too many: 2: must have at most 1 item"],
    );
    check(
        "{type: array, items: {type: string}, minItems: 1}",
        json!([]),
        expect!["x: Invalid value: 0: x in body should have at least 1 items"],
    );
    check(
        "{type: object, maxProperties: 1, additionalProperties: {type: string}}",
        json!({"a": "", "b": 1}),
        expect![[r#"
        x: Too many: 2: must have at most 1 item
        x.b: Invalid value: "integer": x.b in body must be of type string: "integer""#]],
    );
    check(
        "{type: array, x-kubernetes-list-type: set, items: {type: string}}",
        json!(["a", "a"]),
        expect![[r#"x[1]: Duplicate value: "a""#]],
    );
    let keyed = "{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [a], items: {type: object}}";
    check(keyed, json!([{"a": 1}, {"a": 1, "b": 2}]), expect![[r#"x[1]: Duplicate value: {"a":1}"#]]);
    check(
        "{type: object, x-kubernetes-embedded-resource: true}",
        json!({"kind": "Pod"}),
        expect!["x.apiVersion: Required value: must not be empty"],
    );
}

#[test]
fn combinations() {
    check(
        "{anyOf: [{minimum: 5}, {multipleOf: 2}]}",
        json!(3),
        expect![[r#"
        <nil>: Invalid value: "": "x" must validate at least one schema (anyOf)
        x: Invalid value: 3: x in body should be greater than or equal to 5"#]],
    );
    check(
        "{oneOf: [{minimum: 1}, {multipleOf: 2}]}",
        json!(4),
        expect![[
            r#"<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives"#
        ]],
    );
    check(
        "{oneOf: [{required: [a]}, {required: [b]}]}",
        json!({}),
        expect![[r#"
        <nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid
        x.a: Required value"#]],
    );
    check(
        "{allOf: [{minimum: 5}, {maximum: 9}]}",
        json!(3),
        expect![[r#"
        x: Invalid value: 3: x in body should be greater than or equal to 5
        <nil>: Invalid value: "": "x" must validate all the schemas (allOf)"#]],
    );
    check(
        "{not: {minimum: 5}}",
        json!(6),
        expect![[r#"<nil>: Invalid value: "": "x" must not validate the schema (not)"#]],
    );
}

#[test]
fn what_an_update_leaves_alone_is_not_held_against_it() {
    let schema = "{type: object, properties: {a: {type: string, maxLength: 1}, b: {type: string, maxLength: 1}}}";
    let old = || json!({"a": "long", "b": "x"});
    check_update(schema, json!({"a": "long", "b": "y"}), Some(old()), expect![""]);
    check_update(
        schema,
        json!({"a": "other", "b": "x"}),
        Some(old()),
        expect!["x.a: Too long: may not be more than 1 byte"],
    );
    let list = "{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: {type: object, properties: {k: {type: string}, v: {type: integer, maximum: 1}}}}";
    check_update(list, json!([{"k": "b", "v": 1}, {"k": "a", "v": 9}]), Some(json!([{"k": "a", "v": 9}])), expect![""]);
}

#[test]
fn what_is_told_of_one_object_is_bounded() {
    let schema = "{type: object, additionalProperties: {type: object, additionalProperties: {type: string}}}";
    let schema = Schema::parse(&serde_yaml::from_str(schema).unwrap());
    let wrong: Value = (0..10_000).map(|key| (key.to_string(), json!(1))).collect();
    let found = validate(&schema, &json!({"k".repeat(100_000): wrong}), None);
    let told: usize = found.iter().map(|cause| cause.field.len() + cause.message.len()).sum();
    assert!(!found.is_empty() && told < 2 * FAULTS_BYTES_MAX, "{told} bytes");
    assert!(found[0].field.starts_with("kkk") && found[0].field.ends_with("k….0"), "{}", found[0].field);
}

#[test]
fn items_of_a_long_list_find_their_old_versions() {
    let schema = "{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: {type: object, properties: {v: {type: integer, maximum: 0}}}}";
    let schema = Schema::parse(&serde_yaml::from_str(schema).unwrap());
    let list = |wrong: usize| (0..20_000).map(|k| json!({"k": k, "v": i32::from(k < wrong)})).collect::<Value>();
    assert_eq!(validate(&schema, &list(2), Some(&list(1))).len(), 1);
}
