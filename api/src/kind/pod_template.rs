use super::pod_spec::Owner;
use super::{DeleteAnswer, Kind, pod_spec, table};

/// A template kept for others to use.
pub(super) fn kind() -> Kind {
    Kind {
        columns: &table::PODTEMPLATE,
        has_generation: true,
        delete_answer: DeleteAnswer::Object,
        default: |object, _| pod_spec::default_spec(&mut object["template"]["spec"]),
        validate: |object, faults| {
            let template = object.get("template");
            faults.labels(&template.get("metadata").get("labels"));
            pod_spec::validate(&template.get("spec"), Owner::None, faults);
        },
        pod_spec: Some("template.spec"),
        ..Kind::plain("", "v1", "PodTemplate", "PodTemplateList", "podtemplates", "podtemplate")
    }
}
