use serde_json::Value;

use super::{Context, Effect, Prepared, Reservation, fields, metadata};
use crate::kind::Kind;
use crate::{Cause, Key, Reason, Snapshot, Status, custom};

/// A new object of `kind` in `namespace` (empty for cluster-scoped kinds). A `generateName` gets its suffix here; a name
/// that is taken is the commit's to find out.
pub fn create(kind: &'static Kind, namespace: &str, mut value: Value, context: &Context) -> Result<Prepared, Status> {
    let mut warnings = fields::decode(kind, &mut value, context.validation)?;
    metadata::place(kind, namespace, &mut value)?;
    metadata::begin(kind, &mut value, context);
    (kind.prepare_create)(&mut value, context);
    (kind.default)(&mut value, context);
    custom::check_definition(kind, context.snapshot)?;
    check_namespace(kind, namespace, &value, context.snapshot)?;
    (kind.admit)(&mut value, context)?;
    warnings.extend(fields::validate(kind, &value, None)?);
    warnings.extend(kind.inert.map(str::to_owned));
    let reservation = match kind.reserve {
        Some(reserve) => reserve(&mut value, None, context)?,
        None => Reservation::default(),
    };
    let value = metadata::record_fields(kind, "", None, value, context);
    Ok(Prepared { effect: Effect::Put, value, warnings, reservation })
}

/// A namespaced object needs its namespace, and one that is not on its way out.
fn check_namespace(kind: &Kind, namespace: &str, value: &Value, snapshot: &Snapshot) -> Result<(), Status> {
    if namespace.is_empty() {
        return Ok(());
    }
    let key = Key::new("namespaces", "", namespace);
    let Some(found) = snapshot.get(&key) else { return Err(Status::not_found("namespaces", "", namespace)) };
    if found.is_deleting() {
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        let message = format!(
            "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
            kind.resource()
        );
        let mut status = Status::new(Reason::Forbidden, message).about(kind.plural, kind.group, name);
        let why = format!("namespace {namespace} is being terminated");
        status.causes = vec![Cause::new("NamespaceTerminating", "metadata.namespace", why)];
        return Err(status);
    }
    Ok(())
}
