use std::fmt::{self, Display, Formatter};
use std::path::Path;

use serde::de;

use super::Config;
use super::source::{Found, Origin};

/// What is wrong with a setting, where, and what to change. Never has the value of a secret in it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// The same while it is on its way up through the deserializers, which add what they know.
#[derive(Debug)]
pub(super) struct Problem {
    kind: Kind,
    /// Fields that lead to the setting, the outermost first.
    path: Vec<String>,
    at: Option<Found>,
}

#[derive(Debug)]
enum Kind {
    /// A field of the struct has no value.
    Missing,
    /// The value is not what the word says it should be; the word has nothing of the value.
    NotA(String),
    /// A type's own words, which may repeat the value.
    Refused(String),
    /// The file and what is the matter with it.
    Unreadable(Origin, String),
}

impl Problem {
    pub(super) fn not_a(expected: &str) -> Self {
        Self::new(Kind::NotA(expected.to_owned()))
    }

    pub(super) fn unreadable(path: &Path, why: String) -> Self {
        Self::new(Kind::Unreadable(Origin::File(path.to_owned()), why))
    }

    fn new(kind: Kind) -> Self {
        Self { kind, path: Vec::new(), at: None }
    }

    /// It is about this field, or something within.
    pub(super) fn within(mut self, field: &str) -> Self {
        self.path.insert(0, field.to_owned());
        self
    }

    pub(super) fn with_value(mut self, found: &Found) -> Self {
        self.at.get_or_insert_with(|| found.clone());
        self
    }

    /// As a user should read it.
    pub(super) fn told(self, config: &Config) -> ConfigError {
        let setting = match self.path.as_slice() {
            [] => "the settings".to_owned(),
            path => format!("setting {}", path.join(".")),
        };
        ConfigError(match self.kind {
            Kind::Missing => format!("{setting} is missing: {}", remedy(config, &self.path)),
            Kind::Unreadable(origin, why) => {
                format!("{setting}: {origin} {why}; mount it, or correct its path or content")
            }
            Kind::NotA(expected) => match self.at {
                Some(Found { text, origin }) => {
                    format!("{setting}: {:?} in {origin} is not {expected}; correct it", short(&text))
                }
                None => format!("{setting}: wants {expected}"),
            },
            Kind::Refused(why) => match self.at {
                Some(Found { origin, .. }) => format!("{setting}: {origin}: {why}; correct it"),
                None => format!("{setting}: {why}"),
            },
        })
    }
}

/// How a setting can be given.
fn remedy(config: &Config, path: &[String]) -> String {
    let fields: Vec<&str> = path.iter().map(String::as_str).collect();
    let variable = format!("set the environment variable {}", config.variable_of(&fields));
    let dirs: Vec<String> = config
        .dirs
        .iter()
        .map(|dir| {
            let mounted = if dir.is_dir() { "" } else { " (which is not mounted now)" };
            format!("{}{mounted}", dir.display())
        })
        .collect();
    match dirs.is_empty() {
        true => format!("{variable} (env in the manifest)"),
        false => format!(
            "{variable}, or mount a ConfigMap or Secret with the key {} at {}",
            fields.join("."),
            dirs.join(" or ")
        ),
    }
}

/// Enough of a value to know it by.
fn short(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl de::Error for Problem {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Kind::Refused(message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::Missing).within(field)
    }
}

impl std::error::Error for Problem {}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path.join("."), self.kind)
    }
}
