//! `allOf`, `anyOf`, `oneOf` and `not`.

use serde_json::{Value, json};

use super::{Checks, Found, Schema, visit};
use crate::Cause;

pub(super) fn check(checks: &Checks, value: &Value, path: &str, faults: &mut Found) {
    let shown = Value::from(path);
    let try_all =
        |schemas: &[Schema]| -> Vec<Vec<Cause>> { schemas.iter().map(|one| attempt(one, value, path)).collect() };
    if !checks.any_of.is_empty() {
        let found = try_all(&checks.any_of);
        if !found.iter().any(Vec::is_empty) {
            faults.push(of_whole(format!("{shown} must validate at least one schema (anyOf)")));
            faults.extend(nearest(found));
        }
    }
    if !checks.one_of.is_empty() {
        let found = try_all(&checks.one_of);
        match found.iter().filter(|faults| faults.is_empty()).count() {
            1 => {}
            0 => {
                faults
                    .push(of_whole(format!("{shown} must validate one and only one schema (oneOf). Found none valid")));
                faults.extend(nearest(found));
            }
            several => faults.push(of_whole(format!(
                "{shown} must validate one and only one schema (oneOf). Found {several} valid alternatives"
            ))),
        }
    }
    if !checks.all_of.is_empty() {
        let found = try_all(&checks.all_of);
        let valid = found.iter().filter(|faults| faults.is_empty()).count();
        if valid < found.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            faults.extend(found.into_iter().flatten());
            faults.push(of_whole(format!("{shown} must validate all the schemas (allOf){none}")));
        }
    }
    if checks.not.as_deref().is_some_and(|not| attempt(not, value, path).is_empty()) {
        faults.push(of_whole(format!("{shown} must not validate the schema (not)")));
    }
}

fn attempt(schema: &Schema, value: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Found::new();
    visit(schema, value, None, path, &mut faults);
    faults.causes
}

/// The alternative that misses by the least says what is most likely meant.
fn nearest(found: Vec<Vec<Cause>>) -> Vec<Cause> {
    found.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

/// Kubernetes gives these no field.
fn of_whole(detail: String) -> Cause {
    Cause::invalid("<nil>", &json!(""), &detail)
}
