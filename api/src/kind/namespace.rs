use serde_json::json;

use super::{Kind, table};
use crate::names;

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["ns"],
        namespaced: false,
        columns: &table::NAMESPACE,
        selectable: &["status.phase"],
        subresources: &["finalize", "status"],
        has_status: true,
        check_name: names::check_dns1123_label,
        prepare_create: |namespace, _| {
            namespace["status"] = json!({"phase": "Active"});
            namespace["spec"] = json!({"finalizers": ["kubernetes"]});
        },
        default: |namespace, _| {
            let name = namespace["metadata"]["name"].clone();
            namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        },
        ..Kind::plain("", "v1", "Namespace", "NamespaceList", "namespaces", "namespace")
    }
}
