use std::path::Path;

/// A parsed transcript: rows in the order in which they are played.
///
/// ```text
/// # A comment.
/// $ kubectl get deploy/web             a command, run by the shell
/// | web   2/2   2   2   …              a line of its standard output; `…` is any text, alone any lines
/// ! Warning: …                         a line of its standard error
/// = 1                                  its exit code, when that is not 0
/// ~ kubectl top pods                   a command that is tried until what follows is what it prints
/// & kubectl get pods -w                a command that goes on; what follows is what it prints first
/// .                                    ends the command that goes on, once it has printed what follows
/// ```
///
/// A version directly behind the sign, as in `|1.20 text`, limits a line to that version of kubectl. `{NAME}` in an
/// expected line captures a word, which `$NAME` then is, in commands and in expected lines.
#[derive(Debug)]
pub struct Transcript {
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) command: String,
    pub(crate) line: usize,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
    pub(crate) code: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Once,
    Until,
    Start,
    End,
}

impl Transcript {
    /// Reads the rows for one version of kubectl from `kubectl/NAME.txt`.
    #[track_caller]
    pub fn read(name: &str, version: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubectl").join(format!("{name}.txt"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
        parse(&text, version).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

fn parse(text: &str, version: &str) -> Result<Transcript, String> {
    let mut rows: Vec<Row> = Vec::new();
    // A row of another version takes what belongs to it along.
    let mut is_ours = true;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (sign, only, rest) = split(line).ok_or_else(|| format!("line {}: no sign in {line:?}", index + 1))?;
        let applies = only.is_none_or(|only| only == version);
        if let Some(kind) = kind(sign) {
            is_ours = applies;
            if applies {
                let command = rest.to_owned();
                rows.push(Row { kind, command, line: index + 1, stdout: Vec::new(), stderr: Vec::new(), code: 0 });
            }
        } else if is_ours && applies {
            let row = rows.last_mut().ok_or_else(|| format!("line {}: no command above", index + 1))?;
            match sign {
                '|' => row.stdout.push(rest.to_owned()),
                '!' => row.stderr.push(rest.to_owned()),
                _ => row.code = rest.trim().parse().map_err(|error| format!("line {}: {error}", index + 1))?,
            }
        }
    }
    Ok(Transcript { rows })
}

fn kind(sign: char) -> Option<Kind> {
    match sign {
        '$' => Some(Kind::Once),
        '~' => Some(Kind::Until),
        '&' => Some(Kind::Start),
        '.' => Some(Kind::End),
        _ => None,
    }
}

/// The sign, the version it is limited to, and the rest of a line.
fn split(line: &str) -> Option<(char, Option<&str>, &str)> {
    let sign = line.chars().next().filter(|sign| "$~&.|!=".contains(*sign))?;
    let (word, rest) = line[sign.len_utf8()..].split_once(' ').unwrap_or((&line[sign.len_utf8()..], ""));
    Some((sign, (!word.is_empty()).then_some(word), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_for_one_version() {
        let text = "# why\n$ one\n| a\n|1.20 old\n|1.32 new\n$1.20 two\n| b\n= 3\n~ three\n! said\n";
        let shown = |version| {
            let rows = parse(text, version).unwrap().rows;
            rows.iter()
                .map(|row| format!("{:?} {} {:?} {}", row.kind, row.command, row.stdout, row.code))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown("1.20"), [r#"Once one ["a", "old"] 0"#, r#"Once two ["b"] 3"#, "Until three [] 0"]);
        assert_eq!(shown("1.32"), [r#"Once one ["a", "new"] 0"#, "Until three [] 0"]);
    }

    #[test]
    fn what_is_no_row_is_said_with_its_line() {
        assert_eq!(parse("$ a\nplain\n", "1.32").unwrap_err(), "line 2: no sign in \"plain\"");
        assert_eq!(parse("| a\n", "1.32").unwrap_err(), "line 1: no command above");
    }
}
