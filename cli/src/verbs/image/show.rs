//! How images are shown: shortened digests, times.

use jiff::Timestamp;
use wasmk_host::Digest;

use crate::output::human;

/// What Docker calls the image's ID.
pub(super) fn id(digest: &Digest, no_trunc: bool) -> String {
    if no_trunc { digest.to_string() } else { digest.hex()[..12].to_owned() }
}

pub(super) fn since(created: Option<&str>) -> String {
    let created = created.and_then(|created| created.parse::<Timestamp>().ok());
    created.map_or_else(|| "N/A".to_owned(), |created| human::ago(Timestamp::now().as_second() - created.as_second()))
}
