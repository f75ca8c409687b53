use super::{Kind, table};

pub(super) fn kind() -> Kind {
    Kind {
        columns: &table::LEASE,
        validate: |lease, faults| {
            let spec = lease.get("spec");
            let duration = spec.get("leaseDurationSeconds");
            if duration.int().is_some_and(|seconds| seconds <= 0) {
                faults.invalid(&duration, "must be greater than 0");
            }
            faults.non_negative(&spec.get("leaseTransitions"));
            let holder = spec.get("holderIdentity");
            if holder.str() == Some("") {
                faults.invalid(&holder, "must not be empty");
            }
        },
        ..Kind::plain("coordination.k8s.io", "v1", "Lease", "LeaseList", "leases", "lease")
    }
}
