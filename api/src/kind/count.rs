//! Numbers of pods that may be given as a percentage.

use crate::field::{Faults, Field};

/// A count or a percentage; `None` when it is neither, which is a fault.
pub(super) fn count_or_percent(field: &Field, faults: &mut Faults) -> Option<i64> {
    if let Some(count) = field.int() {
        faults.non_negative(field);
        return Some(count);
    }
    field.str()?;
    let percent = percent(field).filter(|percent| *percent >= 0);
    if percent.is_none() {
        faults.invalid(
            field,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        );
    }
    percent
}

pub(super) fn at_most_all(field: &Field, faults: &mut Faults) {
    if percent(field).is_some_and(|percent| percent > 100) {
        faults.invalid(field, "must not be greater than 100%");
    }
}

fn percent(field: &Field) -> Option<i64> {
    field.str()?.strip_suffix('%')?.parse().ok()
}
