#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wasmk_build::fuzzing::check_dockerfile(bytes);
    wasmk_build::fuzzing::check_ignore(bytes);
});
