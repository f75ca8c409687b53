//! Pruning and defaults, and rules.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::schema::Schema;
use super::{cel, default, prune};

fn schema(text: &str) -> Schema {
    Schema::parse(&serde_yaml::from_str(text).unwrap())
}

const KEPT: &str = r#"
type: object
properties:
  plain: {type: object, properties: {a: {type: string}, n: {type: string, nullable: true}}}
  map: {type: object, additionalProperties: {type: object, properties: {a: {type: string}}}}
  list: {type: array, items: {type: object, properties: {a: {type: string, default: x}}}}
  free: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: object, properties: {b: {type: string}}}}}
  embedded: {type: object, x-kubernetes-embedded-resource: true, properties: {spec: {type: object, default: {}, properties: {size: {type: integer, default: 1}}}}}
"#;

#[track_caller]
fn check_pruned(value: Value, expected: Expect) {
    let (schema, mut value) = (schema(KEPT), value);
    let would = prune::would_prune(&schema, &value);
    let pruned = prune::prune(&schema, &mut value, true);
    assert_eq!(would, !pruned.is_empty());
    assert!(!prune::would_prune(&schema, &value));
    default::default(&schema, &mut value).unwrap();
    assert!(!default::would_default(&schema, &value));
    expected.assert_eq(&format!("{}\n{value}", pruned.join(" ")));
}

#[test]
fn what_the_schema_does_not_know_goes() {
    check_pruned(
        json!({"apiVersion": "x/v1", "metadata": {"name": "a"}, "plain": {"a": "1", "b": 2}, "more": []}),
        expect![[r#"
            more plain.b
            {"apiVersion":"x/v1","metadata":{"name":"a"},"plain":{"a":"1"}}"#]],
    );
    check_pruned(
        json!({"map": {"k": {"a": "1", "b": 1}}, "list": [{"b": 1}, {"a": "y"}], "free": {"any": {"thing": 1}, "a": {"c": 1}}}),
        expect![[r#"
            free.a.c list[0].b map.k.b
            {"free":{"a":{},"any":{"thing":1}},"list":[{"a":"x"},{"a":"y"}],"map":{"k":{"a":"1"}}}"#]],
    );
    check_pruned(
        json!({"embedded": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": 1}, "x": 1}, "x": 1}}),
        expect![[r#"
            embedded.x embedded.metadata.labels embedded.metadata.x
            {"embedded":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"size":1}}}"#]],
    );
}

#[test]
fn nulls_go_unless_the_schema_has_a_use_for_them() {
    check_pruned(
        json!({"plain": {"a": null, "n": null}, "list": [{"a": null}], "map": null}),
        expect![[r#"

            {"list":[{"a":"x"}],"plain":{"n":null}}"#]],
    );
}

#[test]
fn defaults_that_make_ever_more_defaults_end() {
    let below = |schema: Value, _| {
        let ten = json!([{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]);
        json!({"type": "object", "properties": {"a": {"type": "array", "default": ten, "items": schema}}})
    };
    let schema = Schema::parse(&(0..20).fold(json!({"type": "object"}), below));
    let mut value = json!({});
    assert_eq!(default::default(&schema, &mut value), Err(default::TooMuch));
    assert!(value.to_string().len() < 8 * 1024 * 1024);
    let text = json!({"type": "string", "default": "x".repeat(1000)});
    let schema = Schema::parse(&json!({"additionalProperties": {"type": "object", "properties": {"a": text}}}));
    let of = |count: usize| (0..count).map(|key| (key.to_string(), json!({}))).collect::<Value>();
    assert_eq!(default::default(&schema, &mut of(1000)), Ok(()));
    assert_eq!(default::default(&schema, &mut of(4000)), Err(default::TooMuch));
}

#[track_caller]
fn check_rule(rule: &str, value: Value, old: Option<Value>, expected: Expect) {
    expected.assert_eq(&told(rule, value, old));
}

fn told(rule: &str, value: Value, old: Option<Value>) -> String {
    let mut schema: Value = serde_yaml::from_str(RULED).unwrap();
    schema["x-kubernetes-validations"] = json!([{"rule": rule}]);
    let schema = Schema::parse(&schema);
    match cel::compile(rule).and_then(|rule| cel::check_names(&rule, &schema)) {
        Err(error) => format!("does not compile: {error}"),
        Ok(()) => {
            let found = cel::validate(&schema, &value, old.as_ref());
            found.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>().join("\n")
        }
    }
}

const RULED: &str = r#"
type: object
properties:
  size: {type: integer}
  ratio: {type: number}
  name: {type: string}
  since: {type: string, format: date-time}
  timeout: {type: string, format: duration}
  either: {x-kubernetes-int-or-string: true}
  tags: {type: array, items: {type: string}}
  ports: {type: array, items: {type: object, properties: {port: {type: integer}}}}
  labels: {type: object, additionalProperties: {type: string}}
  dashed-name: {type: string}
  namespace: {type: string}
"#;

#[track_caller]
fn holds(rule: &str, value: Value) {
    assert_eq!(told(rule, value, None), "", "{rule}");
}

#[test]
fn rules_see_values_by_their_types() {
    holds("self.size == 3 && self.ratio == 3.0", json!({"size": 3, "ratio": 3}));
    holds("self.since > timestamp('2020-01-01T00:00:00Z')", json!({"since": "2026-01-01T00:00:00Z"}));
    holds("self.timeout < duration('1h') && duration('90s') == duration('1m30s')", json!({"timeout": "30m"}));
    holds("self.either == 80 || self.either == 'http'", json!({"either": "http"}));
    holds("self.labels['a.b/c'] == 'x' && 'a.b/c' in self.labels", json!({"labels": {"a.b/c": "x"}}));
    holds("self.dashed__dash__name == 'x' && self.__namespace__ == 'y'", json!({"dashed-name": "x", "namespace": "y"}));
    holds("!has(self.name) && has(self.size)", json!({"size": 1}));
    holds("self.metadata.name.startsWith('a')", json!({"metadata": {"name": "abc"}, "kind": "X"}));
    holds("self.?name.orValue('none') == 'none'", json!({}));
}

#[test]
fn functions_of_kubernetes_are_there() {
    let tags = || json!({"tags": ["a", "b", "c"], "name": "Web-01", "ports": [{"port": 1}, {"port": 2}]});
    holds("self.tags.isSorted() && self.tags.indexOf('b') == 1 && self.tags.lastIndexOf('x') == -1", tags());
    holds("self.ports.map(one, one.port).sum() == 3 && self.ports.map(one, one.port).max() == 2", tags());
    holds(
        "self.name.matches('^[A-Z]') && self.name.find('[0-9]+') == '01' && self.name.lowerAscii() == 'web-01'",
        tags(),
    );
    holds(
        "self.name.replace('-', '+').split('+').join('/') == 'Web/01' && self.name.findAll('[0-9]') == ['0', '1']",
        tags(),
    );
    holds("self.name.indexOf('-') == 3 && self.name.substring(0, 3) == 'Web' && 'a'.size() == 1", tags());
    holds("isURL('https://a.example/x') && !isURL('x') && isIP('10.0.0.1') && isCIDR('10.0.0.0/8')", tags());
    holds("self.tags.all(x, self.tags.exists_one(y, x == y)) && self.tags.filter(x, x > 'a').size() == 2", tags());
}

#[test]
fn a_chain_of_comprehensions_is_checked_once() {
    let chain = format!("self.tags{}.size() == 0", ".map(a, a)".repeat(40));
    check_rule(&chain, json!({"tags": []}), None, expect![""]);
}

#[test]
fn sums_are_those_of_the_language() {
    holds(
        "1 + 2 == 3 && 1.5 + 1.5 == 3.0 && 'a' + 'b' == 'ab' && [1] + [2] == [1, 2] && b'a' + b'b' == b'ab'",
        json!({}),
    );
    holds("timestamp('2026-01-01T00:00:00Z') + duration('1h') == timestamp('2026-01-01T01:00:00Z')", json!({}));
    check_rule(
        "1 + 'a' == 2",
        json!({}),
        None,
        expect![[r#"
            : Invalid value: "object": Unsupported binary operator 'add': Int(1), String("a") evaluating rule: 1 + 'a' == 2"#]],
    );
}

#[test]
fn failures_are_told_as_kubernetes_tells_them() {
    check_rule(
        "self.size > 3",
        json!({"size": 1}),
        None,
        expect![[r#": Invalid value: "object": failed rule: self.size > 3"#]],
    );
    check_rule(
        "self.size > 3",
        json!({}),
        None,
        expect![[r#": Invalid value: "object": No such key: size evaluating rule: self.size > 3"#]],
    );
    check_rule("self.sizes > 3", json!({}), None, expect!["does not compile: undefined field 'sizes'"]);
    check_rule("self.ports.all(one, one.prt > 1)", json!({}), None, expect!["does not compile: undefined field 'prt'"]);
    check_rule(
        "size > 3",
        json!({}),
        None,
        expect!["does not compile: undeclared reference to 'size' (in container '')"],
    );
    check_rule(
        "self.size",
        json!({"size": 1}),
        None,
        expect![[r#": Invalid value: "object": the rule does not evaluate to a bool: self.size"#]],
    );
}

#[test]
fn transition_rules_wait_for_something_to_compare_with() {
    let rule = "self.size >= oldSelf.size";
    check_rule(rule, json!({"size": 1}), None, expect![""]);
    check_rule(rule, json!({"size": 1}), Some(json!({"size": 1})), expect![""]);
    check_rule(
        rule,
        json!({"size": 1}),
        Some(json!({"size": 2})),
        expect![[r#": Invalid value: "object": failed rule: self.size >= oldSelf.size"#]],
    );
}

#[test]
fn a_rule_over_an_unchanged_value_is_not_held_against_an_update() {
    let value = || json!({"size": 1});
    check_rule("self.size > 3", value(), Some(value()), expect![""]);
}

#[test]
fn what_costs_too_much_ends() {
    let tags: Vec<String> = (0..2000).map(|tag| tag.to_string()).collect();
    let nested = "self.tags.all(a, self.tags.all(b, self.tags.exists(c, c == 'x' || a + b != c)))";
    check_rule(
        nested,
        json!({"tags": tags}),
        None,
        expect![[
            r#": Invalid value: "object": validation failed due to running out of cost budget, no further validation rules will be run"#
        ]],
    );
    let copies = "self.tags.map(a, self.tags.map(b, self.tags)).size() > 0";
    check_rule(
        copies,
        json!({"tags": tags}),
        None,
        expect![[
            r#": Invalid value: "object": validation failed due to running out of cost budget, no further validation rules will be run"#
        ]],
    );
    let text = "x".repeat(100_000);
    check_rule(
        "self.name.replace('', self.name).size() > 0",
        json!({"name": text}),
        None,
        expect![[
            r#": Invalid value: "object": Error executing function 'replace': its result is larger than 4194304 bytes evaluating rule: self.name.replace('', self.name).size() > 0"#
        ]],
    );
    let doubled = |first: &str, step: &str| {
        let made = (0..12).fold(first.to_owned(), |made, _| format!("[{made}].map(a, {step})[0]"));
        told(&format!("{made} == 'x'"), json!({"name": "abc", "tags": ["a"]}), None)
    };
    for (first, step) in [
        ("self.name", "a + a + a + a + a + a + a + a"),
        ("self.tags", "a + a + a + a + a + a + a + a"),
        ("self.tags", "[a, a, a, a, a, a, a, a]"),
        ("self.tags", "{'a': a, 'b': a, 'c': a, 'd': a, 'e': a}"),
        ("self.name", "'%s%s%s%s%s%s%s%s'.format([a, a, a, a, a, a, a, a])"),
        ("self.name", "[a, a, a, a, a, a, a, a].join(a)"),
    ] {
        let told = doubled(first, step);
        assert!(told.contains("cost budget") || told.contains("is larger than"), "{step}: {told}");
    }
    let refused = |text: String| cel::compile(&text).unwrap_err();
    refused(format!("{}1{}", "(".repeat(4000), ")".repeat(4000)));
    assert!(cel::compile(&format!("1{}", " + 1".repeat(90))).is_ok());
    assert_eq!(refused(format!("1{}", " + 1".repeat(110))), "an expression may nest at most 100 deep");
    assert_eq!(refused(format!("self{}", ".a".repeat(1100))), "an expression may have at most 1000 operators");
    refused("1".repeat(cel::EXPRESSION_LENGTH_MAX + 1));
}

/// Each place of the one text was compared with all of the other.
#[test]
fn long_texts_are_searched_in_little_time() {
    let (text, other) = ("a".repeat(1_000_000), "a".repeat(500_000) + "b");
    let begun = std::time::Instant::now();
    holds(
        "self.name.indexOf(self.dashed__dash__name) == -1 && self.name.lastIndexOf(self.dashed__dash__name) == -1",
        json!({"name": text, "dashed-name": other}),
    );
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn patterns_are_compiled_once_and_large_ones_cost_more() {
    let tags: Vec<String> = (0..2000).map(|tag| format!("tag-{tag}")).collect();
    holds("self.tags.all(t, t.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'))", json!({"tags": tags}));
    let patterns = |pattern: fn(usize) -> String| json!({"tags": (0..200).map(pattern).collect::<Vec<_>>()});
    holds("self.tags.all(p, !'x'.matches(p))", patterns(|n| format!("^{n}$")));
    let large = told("self.tags.all(p, !'x'.matches(p))", patterns(|n| format!("^{n}\\w{{20}}$")), None);
    assert!(large.contains("cost budget"), "{large}");
    // A large one may be at many of its places at once.
    let long = json!({"name": "a".repeat(200_000)});
    let tried = told("self.name.matches('^(\\\\w{20}b|[^b])*$')", long, None);
    assert!(tried.contains("cost budget"), "{tried}");
}

#[test]
fn a_round_costs_by_what_is_done_in_it() {
    let tags: Vec<String> = (0..100).map(|tag| tag.to_string()).collect();
    let nested = |body: &str| format!("self.tags.all(a, self.tags.all(b, self.tags.all(c, {body})))");
    let short = "'x' != a";
    let long = ["a != b || b != c || 1 < 2"; 30].join(" && ");
    let of = |count: usize| json!({"tags": tags[..count].to_vec()});
    holds(&nested(short), of(50));
    assert!(told(&nested(&long), of(50), None).contains("cost budget"));
}

#[test]
fn texts_are_searched_as_in_the_language() {
    for rule in [
        "'abcabc'.indexOf('c') == 2 && 'abcabc'.indexOf('c', 3) == 5 && 'abc'.indexOf('x') == -1",
        "'äöüäöü'.indexOf('ü') == 2 && 'äöüäöü'.indexOf('ü', 3) == 5 && 'äöü'.lastIndexOf('ö') == 1",
        "'abcabc'.lastIndexOf('c') == 5 && 'abcabc'.lastIndexOf('c', 4) == 2 && 'abcabc'.lastIndexOf('abc', 3) == 3",
        "''.indexOf('') == 0 && 'abc'.indexOf('') == 0 && 'abc'.lastIndexOf('') == 3 && 'abc'.indexOf('', 9) == 3",
        "[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(3) == -1",
    ] {
        holds(rule, json!({}));
    }
    assert!(told("'abc'.indexOf('c', 3) == 0", json!({}), None).contains("index out of range: 3"));
}
