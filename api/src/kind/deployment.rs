use serde_json::json;

use super::{Kind, table};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["deploy"],
        categories: &["all"],
        columns: &table::DEPLOYMENT,
        subresources: &["scale", "status"],
        has_generation: true,
        has_status: true,
        prepare_create: |deployment, _| deployment["status"] = json!({}),
        ..Kind::plain("apps", "v1", "Deployment", "DeploymentList", "deployments", "deployment")
    }
}
