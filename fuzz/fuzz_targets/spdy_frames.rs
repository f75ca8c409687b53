#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmk_spdy::fuzzing::spdy_frames(bytes));
