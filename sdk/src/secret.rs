use std::fmt::{self, Debug, Display, Formatter};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// What is shown in a secret's place.
const SHOWN: &str = "[secret]";
/// Instead of what a deserializer has to say, which often repeats the value.
const REFUSED: &str = "this secret is not valid (its value is not shown)";

/// A value that does not print itself: neither in logs, nor in errors, nor in what is serialized.
///
/// ```
/// # use wasmk_sdk::Secret;
/// let token = Secret::new("hunter2".to_owned());
/// assert_eq!(format!("{token} {token:?}"), "[secret] Secret([secret])");
/// assert!(token.matches("hunter2"));
/// assert_eq!(token.expose().len(), 7);
/// ```
///
/// It keeps a value from being shown by mistake. It does not hide it from the program's memory, which is the guest's own.
#[derive(Clone, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The name is long so that a reader sees each place that has it.
    pub fn expose(&self) -> &T {
        &self.0
    }

    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T: AsRef<[u8]>> Secret<T> {
    /// Whether `guess` is the same, in a time that tells its length alone.
    pub fn matches(&self, guess: impl AsRef<[u8]>) -> bool {
        let (own, guess) = (self.0.as_ref(), guess.as_ref());
        let differences = own.iter().zip(guess).fold(0, |found, (one, other)| found | (one ^ other));
        own.len() == guess.len() && std::hint::black_box(differences) == 0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Debug for Secret<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({SHOWN})")
    }
}

impl<T> Display for Secret<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SHOWN)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Inner<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Inner<T> {
            type Value = Secret<T>;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a secret value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret<T>, D::Error> {
                T::deserialize(deserializer).map(Secret).map_err(|_| D::Error::custom(REFUSED))
            }
        }

        deserializer.deserialize_newtype_struct("Secret", Inner(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize, serde::Deserialize)]
    struct Login {
        user: String,
        password: Secret<String>,
    }

    #[test]
    fn nothing_shows_it() {
        let login: Login = serde_json::from_str(r#"{"user": "ann", "password": "hunter2"}"#).unwrap();
        assert_eq!(login.password.expose(), "hunter2");
        assert_eq!(serde_json::to_string(&login).unwrap(), r#"{"user":"ann","password":"[secret]"}"#);
        for text in [format!("{login:?}"), format!("{login:#?}"), login.password.to_string()] {
            assert!(!text.contains("hunter2") && text.contains("[secret]"), "{text}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_it() {
        let error = serde_json::from_str::<Secret<u32>>("\"hunter2\"").unwrap_err();
        assert_eq!(error.to_string(), REFUSED);
    }

    #[test]
    fn only_the_same_value_matches() {
        let secret = Secret::new("abc");
        assert!(secret.matches("abc"));
        for guess in ["", "ab", "abd", "abcd"] {
            assert!(!secret.matches(guess), "{guess}");
        }
        assert!(Secret::new(Vec::new()).matches(""));
    }
}
