use serde_json::Value;

use super::{Kind, table};
use crate::Cause;
use crate::field::{Faults, Field, set_default};

/// Less is over before anybody uses it; Kubernetes' own bound.
const LIFE_SECONDS_MIN: i64 = 600;

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["csr"],
        namespaced: false,
        columns: &table::CERTIFICATESIGNINGREQUEST,
        selectable: &["spec.signerName"],
        subresources: &["approval", "status"],
        has_status: true,
        // What is to be signed, and who asked, never changes.
        prepare_update: |new, old| new["spec"] = old["spec"].clone(),
        default: |request, _| {
            let conditions = request.get_mut("status").and_then(|status| status.get_mut("conditions"));
            let conditions = conditions.and_then(Value::as_array_mut);
            conditions.into_iter().flatten().for_each(|condition| set_default(condition, "status", "True"));
        },
        validate: |request, faults| validate(&request.get("spec"), faults),
        ..Kind::plain(
            "certificates.k8s.io",
            "v1",
            "CertificateSigningRequest",
            "CertificateSigningRequestList",
            "certificatesigningrequests",
            "certificatesigningrequest",
        )
    }
}

fn validate(spec: &Field, faults: &mut Faults) {
    faults.require(&spec.get("request"), "");
    let signer = spec.get("signerName");
    if faults.require(&signer, "") && !signer.text().contains('/') {
        faults.invalid(&signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
    }
    if spec.get("usages").is_empty() {
        faults.push(Cause::required(&spec.get("usages").path, ""));
    }
    let life = spec.get("expirationSeconds");
    if life.int().is_some_and(|seconds| seconds < LIFE_SECONDS_MIN) {
        faults.invalid(&life, "may not specify a duration less than 600 seconds (10 minutes)");
    }
}
