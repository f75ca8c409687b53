//! Where `cargo xtask clients` put the clients.

use std::ffi::OsString;
use std::path::PathBuf;

/// The versions of kubectl that every transcript is played with: the oldest and the newest that Debian's releases have.
pub const KUBECTLS: [&str; 2] = ["1.20", "1.32"];

/// `target/clients`, or what is below it.
pub fn path(below: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its own path");
    // Tests live in target/PROFILE/deps, with a target's name between when one is named.
    let found = own.ancestors().map(|dir| dir.join("clients").join(below)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no clients/{below} above {}; `cargo xtask clients` fetches it", own.display()))
}

/// `$PATH` with the directory of one version of kubectl, and that of Helm and node, before everything else.
pub fn search_path(kubectl: &str) -> OsString {
    let first = [path(&format!("kubectl-{kubectl}/bin")), path("bin")];
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = first.into_iter().chain(std::env::split_paths(&rest));
    std::env::join_paths(all).expect("no directory has a colon in its name")
}
