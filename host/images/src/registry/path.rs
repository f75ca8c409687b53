use super::answer::{Code, Failure};
use crate::Digest;
use crate::reference::is_repository;

/// What a path below `/v2/NAME/` means.
#[derive(PartialEq, Debug)]
pub(super) enum Resource<'a> {
    /// By tag or digest.
    Manifest(&'a str),
    Blob(Digest),
    Uploads,
    Upload(&'a str),
    Tags,
    Referrers(Digest),
}

/// Splits a path (without `/v2/`) into the repository, whose name may have slashes, and the rest.
pub(super) fn parse(path: &str) -> Result<(&str, Resource<'_>), Failure> {
    let (name, resource) = if let Some((name, reference)) = path.rsplit_once("/manifests/") {
        (name, Resource::Manifest(reference))
    } else if let Some(name) = path.strip_suffix("/blobs/uploads/").or_else(|| path.strip_suffix("/blobs/uploads")) {
        (name, Resource::Uploads)
    } else if let Some((name, id)) = path.rsplit_once("/blobs/uploads/") {
        let is_id = !id.is_empty() && id.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
        if !is_id {
            return Err(Failure::new(Code::BlobUploadUnknown, "there is no such upload"));
        }
        (name, Resource::Upload(id))
    } else if let Some((name, digest)) = path.rsplit_once("/blobs/") {
        (name, Resource::Blob(parse_digest(digest)?))
    } else if let Some((name, digest)) = path.rsplit_once("/referrers/") {
        (name, Resource::Referrers(parse_digest(digest)?))
    } else if let Some(name) = path.strip_suffix("/tags/list") {
        (name, Resource::Tags)
    } else {
        return Err(Failure::new(Code::NameUnknown, "this path is not of the distribution protocol"));
    };
    if is_repository(name) {
        Ok((name, resource))
    } else {
        Err(Failure::new(Code::NameInvalid, format!("{name:?} is no repository name")))
    }
}

fn parse_digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|error: crate::InvalidDigest| Failure::new(Code::DigestInvalid, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_may_have_slashes() {
        assert_eq!(parse("a/b/manifests/v1").unwrap(), ("a/b", Resource::Manifest("v1")));
        assert_eq!(parse("a/blobs/uploads/").unwrap(), ("a", Resource::Uploads));
        assert_eq!(parse("a/blobs/uploads/12-ab").unwrap(), ("a", Resource::Upload("12-ab")));
        assert_eq!(parse("a/tags/list").unwrap(), ("a", Resource::Tags));
    }

    #[test]
    fn a_path_cannot_leave_the_store() {
        assert!(parse("../x/manifests/v1").is_err());
        assert!(parse("a/blobs/uploads/../../x").is_err());
        assert!(parse("a/blobs/sha256:../../etc").is_err());
    }
}
