//! What `COPY` and `ADD` put where. Pure, over [`Files`].

use super::files::{Files, Node, Tree, find, follow, join, walk};
use super::ignore::Ignore;

/// A `COPY` or `ADD` with everything expanded.
pub(crate) struct Copy<'a> {
    pub(crate) sources: &'a [String],
    pub(crate) destination: &'a str,
    pub(crate) working_dir: &'a str,
    /// `--chmod`
    pub(crate) mode: Option<u32>,
    /// `--exclude`
    pub(crate) exclude: Ignore,
    /// Whether archives are unpacked.
    pub(crate) unpacks: bool,
}

/// Puts the files into the tree; answers what the layer holds, parents before children.
pub(crate) fn copy(copy: &Copy<'_>, from: &dyn Files, into: &mut Tree) -> Result<Vec<(String, Node)>, String> {
    let destination = Destination::new(copy.destination, copy.working_dir, into)?;
    let mut found = Vec::new();
    for source in copy.sources {
        let matches = find(from, source).map_err(|message| format!("{source}: {message}"))?;
        if matches.is_empty() {
            return Err(format!("{source} is not there (or left out by .dockerignore)"));
        }
        found.extend(matches);
    }
    if (found.len() > 1 || copy.sources.len() > 1) && !destination.is_directory {
        return Err(format!("several files can only go to a directory; write {}/", copy.destination));
    }
    let mut layer = Layer { into, mode: copy.mode, entries: Vec::new() };
    if destination.is_directory {
        layer.put(&destination.path, Node::Directory { mode: super::files::DIRECTORY_MODE })?;
    }
    for source in found {
        let missing = || format!("{source} is a link that leads nowhere");
        let place = follow(from, &source)?.ok_or_else(missing)?;
        match from.node(&place)?.ok_or_else(missing)? {
            Node::Directory { .. } => layer.directory(from, &place, &destination.path, &copy.exclude)?,
            node => {
                let name = source.rsplit('/').next().unwrap_or(&source);
                if copy.exclude.excludes(name) {
                    continue;
                }
                if copy.unpacks
                    && let Some(archive) = from.archive(&place)?
                {
                    layer.directory(&archive, "", &destination.path, &Ignore::default())?;
                    continue;
                }
                let path =
                    if destination.is_directory { join(&destination.path, name) } else { destination.path.clone() };
                layer.put(&path, node)?;
            }
        }
    }
    Ok(layer.entries)
}

struct Destination {
    path: String,
    is_directory: bool,
}

impl Destination {
    /// A directory where it says so by a slash or a dot, or is one already.
    fn new(text: &str, working_dir: &str, tree: &Tree) -> Result<Self, String> {
        let says_so = text.ends_with('/') || text == "." || text.ends_with("/.");
        let path = resolve(tree, &absolute(text, working_dir))?;
        let is_known = matches!(tree.node(&path)?, Some(Node::Directory { .. }));
        Ok(Self { path, is_directory: says_so || is_known })
    }
}

/// With links followed as far as the path is there already.
fn resolve(tree: &Tree, path: &str) -> Result<String, String> {
    let ends = std::iter::once(path.len()).chain(path.rmatch_indices('/').map(|(at, _)| at));
    for end in ends {
        if let Some(known) = follow(tree, &path[..end])? {
            return Ok(join(&known, path[end..].trim_start_matches('/')));
        }
    }
    Ok(path.to_owned())
}

/// Relative to the image's top, without dots. Like Docker, `..` stops at the top.
pub(crate) fn absolute(path: &str, working_dir: &str) -> String {
    let from = if path.starts_with('/') { "" } else { working_dir };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

struct Layer<'a> {
    into: &'a mut Tree,
    mode: Option<u32>,
    entries: Vec<(String, Node)>,
}

impl Layer<'_> {
    /// The content of a directory, not the directory itself, as Docker has it.
    fn directory(&mut self, from: &dyn Files, top: &str, to: &str, exclude: &Ignore) -> Result<(), String> {
        self.put(to, Node::Directory { mode: super::files::DIRECTORY_MODE })?;
        for (path, node) in walk(from, top)? {
            let relative = path[top.len()..].trim_start_matches('/');
            if !exclude.excludes(relative) {
                self.put(&join(to, relative), node)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &str, node: Node) -> Result<(), String> {
        let is_directory = matches!(node, Node::Directory { .. });
        if is_directory && matches!(self.into.node(path)?, Some(Node::Directory { .. })) {
            return Ok(());
        }
        let node = match (node, self.mode) {
            (Node::File { source, size, .. }, Some(mode)) => Node::File { source, size, mode },
            (Node::Directory { .. }, Some(mode)) => Node::Directory { mode },
            (Node::Link { target }, _) => Node::Link { target: relative_link(path, &target)? },
            (node, None) => node,
        };
        if path.is_empty() {
            return if is_directory { Ok(()) } else { Err("a file cannot take the place of /".to_owned()) };
        }
        if !is_directory && matches!(self.into.node(path)?, Some(Node::Directory { .. })) {
            let below = format!("{path}/");
            self.entries.retain(|(path, _)| !path.starts_with(&below));
        }
        self.entries.extend(self.into.insert(path, node));
        Ok(())
    }
}

/// Guests follow only relative links that stay inside the image, so absolute ones are written as such.
fn relative_link(path: &str, target: &str) -> Result<String, String> {
    let depth = path.matches('/').count();
    if let Some(absolute) = target.strip_prefix('/') {
        let up = "../".repeat(depth);
        let target = format!("{up}{}", absolute.trim_start_matches('/'));
        return Ok(if target.is_empty() { ".".to_owned() } else { target });
    }
    let mut at = depth as i64;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => at -= 1,
            _ => at += 1,
        }
        if at < 0 {
            return Err(format!("the link /{path} leads to {target}, out of the image"));
        }
    }
    match target {
        "" => Err(format!("the link /{path} leads nowhere")),
        target => Ok(target.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::files::tests::tree;
    use super::*;

    /// Copies from a small project into an image that has `/srv` already.
    #[track_caller]
    fn check(sources: &[&str], destination: &str, expected: Expect) {
        let from =
            tree(&["app.wasm", "site/index.html", "site/img/a.png", "link -> app.wasm", "site/abs -> /app.wasm"]);
        let mut into = tree(&["srv/old"]);
        let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
        let request = Copy {
            sources: &sources,
            destination,
            working_dir: "/work",
            mode: None,
            exclude: Ignore::of(&["**/*.png".to_owned()]).unwrap(),
            unpacks: false,
        };
        let found = match copy(&request, &from, &mut into) {
            Ok(entries) => entries.iter().map(|(path, node)| format!("{path} {}\n", kind(node))).collect(),
            Err(message) => message,
        };
        expected.assert_eq(&found);
    }

    fn kind(node: &Node) -> String {
        match node {
            Node::Directory { .. } => "/".to_owned(),
            Node::File { source, .. } => format!("< {}", source.display()),
            Node::Link { target } => format!("-> {target}"),
        }
    }

    #[test]
    fn a_file_goes_to_a_name_or_into_a_directory() {
        check(
            &["app.wasm"],
            "/run.wasm",
            expect![[r#"
            run.wasm < app.wasm
        "#]],
        );
        check(
            &["app.wasm"],
            "/srv",
            expect![[r#"
            srv/app.wasm < app.wasm
        "#]],
        );
        check(
            &["app.wasm"],
            ".",
            expect![[r#"
            work /
            work/app.wasm < app.wasm
        "#]],
        );
        check(
            &["./app.wasm"],
            "bin/",
            expect![[r#"
            work /
            work/bin /
            work/bin/app.wasm < app.wasm
        "#]],
        );
    }

    #[test]
    fn a_directory_gives_what_is_in_it() {
        check(
            &["site"],
            "/srv",
            expect![[r#"
            srv/abs -> ../app.wasm
            srv/img /
            srv/index.html < site/index.html
        "#]],
        );
        check(
            &["link", "site/*.html"],
            "/srv/",
            expect![[r#"
            srv/link < app.wasm
            srv/index.html < site/index.html
        "#]],
        );
    }

    #[test]
    fn what_cannot_be_copied_says_why() {
        check(&["none"], "/", expect!["none is not there (or left out by .dockerignore)"]);
        check(&["app.wasm", "site"], "/x", expect!["several files can only go to a directory; write /x/"]);
        check(&["../x"], "/", expect!["../x: leads out of it"]);
    }

    #[test]
    fn links_lead_inside() {
        assert_eq!(relative_link("a/b/c", "/x/y").unwrap(), "../../x/y");
        assert_eq!(relative_link("a/b", "../x").unwrap(), "../x");
        relative_link("a/b", "../../x").unwrap_err();
    }
}
