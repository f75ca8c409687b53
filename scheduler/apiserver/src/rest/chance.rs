use jiff::Timestamp;
use wasmk_api::Snapshot;
use wasmk_api::write::{Context, FieldValidation};

use super::Call;

/// Where time and chance enter: what preparing a write takes as values.
pub(super) struct Chance {
    now: Timestamp,
    uid: fn() -> String,
    name_suffix: fn() -> String,
}

/// As in Kubernetes: no vowels, so no words; nothing that looks like something else.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;

impl Default for Chance {
    fn default() -> Self {
        Self { now: Timestamp::now(), uid: || uuid::Uuid::new_v4().to_string(), name_suffix }
    }
}

impl Chance {
    pub(super) fn context<'a>(
        &'a self,
        call: &'a Call,
        snapshot: &'a Snapshot,
        field_manager: Option<&'a str>,
        validation: FieldValidation,
    ) -> Context<'a> {
        Context {
            now: self.now,
            uid: &self.uid,
            name_suffix: &self.name_suffix,
            field_manager,
            validation,
            snapshot,
            settings: &call.server.settings.write,
        }
    }
}

fn name_suffix() -> String {
    let letter = || char::from(SUFFIX_ALPHABET[rand::random_range(0..SUFFIX_ALPHABET.len())]);
    std::iter::repeat_with(letter).take(SUFFIX_LENGTH).collect()
}
