use super::*;

fn login(username: &str, password: &str) -> Login {
    Login { username: username.to_owned(), password: password.to_owned() }
}

#[test]
fn a_login_is_kept_in_dockers_form_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let registries = Registries::alone(dir.path(), None);
    std::fs::write(registries.file(), r#"{"HttpHeaders":{"a":"b"},"auths":{"https://ghcr.io/v1/":{"auth":"eDp5"}}}"#)
        .unwrap();
    assert_eq!(registries.login("ghcr.io").unwrap(), Some(login("x", "y")));
    registries.store_login("ghcr.io", &login("user", "pass:word")).unwrap();
    let text = std::fs::read_to_string(registries.file()).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"HttpHeaders": {"a": "b"}, "auths": {"ghcr.io": {"auth": "dXNlcjpwYXNzOndvcmQ="}}})
    );
    assert_eq!(registries.login("ghcr.io").unwrap(), Some(login("user", "pass:word")));
    assert!(registries.remove_login("ghcr.io").unwrap() && !registries.remove_login("ghcr.io").unwrap());
    assert_eq!(registries.login("ghcr.io").unwrap(), None);
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_a_login() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let registries = Registries::alone(dir.path(), None);
    registries.store_login("ghcr.io", &login("user", "pass")).unwrap();
    let mode = std::fs::metadata(registries.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn logins_made_with_docker_count_after_ours() {
    let (ours, docker) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let json =
        r#"{"auths":{"https://index.docker.io/v1/":{"username":"u","password":"p"},"reg:5000":{"auth":"YTpi"}}}"#;
    std::fs::write(docker.path().join("config.json"), json).unwrap();
    let registries = Registries::alone(ours.path(), Some(docker.path().to_owned()));
    assert_eq!(registries.login("docker.io").unwrap(), Some(login("u", "p")));
    registries.store_login("reg:5000", &login("own", "p")).unwrap();
    assert_eq!(registries.login("reg:5000").unwrap(), Some(login("own", "p")));
}

#[cfg(unix)]
#[test]
fn a_helper_is_asked_for_what_docker_keeps_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let registries = Registries::alone(dir.path(), None);
    std::fs::write(registries.file(), r#"{"credHelpers":{"ghcr.io":"no-such-helper"}}"#).unwrap();
    let error = registries.login("ghcr.io").unwrap_err().to_string();
    assert!(error.contains("docker-credential-no-such-helper"), "{error}");
    assert_eq!(registries.login("other.io").unwrap(), None);
}

#[test]
fn a_broken_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let registries = Registries::alone(dir.path(), None);
    std::fs::write(registries.file(), "{auths").unwrap();
    let error = registries.default_registry().unwrap_err().to_string();
    assert!(error.contains("config.json is no configuration"), "{error}");
}

#[test]
fn authorities_and_plain_http_are_for_one_registry_each() {
    let dir = tempfile::tempdir().unwrap();
    let registries = Registries::alone(dir.path(), None);
    let certs = dir.path().join("certs.d/localhost:5000");
    std::fs::create_dir_all(&certs).unwrap();
    std::fs::write(certs.join("ca.crt"), format!("{BEGIN}\none\n{BEGIN}\ntwo\n")).unwrap();
    std::fs::write(certs.join("client.key"), "no authority").unwrap();
    std::fs::write(registries.file(), r#"{"insecureRegistries":["10.0.0.1:5000"],"defaultRegistry":"ghcr.io/team"}"#)
        .unwrap();
    let site = |host: &str| registries.site(host).unwrap();
    assert_eq!((site("localhost:5000").authorities.len(), site("localhost:5000").insecure), (2, false));
    std::fs::write(certs.join("ca.crt"), "no PEM").unwrap();
    assert!(registries.site("localhost:5000").unwrap_err().to_string().contains("holds no certificate"));
    assert!(site("localhost:5001").insecure && site("10.0.0.1:5000").insecure && !site("10.0.0.2:5000").insecure);
    assert_eq!(registries.default_registry().unwrap().as_deref(), Some("ghcr.io/team"));
}

#[test]
fn only_loopback_hosts_are_asked_without_tls() {
    for host in ["localhost", "localhost:5000", "127.0.0.1:80", "127.1.2.3", "[::1]:5000"] {
        assert!(is_loopback(host), "{host}");
    }
    for host in ["ghcr.io", "localhost.evil.com", "10.0.0.1:5000", "127.0.0.1.evil.com:80"] {
        assert!(!is_loopback(host), "{host}");
    }
}
