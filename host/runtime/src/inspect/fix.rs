//! What to do about an import that nothing provides: by what it gives away of its toolchain.

/// Of a component's interface.
pub(super) fn of_interface(name: &str) -> String {
    let known = INTERFACES.iter().find(|(prefix, _)| name.starts_with(prefix));
    let is_draft = name.split_once('@').is_some_and(|(_, version)| version.contains("-rc"));
    match known {
        Some((_, fix)) => (*fix).to_owned(),
        None if is_draft && name.starts_with("wasi:") => {
            "it was built against a draft: build it again with a current toolchain, which targets WASI 0.2.0 or later"
                .to_owned()
        }
        None if name.starts_with("wasi:") => {
            "nodes offer wasi:cli, clocks, filesystem, io, random, sockets and http, of WASI 0.2 and 0.3".to_owned()
        }
        None => "link the component that exports it, as `wac plug guest.wasm --plug provider.wasm` does".to_owned(),
    }
}

/// Of a module's function.
pub(super) fn of_function(module: &str, name: &str) -> String {
    let known = MODULES.iter().find(|(known, _)| module == *known || module.starts_with(&format!("{known}/")));
    match (known, module) {
        (Some((_, fix)), _) => (*fix).to_owned(),
        (None, super::PREVIEW1) if name.starts_with("sock_") => SOCKETS.to_owned(),
        (None, super::PREVIEW1) => "WASI 0.1 has no such function: build it again with a current toolchain".to_owned(),
        (None, _) if module.contains(':') => {
            "it is the core of a component: make one of it by `wasm-tools component new`, or build for wasm32-wasip2"
                .to_owned()
        }
        (None, _) => "a module can import WASI 0.1 only: link what it needs into it".to_owned(),
    }
}

const SOCKETS: &str = "WASI 0.1 has no sockets of its own: build for wasm32-wasip2";

const INTERFACES: [(&str, &str); 13] = [
    ("wasi:keyvalue/", "wasmk has no built-in key-value store: call one over HTTP or TCP, by the name of its Service"),
    ("wasi:blobstore/", "wasmk has no built-in object store: mount a volume, or call one over HTTP"),
    ("wasi:config/", "read settings from environment variables (`env`, ConfigMaps, Secrets) or mounted files"),
    ("wasi:messaging/", "wasmk has no built-in broker: connect to one over TCP, by the name of its Service"),
    ("wasi:sql/", "connect to the database over TCP, by the name of its Service"),
    ("wasi:nn/", "nodes run no models: call an inference service over HTTP"),
    ("wasi:logging/", "write lines to stdout or stderr, which `wasmk logs` shows"),
    ("wasi:observe/", "write lines to stdout or stderr, which `wasmk logs` shows"),
    ("wasi:tls/", "link a TLS library into the guest, or send HTTPS by wasi:http"),
    ("wasi:webgpu/", "nodes offer no graphics"),
    ("fermyon:spin/", "it was built for Spin: use wasi:http and wasi:cli, or `spin up`"),
    ("spin:", "it was built for Spin: use wasi:http and wasi:cli, or `spin up`"),
    ("wasmcloud:", "it was built for wasmCloud: use wasi:http and wasi:cli, or deploy it there"),
];

const MODULES: [(&str, &str); 12] = [
    (
        "env",
        "the linker left it open: link the library that defines it, and build without -Wl,--allow-undefined; with \
         Emscripten use wasi-sdk or -sSTANDALONE_WASM",
    ),
    ("a", "it was built by Emscripten for a browser: use wasi-sdk, or -sSTANDALONE_WASM"),
    ("__wbindgen_placeholder__", WASM_BINDGEN),
    ("__wbindgen_externref_xform__", WASM_BINDGEN),
    ("wbg", WASM_BINDGEN),
    ("go", GO),
    ("gojs", GO),
    ("wasi_unstable", "it was built for a draft of WASI: build it again with a current toolchain, for wasm32-wasip1"),
    ("wasi", "threads are not offered: build for wasm32-wasip1 or wasm32-wasip2, without wasm32-wasip1-threads"),
    ("wasi_ephemeral_nn", "nodes run no models: call an inference service over HTTP"),
    ("wasmedge_snapshot_preview1", SOCKETS),
    ("$root", "it is the core of a component: build for wasm32-wasip2"),
];

const WASM_BINDGEN: &str =
    "it was built for a browser with wasm-bindgen: build for wasm32-wasip2, without crates that need JavaScript";
const GO: &str = "it was built for a browser: build with GOOS=wasip1 GOARCH=wasm, or with TinyGo for wasip2";
