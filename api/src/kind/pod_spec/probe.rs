use crate::field::{Faults, Field};
use crate::{Cause, names};

const HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc"];
const HOOK_HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "sleep"];

/// Probes and lifecycle hooks of a container.
pub(super) fn validate_all(container: &Field, is_init: bool, faults: &mut Faults) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.get(name);
        if !probe.is_set() {
            continue;
        }
        if is_init {
            faults.forbid(&probe.path, "may not be set for init containers without restartPolicy=Always");
            continue;
        }
        validate(&probe, name != "readinessProbe", faults);
    }
    let lifecycle = container.get("lifecycle");
    if is_init && lifecycle.is_set() {
        faults.forbid(&lifecycle.path, "may not be set for init containers without restartPolicy=Always");
    }
    for hook in ["postStart", "preStop"].map(|hook| lifecycle.get(hook)).iter().filter(|hook| hook.is_set()) {
        handler(hook, HOOK_HANDLERS, faults);
    }
}

fn validate(probe: &Field, succeeds_at_once: bool, faults: &mut Faults) {
    handler(probe, HANDLERS, faults);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        faults.non_negative(&probe.get(field));
    }
    let threshold = probe.get("successThreshold");
    if succeeds_at_once && threshold.int().is_some_and(|count| count != 1) {
        faults.invalid(&threshold, "must be 1");
    }
    let grace = probe.get("terminationGracePeriodSeconds");
    if grace.int().is_some_and(|seconds| seconds <= 0) {
        faults.invalid(&grace, "must be greater than 0");
    }
}

fn handler(holder: &Field, known: &[&str], faults: &mut Faults) {
    let given: Vec<Field> = known.iter().map(|handler| holder.get(handler)).filter(Field::is_set).collect();
    let [first, more @ ..] = &given[..] else {
        faults.push(Cause::required(&holder.path, "must specify a handler type"));
        return;
    };
    for one in more {
        faults.forbid(&one.path, "may not specify more than 1 handler type");
    }
    match first.path.rsplit('.').next().unwrap_or_default() {
        "httpGet" => {
            faults.require(&first.get("path"), "");
            faults.one_of(&first.get("scheme"), &["HTTP", "HTTPS"]);
            port(&first.get("port"), faults);
        }
        "tcpSocket" => port(&first.get("port"), faults),
        "exec" => {
            faults.require(&first.get("command"), "");
        }
        _ => {}
    }
}

/// A number, or the name of one of the container's ports.
pub(in crate::kind) fn port(port: &Field, faults: &mut Faults) {
    match (port.int(), port.str()) {
        (Some(number), _) => names::check_port_number(number).iter().for_each(|fault| faults.invalid(port, fault)),
        (None, Some(name)) => faults.named(port, names::check_port_name(name)),
        (None, None) => faults.push(Cause::required(&port.path, "")),
    }
}
