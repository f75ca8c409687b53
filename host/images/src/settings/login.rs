use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::SettingsError;

/// A user's name and password at a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: String,
}

/// An entry of `auths`.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Auth {
    /// `base64(username:password)`, which wins.
    #[serde(skip_serializing_if = "String::is_empty")]
    auth: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    password: String,
}

/// What a credential helper prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Auth {
    pub(super) fn new(login: &Login) -> Self {
        Self { auth: BASE64_STANDARD.encode(format!("{}:{}", login.username, login.password)), ..Self::default() }
    }

    pub(super) fn login(&self) -> Option<Login> {
        let decoded = BASE64_STANDARD.decode(&self.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (username, password) = pair.unwrap_or((&self.username, &self.password));
        let login = Login { username: username.to_owned(), password: password.trim_end_matches('\0').to_owned() };
        (!login.username.is_empty()).then_some(login)
    }
}

/// The host that a server means, which is written as a host or as a URL. Docker Hub has several names.
pub fn registry_key(server: &str) -> String {
    let rest = server.trim_start_matches("https://").trim_start_matches("http://");
    match rest.split('/').next().unwrap_or(rest) {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

/// Asks one of Docker's credential helpers.
pub(super) fn ask(helper: &str, server: &str, path: &Path) -> Result<Option<Login>, SettingsError> {
    let failed = |why: String| SettingsError::Helper { helper: helper.to_owned(), path: path.to_owned(), why };
    let mut command = Command::new(format!("docker-credential-{helper}"));
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    // A helper that reads nothing is no fault.
    let _ = child.stdin.take().expect("stdin is piped").write_all(server.as_bytes());
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        // Helpers say on stdout that they do not know a server.
        return Ok(None);
    }
    let answer: Answer = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    Ok(Some(Login { username: answer.username, password: answer.secret }))
}

/// A password is not for logs.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}
