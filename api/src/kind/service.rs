use serde_json::json;

use super::{DeleteAnswer, Kind, table};
use crate::names;

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["svc"],
        categories: &["all"],
        columns: &table::SERVICE,
        selectable: &["spec.clusterIP", "spec.type"],
        subresources: &["status"],
        has_status: true,
        delete_answer: DeleteAnswer::Object,
        check_name: names::check_dns1035_label,
        prepare_create: |service, _| service["status"] = json!({"loadBalancer": {}}),
        ..Kind::plain("", "v1", "Service", "ServiceList", "services", "service")
    }
}
