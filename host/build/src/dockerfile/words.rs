//! How `ENV`, `LABEL` and `ARG` split what follows them into names and values. Quotes and escapes stay in: whoever
//! expands variables takes them out. After BuildKit's `parser/line_parsers.go`.

/// `NAME=VALUE …`, or the old form `NAME VALUE` whose value goes to the end of the line.
pub(crate) fn pairs(text: &str, escape: char) -> Result<Vec<(String, String)>, String> {
    let words = split(text, escape);
    let Some(first) = words.first() else { return Err("wants at least one NAME=VALUE".to_owned()) };
    if !first.contains('=') {
        let (name, value) = text
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{first} has no value; write {first}=VALUE"))?;
        return Ok(vec![(name.to_owned(), value.trim_start().to_owned())]);
    }
    words.iter().map(|word| pair(word)).collect()
}

/// `NAME` or `NAME=VALUE`, several of them.
pub(crate) fn names(text: &str, escape: char) -> Result<Vec<(String, Option<String>)>, String> {
    let named = |word: &String| match word.split_once('=') {
        Some(("", _)) => Err(format!("{word} has no name; write NAME or NAME=DEFAULT")),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Ok((word.clone(), None)),
    };
    split(text, escape).iter().map(named).collect()
}

fn pair(word: &str) -> Result<(String, String), String> {
    match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{word} is no NAME=VALUE")),
    }
}

/// Words between white space that is neither quoted nor escaped.
fn split(text: &str, escape: char) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match quote {
            None if character.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if character == '"' || character == '\'' => quote = Some(character),
            Some(open) if character == open => quote = None,
            _ => {}
        }
        word.push(character);
        // Nothing is escaped between single quotes.
        if character == escape && quote != Some('\'') {
            word.extend(characters.next());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let found = match pairs(text, '\\') {
            Ok(pairs) => pairs.iter().map(|(name, value)| format!("{name} -> {value}\n")).collect(),
            Err(message) => message,
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn quotes_and_escapes_keep_words_together() {
        check(
            r#"A=1 B="two words" C='x "y' D=three\ words"#,
            expect![[r#"
                A -> 1
                B -> "two words"
                C -> 'x "y'
                D -> three\ words
            "#]],
        );
    }

    #[test]
    fn the_old_form_takes_the_rest_of_the_line() {
        check(
            "GREETING  good  morning",
            expect![[r#"
                GREETING -> good  morning
            "#]],
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        check("ALONE", expect!["ALONE has no value; write ALONE=VALUE"]);
        check("A=1 B", expect!["B is no NAME=VALUE"]);
        check("=1", expect!["=1 is no NAME=VALUE"]);
    }

    #[test]
    fn arguments_may_have_no_default() {
        let found = names("A B=2 C=", '\\').unwrap();
        let name = |text: &str| text.to_owned();
        assert_eq!(found, [(name("A"), None), (name("B"), Some(name("2"))), (name("C"), Some(name("")))]);
        names("=x", '\\').unwrap_err();
    }
}
