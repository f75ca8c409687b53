use serde_json::Value;

use super::{Context, Effect, Prepared, Reservation, fields, metadata};
use crate::field::{Faults, Field};
use crate::kind::Kind;
use crate::patch::same_but_for_times;
use crate::{Object, Status};

/// Which part of an object a write may change, as the API's subresources divide it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Everything but `status`.
    Main,
    /// `status`, and nothing else but labels and annotations of the kinds where Kubernetes lets it.
    Status,
    /// `Main` and `Status` in one write; not to be had over the API.
    Both,
    /// `spec.finalizers` of a Namespace.
    Finalize,
}

impl Part {
    fn subresource(self) -> &'static str {
        match self {
            Self::Main | Self::Both => "",
            Self::Status => "status",
            Self::Finalize => "finalize",
        }
    }
}

/// A new version of `current`. Clearing the last finalizer of an object that is on its way out removes it.
pub fn update(
    kind: &'static Kind,
    current: &Object,
    mut new: Value,
    part: Part,
    context: &Context,
) -> Result<Prepared, Status> {
    let mut warnings = fields::decode(kind, &mut new, context.validation)?;
    metadata::carry_over(kind, current, &mut new)?;
    let mut value = merge(kind, current.value(), new, part);
    if matches!(part, Part::Main | Part::Both) {
        (kind.prepare_update)(&mut value, current.value());
        (kind.default)(&mut value, context);
        metadata::bump_generation(kind, current.value(), &mut value);
    }
    let value = metadata::record_fields(kind, part.subresource(), Some(current.value()), value, context);
    if same_but_for_times(current.value(), &value) {
        return Ok(Prepared { warnings, ..Prepared::unchanged(current.value().clone()) });
    }
    warnings.extend(validate(kind, current.value(), &value, part)?);
    finish(kind, current, value, warnings, context)
}

fn validate(kind: &Kind, current: &Value, value: &Value, part: Part) -> Result<Vec<String>, Status> {
    let warnings = match part {
        Part::Main | Part::Both => fields::validate(kind, value)?,
        Part::Status | Part::Finalize => Vec::new(),
    };
    let (mut faults, root) = (Faults::default(), Field::root(value));
    metadata::validate_update(&root.get("metadata"), &current["metadata"], &mut faults);
    if matches!(part, Part::Main | Part::Both) {
        (kind.validate_update)(&root, current, &mut faults);
    }
    fields::refuse(kind, value, faults)?;
    // What was warned of when the object came is not new.
    let known = crate::unsupported::check(kind, &Field::root(current), &mut Faults::default());
    Ok(warnings.into_iter().filter(|warning| !known.contains(warning)).collect())
}

fn finish(
    kind: &'static Kind,
    current: &Object,
    mut value: Value,
    warnings: Vec<String>,
    context: &Context,
) -> Result<Prepared, Status> {
    let reservation = match kind.reserve {
        Some(reserve) => reserve(&mut value, Some(current.value()), context)?,
        None => Reservation::default(),
    };
    let effect = if super::delete::may_go(&value) { Effect::Remove } else { Effect::Put };
    let reservation =
        if effect == Effect::Remove { super::delete::release(kind, current.value(), context) } else { reservation };
    Ok(Prepared { effect, value, warnings, reservation })
}

/// `current` with what `part` lets `new` change.
fn merge(kind: &Kind, current: &Value, mut new: Value, part: Part) -> Value {
    let keep = |target: &mut Value, field: &str| match current.get(field) {
        Some(kept) => target[field] = kept.clone(),
        None => metadata::remove(target, field),
    };
    match part {
        Part::Both => new,
        Part::Main => {
            if kind.has_status {
                keep(&mut new, "status");
            }
            if kind.has_subresource("finalize") {
                keep_in(&mut new["spec"], &current["spec"], "finalizers");
            }
            new
        }
        Part::Status => {
            let mut value = current.clone();
            keep_in(&mut value, &new, "status");
            let carried: &[&str] =
                if kind.status_carries_metadata { &["labels", "annotations", "finalizers"] } else { &[] };
            for field in carried.iter().chain(&["managedFields"]) {
                keep_in(&mut value["metadata"], &new["metadata"], field);
            }
            value
        }
        Part::Finalize => {
            let mut value = current.clone();
            keep_in(&mut value["spec"], &new["spec"], "finalizers");
            value
        }
    }
}

fn keep_in(target: &mut Value, source: &Value, field: &str) {
    match source.get(field) {
        Some(kept) => target[field] = kept.clone(),
        None => metadata::remove(target, field),
    }
}
