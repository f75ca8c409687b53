use super::{DeleteAnswer, Kind, table};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["sa"],
        columns: &table::SERVICEACCOUNT,
        subresources: &["token"],
        delete_answer: DeleteAnswer::Object,
        ..Kind::plain("", "v1", "ServiceAccount", "ServiceAccountList", "serviceaccounts", "serviceaccount")
    }
}
