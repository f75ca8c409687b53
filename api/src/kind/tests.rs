use super::*;

#[test]
fn every_kind_is_found_by_each_of_its_names() {
    for kind in all() {
        assert_eq!(by_resource(kind.resource()), Some(kind.stored()));
        assert_eq!(kind.stored().resource(), kind.resource());
        assert_eq!(by_path(kind.group, kind.version, kind.plural), Some(*kind));
        assert_eq!(by_api_version(&kind.api_version(), kind.kind), Some(*kind));
    }
    assert_eq!(by_resource(&"deployments.apps".into()).unwrap().kind, "Deployment");
    assert!(by_resource(&"deployments".into()).is_none());
}

#[test]
fn every_kind_has_its_schema_with_the_parts_that_it_claims() {
    for kind in all().iter().copied() {
        let schema = kind.schema();
        // What is asked and not stored answers with a status, which nobody writes.
        let is_stored = kind.verbs.contains(&"get");
        assert_eq!(schema.field("status").is_some() && is_stored, kind.has_status, "{kind:?}");
        assert_eq!(kind.has_subresource("status"), kind.has_status, "{kind:?}");
        for path in kind.field_selectors() {
            let stored = kind.stored_field(path);
            let found = stored.split('.').try_fold(kind.stored().schema(), |node, step| node.field(step));
            assert!(found.is_some(), "{kind:?}: {path}");
        }
        if let Some(path) = kind.pod_spec {
            let spec = path.split('.').try_fold(schema, |node, step| node.field(step));
            assert_eq!(spec.and_then(Node::definition_name), Some("io.k8s.api.core.v1.PodSpec"), "{kind:?}");
        }
    }
}
