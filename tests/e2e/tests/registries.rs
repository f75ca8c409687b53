//! Images through registries that are not wasmk's, and wasmk's registry with clients that are not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use wasmk_e2e::{Cluster, DockerRegistry, Output, RegistryOptions, eventually, request};

const LIMIT: Duration = Duration::from_secs(60);

/// Where a registry of a test listens: nodes have the first addresses of the subnet.
fn registry(cluster: &Cluster, options: RegistryOptions<'_>) -> DockerRegistry {
    DockerRegistry::start(&cluster.subnet.node(100), options)
}

fn pod(name: &str, image: &str, rest: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{{rest}containers: [{{name: c, image: '{image}'}}]}}}}\n"
    )
}

#[track_caller]
fn runs(cluster: &Cluster, name: &str) {
    cluster.wasmk(&["wait", &format!("pod/{name}"), "--for=condition=Ready", "--timeout", "60s"]);
}

/// Waits until the pod's description has all of these words.
#[track_caller]
fn says(cluster: &Cluster, name: &str, words: &[&str]) {
    eventually(LIMIT, || {
        let text = cluster.wasmk(&["describe", "pod", name]);
        match words.iter().find(|word| !text.contains(**word)) {
            None => Ok(()),
            Some(word) => Err(format!("{word} is not in\n{text}")),
        }
    });
}

#[test]
fn an_image_goes_through_dockers_registry_with_a_password_to_a_node_that_has_nothing() {
    let cluster = Cluster::up();
    let registry = registry(&cluster, RegistryOptions { login: Some(("user", "pass")), ..Default::default() });
    let image = format!("{}/team/hello:v1", registry.host);
    let laptop = |arguments: &[&str]| cluster.elsewhere("laptop", arguments);
    Output::of(&mut laptop(&["build", "sample-apps/hello", "-t", &image, "--no-push"])).ok();

    let refused = Output::of(&mut laptop(&["push", &image])).err();
    assert!(refused.contains("401") && refused.contains(&format!("wasmk login {}", registry.host)), "{refused}");
    let login = ["login", "-u", "user", "--password-stdin", &registry.host];
    let wrong = Output::fed(&mut laptop(&login), b"wrong\n").err();
    assert!(wrong.contains("does not know this user and password"), "{wrong}");
    assert_eq!(Output::fed(&mut laptop(&login), b"pass\n").ok(), "Login Succeeded\n");
    let pushed = Output::of(&mut laptop(&["push", &image]));
    assert!(pushed.stderr.contains("Pushed"), "{}", pushed.stderr);
    assert!(pushed.ok().starts_with("v1: digest: sha256:"));
    let again = Output::of(&mut laptop(&["push", &image]));
    assert!(again.stderr.contains("Already exists"), "{}", again.stderr);
    let out = Output::of(&mut laptop(&["logout", &registry.host])).ok();
    assert!(out.contains("Removing login credentials"), "{out}");

    let secret = "imagePullSecrets: [{name: login}], ";
    cluster.apply(&[pod("anonymous", &image, ""), pod("secret", &image, secret)].concat()).ok();
    says(&cluster, "anonymous", &["ErrImagePull", "401", "imagePullSecrets"]);
    says(&cluster, "secret", &["ImagePullBackOff"]);
    let server = format!("--docker-server={}", registry.host);
    let create = |password: &str| {
        let password = format!("--docker-password={password}");
        let arguments = ["create", "secret", "docker-registry", "login", &server, "--docker-username=user", &password];
        cluster.kubectl(&arguments).ok();
    };
    create("wrong");
    cluster.apply(&pod("wrong", &image, secret)).ok();
    says(&cluster, "wrong", &["ErrImagePull", "401"]);
    cluster.kubectl(&["delete", "secret", "login"]).ok();
    create("pass");
    for name in ["secret", "wrong"] {
        runs(&cluster, name);
    }
    // A login of the node's own does for pods without a secret.
    let own = Output::fed(&mut cluster.command(&login), b"pass\n").ok();
    assert_eq!(own, "Login Succeeded\n");
    runs(&cluster, "anonymous");
}

#[test]
fn a_registry_with_an_authority_of_its_own_is_trusted_once_that_is_configured() {
    let cluster = Cluster::up();
    let (authority, certificate, key) = certificates(&cluster.subnet.node(100));
    let registry = registry(&cluster, RegistryOptions { tls: Some((&certificate, &key)), ..Default::default() });
    let image = format!("{}/hello:v1", registry.host);
    let data = cluster.data_dir().with_file_name("laptop");
    let laptop = |arguments: &[&str]| cluster.elsewhere("laptop", arguments);
    Output::of(&mut laptop(&["build", "sample-apps/hello", "-t", &image, "--no-push"])).ok();
    trust(&data, &registry.host, "not this one");
    let refused = Output::of(&mut laptop(&["push", &image])).err();
    assert!(refused.contains("ca.crt") || refused.contains("certificate"), "{refused}");
    trust(&data, &registry.host, &authority);
    Output::of(&mut laptop(&["push", &image])).ok();

    let (other, _, _) = certificates("127.0.0.1");
    trust(&cluster.data_dir(), &registry.host, &other);
    cluster.apply(&pod("hello", &image, "")).ok();
    says(&cluster, "hello", &["ErrImagePull", "certificate"]);
    trust(&cluster.data_dir(), &registry.host, &authority);
    runs(&cluster, "hello");
}

fn trust(data_dir: &Path, host: &str, authority: &str) {
    let dir = data_dir.join("certs.d").join(host);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("ca.crt"), authority).unwrap();
}

/// An authority, and a certificate and key that it made for an address.
fn certificates(address: &str) -> (String, String, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![address.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (authority_certificate.pem(), certificate.pem(), key.serialize_pem())
}

#[test]
fn what_another_client_pushed_is_run() {
    let cluster = Cluster::up();
    let registry = registry(&cluster, RegistryOptions::default());
    let laptop = |arguments: &[&str]| Output::of(&mut cluster.elsewhere("laptop", arguments));
    laptop(&["build", "sample-apps/hello", "-t", "hello:v1", "--no-push"]).ok();
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("hello.tar");
    laptop(&["save", "hello:v1", "-o", archive.to_str().unwrap()]).ok();

    // skopeo, from the archive.
    let by_skopeo = format!("{}/skopeo/hello:v1", registry.host);
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--dest-tls-verify=false"]);
    skopeo.arg(format!("oci-archive:{}", archive.display())).arg(format!("docker://{by_skopeo}"));
    Output::of(&mut skopeo).ok();

    // A client that follows the specification by hand: the older layer type, and an index with a platform that is not ours.
    let wasm = blob_of(&laptop(&["inspect", "hello:v1", "-f", "{{json .RootFS.Layers}}"]).ok());
    let wasm =
        std::fs::read(cluster.data_dir().with_file_name("laptop").join("images/blobs/sha256").join(wasm)).unwrap();
    let older = push_by_hand(&registry.host, "older", &wasm);
    cluster.apply(&[pod("skopeo", &by_skopeo, ""), pod("older", &older, "")].concat()).ok();
    runs(&cluster, "skopeo");
    runs(&cluster, "older");
}

/// The digits of the first digest in a text.
fn blob_of(text: &str) -> String {
    let (_, rest) = text.split_once("sha256:").expect("a digest");
    rest[..64].to_owned()
}

/// Pushes a module as `application/vnd.wasm.content.layer.v1+wasm`, behind an index; answers its name.
fn push_by_hand(host: &str, repository: &str, wasm: &[u8]) -> String {
    let base = format!("http://{host}/v2/{repository}");
    let send = |method: Method, url: &str, kind: &str, body: &[u8]| {
        let answer = request(method, url, &[("content-type", kind)], body.to_vec()).unwrap();
        assert!((200..300).contains(&answer.status), "{url}: {} {}", answer.status, answer.text());
        answer
    };
    let digest_of = |content: &[u8]| {
        let mut sum = Command::new("sha256sum");
        format!("sha256:{}", &Output::fed(&mut sum, content).ok()[..64])
    };
    let blob = |content: &[u8]| {
        let begun = send(Method::POST, &format!("{base}/blobs/uploads/"), "application/octet-stream", b"");
        let location = begun.header("location");
        let parameter = if location.contains('?') { '&' } else { '?' };
        let digest = digest_of(content);
        send(Method::PUT, &format!("{location}{parameter}digest={digest}"), "application/octet-stream", content);
        digest
    };
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let (config, layer) = (blob(b"{}"), blob(wasm));
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.wasm.config.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": "application/vnd.wasm.content.layer.v1+wasm", "digest": layer, "size": wasm.len()}],
    })
    .to_string();
    let other = manifest.replace("v1+wasm", "v1.tar");
    let mut entries = Vec::new();
    for (content, os, architecture) in [(&other, "linux", "amd64"), (&manifest, "wasi", "wasm")] {
        let digest = digest_of(content.as_bytes());
        send(Method::PUT, &format!("{base}/manifests/{digest}"), MANIFEST, content.as_bytes());
        let platform = serde_json::json!({"os": os, "architecture": architecture});
        entries.push(
            serde_json::json!({"mediaType": MANIFEST, "digest": digest, "size": content.len(), "platform": platform}),
        );
    }
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string();
    send(Method::PUT, &format!("{base}/manifests/v1"), INDEX, index.as_bytes());
    format!("{host}/{repository}:v1")
}

#[test]
fn a_registry_that_dies_mid_pull_is_gone_on_with_where_it_stood() {
    let cluster = Cluster::up();
    let registry = registry(&cluster, RegistryOptions::default());
    let direct = format!("{}/hello:v1", registry.host);
    let laptop = |arguments: &[&str]| Output::of(&mut cluster.elsewhere("laptop", arguments));
    laptop(&["build", "sample-apps/hello", "-t", &direct, "--no-push"]).ok();
    laptop(&["push", &direct]).ok();
    let size: u64 = laptop(&["inspect", &direct, "-f", "{{.Size}}"]).ok().trim().parse().unwrap();

    let line = Line::to(&registry.host, &cluster.subnet.node(101), size / 2);
    let image = format!("{}/hello:v1", line.host);
    let mut pull = cluster.elsewhere("desktop", &["pull", &image]);
    let pulled = Output::of(&mut pull);
    assert!(pulled.stderr.contains("broke off, going on from byte"), "{}", pulled.stderr);
    pulled.ok();
    assert!(line.was_cut.load(Ordering::SeqCst));
    let sent = line.sent.load(Ordering::SeqCst);
    assert!(sent < size * 5 / 4 + (64 << 10), "{sent} bytes were sent for an image of {size}");
    cluster.apply(&pod("hello", &image, "")).ok();
    runs(&cluster, "hello");
}

/// A line to a registry that breaks once, after so many bytes.
struct Line {
    host: String,
    was_cut: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Line {
    fn to(registry: &str, address: &str, cut_after: u64) -> Self {
        let listener = TcpListener::bind((address, 5000)).unwrap();
        let line = Self { host: format!("{address}:5000"), was_cut: Arc::default(), sent: Arc::default() };
        let (was_cut, sent, registry) = (line.was_cut.clone(), line.sent.clone(), registry.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&registry).unwrap();
                let (mut up, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut up, &mut to_server));
                let (was_cut, sent) = (was_cut.clone(), sent.clone());
                std::thread::spawn(move || carry(server, client, &was_cut, &sent, cut_after));
            }
        });
        line
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, was_cut: &AtomicBool, sent: &AtomicU64, cut_after: u64) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
        let so_far = sent.fetch_add(count as u64, Ordering::SeqCst) + count as u64;
        if so_far > cut_after && !was_cut.swap(true, Ordering::SeqCst) {
            let _ = to.shutdown(std::net::Shutdown::Both);
            let _ = from.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// skopeo pushes to, lists, inspects, copies within and deletes from the cluster's registry, with the administrator's
/// certificate.
#[test]
fn an_independent_client_uses_the_clusters_registry() {
    let cluster = Cluster::up();
    let laptop = |arguments: &[&str]| Output::of(&mut cluster.elsewhere("laptop", arguments));
    laptop(&["build", "sample-apps/hello", "-t", "hello:v1", "--no-push"]).ok();
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("hello.tar");
    laptop(&["save", "hello:v1", "-o", archive.to_str().unwrap()]).ok();
    let certificates = dir.path().join("certificates");
    client_certificates(&cluster, &certificates);
    let host = format!("{}:6443", cluster.subnet.node(0));
    let skopeo = |verb: &str, flags: &[&str], names: &[&str]| {
        let mut command = Command::new("skopeo");
        command.arg(verb);
        for flag in flags {
            command.arg(format!("{flag}={}", certificates.display()));
        }
        Output::of(command.args(names)).ok()
    };
    let source = format!("oci-archive:{}", archive.display());
    let (first, second) = (format!("docker://{host}/team/hello:v1"), format!("docker://{host}/other/hello:v2"));
    skopeo("copy", &["--dest-cert-dir"], &[&source, &first]);
    skopeo("copy", &["--src-cert-dir", "--dest-cert-dir"], &[&first, &second]);
    let tags = skopeo("list-tags", &["--cert-dir"], &[&format!("docker://{host}/team/hello")]);
    assert!(tags.contains("\"v1\""), "{tags}");
    let raw = skopeo("inspect", &["--cert-dir"], &["--raw", &first]);
    assert!(raw.contains("application/wasm"), "{raw}");
    cluster.apply(&[pod("first", "team/hello:v1", ""), pod("second", "other/hello:v2", "")].concat()).ok();
    runs(&cluster, "first");
    runs(&cluster, "second");
    skopeo("delete", &["--cert-dir"], &[&first]);
    let mut gone = Command::new("skopeo");
    gone.arg("inspect").arg(format!("--cert-dir={}", certificates.display())).args(["--raw", &first]);
    let said = Output::of(&mut gone).err();
    assert!(said.contains("manifest unknown") || said.contains("not in this registry"), "{said}");
}

/// What the kubeconfig holds, as files in the form of Docker's `certs.d`.
fn client_certificates(cluster: &Cluster, dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    let view = cluster.kubectl(&["config", "view", "--raw", "-o", "json"]).ok();
    let view: serde_json::Value = serde_json::from_str(&view).unwrap();
    let user = &view["users"][0]["user"];
    let parts = [
        ("ca.crt", &view["clusters"][0]["cluster"]["certificate-authority-data"]),
        ("client.cert", &user["client-certificate-data"]),
        ("client.key", &user["client-key-data"]),
    ];
    for (name, data) in parts {
        let mut decode = Command::new("base64");
        let text = Output::fed(decode.arg("-d"), data.as_str().unwrap().as_bytes()).ok();
        std::fs::write(dir.join(name), text).unwrap();
    }
}
