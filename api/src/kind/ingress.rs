use std::net::IpAddr;

use super::{Kind, table};
use crate::field::{Faults, Field};
use crate::{Cause, names};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["ing"],
        columns: &table::INGRESS,
        subresources: &["status"],
        has_generation: true,
        has_status: true,
        validate,
        inert: Some("nothing acts on Ingresses: use a Service of type NodePort or LoadBalancer"),
        ..Kind::plain("networking.k8s.io", "v1", "Ingress", "IngressList", "ingresses", "ingress")
    }
}

/// Source: `ValidateIngress` of `k8s.io/kubernetes/pkg/apis/networking/validation`.
fn validate(ingress: &Field, faults: &mut Faults) {
    let spec = ingress.get("spec");
    let (rules, fallback) = (spec.get("rules"), spec.get("defaultBackend"));
    if rules.is_empty() && !fallback.is_set() {
        faults.invalid(&spec, "either `defaultBackend` or `rules` must be specified");
    }
    if fallback.is_set() {
        backend(&fallback, faults);
    }
    let class = spec.get("ingressClassName");
    if class.is_set() {
        faults.named(&class, names::check_dns1123_subdomain(class.text()));
    }
    for rule in rules.items() {
        host(&rule.get("host"), faults);
        let http = rule.get("http");
        if http.is_set() {
            faults.require(&http.get("paths"), "");
            http.get("paths").items().for_each(|one| path(&one, faults));
        }
    }
    for tls in spec.get("tls").items() {
        tls.get("hosts").items().for_each(|one| host(&one, faults));
    }
}

fn host(host: &Field, faults: &mut Faults) {
    if host.is_empty() {
        return;
    }
    if host.text().parse::<IpAddr>().is_ok() {
        faults.invalid(host, "must be a DNS name, not an IP address");
    }
    let name = host.text().strip_prefix("*.").unwrap_or(host.text());
    faults.named(host, names::check_dns1123_subdomain(name));
}

fn path(path: &Field, faults: &mut Faults) {
    let (kind, text) = (path.get("pathType"), path.get("path"));
    match kind.text() {
        "" => faults.push(Cause::required(&kind.path, "pathType must be specified")),
        "Exact" | "Prefix" if !text.text().starts_with('/') => faults.invalid(&text, "must be an absolute path"),
        _ => faults.one_of(&kind, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    backend(&path.get("backend"), faults);
}

fn backend(backend: &Field, faults: &mut Faults) {
    let (service, resource) = (backend.get("service"), backend.get("resource"));
    match (service.is_set(), resource.is_set()) {
        (true, true) => faults.invalid(backend, "cannot set both resource and service backends"),
        (false, false) => faults.push(Cause::required(&backend.path, "service or resource backend is required")),
        (false, true) => {
            faults.require(&resource.get("kind"), "");
            faults.require(&resource.get("name"), "");
        }
        (true, false) => {
            if faults.require(&service.get("name"), "") {
                faults.named(&service.get("name"), names::check_dns1035_label(service.get("name").text()));
            }
            port(&service, faults);
        }
    }
}

fn port(service: &Field, faults: &mut Faults) {
    let port = service.get("port");
    let (name, number) = (port.get("name"), port.get("number"));
    match (name.is_empty(), number.int().unwrap_or(0)) {
        (true, 0) => faults.push(Cause::required(&port.path, "port name or number is required")),
        (false, 0) => faults.named(&name, names::check_port_name(name.text())),
        (true, port) => faults.causes.extend(
            names::check_port_number(port).iter().map(|fault| Cause::invalid(&number.path, number.value, fault)),
        ),
        (false, _) => faults.invalid(&port, "cannot set both port name & port number"),
    }
}
