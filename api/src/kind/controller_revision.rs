use super::{Kind, table};
use crate::Cause;

/// One entry of the history of a StatefulSet or DaemonSet: data that never changes.
pub(super) fn kind() -> Kind {
    Kind {
        columns: &table::CONTROLLERREVISION,
        validate: |revision, faults| {
            let data = revision.get("data");
            if !data.is_set() {
                faults.push(Cause::required(&data.path, "data is mandatory"));
            }
            faults.non_negative(&revision.get("revision"));
        },
        validate_update: |new, old, faults| faults.immutable(&new.get("data"), &old["data"]),
        ..Kind::plain(
            "apps",
            "v1",
            "ControllerRevision",
            "ControllerRevisionList",
            "controllerrevisions",
            "controllerrevision",
        )
    }
}
