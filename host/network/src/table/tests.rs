use serde_json::{Value, json};

use super::*;

#[derive(Default)]
struct World {
    loads: crate::load::Loads,
    services: Vec<Arc<Service>>,
    slices: Vec<Arc<EndpointSlice>>,
    nodes: Vec<NodeAddress>,
}

impl World {
    fn service(mut self, name: &str, spec: Value) -> Self {
        self.services.push(service(name, spec));
        self
    }

    fn slice(mut self, service: &str, endpoints: Value) -> Self {
        self.slices.push(slice(service, json!([{"name": "", "port": 8080, "appProtocol": "http"}]), endpoints));
        self
    }

    fn node(mut self, name: &str, ip: &str, cidr: &str) -> Self {
        let (ip, pod_cidr) = (ip.parse().unwrap(), Some(cidr.parse().unwrap()));
        self.nodes.push(NodeAddress { name: name.into(), ip, port: 10250, pod_cidr });
        self
    }

    fn build(&self, previous: Option<&ServiceTable>) -> ServiceTable {
        ServiceTable::build(&TableInput {
            local_node: "a",
            local_cidr: Some("10.64.0.0/20".parse().unwrap()),
            cluster_domain: "cluster.local",
            services: &self.services,
            slices: &self.slices,
            nodes: &self.nodes,
            loads: &self.loads,
            previous,
        })
    }
}

fn service(name: &str, spec: Value) -> Arc<Service> {
    let object = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": name}, "spec": spec});
    Arc::new(serde_json::from_value(object).unwrap())
}

fn slice(service: &str, ports: Value, endpoints: Value) -> Arc<EndpointSlice> {
    let object = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "default", "name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
        "ports": ports, "endpoints": endpoints,
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn endpoint(ip: &str, node: &str, ready: bool, serving: bool, terminating: bool) -> Value {
    let conditions = json!({"ready": ready, "serving": serving, "terminating": terminating});
    json!({"addresses": [ip], "nodeName": node, "conditions": conditions})
}

fn ready(ip: &str, node: &str) -> Value {
    endpoint(ip, node, true, true, false)
}

fn node_port() -> Value {
    json!({"type": "NodePort", "clusterIP": "10.43.0.10", "ports": [{"port": 80, "nodePort": 30080}]})
}

fn hello(endpoints: Value) -> World {
    World::default()
        .service("hello", node_port())
        .slice("hello", endpoints)
        .node("a", "127.0.0.2", "10.64.0.0/20")
        .node("b", "127.0.0.3", "10.64.16.0/20")
}

fn with(mut spec: Value, field: &str, value: Value) -> Value {
    spec[field] = value;
    spec
}

fn addresses(port: &ServicePort) -> Vec<String> {
    port.endpoints().iter().map(|endpoint| endpoint.address.to_string()).collect()
}

fn pick(port: &ServicePort, frontend: Frontend) -> Result<String, String> {
    let picked = port.pick(frontend, None, &Tried::default());
    picked.map(|endpoint| endpoint.address.to_string()).map_err(|error| error.to_string())
}

#[test]
fn a_node_port_and_its_cluster_ip_lead_to_the_ready_endpoints() {
    let world = hello(json!([
        ready("10.64.0.5", "a"),
        ready("10.64.16.5", "b"),
        endpoint("10.64.0.6", "a", false, false, false)
    ]));
    let table = world.build(None);
    let port = table.front(30080).unwrap();
    assert_eq!(addresses(port), ["10.64.0.5:8080", "10.64.16.5:8080"]);
    assert!(matches!(port.endpoints()[0].place, Place::Local));
    assert!(matches!(&port.endpoints()[1].place, Place::Node(node) if &*node.name == "b"));
    assert!(port.protocol.is_http());
    assert!(Arc::ptr_eq(port, table.by_cluster_address("10.43.0.10:80".parse().unwrap()).unwrap()));
    assert!(table.by_cluster_address("10.43.0.10:81".parse().unwrap()).is_none());
}

#[test]
fn terminating_endpoints_serve_only_when_none_is_ready() {
    let leaving = endpoint("10.64.0.5", "a", false, true, true);
    let both = hello(json!([leaving, ready("10.64.0.6", "a")])).build(None);
    assert_eq!(addresses(both.front(30080).unwrap()), ["10.64.0.6:8080"]);
    let alone = hello(json!([leaving, endpoint("10.64.0.7", "a", false, false, true)])).build(None);
    assert_eq!(addresses(alone.front(30080).unwrap()), ["10.64.0.5:8080"]);
}

#[test]
fn an_unready_service_says_so() {
    let table = hello(json!([endpoint("10.64.0.6", "a", false, false, false)])).build(None);
    let refused = pick(table.front(30080).unwrap(), Frontend::External).unwrap_err();
    assert_eq!(refused, "service default/hello has no ready endpoints (1 pod is not ready)");
    let table = hello(json!([])).build(None);
    let refused = pick(table.front(30080).unwrap(), Frontend::External).unwrap_err();
    assert_eq!(refused, "service default/hello has no ready endpoints");
}

#[test]
fn local_policies_keep_traffic_on_the_node() {
    let both = json!([ready("10.64.0.5", "a"), ready("10.64.16.5", "b")]);
    let mut world = hello(both);
    world.services = vec![service("hello", with(node_port(), "externalTrafficPolicy", "Local".into()))];
    let table = world.build(None);
    for _ in 0..50 {
        assert_eq!(pick(table.front(30080).unwrap(), Frontend::External).unwrap(), "10.64.0.5:8080");
    }
    let remote = hello(json!([ready("10.64.16.5", "b")]));
    let world = World { services: world.services, ..remote };
    let table = world.build(None);
    assert_eq!(
        pick(table.front(30080).unwrap(), Frontend::External).unwrap_err(),
        "service default/hello has no ready endpoints on this node, and its traffic policy is Local"
    );
    assert_eq!(pick(table.front(30080).unwrap(), Frontend::Internal).unwrap(), "10.64.16.5:8080");
}

#[test]
fn endpoints_on_a_node_that_is_down_are_passed_over() {
    let table = hello(json!([ready("10.64.0.5", "a"), ready("10.64.16.5", "b")])).build(None);
    let Place::Node(b) = &table.front(30080).unwrap().endpoints()[1].place else { panic!("on b") };
    b.set_down(true);
    for _ in 0..50 {
        assert_eq!(pick(table.front(30080).unwrap(), Frontend::External).unwrap(), "10.64.0.5:8080");
    }
    let table = hello(json!([ready("10.64.16.5", "b")])).build(Some(&table));
    assert_eq!(
        pick(table.front(30080).unwrap(), Frontend::External).unwrap_err(),
        "service default/hello has ready endpoints only on nodes that do not answer: b"
    );
}

#[test]
fn the_less_busy_of_two_is_picked() {
    let table = hello(json!([ready("10.64.0.5", "a"), ready("10.64.0.6", "a")])).build(None);
    let port = table.front(30080).unwrap();
    let _busy = port.endpoints()[0].load.enter();
    for _ in 0..50 {
        assert_eq!(pick(port, Frontend::External).unwrap(), "10.64.0.6:8080");
    }
}

#[test]
fn equally_busy_endpoints_are_all_picked() {
    let all = ["10.64.0.5", "10.64.0.6", "10.64.0.7"].map(|ip| ready(ip, "a"));
    let table = hello(json!(all)).build(None);
    let port = table.front(30080).unwrap();
    let picked: std::collections::BTreeSet<_> = (0..200).map(|_| pick(port, Frontend::External).unwrap()).collect();
    assert_eq!(picked.len(), 3);
}

#[test]
fn a_draining_pod_is_the_last_choice() {
    let table = hello(json!([ready("10.64.0.5", "a"), ready("10.64.0.6", "a")])).build(None);
    let port = table.front(30080).unwrap();
    port.endpoints()[0].load.set_draining();
    let mut tried = Tried::default();
    for _ in 0..50 {
        assert_eq!(port.pick(Frontend::External, None, &tried).unwrap().address.ip().to_string(), "10.64.0.6");
    }
    tried.add("10.64.0.6:8080".parse().unwrap());
    assert_eq!(port.pick(Frontend::External, None, &tried).unwrap().address.ip().to_string(), "10.64.0.5");
    tried.add("10.64.0.5:8080".parse().unwrap());
    assert!(port.pick(Frontend::External, None, &tried).is_err());
}

#[test]
fn client_ip_affinity_outlives_a_new_table_and_ends_with_the_endpoint() {
    let spec = with(node_port(), "sessionAffinity", "ClientIP".into());
    let all: Vec<_> = (1..=20).map(|n| ready(&format!("10.64.0.{n}"), "a")).collect();
    let mut world = hello(json!(all));
    world.services = vec![service("hello", spec.clone())];
    let client = Some("192.0.2.1".parse().unwrap());
    let of = |table: &ServiceTable| {
        let port = table.front(30080).unwrap().clone();
        port.pick(Frontend::External, client, &Tried::default()).unwrap().address
    };
    let first_table = world.build(None);
    let first = of(&first_table);
    world.services = vec![service("hello", spec)];
    let second_table = world.build(Some(&first_table));
    assert!((0..50).all(|_| of(&second_table) == first));
    let rest: Vec<_> = all.into_iter().filter(|e| e["addresses"][0] != first.ip().to_string()).collect();
    world.slices = hello(json!(rest)).slices;
    let third_table = world.build(Some(&second_table));
    let third = of(&third_table);
    assert_ne!(third, first);
    assert!((0..50).all(|_| of(&third_table) == third));
}

#[test]
fn affinity_ends_after_its_timeout() {
    use std::time::Instant;
    let affinity = Affinity::new(Duration::from_secs(10));
    let (client, endpoint) = ("192.0.2.1".parse().unwrap(), "10.64.0.1:80".parse().unwrap());
    let start = Instant::now();
    affinity.remember(client, endpoint, start);
    assert_eq!(affinity.of(client, start + Duration::from_secs(9)), Some(endpoint));
    assert_eq!(affinity.of(client, start + Duration::from_secs(10)), None);
}

#[test]
fn what_did_not_change_is_kept() {
    let world = hello(json!([ready("10.64.16.5", "b")])).service("other", json!({"clusterIP": "10.43.0.11"}));
    let first = world.build(None);
    let Place::Node(node) = &first.front(30080).unwrap().endpoints()[0].place else { panic!("on b") };
    node.set_down(true);
    let mut world = world;
    world.services[1] = service("other", json!({"clusterIP": "10.43.0.12"}));
    let second = world.build(Some(&first));
    let of = |table: &ServiceTable, name| table.service("default", name).unwrap().clone();
    assert!(Arc::ptr_eq(&of(&first, "hello"), &of(&second, "hello")));
    assert!(!Arc::ptr_eq(&of(&first, "other"), &of(&second, "other")));
    // A node that comes back elsewhere starts anew, and the endpoints follow it.
    world.nodes[1].port = 10251;
    let third = world.build(Some(&second));
    assert!(matches!(&third.front(30080).unwrap().endpoints()[0].place, Place::Node(node) if !node.is_down()));
}

#[test]
fn the_oldest_service_has_the_port_and_the_other_learns_who() {
    let balancer = json!({"type": "LoadBalancer", "clusterIP": "10.43.0.10", "ports": [{"port": 8080}]});
    let mut world = World::default().service("a-new", balancer.clone()).service("z-old", balancer);
    let stamp = |world: &mut World, index: usize, time: &str| {
        let service = Arc::make_mut(&mut world.services[index]);
        service.metadata.creation_timestamp = Some(serde_json::from_value(time.into()).unwrap());
    };
    stamp(&mut world, 0, "2026-01-02T00:00:00Z");
    stamp(&mut world, 1, "2026-01-01T00:00:00Z");
    let table = world.build(None);
    assert_eq!(&*table.front(8080).unwrap().service.name, "z-old");
    assert_eq!(table.claims().len(), 1);
    assert_eq!(&*table.claims()[0].service.name, "a-new");
    assert_eq!(table.claims()[0].why, ClaimProblem::TakenBy(table.front(8080).unwrap().service.clone()));
}

#[test]
fn udp_is_refused_by_name() {
    let spec = json!({"type": "NodePort", "clusterIP": "10.43.0.10", "ports": [{"name": "dns", "port": 53, "nodePort": 30053, "protocol": "UDP"}]});
    let table = World::default().service("dns", spec).build(None);
    assert!(table.front(30053).is_none());
    assert_eq!(table.claims()[0].why, ClaimProblem::Protocol("UDP".into()));
}

#[test]
fn slices_meet_service_ports_by_name() {
    let spec =
        json!({"clusterIP": "10.43.0.10", "ports": [{"name": "web", "port": 80}, {"name": "admin", "port": 81}]});
    let mut world = World::default().service("two", spec);
    let ports = json!([{"name": "web", "port": 8080, "appProtocol": "http"}, {"name": "admin", "port": 9090}]);
    world.slices.push(slice("two", ports, json!([ready("10.64.0.5", "a")])));
    let table = world.build(None);
    let entry = table.service("default", "two").unwrap();
    assert_eq!(addresses(entry.port(80).unwrap()), ["10.64.0.5:8080"]);
    assert_eq!(addresses(entry.port(81).unwrap()), ["10.64.0.5:9090"]);
    assert!(entry.port(80).unwrap().protocol.is_http());
    assert_eq!(entry.port(81).unwrap().protocol, AppProtocol::Tcp);
}

fn names() -> ServiceTable {
    let pods = json!([
        {"addresses": ["10.64.0.7"], "hostname": "db-0", "nodeName": "a"},
        {"addresses": ["10.64.0.8"], "hostname": "db-1", "nodeName": "a", "conditions": {"ready": false}},
    ]);
    World::default()
        .service("hello", node_port())
        .service("db", json!({"clusterIP": "None", "ports": [{"port": 5432}]}))
        .service("alias", json!({"type": "ExternalName", "externalName": "hello.default.svc.cluster.local"}))
        .service("far", json!({"type": "ExternalName", "externalName": "example.com"}))
        .service("circle", json!({"type": "ExternalName", "externalName": "circle.default.svc.cluster.local"}))
        .slice("db", pods)
        .build(None)
}

#[track_caller]
fn check_name(namespace: &str, host: &str, expected: &str) {
    let table = names();
    let answer = match table.lookup(namespace, host) {
        Resolution::Service(service) => format!("{} {:?}", service.name, service.addresses()),
        Resolution::Pod(ip) => ip.to_string(),
        Resolution::Outside(name) => format!("outside {name}"),
        Resolution::Unknown => "unknown".into(),
    };
    assert_eq!(answer, expected, "{host} from {namespace}");
}

#[test]
fn names_resolve_as_in_kubernetes() {
    let hello = "default/hello [10.43.0.10]";
    check_name("default", "hello", hello);
    check_name("default", "HELLO.", hello);
    check_name("other", "hello", "unknown");
    check_name("other", "hello.default", hello);
    check_name("other", "hello.default.svc", hello);
    check_name("other", "hello.default.svc.cluster.local", hello);
    check_name("other", "hello.default.svc.cluster.local.", hello);
    check_name("default", "nothing.default.svc.cluster.local", "unknown");
    check_name("default", "nothing.default.svc", "unknown");
    check_name("default", "db", "default/db [10.64.0.7]");
    check_name("default", "db-0.db", "10.64.0.7");
    check_name("other", "db-0.db.default.svc.cluster.local", "10.64.0.7");
    check_name("default", "db-9.db.default.svc.cluster.local", "unknown");
    check_name("default", "10-64-0-9.default.pod.cluster.local", "10.64.0.9");
    check_name("default", "alias", hello);
    check_name("default", "far", "outside example.com");
    check_name("default", "circle", "unknown");
    check_name("default", "www.example.com", "outside www.example.com");
}
