use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;

fn definition(schema: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.shop.example.com"},
        "spec": {
            "group": "shop.example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

#[track_caller]
fn check(crd: &Value, expected: Expect) {
    let mut faults = Faults::default();
    validate(&Field::root(crd), &mut faults);
    let lines = faults.causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message));
    expected.assert_eq(&lines.collect::<Vec<_>>().join("\n").replace("spec.validation.openAPIV3Schema", "…"));
}

/// `schema` is that of the property `x`.
#[track_caller]
fn check_schema(schema: &str, expected: Expect) {
    let schema: Value = serde_yaml::from_str(schema).unwrap();
    check(&definition(json!({"type": "object", "properties": {"x": schema}})), expected);
}

#[test]
fn names_follow_their_rules() {
    let edit = |change: fn(&mut Value)| {
        let mut crd = definition(json!({"type": "object"}));
        change(&mut crd);
        crd
    };
    check(&edit(|_| {}), expect![""]);
    check(
        &edit(|crd| crd["metadata"]["name"] = json!("x")),
        expect![[r#"metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group"#]],
    );
    check(
        &edit(|crd| crd["spec"]["scope"] = json!("Global")),
        expect![[r#"spec.scope: Unsupported value: "Global": supported values: "Cluster", "Namespaced""#]],
    );
    check(
        &edit(|crd| crd["spec"]["names"]["kind"] = json!("Wid_get")),
        expect![[
            r#"spec.names.kind: Invalid value: "Wid_get": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"#
        ]],
    );
    check(
        &edit(|crd| crd["spec"]["versions"][0]["storage"] = json!(false)),
        expect![[
            r#"spec.versions: Invalid value: [{"name":"v1","schema":{"openAPIV3Schema":{"type":"object"}},"served":true,"storage":false}]: must have exactly one version marked as storage version"#
        ]],
    );
    check(
        &edit(|crd| crd["spec"]["versions"][0]["schema"] = json!({})),
        expect!["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
    );
    check(
        &edit(|crd| crd["spec"]["conversion"] = json!({"strategy": "Webhook"})),
        expect![
            "spec.conversion.strategy: not supported by wasmk: objects of all versions are stored as they are; use the strategy None"
        ],
    );
    check(
        &edit(|crd| {
            crd["spec"]["group"] = json!("x.k8s.io");
            crd["metadata"]["name"] = json!("widgets.x.k8s.io");
        }),
        expect![[
            r#"metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111"#
        ]],
    );
}

#[test]
fn schemas_are_structural() {
    check_schema(
        "{description: no type}",
        expect!["….properties[x].type: Required value: must not be empty for specified object fields"],
    );
    check_schema(
        "{type: 'null'}",
        expect!["….properties[x].type: Forbidden: type cannot be set to null, use nullable as an alternative"],
    );
    check_schema("{type: array}", expect!["….properties[x].items: Required value: must be specified"]);
    check_schema(
        "{type: array, items: {}}",
        expect!["….properties[x].items.type: Required value: must not be empty for specified array items"],
    );
    check_schema(
        "{type: object, properties: {a: {type: string}}, additionalProperties: {type: string}}",
        expect![
            "….properties[x].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"
        ],
    );
    check_schema(
        "{type: string, $ref: x, uniqueItems: true, pattern: '('}",
        expect![[r#"
        ….properties[x].$ref: Forbidden: $ref is not supported
        ….properties[x].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic
        ….properties[x].pattern: Invalid value: "(": must be a valid regular expression"#]],
    );
    check_schema(
        "{type: object, definitions: {a: {type: string}}}",
        expect!["….properties[x].definitions: Forbidden: definitions is not supported"],
    );
    check_schema(
        "{type: string, anyOf: [{type: string}]}",
        expect!["….properties[x].anyOf[0].type: Forbidden: must be empty to be structural"],
    );
    check_schema("{x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}", expect![""]);
    check_schema("{x-kubernetes-preserve-unknown-fields: true}", expect![""]);
    check_schema(
        "{type: array, x-kubernetes-list-type: map, items: {type: object}}",
        expect![
            "….properties[x].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"
        ],
    );
    check_schema(
        "{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [a, b], items: {type: object, properties: {a: {type: string}}}}",
        expect![[r#"
            ….properties[x].items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property
            ….properties[x].x-kubernetes-list-map-keys[1]: Invalid value: "b": must contain a property of the items"#]],
    );
    check_schema(
        "{type: string, x-kubernetes-list-type: bag}",
        expect![[r#"
        ….properties[x].x-kubernetes-list-type: Unsupported value: "bag": supported values: "atomic", "set", "map"
        ….properties[x].type: Invalid value: "string": must be array if x-kubernetes-list-type is specified"#]],
    );
    check_schema(
        "{type: object, x-kubernetes-embedded-resource: true}",
        expect![
            "….properties[x].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        ],
    );
    check_schema(
        "{type: string, default: 1}",
        expect![[r#"….properties[x].default: Invalid value: "integer":  in body must be of type string: "integer""#]],
    );
    check_schema(
        "{type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true, default: {apiVersion: v1, kind: Pod, metadata: {b: 1}}}",
        expect![[
            r#"….properties[x].default: Invalid value: {"apiVersion":"v1","kind":"Pod","metadata":{"b":1}}: must not have unknown fields"#
        ]],
    );
    check_schema(
        "{type: object, default: {b: 1}, properties: {a: {type: string}}}",
        expect![[r#"….properties[x].default: Invalid value: {"b":1}: must not have unknown fields"#]],
    );
    check(
        &definition(
            json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
        ),
        expect![
            "….properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
        ],
    );
    check(&definition(json!({"properties": {}})), expect!["….type: Required value: must not be empty at the root"]);
}

#[test]
fn rules_of_a_schema_compile() {
    let rule = |rule: Value| json!({"type": "string", "x-kubernetes-validations": [rule]}).to_string();
    check_schema(&rule(json!({"rule": "self.size() > 1"})), expect![""]);
    check_schema(
        &rule(json!({"rule": ""})),
        expect!["….properties[x].x-kubernetes-validations[0].rule: Required value: rule is not specified"],
    );
    check_schema(
        &rule(json!({"rule": "self >"})),
        expect![[r#"
        ….properties[x].x-kubernetes-validations[0].rule: Invalid value: "self >": compilation failed: ERROR: <input>:1:7: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}
        | self >
        | ......^"#]],
    );
    check_schema(
        &rule(json!({"rule": "self\n== 'a'"})),
        expect![
            "….properties[x].x-kubernetes-validations[0].message: Required value: message must be specified if rule contains line breaks"
        ],
    );
    check_schema(
        &rule(
            json!({"rule": "self == 'a'", "message": " ", "reason": "Bad", "fieldPath": "x", "optionalOldSelf": true}),
        ),
        expect![[r#"
            ….properties[x].x-kubernetes-validations[0].message: Invalid value: " ": message must be non-empty if specified
            ….properties[x].x-kubernetes-validations[0].reason: Unsupported value: "Bad": supported values: "FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"
            ….properties[x].x-kubernetes-validations[0].fieldPath: Invalid value: "x": fieldPath must be a valid path
            ….properties[x].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"#]],
    );
    let list = json!({"type": "array", "items": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}});
    check_schema(
        &list.to_string(),
        expect![[
            r#"….properties[x].items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema"#
        ]],
    );
}

#[test]
fn an_update_keeps_what_objects_stand_on() {
    let mut old = definition(json!({"type": "object"}));
    old["status"] = json!({"storedVersions": ["v1"], "conditions": [{"type": "Established", "status": "True"}]});
    let mut new = old.clone();
    new["spec"]["scope"] = json!("Cluster");
    new["spec"]["versions"][0]["name"] = json!("v2");
    let mut faults = Faults::default();
    validate_update(&Field::root(&new), &old, &mut faults);
    let fields: Vec<&str> = faults.causes.iter().map(|cause| cause.field.as_str()).collect();
    assert_eq!(fields, ["spec.scope", "status.storedVersions[0]"]);
}
