use super::{DeleteAnswer, Kind, table};
use crate::field::Field;
use crate::{Quantity, names};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["quota"],
        columns: &table::RESOURCEQUOTA,
        subresources: &["status"],
        has_status: true,
        delete_answer: DeleteAnswer::Object,
        validate: |quota, faults| {
            let hard = quota.get("spec").get("hard");
            for (resource, value) in hard.entries() {
                faults.causes.extend(names::causes(&hard.path, resource, names::check_qualified_name(resource)));
                if Quantity::from_value(value).is_ok_and(|quantity| quantity.is_negative()) {
                    let field = Field { path: hard.key_path(resource), value };
                    faults.invalid(&field, "must be greater than or equal to 0");
                }
            }
        },
        validate_update: |new, old, faults| {
            faults.immutable(&new.get("spec").get("scopes"), &old["spec"]["scopes"]);
        },
        inert: Some("nothing acts on ResourceQuotas: nothing is counted, and nothing refused"),
        ..Kind::plain("", "v1", "ResourceQuota", "ResourceQuotaList", "resourcequotas", "resourcequota")
    }
}
