use super::{Kind, table};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["ev"],
        columns: &table::EVENT,
        selectable: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        validate: |event, faults| {
            let (involved, metadata) = (event.get("involvedObject"), event.get("metadata"));
            let (about, within) = (involved.get("namespace"), metadata.get("namespace"));
            // Events about cluster-scoped objects live in `default`.
            let expected = if about.text().is_empty() { "default" } else { about.text() };
            if within.text() != expected && !(about.text().is_empty() && within.text() == "kube-system") {
                faults.invalid(&about, "does not match event.namespace");
            }
            faults.one_of(&event.get("type"), &["Normal", "Warning"]);
        },
        ..Kind::plain("", "v1", "Event", "EventList", "events", "event")
    }
}
