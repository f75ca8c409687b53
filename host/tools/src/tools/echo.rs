use std::io;

use crate::tool::Call;

/// `echo [-n] [WORD…]`.
pub(crate) fn echo(call: &mut Call<'_>) -> io::Result<u8> {
    let (words, end) = match call.args() {
        [first, words @ ..] if first == "-n" => (words, ""),
        words => (words, "\n"),
    };
    write!(call.stdout, "{}{end}", words.join(" "))?;
    Ok(0)
}
