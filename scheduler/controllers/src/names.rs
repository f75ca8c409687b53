//! Names and hashes for new objects. They follow from what is known, never from chance, so a plan can be made again.

use serde_json::Value;

/// No vowels and no look-alikes, so that no word comes out; Kubernetes' own alphabet (`util/rand`).
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Kubernetes cuts a generated name's base here, which leaves room for five characters in a DNS label.
const BASE_LENGTH_MAX: usize = 58;

/// `<base>-<5 characters>`, decided by `seed` and `nth`.
pub(crate) fn generated(base: &str, seed: u64, nth: u64) -> String {
    let mut bits = mix(seed ^ mix(nth.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    let cut = base.len().min(BASE_LENGTH_MAX - 1);
    let mut name = format!("{}-", base[..cut].trim_end_matches(['-', '.']));
    for _ in 0..5 {
        name.push(ALPHABET[(bits % 27) as usize] as char);
        bits /= 27;
    }
    name
}

/// What a sequence of generated names starts from.
pub(crate) fn seed(text: &str, number: u64) -> u64 {
    let hash =
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    mix(hash ^ mix(number))
}

/// The `pod-template-hash`: 32 bits of FNV-1a over the canonical JSON, spelled as Kubernetes spells it.
pub(crate) fn template_hash(template: &Value, collisions: i64) -> String {
    let mut hash = Fnv(0x811c_9dc5);
    hash.value(template);
    if collisions > 0 {
        hash.bytes(&collisions.to_le_bytes());
    }
    hash.0.to_string().bytes().map(|digit| ALPHABET[digit as usize % ALPHABET.len()] as char).collect()
}

struct Fnv(u32);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    }

    /// Keys in order, whatever order the map keeps them in.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_by_key(|(key, _)| *key);
                self.bytes(b"{");
                for (key, field) in sorted {
                    self.bytes(key.as_bytes());
                    self.bytes(b":");
                    self.value(field);
                }
                self.bytes(b"}");
            }
            Value::Array(items) => {
                self.bytes(b"[");
                items.iter().for_each(|item| self.value(item));
                self.bytes(b"]");
            }
            scalar => self.bytes(scalar.to_string().as_bytes()),
        }
    }
}

/// The finalizer of splitmix64.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
