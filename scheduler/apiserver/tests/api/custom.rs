//! Kinds that are defined while the server runs.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Server};
use crate::watches::Events;

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/shop.example.com/v1/namespaces/default/widgets";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

/// As operators ship them: two versions, lists that are maps, rules, int-or-string, subresources, columns.
fn definition() -> Value {
    let text = include_str!("widgets.yaml");
    serde_yaml::from_str(text).unwrap()
}

fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "shop.example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

async fn with_widgets() -> Server {
    let server = Server::start().await;
    server.post(CRDS, definition()).await.expect(201);
    server
}

#[tokio::test]
async fn a_definition_is_served_as_soon_as_it_is_there() {
    let server = Server::start().await;
    let missing = server.get(WIDGETS).await;
    assert_eq!((missing.code.as_u16(), missing.text().as_str()), (404, "404 page not found\n"));
    let created = server.post(CRDS, definition()).await.expect(201);
    let status = &created["status"];
    assert_eq!(status["storedVersions"], json!(["v1"]));
    assert_eq!(status["acceptedNames"]["listKind"], "WidgetList");
    let conditions: Vec<(&str, &str)> = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["type"].as_str().unwrap(), one["status"].as_str().unwrap()))
        .collect();
    assert_eq!(conditions, [("NamesAccepted", "True"), ("Established", "True")]);
    assert_eq!(server.get(WIDGETS).await.expect(200)["kind"], "WidgetList");
}

#[tokio::test]
async fn objects_are_pruned_defaulted_and_validated() {
    let server = with_widgets().await;
    let created = server.post(WIDGETS, widget("a", json!({"size": 3, "colour": "red", "what": {"is": "this"}}))).await;
    assert_eq!(created.warnings(), ["299 - \"unknown field \\\"spec.what\\\"\""]);
    let created = created.expect(201);
    assert_eq!(created["spec"], json!({"size": 3, "colour": "red", "replicas": 1, "port": "http"}));
    assert_eq!(created["metadata"]["generation"], 1);

    let strict =
        server.post(&format!("{WIDGETS}?fieldValidation=Strict"), widget("b", json!({"size": 3, "what": 1}))).await;
    assert_eq!(
        strict.expect_failure(400, "BadRequest"),
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.what\""
    );

    let faults = widget(
        "b",
        json!({"size": "big", "colour": "pink", "ports": [{"name": "a", "port": 70000}, {"name": "a", "port": 1}]}),
    );
    let refused = server.post(WIDGETS, faults).await;
    let causes = refused.value()["details"]["causes"].clone();
    let causes: Vec<(&str, &str)> = causes
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| (cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap()))
        .collect();
    assert_eq!(
        causes,
        [
            ("spec.colour", "Unsupported value: \"pink\": supported values: \"red\", \"blue\""),
            (
                "spec.ports[0].port",
                "Invalid value: 70000: spec.ports[0].port in body should be less than or equal to 65535"
            ),
            ("spec.ports[1]", "Duplicate value: {\"name\":\"a\"}"),
            ("spec.size", "Invalid value: \"string\": spec.size in body must be of type integer: \"string\""),
            (
                "<nil>",
                "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"
            ),
        ]
    );
    assert!(
        refused.expect_failure(422, "Invalid").starts_with("Widget.shop.example.com \"b\" is invalid: [spec.colour: ")
    );
}

#[tokio::test]
async fn rules_are_checked_and_compare_with_what_was_there() {
    let server = with_widgets().await;
    let refused = server.post(WIDGETS, widget("a", json!({"size": 3, "replicas": 9, "maxReplicas": 5}))).await;
    assert_eq!(
        refused.expect_failure(422, "Invalid"),
        "Widget.shop.example.com \"a\" is invalid: spec: Invalid value: \"object\": replicas should be at most 5"
    );
    server.post(WIDGETS, widget("a", json!({"size": 3}))).await.expect(201);
    let refused = server.patch(&format!("{WIDGETS}/a"), MERGE, json!({"spec": {"size": 4}})).await;
    assert_eq!(
        refused.expect_failure(422, "Invalid"),
        "Widget.shop.example.com \"a\" is invalid: spec.size: Invalid value: \"integer\": size is immutable"
    );
    server.patch(&format!("{WIDGETS}/a"), MERGE, json!({"spec": {"colour": "blue"}})).await.expect(200);
}

#[tokio::test]
async fn status_and_scale_are_kept_apart() {
    let server = with_widgets().await;
    let mut new = widget("a", json!({"size": 3}));
    new["status"] = json!({"replicas": 7});
    let created = server.post(WIDGETS, new).await.expect(201);
    assert!(created.get("status").is_none());
    let path = format!("{WIDGETS}/a");
    let patch = json!({"status": {"replicas": 1, "selector": "app=a"}, "spec": {"colour": "blue"}});
    let patched = server.patch(&format!("{path}/status"), MERGE, patch).await.expect(200);
    assert_eq!((&patched["status"]["replicas"], &patched["spec"]["colour"]), (&json!(1), &Value::Null));
    assert_eq!(patched["metadata"]["generation"], 1);

    let scale = server.get(&format!("{path}/scale")).await.expect(200);
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    assert_eq!(scale["status"], json!({"replicas": 1, "selector": "app=a"}));
    let scaled = server.patch(&format!("{path}/scale"), MERGE, json!({"spec": {"replicas": 4}})).await.expect(200);
    assert_eq!(scaled["spec"]["replicas"], 4);
    let now = server.get(&path).await.expect(200);
    assert_eq!((&now["spec"]["replicas"], &now["metadata"]["generation"]), (&json!(4), &json!(2)));
    let refused = server.patch(&format!("{path}/status"), MERGE, json!({"status": {"replicas": "many"}})).await;
    refused.expect_failure(422, "Invalid");
}

#[tokio::test]
async fn apply_merges_lists_by_their_keys() {
    let server = with_widgets().await;
    let apply = |manager: &'static str, spec: Value| {
        let path = format!("{WIDGETS}/a?fieldManager={manager}");
        let (server, body) = (&server, widget("a", spec));
        async move { server.patch(&path, APPLY, body).await }
    };
    apply("one", json!({"size": 3, "ports": [{"name": "http", "port": 80}]})).await.expect(201);
    let both = apply("two", json!({"size": 3, "ports": [{"name": "dns", "port": 53}]})).await.expect(200);
    assert_eq!(both["spec"]["ports"], json!([{"name": "http", "port": 80}, {"name": "dns", "port": 53}]));
    let conflict = apply("two", json!({"size": 3, "ports": [{"name": "http", "port": 81}]})).await;
    assert_eq!(
        conflict.expect_failure(409, "Conflict"),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.ports[name=\"http\"].port"
    );
    let strategic = server.patch(&format!("{WIDGETS}/a"), "application/strategic-merge-patch+json", json!({})).await;
    assert_eq!(
        strategic.expect_failure(415, "UnsupportedMediaType"),
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    );
}

#[tokio::test]
async fn every_served_version_shows_the_same_object() {
    let server = with_widgets().await;
    let old = "/apis/shop.example.com/v1beta1/namespaces/default/widgets";
    let mut body = widget("a", json!({"size": 3}));
    body["apiVersion"] = json!("shop.example.com/v1beta1");
    let created = server.post(old, body).await;
    assert_eq!(created.warnings(), ["299 - \"shop.example.com/v1beta1 Widget is deprecated\""]);
    assert_eq!(created.expect(201)["apiVersion"], "shop.example.com/v1beta1");
    let stored = server.get(&format!("{WIDGETS}/a")).await.expect(200);
    assert_eq!((&stored["apiVersion"], &stored["spec"]["port"]), (&json!("shop.example.com/v1"), &json!("http")));
    let list = server.get(old).await.expect(200);
    assert_eq!(list["items"][0]["apiVersion"], "shop.example.com/v1beta1");
}

#[tokio::test]
async fn defaults_that_come_later_show_on_older_objects() {
    let server = with_widgets().await;
    server.post(WIDGETS, widget("a", json!({"size": 3}))).await.expect(201);
    let name = format!("{CRDS}/widgets.shop.example.com");
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/flavour";
    let patch = json!([{"op": "add", "path": path, "value": {"type": "string", "default": "plain"}}]);
    server.patch(&name, "application/json-patch+json", patch).await.expect(200);
    let shown = server.get(&format!("{WIDGETS}/a")).await.expect(200);
    assert_eq!(shown["spec"]["flavour"], "plain");
}

#[tokio::test]
async fn tables_have_the_columns_of_the_definition() {
    let server = with_widgets().await;
    let mut body = widget("a", json!({"size": 3}));
    body["metadata"]["labels"] = json!({"app": "a"});
    server.post(WIDGETS, body).await.expect(201);
    let ready =
        json!({"status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]}});
    server.patch(&format!("{WIDGETS}/a/status"), MERGE, ready).await.expect(200);
    let table = server.get_as(WIDGETS, "application/json;as=Table;g=meta.k8s.io;v=v1").await.expect(200);
    let names: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Name", "Ready", "Size", "Age"]);
    let cells = &table["rows"][0]["cells"];
    assert_eq!((&cells[0], &cells[1], &cells[2]), (&json!("a"), &json!("True"), &json!(3)));
    assert!(cells[3].as_str().unwrap().ends_with('s'), "{cells}");
    let selected =
        server.get(&format!("{WIDGETS}?fieldSelector=spec.size%3D3&labelSelector=app%3Da")).await.expect(200);
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
    let none = server.get(&format!("{WIDGETS}?fieldSelector=spec.size%3D4")).await.expect(200);
    assert_eq!(none["items"], json!([]));
}

#[tokio::test]
async fn clients_learn_of_custom_kinds() {
    let server = with_widgets().await;
    let group = server.get("/apis/shop.example.com").await.expect(200);
    assert_eq!(group["preferredVersion"]["version"], "v1");
    assert_eq!(group["versions"].as_array().unwrap().len(), 2);
    let list = server.get("/apis/shop.example.com/v1").await.expect(200);
    let names: Vec<&Value> = list["resources"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["widgets", "widgets/status", "widgets/scale"]);
    assert_eq!(
        (&list["resources"][0]["shortNames"], &list["resources"][0]["categories"]),
        (&json!(["wd"]), &json!(["all"]))
    );
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let groups = server.get_as("/apis", aggregated).await.expect(200);
    assert!(groups["items"].as_array().unwrap().iter().any(|group| group["metadata"]["name"] == "shop.example.com"));

    let index = server.get("/openapi/v3").await.expect(200);
    let url = index["paths"]["apis/shop.example.com/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = server.get(&url).await.expect(200);
    let schema = &document["components"]["schemas"]["com.example.shop.v1.Widget"];
    assert_eq!(schema["properties"]["spec"]["properties"]["size"]["type"], "integer");
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
    // As kubectl reads it: it sends a strategic merge where it finds one here.
    let patch = &document["paths"]["/apis/shop.example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"];
    let types: Vec<&String> = patch["requestBody"]["content"].as_object().unwrap().keys().collect();
    assert_eq!(types, ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]);
}

#[tokio::test]
async fn a_definition_that_is_wrong_says_where() {
    let server = Server::start().await;
    let mut crd = definition();
    crd["metadata"]["name"] = json!("gadgets.shop.example.com");
    crd["spec"]["conversion"] = json!({"strategy": "Webhook"});
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    schema["size"] = json!({"description": "how big"});
    schema["colour"] = json!({"type": "string", "$ref": "#/x", "pattern": "("});
    schema["port"] = json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": true});
    let causes = server.post(CRDS, crd).await.value()["details"]["causes"].clone();
    let causes: Vec<String> = causes
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| format!("{}: {}", cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap()))
        .collect();
    let expected = expect_test::expect![[r#"
        metadata.name: Invalid value: "gadgets.shop.example.com": must be spec.names.plural+"."+spec.group
        spec.conversion.strategy: not supported by wasmk: objects of all versions are stored as they are; use the strategy None
        spec.versions[0].selectableFields[0].jsonPath: Invalid value: ".spec.size": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.
        spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[colour].$ref: Forbidden: $ref is not supported
        spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[colour].pattern: Invalid value: "(": must be a valid regular expression
        spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[port].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive
        spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[size].type: Required value: must not be empty for specified object fields"#]];
    expected.assert_eq(&causes.join("\n"));
}

#[tokio::test]
async fn a_rule_that_does_not_compile_is_refused() {
    let server = Server::start().await;
    let mut crd = definition();
    let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["x-kubernetes-validations"] =
        json!([{"rule": "self.size >"}, {"rule": "self.sizes > 1"}, {"rule": "nothing(self)"}]);
    let message = server.post(CRDS, crd).await.expect_failure(422, "Invalid");
    let at = "spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations";
    assert!(
        message.contains(&format!("{at}[0].rule: Invalid value: \"self.size >\": compilation failed: ")),
        "{message}"
    );
    assert!(
        message.contains(&format!(
            "{at}[1].rule: Invalid value: \"self.sizes > 1\": compilation failed: undefined field 'sizes'"
        )),
        "{message}"
    );
    assert!(message.contains("undeclared reference to 'nothing'"), "{message}");
}

#[tokio::test]
async fn names_that_are_taken_are_not_accepted() {
    let server = with_widgets().await;
    let mut crd = definition();
    crd["metadata"]["name"] = json!("gadgets.shop.example.com");
    crd["spec"]["names"] = json!({"plural": "gadgets", "singular": "gadget", "kind": "Widget"});
    let created = server.post(CRDS, crd).await.expect(201);
    let condition = &created["status"]["conditions"][0];
    assert_eq!(
        (&condition["reason"], &condition["message"]),
        (&json!("KindConflict"), &json!("\"Widget\" is already in use"))
    );
    assert_eq!(created["status"]["conditions"][1]["status"], "False");
    assert_eq!(server.get("/apis/shop.example.com/v1/gadgets").await.code, 404);
}

#[tokio::test]
async fn a_definition_on_its_way_out_takes_no_new_objects() {
    let server = with_widgets().await;
    server.post(WIDGETS, widget("a", json!({"size": 3}))).await.expect(201);
    let going = server.delete(&format!("{CRDS}/widgets.shop.example.com")).await.expect(200);
    assert_eq!(going["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    let terminating = going["status"]["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "Terminating");
    assert_eq!(terminating.unwrap()["status"], "True");
    let refused = server.post(WIDGETS, widget("b", json!({"size": 3}))).await;
    assert_eq!(
        refused.expect_failure(405, "MethodNotAllowed"),
        "create not allowed while custom resource definition is terminating"
    );
    server.get(&format!("{WIDGETS}/a")).await.expect(200);
}

#[tokio::test]
async fn a_hostile_rule_ends() {
    let server = Server::start().await;
    let mut crd = definition();
    let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let rule = "self.ports.all(a, self.ports.all(b, self.ports.all(c, self.ports.all(d, a.port + b.port + c.port + d.port > 0))))";
    spec["x-kubernetes-validations"] = json!([{"rule": rule}]);
    server.post(CRDS, crd).await.expect(201);
    let ports: Vec<Value> = (1..500).map(|port| json!({"name": format!("p{port}"), "port": port})).collect();
    let refused: Answer = server
        .send(
            Method::POST,
            WIDGETS,
            &[("content-type", "application/json")],
            widget("a", json!({"size": 3, "ports": ports})).to_string(),
        )
        .await;
    assert!(refused.expect_failure(422, "Invalid").contains("running out of cost budget"));
}

#[tokio::test]
async fn a_watch_ends_when_its_kind_changes_or_goes() {
    let server = with_widgets().await;
    let (crd, json_patch) = (format!("{CRDS}/widgets.shop.example.com"), "application/json-patch+json");
    let watch = async |query| Events::open_at(&server, WIDGETS, query, "application/json").await;
    let (mut told, mut plain) = (watch("allowWatchBookmarks=true").await, watch("").await);
    // What makes it no other kind does not matter.
    server.patch(&crd, MERGE, json!({"metadata": {"labels": {"a": "b"}}})).await.expect(200);
    server.post(WIDGETS, widget("a", json!({"size": 3}))).await.expect(201);
    assert_eq!((told.summary().await, plain.summary().await), ("ADDED a".to_owned(), "ADDED a".to_owned()));
    let column = json!({"name": "Colour", "type": "string", "jsonPath": ".spec.colour"});
    let add = json!([{"op": "add", "path": "/spec/versions/0/additionalPrinterColumns/-", "value": column}]);
    server.patch(&crd, json_patch, add).await.expect(200);
    let bookmark = told.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], server.store.snapshot().revision().to_string());
    assert_eq!((told.next().await, plain.next().await), (None, None));

    // What happened before is told before the end.
    let mut events = watch("allowWatchBookmarks=true").await;
    assert_eq!(events.summary().await, "ADDED a");
    server.delete(&crd).await.expect(200);
    server.delete(&format!("{WIDGETS}/a")).await.expect(200);
    server.patch(&crd, MERGE, json!({"metadata": {"finalizers": null}})).await.expect(200);
    assert_eq!(events.summary().await, "DELETED a");
    assert_eq!(events.next().await.unwrap()["type"], "BOOKMARK");
    assert_eq!(events.next().await, None);
    assert_eq!(server.get(WIDGETS).await.code, 404);
}
