//! Images from Dockerfiles and templates, from the sources to what runs.

use std::fs;
use std::path::Path;

use wasmk_e2e::Cluster;

fn write(dir: &Path, name: &str, content: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn a_dockerfile_gives_a_read_only_root_with_volumes_over_it() {
    let cluster = Cluster::up();
    cluster.build("worker", "worker:v1");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    write(dir.path(), "conf/settings", "up-to=5\n");
    write(dir.path(), ".dockerignore", "Dockerfile\n");
    write(
        dir.path(),
        "Dockerfile",
        "FROM worker:v1\nARG CONF=none\nCOPY $CONF /etc/report/\nCMD [\"/etc/report/settings\"]\n",
    );
    let built = cluster.wasmk_output(&["build", path, "-t", "report:v1", "--build-arg", "CONF=conf"]);
    assert!(
        built.stderr.contains("[3/4] COPY $CONF /etc/report/") && built.stderr.contains("2 layers"),
        "{}",
        built.stderr
    );
    assert_eq!(built.ok(), "report:v1\n");

    let pod = |name: &str, args: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{restartPolicy: Never, containers: [{{name: w, \
             image: 'report:v1', {args} volumeMounts: [{{name: data, mountPath: /data}}]}}], \
             volumes: [{{name: data, emptyDir: {{}}}}]}}}}"
        )
    };
    cluster.apply(&pod("own", "")).ok();
    cluster.wasmk(&["wait", "pod/own", "--for=jsonpath={.status.phase}=Succeeded", "--timeout", "120s"]);
    assert_eq!(cluster.wasmk(&["logs", "own"]), "wrote /data/report.txt, sum 15\n");
    // The pod's arguments take the place of CMD, not of ENTRYPOINT.
    cluster.apply(&pod("other", "args: [/etc/report/none],")).ok();
    cluster.wasmk(&["wait", "pod/other", "--for=jsonpath={.status.phase}=Failed", "--timeout", "120s"]);
    assert!(cluster.wasmk(&["logs", "other"]).contains("read /etc/report/none"));

    // The same files are the same image; what cannot be built is said by line.
    let digest = || cluster.wasmk(&["build", path, "-q", "-t", "report:v2", "--build-arg", "CONF=conf"]);
    let first = digest();
    assert!(first.starts_with("sha256:") && first == digest(), "{first}");
    write(dir.path(), "Wasmfile", "FROM scratch\nRUN make\n");
    let refused = cluster.wasmk_output(&["build", path, "-t", "report:v3"]);
    assert!(!refused.success && refused.stderr.contains("Wasmfile:2: RUN is not supported"), "{}", refused.stderr);
}

#[test]
fn a_new_project_builds_and_runs() {
    let cluster = Cluster::up();
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("sums");
    let path = project.to_str().unwrap();
    let written = cluster.wasmk(&["new", path, "--template", "worker-c"]);
    assert!(written.contains("deploy.yaml") && written.contains("main.c"), "{written}");
    cluster.wasmk(&["build", path, "-t", "sums:v1"]);
    cluster.wasmk(&["apply", "-f", &format!("{path}/deploy.yaml")]);
    cluster.wasmk(&["wait", "pod/sums", "--for=jsonpath={.status.phase}=Succeeded", "--timeout", "120s"]);
    assert_eq!(cluster.wasmk(&["logs", "sums"]), "the sum of 1 to 1000 is 500500\n");
    let again = cluster.wasmk_output(&["new", path, "--template", "http-rust"]);
    assert!(!again.success && again.stderr.contains("not empty"), "{}", again.stderr);
}
