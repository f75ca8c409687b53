//! Trees of files: what an image has so far, a stage, or the directory that is built from. Pure, but for [`Disk`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::ignore::Ignore;

/// In one image; the unpacker refuses more as well.
pub(crate) const FILES_MAX: usize = 200_000;
/// Links that lead to links.
const LINKS_MAX: usize = 40;

/// One file of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Node {
    Directory {
        mode: u32,
    },
    File {
        /// Where its content is.
        source: PathBuf,
        size: u64,
        mode: u32,
    },
    Link {
        target: String,
    },
}

/// Files by paths that are relative and have slashes; the top is the empty path.
pub(crate) trait Files {
    /// What is there, links not followed.
    fn node(&self, path: &str) -> Result<Option<Node>, String>;

    /// Names in a directory, sorted; the directory's path is free of links.
    fn names(&self, path: &str) -> Result<Vec<String>, String>;

    /// Whether a directory is only there for what is in it.
    fn is_ignored(&self, _directory: &str) -> bool {
        false
    }

    /// Whether there is an archive that [`Files::archive`] could unpack, or one that nobody here can (`Err`).
    fn archive(&self, _path: &str) -> Result<Option<Tree>, String> {
        Ok(None)
    }
}

/// Files of an image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Puts a node there, with the directories on the way; answers those that were new. What is in the way goes.
    pub(crate) fn insert(&mut self, path: &str, node: Node) -> Vec<(String, Node)> {
        let mut made = Vec::new();
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            if !matches!(self.nodes.get(parent), Some(Node::Directory { .. })) {
                let directory = Node::Directory { mode: DIRECTORY_MODE };
                self.nodes.insert(parent.to_owned(), directory.clone());
                made.push((parent.to_owned(), directory));
            }
        }
        if !matches!(node, Node::Directory { .. }) {
            let below = format!("{path}/");
            let gone: Vec<String> = self.below(&below).map(|(path, _)| path.clone()).collect();
            gone.iter().for_each(|path| drop(self.nodes.remove(path)));
        }
        if !path.is_empty() {
            self.nodes.insert(path.to_owned(), node.clone());
            made.push((path.to_owned(), node));
        }
        made
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Node)> {
        self.nodes.range(prefix.to_owned()..).take_while(move |(path, _)| path.starts_with(prefix))
    }
}

/// Of directories that are made on the way.
pub(crate) const DIRECTORY_MODE: u32 = 0o755;

impl Files for Tree {
    fn node(&self, path: &str) -> Result<Option<Node>, String> {
        match path {
            "" => Ok(Some(Node::Directory { mode: DIRECTORY_MODE })),
            path => Ok(self.nodes.get(path).cloned()),
        }
    }

    fn names(&self, path: &str) -> Result<Vec<String>, String> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let names = self.below(&prefix).map(|(path, _)| &path[prefix.len()..]).filter(|name| !name.contains('/'));
        Ok(names.map(str::to_owned).collect())
    }
}

/// A directory of this machine, without what is ignored.
pub(crate) struct Disk {
    root: PathBuf,
    ignore: Ignore,
    /// Where archives are unpacked.
    scratch: PathBuf,
}

impl Disk {
    pub(crate) fn new(root: &Path, ignore: Ignore, scratch: &Path) -> Self {
        Self { root: root.to_owned(), ignore, scratch: scratch.to_owned() }
    }

    fn place(&self, path: &str) -> PathBuf {
        path.split('/').filter(|part| !part.is_empty()).fold(self.root.clone(), |place, part| place.join(part))
    }
}

impl Files for Disk {
    fn node(&self, path: &str) -> Result<Option<Node>, String> {
        let place = self.place(path);
        let failed = |error: std::io::Error| format!("read {}: {error}", place.display());
        let metadata = match std::fs::symlink_metadata(&place) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            // What is ignored may hold what is not.
            let gone = self.ignore.excludes(path) && self.ignore.is_final();
            return Ok((!gone).then_some(Node::Directory { mode: DIRECTORY_MODE }));
        }
        if self.ignore.excludes(path) {
            return Ok(None);
        }
        if kind.is_symlink() {
            let target = std::fs::read_link(&place).map_err(failed)?;
            let target = target.to_str().ok_or_else(|| format!("the target of {} is not UTF-8", place.display()))?;
            return Ok(Some(Node::Link { target: target.replace('\\', "/") }));
        }
        if !kind.is_file() {
            return Err(format!("{} is neither a file, a directory nor a link", place.display()));
        }
        Ok(Some(Node::File { mode: mode(&metadata), size: metadata.len(), source: place }))
    }

    fn names(&self, path: &str) -> Result<Vec<String>, String> {
        let place = self.place(path);
        let failed = |error: std::io::Error| format!("read {}: {error}", place.display());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&place).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name =
                name.to_str().ok_or_else(|| format!("{} in {} is not UTF-8", name.display(), place.display()))?;
            names.push(name.to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn is_ignored(&self, directory: &str) -> bool {
        self.ignore.excludes(directory)
    }

    fn archive(&self, path: &str) -> Result<Option<Tree>, String> {
        super::archive::unpack(&self.place(path), &self.scratch)
    }
}

/// Only whether it may be executed: the rest is the umask of whoever checked it out.
#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 }
}

#[cfg(not(unix))]
fn mode(_metadata: &std::fs::Metadata) -> u32 {
    0o644
}

/// Every path that a pattern means, links on the way followed: files, and directories as such.
pub(crate) fn find(files: &dyn Files, pattern: &str) -> Result<Vec<String>, String> {
    let mut found = vec![String::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err("leads out of it".to_owned());
        }
        let matcher = matcher(part)?;
        let mut next = Vec::new();
        for directory in found {
            let Some(directory) = follow(files, &directory)? else { continue };
            let Some(Node::Directory { .. }) = files.node(&directory)? else { continue };
            match &matcher {
                Ok(literal) => {
                    let path = join(&directory, literal);
                    next.extend(files.node(&path)?.map(|_| path));
                }
                Err(matcher) => {
                    for name in files.names(&directory)?.into_iter().filter(|name| matcher.is_match(name)) {
                        let path = join(&directory, &name);
                        next.extend(files.node(&path)?.map(|_| path));
                    }
                }
            }
            if next.len() > FILES_MAX {
                return Err(format!("more than {FILES_MAX} files"));
            }
        }
        found = next;
    }
    Ok(found)
}

/// The part itself, or what matches it where it is a pattern.
fn matcher(part: &str) -> Result<Result<String, GlobMatcher>, String> {
    if !part.contains(['*', '?', '[', '\\']) {
        return Ok(Ok(part.to_owned()));
    }
    let pattern = part.replace('{', "[{]").replace('}', "[}]");
    let glob = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build();
    Ok(Err(glob.map_err(|error| format!("{part}: {}", error.kind()))?.compile_matcher()))
}

/// Where a path leads once all links are followed; `None` when it leads nowhere. Links never lead out: `/` is the top.
pub(crate) fn follow(files: &dyn Files, path: &str) -> Result<Option<String>, String> {
    let mut open: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let (mut place, mut links) = (String::new(), 0);
    while let Some(part) = open.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                place.truncate(place.rfind('/').unwrap_or(0));
                continue;
            }
            _ => {}
        }
        let next = join(&place, &part);
        match files.node(&next)? {
            None => return Ok(None),
            Some(Node::Link { target }) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(format!("{path} leads through more than {LINKS_MAX} links"));
                }
                if target.starts_with('/') {
                    place.clear();
                }
                open.extend(target.split('/').rev().map(str::to_owned));
            }
            Some(_) => place = next,
        }
    }
    Ok(Some(place))
}

/// Everything below a directory, the directory itself left out, parents before children.
pub(crate) fn walk(files: &dyn Files, top: &str) -> Result<Vec<(String, Node)>, String> {
    let mut found = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(directory) = open.pop() {
        for name in files.names(&directory)? {
            let path = join(&directory, &name);
            let Some(node) = files.node(&path)? else { continue };
            if matches!(node, Node::Directory { .. }) {
                open.push(path.clone());
            }
            found.push((path, node));
            if found.len() > FILES_MAX {
                return Err(format!("more than {FILES_MAX} files; leave some out by .dockerignore"));
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    // Those come with what is in them.
    found.retain(|(path, node)| !matches!(node, Node::Directory { .. }) || !files.is_ignored(path));
    Ok(found)
}

pub(crate) fn join(directory: &str, name: &str) -> String {
    match (directory, name) {
        ("", name) => name.to_owned(),
        (directory, "") => directory.to_owned(),
        _ => format!("{directory}/{name}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for path in paths {
            let node = match path.split_once(" -> ") {
                Some((_, target)) => Node::Link { target: target.to_owned() },
                None if path.ends_with('/') => Node::Directory { mode: DIRECTORY_MODE },
                None => Node::File { source: PathBuf::from(path), size: 1, mode: 0o644 },
            };
            tree.insert(path.split(" -> ").next().unwrap().trim_end_matches('/'), node);
        }
        tree
    }

    #[test]
    fn patterns_match_one_level_at_a_time() {
        let files = tree(&["a.wasm", "b.wasm", "c.txt", "d/e.wasm", "d/f/g.wasm"]);
        let found = |pattern: &str| find(&files, pattern).unwrap();
        assert_eq!(found("*.wasm"), ["a.wasm", "b.wasm"]);
        assert_eq!(found("./d/*.wasm"), ["d/e.wasm"]);
        assert_eq!(found("*/*/[a-g].wasm"), ["d/f/g.wasm"]);
        assert_eq!(found("/"), [""]);
        assert!(found("*.jpg").is_empty() && found("a.wasm/x").is_empty());
        find(&files, "../x").unwrap_err();
    }

    #[test]
    fn links_stay_inside() {
        let files = tree(&["real/x", "link -> real", "abs -> /real/x", "up -> ../../real", "loop -> loop"]);
        assert_eq!(find(&files, "link/x").unwrap(), ["real/x"]);
        assert_eq!(follow(&files, "abs").unwrap().as_deref(), Some("real/x"));
        assert_eq!(follow(&files, "up/x").unwrap().as_deref(), Some("real/x"));
        assert_eq!(follow(&files, "link/none").unwrap(), None);
        follow(&files, "loop").unwrap_err();
    }

    #[test]
    fn what_is_ignored_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["keep.txt", "drop.log", "target/a", "target/keep"] {
            std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let walked = |lines: &str| -> Vec<String> {
            let disk = Disk::new(dir.path(), Ignore::parse(lines).unwrap(), dir.path());
            walk(&disk, "").unwrap().into_iter().map(|(path, _)| path).collect()
        };
        assert_eq!(walked("target\n*.log"), ["keep.txt"]);
        assert_eq!(walked("target/*\n!target/keep\n*.log"), ["keep.txt", "target", "target/keep"]);
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_takes_its_content_away() {
        let mut files = tree(&["a/b/c", "a.txt"]);
        files.insert("a", Node::File { source: "x".into(), size: 1, mode: 0o644 });
        assert_eq!(walk(&files, "").unwrap().len(), 2);
        assert_eq!(files.insert("a/d", Node::Link { target: "x".into() }).len(), 2);
    }
}
