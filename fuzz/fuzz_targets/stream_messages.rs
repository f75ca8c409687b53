#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmk_apiserver::fuzzing::stream_messages(bytes));
