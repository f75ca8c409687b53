//! What was printed against what is expected.

use std::collections::BTreeMap;

/// Stands for any text within a line; alone on a line, for any number of lines.
const ANY: char = '…';

/// Names and values that expectations captured, for the commands and expectations that follow.
pub(crate) type Variables = BTreeMap<String, String>;

/// Whether lines of output are the expected ones: blank lines and the width of gaps do not count, `…` is any text,
/// `{NAME}` captures a word, `$NAME` is a word captured before. Answers all that is known then.
pub(crate) fn lines(expected: &[String], printed: &str, known: &Variables) -> Option<Variables> {
    let printed: Vec<String> = printed.lines().map(squeeze).filter(|line| !line.is_empty()).collect();
    let mut known = known.clone();
    all(expected, &printed, &mut known).then_some(known)
}

fn all(expected: &[String], printed: &[String], known: &mut Variables) -> bool {
    let Some((first, rest)) = expected.split_first() else { return printed.is_empty() };
    let first = squeeze(&insert(first, known));
    if first.chars().eq([ANY]) {
        return (0..=printed.len()).any(|skipped| all(rest, &printed[skipped..], known));
    }
    let Some((line, following)) = printed.split_first() else { return false };
    within(&first, line, known) && all(rest, following, known)
}

fn within(pattern: &str, text: &str, known: &mut Variables) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some(ANY) => {
            let rest = characters.as_str();
            let mut tails = text.char_indices().map(|(index, _)| &text[index..]).chain([""]);
            tails.any(|tail| within(rest, tail, known))
        }
        Some('{') if name_in_braces(pattern).is_some() => capture(pattern, text, known),
        Some(character) => text.strip_prefix(character).is_some_and(|tail| within(characters.as_str(), tail, known)),
    }
}

/// `{NAME}` takes as much of the word as leaves the rest of the pattern a match.
fn capture(pattern: &str, text: &str, known: &mut Variables) -> bool {
    let Some((name, rest)) = name_in_braces(pattern) else { return false };
    let word = text.find(' ').unwrap_or(text.len());
    let ends = text.char_indices().map(|(index, _)| index).chain([text.len()]);
    let ends: Vec<usize> = ends.filter(|end| (1..=word).contains(end)).collect();
    let end = ends.into_iter().rev().find(|end| within(rest, &text[*end..], known));
    if let Some(end) = end {
        known.insert(name.to_owned(), text[..end].to_owned());
    }
    end.is_some()
}

/// Only upper case is a name, so that JSON needs no escapes.
fn name_in_braces(pattern: &str) -> Option<(&str, &str)> {
    let (name, rest) = pattern.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty() && name.chars().all(|character| character.is_ascii_uppercase() || character == '_');
    is_name.then_some((name, rest))
}

fn insert(line: &str, known: &Variables) -> String {
    // Longer names first: `$POD` must not eat the beginning of `$PODS`.
    let mut names: Vec<&String> = known.keys().collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.iter().fold(line.to_owned(), |line, name| line.replace(&format!("${name}"), &known[*name]))
}

fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: &[&str], printed: &str, captures: Option<&[(&str, &str)]>) {
        let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        let known =
            Variables::from([("POD".to_owned(), "web-1".to_owned()), ("POD_IP".to_owned(), "10.0.0.1".to_owned())]);
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Variables>()
        };
        let all = captures.map(|captures| known.clone().into_iter().chain(pairs(captures)).collect());
        assert_eq!(lines(&expected, printed, &known), all);
    }

    #[test]
    fn gaps_and_blank_lines_do_not_count_and_words_do() {
        check(&["NAME READY", "web 1/1"], "NAME   READY  \n\nweb    1/1\n", Some(&[]));
        check(&["NAME READY"], "NAME   READY\nweb    1/1\n", None);
        check(&["NAME READY", "web 1/1"], "NAME READY\n", None);
        check(&[], "", Some(&[]));
        check(&[], "something\n", None);
    }

    #[test]
    fn an_ellipsis_is_any_text_and_alone_any_lines() {
        check(&["web-… 1/1 … <none>"], "web-abc 1/1 Running 0 5s <none>", Some(&[]));
        check(&["web-… 2/2 …"], "web-abc 1/1 Running", None);
        check(&["first", "…", "last"], "first\na\nb\nlast\n", Some(&[]));
        check(&["first", "…", "last"], "first\nlast\n", Some(&[]));
        check(&["first", "…", "last"], "first\nlast\nmore\n", None);
    }

    #[test]
    fn words_are_captured_and_inserted() {
        check(&["127.0.0.1:{PORT} -> 80"], "127.0.0.1:4711 -> 80", Some(&[("PORT", "4711")]));
        check(&["{SET}-1", "$SET-2"], "web-1\nweb-2", Some(&[("SET", "web")]));
        check(&["{SET}-1", "$SET-2"], "web-1\napi-2", None);
        check(&["$POD at $POD_IP"], "web-1 at 10.0.0.1", Some(&[]));
        check(&[r#"{"a":"{VALUE}"}"#], r#"{"a":"b"}"#, Some(&[("VALUE", "b")]));
    }
}
