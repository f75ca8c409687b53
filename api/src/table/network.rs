use serde_json::{Value, json};

use super::service::shortened;
use super::workload::selector;
use super::{AGE, Columns, NAME, age, array, name, or_none, str_of, text};

pub static INGRESS: Columns = Columns {
    definitions: &[
        NAME,
        text("Class", 0, "The class of controllers that act on it."),
        text("Hosts", 0, "The hosts that its rules are for."),
        text("Address", 0, "Where it is reached."),
        text("Ports", 0, "On which ports it is reached."),
        AGE,
    ],
    row: |object, now| {
        let spec = &object["spec"];
        let annotated = &object["metadata"]["annotations"]["kubernetes.io/ingress.class"];
        let class = spec["ingressClassName"].as_str().or(annotated.as_str()).unwrap_or("<none>");
        let hosts: Vec<&str> =
            array(&spec["rules"]).map(|rule| str_of(&rule["host"])).filter(|host| !host.is_empty()).collect();
        let hosts = if hosts.is_empty() { "*".to_owned() } else { shortened(&hosts) };
        let secure = array(&spec["tls"]).next().is_some();
        let ports = if secure { "80, 443" } else { "80" };
        vec![name(object), json!(class), json!(hosts), json!(addresses(object)), json!(ports), age(object, now)]
    },
};

fn addresses(ingress: &Value) -> String {
    let points = array(&ingress["status"]["loadBalancer"]["ingress"]);
    let shown = points.map(|point| point["ip"].as_str().unwrap_or_else(|| str_of(&point["hostname"])));
    shown.collect::<Vec<_>>().join(",")
}

pub static INGRESSCLASS: Columns = Columns {
    definitions: &[
        NAME,
        text("Controller", 0, "Who acts on Ingresses of the class."),
        text("Parameters", 0, "What configures that controller."),
        AGE,
    ],
    row: |object, now| {
        let parameters = &object["spec"]["parameters"];
        let shown = match (str_of(&parameters["kind"]), str_of(&parameters["apiGroup"])) {
            ("", _) => "<none>".to_owned(),
            (kind, "") => format!("{kind}/{}", str_of(&parameters["name"])),
            (kind, group) => format!("{kind}.{group}/{}", str_of(&parameters["name"])),
        };
        vec![name(object), object["spec"]["controller"].clone(), json!(shown), age(object, now)]
    },
};

pub static NETWORKPOLICY: Columns = Columns {
    definitions: &[NAME, text("Pod-Selector", 0, "Which pods it is for."), AGE],
    row: |object, now| vec![name(object), json!(selector(&object["spec"]["podSelector"])), age(object, now)],
};

pub static ENDPOINTS: Columns = Columns {
    definitions: &[NAME, text("Endpoints", 0, "The addresses that are ready."), AGE],
    row: |object, now| {
        let all: Vec<String> = array(&object["subsets"]).flat_map(endpoints).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let shown = if all.is_empty() { or_none(String::new()) } else { shortened(&all) };
        vec![name(object), json!(shown), age(object, now)]
    },
};

fn endpoints(subset: &Value) -> Vec<String> {
    let addresses = || array(&subset["addresses"]).map(|address| str_of(&address["ip"]));
    let ports: Vec<&Value> = array(&subset["ports"]).map(|port| &port["port"]).collect();
    if ports.is_empty() {
        return addresses().map(str::to_owned).collect();
    }
    ports.iter().flat_map(|port| addresses().map(move |address| format!("{address}:{port}"))).collect()
}
