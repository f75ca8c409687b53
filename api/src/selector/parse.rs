//! The grammar of label selector strings. Source: `k8s.io/apimachinery/pkg/labels/selector.go`.

use super::{Operator, Requirement, SelectorError};

pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut parser = Parser { tokens: tokens(text), next: 0 };
    let mut found = Vec::new();
    loop {
        match parser.peek() {
            Token::End => return Ok(found),
            Token::Word(_) | Token::Not => found.push(parser.requirement()?),
            other => return refuse(format!("found '{}', expected: !, identifier, or 'end of string'", other.text())),
        }
        match parser.take() {
            Token::End => return Ok(found),
            Token::Comma => {
                let after = parser.peek();
                if !matches!(after, Token::Word(_) | Token::Not) {
                    return refuse(format!("found '{}', expected: identifier after ','", after.text()));
                }
            }
            other => return refuse(format!("found '{}', expected: ',' or 'end of string'", other.text())),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'a str),
    Not,
    Comma,
    Open,
    Close,
    End,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Symbol(text) => text,
            Self::Not => "!",
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::End => "",
        }
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.next).copied().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        self.requirement_inner().map_err(|error| SelectorError(format!("unable to parse requirement: {error}")))
    }

    fn requirement_inner(&mut self) -> Result<Requirement, SelectorError> {
        let negated = self.peek() == Token::Not;
        if negated {
            self.take();
        }
        let key = match self.take() {
            Token::Word(key) => key,
            other => return refuse(format!("found '{}', expected: identifier", other.text())),
        };
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, []);
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, []);
        }
        let operator = self.operator()?;
        match operator {
            Operator::In | Operator::NotIn => Requirement::new(key, operator, self.values()?),
            _ => Requirement::new(key, operator, [self.value()?]),
        }
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        Ok(match self.take().text() {
            "=" | "==" => Operator::Equals,
            "!=" => Operator::NotEquals,
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            ">" => Operator::Gt,
            "<" => Operator::Lt,
            other => return refuse(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    /// A missing value is the empty one: `a=`.
    fn value(&mut self) -> Result<&'a str, SelectorError> {
        match self.peek() {
            Token::End | Token::Comma => Ok(""),
            Token::Word(value) => {
                self.take();
                Ok(value)
            }
            other => refuse(format!("found '{}', expected: identifier", other.text())),
        }
    }

    /// `(x,y)`, where nothing between two commas is the empty value.
    fn values(&mut self) -> Result<Vec<&'a str>, SelectorError> {
        let open = self.take();
        if open != Token::Open {
            return refuse(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = Vec::new();
        if self.peek() == Token::Close {
            self.take();
            return Ok(values);
        }
        loop {
            match self.peek() {
                Token::Word(value) => {
                    self.take();
                    values.push(value);
                }
                Token::Comma | Token::Close => values.push(""),
                other => return refuse(format!("found '{}', expected: ',', ')' or identifier", other.text())),
            }
            match self.take() {
                Token::Close => return Ok(values),
                Token::Comma => {}
                other => return refuse(format!("found '{}', expected: ',' or ')'", other.text())),
            }
        }
    }
}

fn refuse<T>(message: String) -> Result<T, SelectorError> {
    Err(SelectorError(message))
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let special = |c: char| c.is_whitespace() || "=!(),<>".contains(c);
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '!' if rest.starts_with("!=") => (Token::Symbol(&rest[..2]), 2),
            '!' => (Token::Not, 1),
            '=' if rest.starts_with("==") => (Token::Symbol(&rest[..2]), 2),
            '=' | '<' | '>' => (Token::Symbol(&rest[..1]), 1),
            _ => {
                let length = rest.find(special).unwrap_or(rest.len());
                (Token::Word(&rest[..length]), length)
            }
        };
        found.push(token);
        rest = rest[length..].trim_start();
    }
    found
}
