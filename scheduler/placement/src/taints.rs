use k8s_openapi::api::core::v1::{Taint, Toleration};

/// The first taint that keeps a pod with these tolerations off a node, as text.
pub(crate) fn untolerated(taints: &[Taint], tolerations: &[Toleration]) -> Option<String> {
    let binding = taints.iter().filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"));
    let mut found = binding.filter(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)));
    found.next().map(|taint| format!("{{{}: {}}}", taint.key, taint.value.as_deref().unwrap_or_default()))
}

/// How many taints say that the pod had better go elsewhere.
pub(crate) fn disliked(taints: &[Taint], tolerations: &[Toleration]) -> i64 {
    let soft = taints.iter().filter(|taint| taint.effect == "PreferNoSchedule");
    soft.filter(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint))).count() as i64
}

/// Source: `Toleration.ToleratesTaint` in `k8s.io/api/core/v1/toleration.go`.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let any_or =
        |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|text| text.is_empty() || text == found);
    if !any_or(&toleration.effect, &taint.effect) || !any_or(&toleration.key, &taint.key) {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" => true,
        // An empty key goes with Exists only.
        _ if toleration.key.as_deref().unwrap_or_default().is_empty() => false,
        _ => toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default(),
    }
}
