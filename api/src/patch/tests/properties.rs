use proptest::prelude::*;

use crate::patch::laws;

proptest! {
    #[test]
    fn strategic_merge_obeys_its_laws(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        laws::strategic_merge(&bytes);
    }

    #[test]
    fn server_side_apply_obeys_its_laws(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        laws::server_side_apply(&bytes);
    }
}
