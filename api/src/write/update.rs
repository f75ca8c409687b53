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
    /// `Main`, by way of the `scale` subresource.
    Scale,
    /// `spec.finalizers` of a Namespace.
    Finalize,
}

impl Part {
    fn subresource(self) -> &'static str {
        match self {
            Self::Main | Self::Both => "",
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Finalize => "finalize",
        }
    }

    /// Whether it reaches what the kind's users want.
    fn writes_wanted(self) -> bool {
        matches!(self, Self::Main | Self::Both | Self::Scale)
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
    let faults = Faults { causes: metadata::check_times(&new["metadata"], current.metadata()) };
    metadata::carry_over(kind, current, &mut new)?;
    fields::refuse(kind, &new, faults)?;
    let mut value = merge(kind, current.value(), new, part);
    if part.writes_wanted() {
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

fn validate(kind: &'static Kind, current: &Value, value: &Value, part: Part) -> Result<Vec<String>, Status> {
    let warnings = match part {
        // The schema of a custom kind is all that there is to say of its status.
        Part::Status if kind.custom.is_some() => fields::validate(kind, value, Some(current))?,
        Part::Status | Part::Finalize => Vec::new(),
        Part::Main | Part::Both | Part::Scale => fields::validate(kind, value, Some(current))?,
    };
    let (mut faults, root) = (Faults::default(), Field::root(value));
    if part == Part::Status && kind.status_carries_metadata {
        metadata::validate(kind, &root.get("metadata"), &mut faults);
    }
    metadata::validate_update(&root.get("metadata"), &current["metadata"], &mut faults);
    if part.writes_wanted() {
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
    match part {
        Part::Both => new,
        Part::Main | Part::Scale => {
            if kind.has_status {
                metadata::copy(&mut new, current, "status");
            }
            if kind.has_subresource("finalize") {
                metadata::copy(&mut new["spec"], &current["spec"], "finalizers");
            }
            new
        }
        Part::Status => {
            let mut value = current.clone();
            metadata::copy(&mut value, &new, "status");
            let carried: &[&str] =
                if kind.status_carries_metadata { &["labels", "annotations", "finalizers"] } else { &[] };
            for field in carried.iter().chain(&["managedFields"]) {
                metadata::copy(&mut value["metadata"], &new["metadata"], field);
            }
            value
        }
        Part::Finalize => {
            let mut value = current.clone();
            metadata::copy(&mut value["spec"], &new["spec"], "finalizers");
            value
        }
    }
}
