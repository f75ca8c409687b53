mod nodes;
mod roles;

use http::Method;
use wasmk_api::{Snapshot, Status};

use super::authorize;
use crate::Identity;
use crate::request::Target;

fn may_in(snapshot: &Snapshot, identity: &Identity, method: &str, path: &str) -> Result<(), Status> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    authorize(identity, &Target::parse(&method, path, false).unwrap(), snapshot)
}
