//! What is wrong with a text that is no JSON, in the words of Go's `encoding/json`: clients and people know them.

/// As Go's scanner bounds it.
const DEPTH_MAX: usize = 10_000;

/// `None` when the text is JSON.
pub(crate) fn json_fault(text: &[u8]) -> Option<String> {
    Scanner { text, at: 0, open: Vec::new() }.document().err()
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The opening characters of what is not closed yet.
    open: Vec<u8>,
}

/// What may come next.
enum Next {
    Value,
    /// Or the end of the list.
    FirstItem,
    Key,
    /// Or the end of the object.
    FirstKey,
    /// After a value.
    End,
}

impl Scanner<'_> {
    fn document(mut self) -> Result<(), String> {
        let mut next = Next::Value;
        loop {
            self.skip_spaces();
            if matches!(next, Next::End) && self.open.is_empty() {
                return self.peek().map_or(Ok(()), |found| Err(unexpected(found, "after top-level value")));
            }
            next = self.step(next)?;
        }
    }

    fn step(&mut self, next: Next) -> Result<Next, String> {
        match (next, self.take()?) {
            (Next::FirstItem, b']') | (Next::FirstKey, b'}') => Ok(self.close()),
            (Next::Value | Next::FirstItem, first) => self.value(first),
            (Next::Key | Next::FirstKey, b'"') => {
                self.string()?;
                self.skip_spaces();
                match self.take()? {
                    b':' => Ok(Next::Value),
                    found => Err(unexpected(found, "after object key")),
                }
            }
            (Next::Key | Next::FirstKey, found) => Err(unexpected(found, "looking for beginning of object key string")),
            (Next::End, found) => match (self.open.last(), found) {
                (Some(b'['), b']') | (Some(b'{'), b'}') => Ok(self.close()),
                (Some(b'['), b',') => Ok(Next::Value),
                (_, b',') => Ok(Next::Key),
                (Some(b'['), found) => Err(unexpected(found, "after array element")),
                (_, found) => Err(unexpected(found, "after object key:value pair")),
            },
        }
    }

    fn value(&mut self, first: u8) -> Result<Next, String> {
        match first {
            b'{' => return self.open(first, Next::FirstKey),
            b'[' => return self.open(first, Next::FirstItem),
            b'"' => self.string()?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            b'-' | b'0'..=b'9' => self.number(first)?,
            found => return Err(unexpected(found, "looking for beginning of value")),
        }
        Ok(Next::End)
    }

    fn open(&mut self, bracket: u8, next: Next) -> Result<Next, String> {
        self.open.push(bracket);
        if self.open.len() > DEPTH_MAX { Err("exceeded max depth".to_owned()) } else { Ok(next) }
    }

    fn close(&mut self) -> Next {
        self.open.pop();
        Next::End
    }

    /// After its opening quote.
    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.take()? {
                b'"' => return Ok(()),
                b'\\' => match self.take()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => self.expect(4, u8::is_ascii_hexdigit, "in \\u hexadecimal character escape")?,
                    found => return Err(unexpected(found, "in string escape code")),
                },
                found if found < b' ' => return Err(unexpected(found, "in string literal")),
                _ => {}
            }
        }
    }

    /// After its first character.
    fn literal(&mut self, name: &str) -> Result<(), String> {
        for expected in name.bytes().skip(1) {
            let found = self.take()?;
            if found != expected {
                let place = format!("in literal {name} (expecting {})", quoted(expected));
                return Err(unexpected(found, &place));
            }
        }
        Ok(())
    }

    /// After its first character.
    fn number(&mut self, first: u8) -> Result<(), String> {
        let first = if first == b'-' { self.digit("in numeric literal")? } else { first };
        if first != b'0' {
            self.digits();
        }
        if self.take_if(b".") {
            self.digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if self.take_if(b"eE") {
            self.take_if(b"+-");
            self.digit("in exponent of numeric literal")?;
            self.digits();
        }
        Ok(())
    }

    fn digit(&mut self, place: &str) -> Result<u8, String> {
        match self.take()? {
            digit @ b'0'..=b'9' => Ok(digit),
            found => Err(unexpected(found, place)),
        }
    }

    fn digits(&mut self) {
        while self.take_if(b"0123456789") {}
    }

    fn expect(&mut self, count: usize, fits: fn(&u8) -> bool, place: &str) -> Result<(), String> {
        for _ in 0..count {
            let found = self.take()?;
            if !fits(&found) {
                return Err(unexpected(found, place));
            }
        }
        Ok(())
    }

    fn skip_spaces(&mut self) {
        while self.take_if(b" \t\r\n") {}
    }

    fn take_if(&mut self, any_of: &[u8]) -> bool {
        let taken = self.peek().is_some_and(|next| any_of.contains(&next));
        self.at += usize::from(taken);
        taken
    }

    fn take(&mut self) -> Result<u8, String> {
        let next = self.peek().ok_or_else(|| "unexpected end of JSON input".to_owned())?;
        self.at += 1;
        Ok(next)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

fn unexpected(found: u8, place: &str) -> String {
    format!("invalid character {} {place}", quoted(found))
}

/// As Go quotes the character whose number is the byte.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        byte if byte < b' ' || byte == 0x7f => format!("'\\x{byte:02x}'"),
        // Neither these nor the soft hyphen are shown.
        byte @ (0x80..=0xa0 | 0xad) => format!("'\\u{byte:04x}'"),
        byte => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(json_fault(text.as_bytes()).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn faults_read_as_go_says_them() {
        check("", "unexpected end of JSON input");
        check("{\"a\": [1, ", "unexpected end of JSON input");
        check("kind: Pod", "invalid character 'k' looking for beginning of value");
        check("{a: 1}", "invalid character 'a' looking for beginning of object key string");
        check("{\"a\" 1}", "invalid character '1' after object key");
        check("{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair");
        check("{\"a\":1,}", "invalid character '}' looking for beginning of object key string");
        check("[1,]", "invalid character ']' looking for beginning of value");
        check("[1 2]", "invalid character '2' after array element");
        check("{} x", "invalid character 'x' after top-level value");
        check("nul", "unexpected end of JSON input");
        check("nulx", "invalid character 'x' in literal null (expecting 'l')");
        check("\"a\nb\"", "invalid character '\\n' in string literal");
        check("\"\\x\"", "invalid character 'x' in string escape code");
        check("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape");
        check("-x", "invalid character 'x' in numeric literal");
        check("1.x", "invalid character 'x' after decimal point in numeric literal");
        check("1e+x", "invalid character 'x' in exponent of numeric literal");
        check("01", "invalid character '1' after top-level value");
        check(&"[".repeat(DEPTH_MAX + 1), "exceeded max depth");
        assert_eq!(json_fault(b"\x81").as_deref(), Some("invalid character '\\u0081' looking for beginning of value"));
    }

    #[test]
    fn what_is_json_has_no_fault() {
        for text in ["null", " {\"a\": [1, -0.5e+7, \"x\\u00e9\\n\", true, false, {}, []]} ", "0", "[[]]"] {
            assert_eq!(json_fault(text.as_bytes()), None, "{text}");
        }
    }
}
