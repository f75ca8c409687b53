//! The rules of a ClusterRole that collects those of others, by their labels.

use std::collections::BTreeSet;

use serde_json::Value;
use wasmk_api::write::Part;
use wasmk_api::{Change, Key, Object, Selector};

use crate::{Clock, Controller, Plan, Reason, View};

const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";

pub(crate) const CONTROLLER: Controller =
    Controller { name: "clusterrole-aggregation", reads: &[CLUSTER_ROLES], shows_refusals: false, affected, plan };

/// Roles are few: each change is a reason to look at all that collect.
fn affected(view: &View, _: &Change, keys: &mut BTreeSet<Key>) {
    let resource = CLUSTER_ROLES.into();
    let roles = view.snapshot().list(&resource, None);
    keys.extend(roles.filter(|role| collects(role)).map(|role| role.key().clone()));
}

fn plan(view: &View, key: &Key, _: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(role) = view.get(key).filter(|role| collects(role) && !role.is_deleting()) else { return plan };
    let rules = collected(view, role);
    let known = role.value()["rules"].as_array().map_or(&[][..], Vec::as_slice);
    if known != rules {
        let mut value = role.value().clone();
        value["rules"] = Value::Array(rules);
        plan.update(role, value, Part::Main, Reason::RolesAggregated);
    }
    plan
}

fn collects(role: &Object) -> bool {
    role.value()["aggregationRule"].is_object()
}

/// Each rule once, in the order of the roles' names.
fn collected(view: &View, role: &Object) -> Vec<Value> {
    let selectors = role.value()["aggregationRule"]["clusterRoleSelectors"].as_array().into_iter().flatten();
    let selectors: Vec<Selector> = selectors.filter_map(|selector| Selector::from_json(selector).ok()).collect();
    let resource = CLUSTER_ROLES.into();
    let roles = view.snapshot().list(&resource, None);
    let chosen = roles.filter(|other| {
        other.key() != role.key() && selectors.iter().any(|selector| selector.matches(&other.metadata()["labels"]))
    });
    let mut rules: Vec<Value> = Vec::new();
    for rule in chosen.flat_map(|other| other.value()["rules"].as_array().into_iter().flatten()) {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasmk_api::Snapshot;

    use super::*;
    use crate::Settings;

    fn role(name: &str, value: Value) -> std::sync::Arc<Object> {
        Object::new(Key::new(CLUSTER_ROLES, "", name), 1, value)
    }

    fn plan_of(roles: Vec<std::sync::Arc<Object>>, name: &str) -> Plan {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut view = View::new(now);
        view.advance(Snapshot::from_objects(1, roles), now);
        plan(&view, &Key::new(CLUSTER_ROLES, "", name), &Clock { now, settings: &Settings::default() })
    }

    #[test]
    fn a_collecting_role_has_the_rules_of_those_that_are_labelled_for_it() {
        let rule = |verb: &str| json!({"apiGroups": [""], "resources": ["pods"], "verbs": [verb]});
        let part =
            |name: &str, rules: Value| role(name, json!({"metadata": {"labels": {"to": "all"}}, "rules": rules}));
        let collecting = |rules: Value| {
            let rule = json!({"clusterRoleSelectors": [{"matchLabels": {"to": "all"}}]});
            role("all", json!({"metadata": {"labels": {"to": "all"}}, "aggregationRule": rule, "rules": rules}))
        };
        let parts = || vec![part("a", json!([rule("get")])), part("b", json!([rule("list"), rule("get")]))];
        let other = role("c", json!({"metadata": {}, "rules": [rule("delete")]}));
        let wanted = json!([rule("get"), rule("list")]);
        let mut roles = parts();
        roles.extend([other, collecting(Value::Null)]);
        let plan = plan_of(roles, "all");
        assert!(
            matches!(&plan.actions[0].write, crate::Write::Update { value, .. } if value["rules"] == wanted),
            "{plan}"
        );
        let mut settled = parts();
        settled.push(collecting(wanted));
        assert!(plan_of(settled, "all").is_empty());
    }
}
