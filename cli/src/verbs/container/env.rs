//! `-e` and `--env-file`.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// Names and values in order, the later ones winning: files first, then flags. A name alone takes the value that it has
/// here, if it has one.
pub(super) fn variables(files: &[impl AsRef<Path>], flags: &[String]) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for file in files {
        let file = file.as_ref();
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if !line.is_empty() && !line.starts_with('#') {
                let place = || format!("{}:{}", file.display(), number + 1);
                add(&mut all, line).with_context(place)?;
            }
        }
    }
    for flag in flags {
        add(&mut all, flag)?;
    }
    Ok(all)
}

fn add(all: &mut Vec<(String, String)>, text: &str) -> Result<()> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, std::env::var(text).ok()),
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        bail!("{text:?} is no variable: write NAME=VALUE");
    }
    all.retain(|(known, _)| known != name);
    all.extend(value.map(|value| (name.to_owned(), value)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_files_and_later_ones_over_earlier() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env");
        std::fs::write(&file, "# a comment\n\nA=1\nB=two words\nNOT_SET_ANYWHERE\n").unwrap();
        let flags = ["A=3".to_owned(), "C=".to_owned(), "D=a=b".to_owned()];
        let found = variables(&[&file], &flags).unwrap();
        let expected = [("B", "two words"), ("A", "3"), ("C", ""), ("D", "a=b")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env");
        std::fs::write(&file, "A=1\ntwo words=1\n").unwrap();
        let error = format!("{:#}", variables(&[&file], &[]).unwrap_err());
        assert!(error.contains("env:2") && error.contains("no variable"), "{error}");
        assert!(variables(&[] as &[&Path], &["=x".to_owned()]).is_err());
    }
}
