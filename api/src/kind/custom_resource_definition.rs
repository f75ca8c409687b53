use super::Kind;
use crate::custom::crd;

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["crd", "crds"],
        categories: &["api-extensions"],
        namespaced: false,
        subresources: &["status"],
        has_generation: true,
        has_status: true,
        prepare_create: |crd, _| crd["status"] = serde_json::json!({}),
        default: |crd, context| {
            crd::default(crd);
            crd::settle(crd, context.snapshot, context.now);
        },
        reserve: Some(crd::reserve),
        begin_delete: |crd, context| crd::begin_delete(crd, context.now),
        validate: |crd, faults| crd::validate(crd, faults),
        validate_update: |new, old, faults| crd::validate_update(new, old, faults),
        ..Kind::plain(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "CustomResourceDefinitionList",
            "customresourcedefinitions",
            "customresourcedefinition",
        )
    }
}
