//! What nodes and pods use. Nothing of it is stored: the nodes are asked when somebody wants to know.

use super::{Kind, table};

const GROUP: &str = "metrics.k8s.io";
const VERSION: &str = "v1beta1";

pub(super) fn node_metrics() -> Kind {
    Kind {
        namespaced: false,
        verbs: &["get", "list"],
        columns: &table::NODEMETRICS,
        ..Kind::plain(GROUP, VERSION, "NodeMetrics", "NodeMetricsList", "nodes", "")
    }
}

pub(super) fn pod_metrics() -> Kind {
    Kind {
        verbs: &["get", "list"],
        columns: &table::PODMETRICS,
        ..Kind::plain(GROUP, VERSION, "PodMetrics", "PodMetricsList", "pods", "")
    }
}
