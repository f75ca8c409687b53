use axum::response::Response;
use serde_json::{Value, json};
use wasmk_api::write::{self, FieldValidation};
use wasmk_api::{Op, Precondition, Snapshot, Status, disruption, kind};

use super::Call;
use super::chance::Chance;
use super::commit::{Attempt, Plan, commit};
use super::document::{Expected, place};
use crate::request::{Body, DeleteOptions, Query};
use crate::respond::created;

const EVICTION: Expected = Expected { group: "policy", version: "v1", kind: "Eviction" };
/// What kubectl up to 1.21 sends, in the same form.
const OLD_VERSION: &str = "policy/v1beta1";

/// `POST …/pods/<name>/eviction`: a deletion that a disruption budget must allow.
pub(super) async fn evict(call: &Call, body: Body) -> Result<Response, Status> {
    let mut eviction = body.document(EVICTION.kind)?.value;
    if eviction["apiVersion"] == OLD_VERSION {
        eviction["apiVersion"] = json!("policy/v1");
    }
    EVICTION.identify(&mut eviction)?;
    place(call, &mut eviction, &call.path.name)?;
    let mut options = DeleteOptions::parse(&Query::default(), &eviction["deleteOptions"])?;
    options.dry_run |= DeleteOptions::parse(&call.query, &Value::Null)?.dry_run;
    let plan = |snapshot: &Snapshot, chance: &Chance| plan(call, &options, snapshot, chance);
    let attempt = Attempt { name: &call.path.name, dry_run: options.dry_run, is_heavy: false };
    commit(call, attempt, plan).await?;
    Ok(created(call.style()?))
}

fn plan(call: &Call, options: &DeleteOptions, snapshot: &Snapshot, chance: &Chance) -> Result<Plan, Status> {
    let pod = call.find(snapshot)?;
    let context = chance.context(call, snapshot, None, FieldValidation::Ignore);
    let mut plan = Plan::of(pod, write::delete(call.kind, pod, &options.write, &context)?);
    if let Some((budget, left)) = disruption::check_eviction(pod, snapshot)? {
        let mut value = budget.value().clone();
        left.write_to(&mut value["status"]);
        let kind = kind::by_resource(&budget.key().resource).expect("invariant: it was listed as one");
        let spent = write::update(kind, &budget, value, write::Part::Status, &context)?;
        // Whoever spends of the same budget at the same time must count again, even when its status was behind.
        plan.guards = match spent.effect {
            write::Effect::Unchanged => vec![Op::Put {
                key: budget.key().clone(),
                value: budget.value().clone(),
                precondition: Precondition::Revision(budget.revision()),
            }],
            _ => spent.into_ops(kind, Precondition::Revision(budget.revision())),
        };
    }
    Ok(plan)
}
