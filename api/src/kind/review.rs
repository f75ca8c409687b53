//! Kinds that are asked, not stored: an object of theirs is created, and the answer is the same object with a status.

use super::Kind;

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

pub(super) fn token_review() -> Kind {
    review(AUTHENTICATION, "TokenReview", "TokenReviewList", "tokenreviews", "tokenreview")
}

pub(super) fn self_subject_review() -> Kind {
    let (list, plural, singular) = ("SelfSubjectReviewList", "selfsubjectreviews", "selfsubjectreview");
    review(AUTHENTICATION, "SelfSubjectReview", list, plural, singular)
}

pub(super) fn subject_access_review() -> Kind {
    let (list, plural, singular) = ("SubjectAccessReviewList", "subjectaccessreviews", "subjectaccessreview");
    review(AUTHORIZATION, "SubjectAccessReview", list, plural, singular)
}

pub(super) fn local_subject_access_review() -> Kind {
    let (kind, list) = ("LocalSubjectAccessReview", "LocalSubjectAccessReviewList");
    let (plural, singular) = ("localsubjectaccessreviews", "localsubjectaccessreview");
    Kind { namespaced: true, ..review(AUTHORIZATION, kind, list, plural, singular) }
}

pub(super) fn self_subject_access_review() -> Kind {
    let (kind, list) = ("SelfSubjectAccessReview", "SelfSubjectAccessReviewList");
    review(AUTHORIZATION, kind, list, "selfsubjectaccessreviews", "selfsubjectaccessreview")
}

pub(super) fn self_subject_rules_review() -> Kind {
    let (kind, list) = ("SelfSubjectRulesReview", "SelfSubjectRulesReviewList");
    review(AUTHORIZATION, kind, list, "selfsubjectrulesreviews", "selfsubjectrulesreview")
}

fn review(
    group: &'static str,
    kind: &'static str,
    list_kind: &'static str,
    plural: &'static str,
    singular: &'static str,
) -> Kind {
    Kind { namespaced: false, verbs: &["create"], ..Kind::plain(group, "v1", kind, list_kind, plural, singular) }
}
