use std::io;

use crate::tool::Call;
use crate::tree::Kind;

/// `test [!] -d|-e|-f|-s|-r|-w|-x|-L PATH`, `-n|-z TEXT`, `TEXT = TEXT`, `TEXT != TEXT`, `TEXT`.
pub(crate) fn test(call: &mut Call<'_>) -> io::Result<u8> {
    let words: Vec<&str> = call.args().iter().map(String::as_str).collect();
    let (words, negated) = match words.split_first() {
        Some((&"!", rest)) => (rest, true),
        _ => (words.as_slice(), false),
    };
    match holds(call, words) {
        Ok(holds) => Ok(u8::from(holds == negated)),
        Err(message) => {
            call.complain(&message)?;
            Ok(2)
        }
    }
}

fn holds(call: &Call<'_>, words: &[&str]) -> Result<bool, String> {
    match *words {
        [] => Ok(false),
        [text] => Ok(!text.is_empty()),
        ["-n", text] => Ok(!text.is_empty()),
        ["-z", text] => Ok(text.is_empty()),
        [operator, path] => of_file(call, operator, path),
        [left, "=" | "==", right] => Ok(left == right),
        [left, "!=", right] => Ok(left != right),
        _ => Err("this expression is more than it knows here".to_owned()),
    }
}

fn of_file(call: &Call<'_>, operator: &str, path: &str) -> Result<bool, String> {
    let path = call.path(path);
    let found = call.tree.details(&path).ok();
    let kind = found.map(|details| details.kind);
    match operator {
        // Guests have no permissions: what is there can be read.
        "-e" | "-r" => Ok(found.is_some()),
        "-d" | "-x" => Ok(kind == Some(Kind::Directory)),
        "-f" => Ok(kind == Some(Kind::File)),
        "-s" => Ok(found.is_some_and(|details| details.bytes > 0)),
        "-w" => Ok(found.is_some() && call.tree.is_writable(&path)),
        "-L" | "-h" => Ok(call.tree.link_details(&path).is_ok_and(|details| details.kind == Kind::Link)),
        other => Err(format!("{other}: unary operator expected")),
    }
}
