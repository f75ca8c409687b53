#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmk_images::fuzzing::image_archive(bytes));
