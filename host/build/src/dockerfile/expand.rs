//! Variables, quotes and escapes of one word, after BuildKit's `shell/lex.go`.

use std::iter::Peekable;
use std::str::Chars;

use globset::{GlobBuilder, GlobMatcher};

/// Of one value; doubling it line by line would fill the memory.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// Of `${A:-${B:-…}}`.
const DEPTH_MAX: usize = 32;

/// What variables mean at some place of a Dockerfile.
pub(crate) trait Variables {
    fn value(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Variables for F {
    fn value(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// The word with its variables replaced and its quotes gone.
pub(crate) fn expand(text: &str, escape: char, variables: &dyn Variables) -> Result<String, String> {
    let mut lexer = Lexer { rest: text.chars().peekable(), escape, variables, depth: 0 };
    lexer.until(None).map(|pieces| pieces.into_iter().map(|piece| piece.text).collect())
}

/// As [`expand`], with white space that comes from outside quotes parting words.
pub(crate) fn expand_words(text: &str, escape: char, variables: &dyn Variables) -> Result<Vec<String>, String> {
    let mut lexer = Lexer { rest: text.chars().peekable(), escape, variables, depth: 0 };
    let (mut words, mut word) = (Vec::new(), String::new());
    for piece in lexer.until(None)? {
        if piece.quoted {
            word.push_str(&piece.text);
            continue;
        }
        for character in piece.text.chars() {
            match character.is_whitespace() {
                true if word.is_empty() => {}
                true => words.push(std::mem::take(&mut word)),
                false => word.push(character),
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

struct Piece {
    text: String,
    quoted: bool,
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    escape: char,
    variables: &'a dyn Variables,
    depth: usize,
}

impl Lexer<'_> {
    /// Up to the character that ends a `${…}`, or to the end of the text.
    fn until(&mut self, stop: Option<char>) -> Result<Vec<Piece>, String> {
        let (mut pieces, mut length) = (Vec::new(), 0);
        while let Some(&next) = self.rest.peek() {
            if Some(next) == stop {
                break;
            }
            let piece = match next {
                '\'' => Piece { text: self.single_quoted()?, quoted: true },
                '"' => Piece { text: self.double_quoted()?, quoted: true },
                '$' => Piece { text: self.dollar()?, quoted: false },
                _ => {
                    self.rest.next();
                    match next == self.escape {
                        true => Piece { text: self.rest.next().map(String::from).unwrap_or_default(), quoted: true },
                        false => Piece { text: next.to_string(), quoted: false },
                    }
                }
            };
            length += piece.text.len();
            check_length(length)?;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn single_quoted(&mut self) -> Result<String, String> {
        self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(text),
                Some(character) => text.push(character),
                None => return Err("a single quote is not closed".to_owned()),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, String> {
        self.rest.next();
        let mut text = String::new();
        loop {
            let Some(&next) = self.rest.peek() else { return Err("a double quote is not closed".to_owned()) };
            if next == '$' {
                text.push_str(&self.dollar()?);
                check_length(text.len())?;
                continue;
            }
            self.rest.next();
            if next == '"' {
                return Ok(text);
            }
            let escape = self.escape;
            let escaped = |after: &char| *after == '"' || *after == '$' || *after == escape;
            match (next == escape).then(|| self.rest.next_if(escaped)).flatten() {
                Some(escaped) => text.push(escaped),
                None => text.push(next),
            }
        }
    }

    fn dollar(&mut self) -> Result<String, String> {
        self.rest.next();
        if self.rest.next_if_eq(&'{').is_some() {
            return self.braces();
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok(self.variables.value(&name).unwrap_or_default())
    }

    /// After `${`.
    fn braces(&mut self) -> Result<String, String> {
        let name = self.name();
        if name.is_empty() {
            return Err("${ is not followed by the name of a variable".to_owned());
        }
        let value = self.variables.value(&name);
        let colon = self.rest.next_if_eq(&':').is_some();
        let operator = self.rest.next().ok_or_else(|| format!("${{{name} is not closed by }}"))?;
        let is_set = value.as_deref().is_some_and(|value| !(colon && value.is_empty()));
        match operator {
            '}' if !colon => Ok(value.unwrap_or_default()),
            '-' => self.argument(&name, '}').map(|word| if is_set { value.unwrap_or_default() } else { word }),
            '+' => self.argument(&name, '}').map(|word| if is_set { word } else { String::new() }),
            '?' => match (self.argument(&name, '}')?, is_set) {
                (_, true) => Ok(value.unwrap_or_default()),
                (word, false) if word.is_empty() => Err(format!("{name} is not set")),
                (word, false) => Err(format!("{name}: {word}")),
            },
            '#' | '%' if !colon => {
                let longest = self.rest.next_if_eq(&operator).is_some();
                let pattern = glob(&self.argument(&name, '}')?)?;
                Ok(without(&value.unwrap_or_default(), &pattern, operator == '#', longest).to_owned())
            }
            '/' if !colon => {
                let all = self.rest.next_if_eq(&'/').is_some();
                let pattern = glob(&self.argument(&name, '/')?)?;
                let by = self.argument(&name, '}')?;
                replace(&value.unwrap_or_default(), &pattern, &by, all)
            }
            other => Err(format!("${{{name}{}{other}…}} is not known", if colon { ":" } else { "" })),
        }
    }

    /// What follows an operator, with the character that ends it taken.
    fn argument(&mut self, name: &str, end: char) -> Result<String, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} variables within each other"));
        }
        let pieces = self.until(Some(end))?;
        self.depth -= 1;
        self.rest.next_if_eq(&end).ok_or_else(|| format!("${{{name} is not closed by {end}"))?;
        Ok(pieces.into_iter().map(|piece| piece.text).collect())
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(next) = self.rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
            name.push(next);
            // Positional parameters have one digit.
            if name.len() == 1 && next.is_ascii_digit() {
                break;
            }
        }
        name
    }
}

fn check_length(length: usize) -> Result<(), String> {
    if length <= VALUE_BYTES_MAX { Ok(()) } else { Err(format!("the value is longer than {VALUE_BYTES_MAX} bytes")) }
}

/// A shell's pattern: `*` and `?` match any character.
fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    let pattern = pattern.replace('{', "\\{").replace('}', "\\}");
    let glob = GlobBuilder::new(&pattern).literal_separator(false).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| error.to_string())
}

/// Without the shortest or longest beginning or end that matches.
fn without<'a>(value: &'a str, pattern: &GlobMatcher, front: bool, longest: bool) -> &'a str {
    let cuts = value.char_indices().map(|(at, _)| at).chain([value.len()]);
    let cuts: Vec<usize> =
        if front == longest { cuts.collect::<Vec<_>>().into_iter().rev().collect() } else { cuts.collect() };
    let cut = cuts.into_iter().find(|&at| pattern.is_match(if front { &value[..at] } else { &value[at..] }));
    match cut {
        Some(at) if front => &value[at..],
        Some(at) => &value[..at],
        None => value,
    }
}

/// The longest match at each place, from the left.
fn replace(value: &str, pattern: &GlobMatcher, by: &str, all: bool) -> Result<String, String> {
    /// Each place is tried with each length.
    const REPLACED_BYTES_MAX: usize = 1024;
    if value.len() > REPLACED_BYTES_MAX {
        return Err(format!("a value to replace in is longer than {REPLACED_BYTES_MAX} bytes"));
    }
    let (mut output, mut at) = (String::new(), 0);
    while at < value.len() {
        let ends = value[at..].char_indices().map(|(offset, one)| at + offset + one.len_utf8());
        let end = ends.collect::<Vec<_>>().into_iter().rev().find(|&end| pattern.is_match(&value[at..end]));
        match end {
            Some(end) => {
                output.push_str(by);
                check_length(output.len())?;
                at = end;
                if !all {
                    break;
                }
            }
            None => {
                let one = value[at..].chars().next().expect("there is more");
                output.push(one);
                at += one.len_utf8();
            }
        }
    }
    output.push_str(&value[at..]);
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        match name {
            "name" => Some("world".to_owned()),
            "file" => Some("dir/app.tar.gz".to_owned()),
            "empty" => Some(String::new()),
            "two" => Some("80 443".to_owned()),
            "long" => Some("x".repeat(VALUE_BYTES_MAX)),
            _ => None,
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = expand(text, '\\', &variables).unwrap_or_else(|message| format!("error: {message}"));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn variables_are_replaced() {
        check("hello $name", "hello world");
        check("${name}s and $unknown.", "worlds and .");
        check("$name/$file", "world/dir/app.tar.gz");
        check("costs 5$", "costs 5$");
        check("$1st", "st");
    }

    #[test]
    fn quotes_and_escapes_go() {
        check(r#""$name" '$name' \$name"#, "world $name $name");
        check(r#""say \"$name\" \n""#, r#"say "world" \n"#);
        check(r"a\ b", "a b");
        assert_eq!(expand(r"C:\$name `$name", '`', &variables).unwrap(), r"C:\world $name");
    }

    #[test]
    fn operators_are_those_of_the_shell() {
        check("${unknown:-none} ${empty:-none} ${empty-none} ${unknown-none} ${name:-none}", "none none  none world");
        check("${name:+yes}${empty:+no}${empty+set}${unknown+no}", "yesset");
        check("${unknown:-${name:-x}}", "world");
        check("${unknown:?wanted}", "error: unknown: wanted");
        check("${name?wanted}", "world");
        check("${file#*.}|${file##*.}|${file%.*}|${file%%.*}|${file##*/}", "tar.gz|gz|dir/app.tar|dir/app|app.tar.gz");
        check("${file/a/A} ${file//r/R} ${name/z/Z}", "dir/App.tar.gz diR/app.taR.gz world");
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("${name", "error: ${name is not closed by }");
        check("${}", "error: ${ is not followed by the name of a variable");
        check("'open", "error: a single quote is not closed");
        check("\"open", "error: a double quote is not closed");
        check("${name^^}", "error: ${name^…} is not known");
        check("$long$long", "error: the value is longer than 65536 bytes");
        check(&"${unknown:-".repeat(40), "error: more than 32 variables within each other");
    }

    #[test]
    fn words_part_where_white_space_is_not_quoted() {
        let words = |text: &str| expand_words(text, '\\', &variables).unwrap();
        assert_eq!(words("$two 90/udp"), ["80", "443", "90/udp"]);
        assert_eq!(words("'a b' c\\ d"), ["a b", "c d"]);
    }
}
