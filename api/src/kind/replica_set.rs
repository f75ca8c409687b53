use serde_json::json;

use super::{Kind, table};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["rs"],
        categories: &["all"],
        columns: &table::REPLICASET,
        selectable: &["status.replicas"],
        subresources: &["scale", "status"],
        has_generation: true,
        has_status: true,
        prepare_create: |replica_set, _| replica_set["status"] = json!({"replicas": 0}),
        ..Kind::plain("apps", "v1", "ReplicaSet", "ReplicaSetList", "replicasets", "replicaset")
    }
}
