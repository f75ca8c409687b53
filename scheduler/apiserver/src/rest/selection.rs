use wasmk_api::kind::Kind;
use wasmk_api::{FieldSelector, Object, Selector, Status};

use crate::request::ListOptions;

/// Which objects a list, a watch or a collection delete is about.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    labels: Selector,
    fields: FieldSelector,
}

impl Selection {
    pub(crate) fn parse(kind: &Kind, options: &ListOptions) -> Result<Self, Status> {
        let labels =
            Selector::parse(&options.label_selector).map_err(|error| Status::bad_request(error.to_string()))?;
        let fields = FieldSelector::parse(&options.field_selector, &kind.field_selectors())?;
        let fields = fields.map_fields(|field| kind.stored_field(field));
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.matches_everything() && self.fields.matches_everything()
    }

    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.labels.matches(object) && self.fields.matches(object.value())
    }

    /// The one name that can match, when the fields say so.
    pub(crate) fn name(&self) -> Option<&str> {
        self.fields.required("metadata.name")
    }

    /// The one namespace that can match, when the fields say so.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.fields.required("metadata.namespace")
    }
}
