//! The names that a definition has to itself in its group.
//!
//! Each is an internal object, put with `Precondition::Absent` in the definition's own transaction (decision 11), so that
//! two definitions that come at the same instant cannot both get one; the loser's commit conflicts, and a new attempt sees
//! what is taken.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::custom::CRDS;
use crate::write::{Context, Reservation};
use crate::{Key, Status};

const NAMES: &str = "internal.customnames";

/// What `crd` takes beyond what `old` has, and gives back. A null `crd` gives back all that `old` has.
pub(crate) fn reserve(crd: &mut Value, old: Option<&Value>, context: &Context) -> Result<Reservation, Status> {
    let before = old.map(held).unwrap_or_default();
    let after = held(crd);
    let name = |crd: &Value| crd["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let own = Key::new(CRDS.clone(), "", &old.map_or_else(|| name(crd), name)).to_string();
    let owner = |key: &Key| context.snapshot.get(key).map(|found| &found.value()["owner"]);
    // Which names are free was decided by what the other definitions have; here only who is first.
    let taken = after.difference(&before).filter(|key| owner(key).is_none()).cloned().collect();
    let released =
        before.difference(&after).filter(|key| owner(key).is_some_and(|owner| *owner == own)).cloned().collect();
    Ok(Reservation { taken, released })
}

/// The keys of the names that a definition has been given.
fn held(crd: &Value) -> BTreeSet<Key> {
    let (group, names) = (crd["spec"]["group"].as_str().unwrap_or_default(), &crd["status"]["acceptedNames"]);
    let short_names = names["shortNames"].as_array().into_iter().flatten();
    let resources =
        [&names["plural"], &names["singular"]].into_iter().chain(short_names).map(|name| ("resource", name));
    let kinds = [&names["kind"], &names["listKind"]].map(|name| ("kind", name));
    let named = resources.chain(kinds).filter_map(|(what, name)| Some((what, name.as_str()?)));
    named.map(|(what, name)| Key::new(NAMES, "", &format!("{what}.{name}.{group}"))).collect()
}
