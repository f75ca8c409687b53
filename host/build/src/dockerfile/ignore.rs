//! `.dockerignore`, after moby's `patternmatcher`. Pure.

use globset::{GlobBuilder, GlobMatcher};

/// What of the context is not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    matcher: GlobMatcher,
    /// `!`: takes paths back in.
    keeps: bool,
}

/// Lines of a file; more are no list of patterns.
const PATTERNS_MAX: usize = 10_000;

impl Ignore {
    /// Reads the file; a fault comes with its line.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
        let mut patterns = Vec::new();
        for (index, line) in lines {
            patterns.extend(Pattern::parse(line).map_err(|message| (index + 1, message))?);
            if patterns.len() > PATTERNS_MAX {
                return Err((index + 1, format!("there are more than {PATTERNS_MAX} patterns")));
            }
        }
        Ok(Self { patterns })
    }

    /// The values of `--exclude`.
    pub(crate) fn of(patterns: &[String]) -> Result<Self, String> {
        let mut parsed = Vec::new();
        for pattern in patterns {
            parsed.extend(Pattern::parse(pattern)?);
        }
        Ok(Self { patterns: parsed })
    }

    /// Whether a path, relative with slashes, is left out. A pattern that means a directory means what is in it; the last
    /// one that matches decides.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        let places: Vec<&str> = parents.chain([path]).filter(|place| !place.is_empty()).collect();
        let matching = |pattern: &&Pattern| places.iter().any(|place| pattern.matcher.is_match(place));
        self.patterns.iter().rev().find(matching).is_some_and(|pattern| !pattern.keeps)
    }

    /// Whether nothing below an excluded directory can come back in.
    pub(crate) fn is_final(&self) -> bool {
        !self.patterns.iter().any(|pattern| pattern.keeps)
    }
}

impl Pattern {
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.trim();
        let (keeps, line) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let Some(clean) = clean(line) else { return Ok(None) };
        // Go's patterns have no alternatives in braces.
        let glob = clean.replace('{', "[{]").replace('}', "[}]");
        let glob = GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build();
        let matcher = glob.map_err(|error| format!("{line}: {}", error.kind()))?.compile_matcher();
        Ok(Some(Self { matcher, keeps }))
    }
}

/// The pattern without `.`, `..` and needless slashes; `None` when it means nothing or the whole context.
fn clean(line: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in line.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &str, excluded: &[&str], kept: &[&str]) {
        let ignore = Ignore::parse(lines).unwrap();
        for path in excluded {
            assert!(ignore.excludes(path), "{path} is kept by {lines:?}");
        }
        for path in kept {
            assert!(!ignore.excludes(path), "{path} is excluded by {lines:?}");
        }
    }

    #[test]
    fn patterns_are_from_the_top() {
        check("# comment\n\ntarget\n", &["target", "target/debug/app"], &["src/target", "targets"]);
        check("/target/\n", &["target", "target/x"], &["a/target"]);
        check("*.log", &["a.log"], &["a/b.log", "log"]);
        check("*/temp*", &["a/temp", "a/temporary/x"], &["temp", "a/b/temp"]);
        check("temp?", &["tempa", "temp1"], &["temp", "tempab"]);
    }

    #[test]
    fn two_stars_are_any_depth() {
        check("**/*.log", &["a.log", "a/b/c.log"], &["a.txt"]);
        check("**/node_modules", &["node_modules", "a/node_modules/x"], &["node_modules2"]);
        check("docs/**", &["docs/a", "docs/a/b"], &["doc"]);
    }

    #[test]
    fn the_last_match_decides() {
        check("*.md\n!README.md", &["NOTES.md"], &["README.md"]);
        check("!README.md\n*.md", &["README.md"], &[]);
        check("*\n!src\nsrc/*.tmp", &["a", "src/x.tmp"], &["src", "src/main.rs", "src/a/b.tmp"]);
    }

    #[test]
    fn dots_braces_and_roots_are_cleaned() {
        check("./a/../b", &["b"], &["a"]);
        check("{a,b}", &["{a,b}"], &["a", "b"]);
        check(".\n/\n..", &[], &["a"]);
    }

    #[test]
    fn a_bad_pattern_is_told_with_its_line() {
        assert_eq!(Ignore::parse("a\n[b").unwrap_err().0, 2);
    }
}
