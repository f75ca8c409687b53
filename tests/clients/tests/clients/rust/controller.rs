//! A controller for a kind of its own, as kube-rs programs have it: each Greeting becomes a ConfigMap.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::runtime::conditions::is_crd_established;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::wait::await_condition;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

use super::{eventually, refused};

pub(super) async fn run(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition: CustomResourceDefinition = serde_json::from_value(definition()).unwrap();
    let name = definition.name_any();
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    await_condition(definitions.clone(), &name, is_crd_established()).await.unwrap();

    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("rs.example.com", "v1", "Greeting"));
    let greetings: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &kind);
    let configs: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let controller = Controller::new_with(greetings.clone(), watcher::Config::default(), kind.clone())
        .owns(configs.clone(), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(1)), Arc::new((client.clone(), kind.clone())));
    let controller = tokio::spawn(controller.for_each(async |_| ()));

    let made = greetings.create(&PostParams::default(), &greeting(&kind, "world", "World")).await.unwrap();
    assert_eq!(made.data["spec"], json!({"name": "World", "word": "Hello"}), "defaults are set");
    let (code, message) = refused(greetings.create(&PostParams::default(), &greeting(&kind, "bad", "bad")).await);
    assert_eq!(code, 422);
    assert!(message.contains("spec: Invalid value") && message.contains("names begin with a capital"), "{message}");
    is(&configs, "Hello World").await;
    let patch = Patch::Merge(json!({"spec": {"word": "Goodbye"}}));
    greetings.patch("world", &PatchParams::default(), &patch).await.unwrap();
    is(&configs, "Goodbye World").await;
    configs.delete("world", &DeleteParams::default()).await.unwrap();
    is(&configs, "Goodbye World").await;
    greetings.delete("world", &DeleteParams::default()).await.unwrap();
    eventually("what it owned is collected", async || configs.get_opt("world").await.unwrap().is_none().then_some(()))
        .await;
    controller.abort();
    definitions.delete(&name, &DeleteParams::default()).await.unwrap();
}

async fn reconcile(greeting: Arc<DynamicObject>, context: Arc<(Client, ApiResource)>) -> kube::Result<Action> {
    let (client, kind) = &*context;
    let spec = &greeting.data["spec"];
    let text = format!("{} {}", text(spec, "word"), text(spec, "name"));
    let wanted = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": greeting.name_any(), "ownerReferences": [greeting.controller_owner_ref(kind)]},
        "data": {"text": text},
    });
    let configs: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let greeter = PatchParams::apply("greeter").force();
    configs.patch(&greeting.name_any(), &greeter, &Patch::Apply(wanted)).await?;
    Ok(Action::await_change())
}

async fn is(configs: &Api<ConfigMap>, wanted: &str) {
    eventually(wanted, async || {
        let config = configs.get_opt("world").await.unwrap()?;
        (config.data?.get("text")? == wanted && config.metadata.deletion_timestamp.is_none()).then_some(())
    })
    .await;
}

fn text<'a>(spec: &'a Value, field: &str) -> &'a str {
    spec[field].as_str().unwrap_or_default()
}

fn greeting(kind: &ApiResource, name: &str, whom: &str) -> DynamicObject {
    DynamicObject::new(name, kind).data(json!({"spec": {"name": whom}}))
}

fn definition() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "word": {"type": "string", "default": "Hello"}},
        "x-kubernetes-validations": [
            {"rule": "self.name.matches('^[A-Z]')", "message": "names begin with a capital"},
        ],
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "greetings.rs.example.com"},
        "spec": {
            "group": "rs.example.com",
            "scope": "Namespaced",
            "names": {"plural": "greetings", "singular": "greeting", "kind": "Greeting"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
            }],
        },
    })
}
