//! A whole small service with the SDK. Notes are files in the volume at `/data`. Everyone may read them; who writes needs the
//! token of the Secret.
//!
//! `GET /notes`, `GET /notes/{name}`, `PUT /notes/{name}` with `{"text": "…"}`, `DELETE /notes/{name}`.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wasmk_sdk::http::{Error, HeaderMap, Health, Json, OrStatus, Path, Router, State, StatusCode, get};
use wasmk_sdk::{Config, ConfigError, Secret, tracing};

wasmk_sdk::serve!(app);

const ROOT: &str = "/data";

#[derive(Clone, Deserialize)]
struct Settings {
    token: Secret<String>,
    #[serde(default = "characters_max")]
    characters_max: usize,
}

#[derive(Serialize, Deserialize)]
struct Note {
    text: String,
}

fn characters_max() -> usize {
    1000
}

fn app() -> Result<Router, ConfigError> {
    let settings: Settings = Config::from_env().dir("/etc/notes").dir("/etc/notes-secret").load()?;
    let health = Health::new().check("volume", async || Ok(fs::read_dir(ROOT).map(drop)?));
    let one = get(read).put(write).delete(remove);
    Ok(Router::new().route("/notes", get(list)).route("/notes/{name}", one).with_state(settings).merge(health.routes()))
}

async fn list() -> Result<Json<Vec<String>>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(ROOT)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(Json(names))
}

async fn read(Path(name): Path<String>) -> Result<Json<Note>, Error> {
    match fs::read_to_string(file(&name)?) {
        Ok(text) => Ok(Json(Note { text })),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(missing(&name)),
        Err(error) => Err(error.into()),
    }
}

async fn write(
    State(settings): State<Settings>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(note): Json<Note>,
) -> Result<StatusCode, Error> {
    check_token(&settings, &headers)?;
    let (characters, max) = (note.text.chars().count(), settings.characters_max);
    if characters > max {
        return Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a note has {max} characters at most")));
    }
    fs::write(file(&name)?, note.text)?;
    tracing::info!(name, characters, "written");
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(
    State(settings): State<Settings>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Error> {
    check_token(&settings, &headers)?;
    match fs::remove_file(file(&name)?) {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(missing(&name)),
        Err(error) => Err(error.into()),
    }
}

/// Names are kept simple, so that none is a path.
fn file(name: &str) -> Result<PathBuf, Error> {
    let is_plain = name.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
    let name = (is_plain && name.len() <= 100).then_some(name);
    let name = name.or_status(StatusCode::BAD_REQUEST, "a name has up to 100 letters, digits and hyphens")?;
    Ok(PathBuf::from(ROOT).join(name))
}

fn check_token(settings: &Settings, headers: &HeaderMap) -> Result<(), Error> {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match given {
        Some(token) if settings.token.matches(token) => Ok(()),
        _ => Err(Error::new(StatusCode::UNAUTHORIZED, "writing needs the token of the Secret notes")),
    }
}

fn missing(name: &str) -> Error {
    Error::new(StatusCode::NOT_FOUND, format!("there is no note {name}"))
}
