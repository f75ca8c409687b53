//! Typed configuration out of the environment and mounted files.
//!
//! A setting is a field of a type that derives `Deserialize`. Its value comes from the first of these that has it, `token`
//! being the field:
//!
//! 1. the environment variable `TOKEN` (`env` or `envFrom` in the manifest);
//! 2. the file that the environment variable `TOKEN_FILE` names;
//! 3. a file of a mounted directory ([`Config::dir`]), such as a ConfigMap's or a Secret's volume: `token`, `TOKEN`, or
//!    `token.json`. One newline at its end is not part of the value.
//!
//! A field that is a struct has its settings in `database.host`, `database_host` or `database-host`, in the environment as
//! `DATABASE_HOST`; or all of them in one JSON value. Lists are separated by commas or are JSON; durations are [`duration`].
//! `Option` and `#[serde(default)]` mean what they do everywhere. What is wrong is said with the name of the variable or
//! file, and what to change; the value of a [`Secret`](crate::Secret) is never part of that.
//!
//! ```
//! # use serde::Deserialize;
//! # use wasmk_sdk::{Config, Secret};
//! #[derive(Deserialize)]
//! struct Settings {
//!     greeting: String,
//!     #[serde(default)]
//!     languages: Vec<String>,
//!     token: Option<Secret<String>>,
//! }
//!
//! let config = Config::of([("GREETING", "Hello"), ("LANGUAGES", "en, de")]).dir("/etc/hello");
//! let settings: Settings = config.load()?;
//! assert_eq!(settings.languages, ["en", "de"]);
//!
//! let error = Config::of([("LANGUAGES", "en")]).dir("/etc/hello").load::<Settings>().err().unwrap();
//! assert_eq!(
//!     error.to_string(),
//!     "setting greeting is missing: set the environment variable GREETING, or mount a ConfigMap or Secret with the key \
//!      greeting at /etc/hello (which is not mounted now)"
//! );
//! # Ok::<(), wasmk_sdk::ConfigError>(())
//! ```

mod error;
mod read;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};

pub use error::ConfigError;

/// Where settings come from.
///
/// A handler has a fresh instance for each request, so what it loads is always what is mounted now.
#[derive(Clone, Debug, Default)]
pub struct Config {
    env: BTreeMap<String, String>,
    /// Before the names of all variables, with its underscore.
    prefix: String,
    dirs: Vec<PathBuf>,
}

impl Config {
    /// The guest's own environment. Variables that are not Unicode are left out.
    pub fn from_env() -> Self {
        let env =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { env: env.collect(), ..Self::default() }
    }

    /// An environment of these variables, for tests.
    pub fn of<N: Into<String>, V: Into<String>>(env: impl IntoIterator<Item = (N, V)>) -> Self {
        let env = env.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { env: env.collect(), ..Self::default() }
    }

    /// Environment variables begin with this and an underscore.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = format!("{}_", source::variable(prefix));
        self
    }

    /// One more directory with a file for each setting; those that were named before come first.
    pub fn dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.dirs.push(path.into());
        self
    }

    /// Reads the settings of `T`, which is a struct.
    pub fn load<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        T::deserialize(read::Reader::root(self)).map_err(|problem| problem.told(self))
    }
}

/// For fields: `#[serde(deserialize_with = "wasmk_sdk::config::duration")]` takes `500ms`, `30s` or `1h 30m`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| D::Error::custom(format!("no duration such as 500ms or 30s: {error}")))
}

#[cfg(test)]
mod tests;
