use super::{Kind, table};

pub(super) fn kind() -> Kind {
    Kind {
        namespaced: false,
        columns: &table::INGRESSCLASS,
        has_generation: true,
        validate: |class, faults| {
            faults.require(&class.get("spec").get("controller"), "");
        },
        validate_update: |new, old, faults| {
            faults.immutable(&new.get("spec").get("controller"), &old["spec"]["controller"]);
        },
        inert: Some("nothing acts on IngressClasses: there is no controller for Ingresses"),
        ..Kind::plain("networking.k8s.io", "v1", "IngressClass", "IngressClassList", "ingressclasses", "ingressclass")
    }
}
