use std::fmt;
use std::str::FromStr;

use crate::Digest;

/// The name of an image as Docker writes it: `[registry/][namespace/]name[:tag][@sha256:…]`.
///
/// Without a registry it means the cluster's own. Grammar: `distribution/reference`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reference {
    /// `host[:port]`; `None` is the cluster's own.
    pub registry: Option<String>,
    /// `namespace/name`.
    pub repository: String,
    /// `latest` when neither tag nor digest was given.
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

/// Not the name of an image; says which part.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is no image name: {why}")]
pub struct InvalidReference {
    pub text: String,
    pub why: String,
}

const REPOSITORY_LENGTH_MAX: usize = 255;
const TAG_LENGTH_MAX: usize = 128;

impl Reference {
    /// The part after the repository in a registry's URL: the digest when there is one, else the tag.
    pub fn tag_or_digest(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => "latest",
        }
    }

    /// The name under which the store keeps it: registry and repository.
    pub fn full_repository(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None => self.repository.clone(),
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = |why: &str| InvalidReference { text: text.to_owned(), why: why.to_owned() };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse::<Digest>().map_err(|error| invalid(&error.to_string()))?))
            }
            None => (text, None),
        };
        // A colon after the last slash starts the tag; one before it belongs to the registry's port.
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((rest, tag)) if !tag.contains('/') => (rest, Some(tag.to_owned())),
            _ => (rest, None),
        };
        if let Some(tag) = &tag {
            check_tag(tag).map_err(invalid)?;
        }
        let (registry, repository) = match rest.split_once('/') {
            Some((first, repository)) if is_host(first) => (Some(first.to_owned()), repository),
            _ => (None, rest),
        };
        if rest.is_empty() || repository.is_empty() {
            return Err(invalid("the name is missing"));
        }
        if repository.len() > REPOSITORY_LENGTH_MAX {
            return Err(invalid("the name is longer than 255 characters"));
        }
        if !repository.split('/').all(is_component) {
            return Err(invalid(
                "names are lower-case letters and digits, with single . _ - between them, parted by /",
            ));
        }
        let tag = if tag.is_none() && digest.is_none() { Some("latest".to_owned()) } else { tag };
        Ok(Self { registry, repository: repository.to_owned(), tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full_repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The first part is a registry when it looks like a host, as Docker decides it.
fn is_host(text: &str) -> bool {
    let looks_like = text == "localhost" || text.contains('.') || text.contains(':');
    looks_like && text.chars().all(|character| character.is_ascii_alphanumeric() || ".-:[]".contains(character))
}

/// Runs of lower-case letters and digits, with `.`, `_`, `__` or dashes between.
fn is_component(text: &str) -> bool {
    let is_plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let is_separator =
        |run: &str| run == "." || run == "_" || run == "__" || (!run.is_empty() && run.chars().all(|one| one == '-'));
    let separators = text.split(is_plain).filter(|run| !run.is_empty());
    let ends_plain = text.starts_with(is_plain) && text.ends_with(is_plain);
    ends_plain && separators.into_iter().all(is_separator)
}

pub(crate) fn is_repository(text: &str) -> bool {
    !text.is_empty() && text.len() <= REPOSITORY_LENGTH_MAX && text.split('/').all(is_component)
}

pub(crate) fn check_tag(tag: &str) -> Result<(), &'static str> {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let is_valid = tag.len() <= TAG_LENGTH_MAX
        && tag.starts_with(is_word)
        && tag.chars().all(|one| is_word(one) || one == '.' || one == '-');
    if is_valid {
        Ok(())
    } else {
        Err("a tag has up to 128 letters, digits, _ . and -, and starts with none of the last two")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, registry: Option<&str>, repository: &str, tag: Option<&str>) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(
            (reference.registry.as_deref(), reference.repository.as_str(), reference.tag.as_deref()),
            (registry, repository, tag)
        );
    }

    #[test]
    fn names_are_read_as_docker_reads_them() {
        check("hello", None, "hello", Some("latest"));
        check("hello:v1", None, "hello", Some("v1"));
        check("team/hello:v1.2_a", None, "team/hello", Some("v1.2_a"));
        check("localhost:5000/hello", Some("localhost:5000"), "hello", Some("latest"));
        check("ghcr.io/team/hello:v1", Some("ghcr.io"), "team/hello", Some("v1"));
        let digest = format!("hello@sha256:{}", "a".repeat(64));
        check(&digest, None, "hello", None);
        assert_eq!(digest.parse::<Reference>().unwrap().to_string(), digest);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in ["", "Hello", "hello:", "hello:v 1", "a//b", "-a", "a..b", "hello@sha256:12", "ghcr.io/"] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
        assert!("Not A Name".parse::<Reference>().unwrap_err().to_string().contains("lower-case"));
    }
}
