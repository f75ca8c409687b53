use std::io;

use crate::tool::Call;

/// Single letters before the operands.
pub(super) struct Flags<'a> {
    letters: Vec<char>,
    pub(super) operands: Vec<&'a str>,
}

/// Splits `-la -- FILE…`; `known` are the letters there are, `long` their names in words. `None`: a complaint was made.
pub(super) fn parse<'a>(call: &mut Call<'a>, known: &str, long: &[(&str, char)]) -> io::Result<Option<Flags<'a>>> {
    let mut flags = Flags { letters: Vec::new(), operands: Vec::new() };
    let mut only_operands = false;
    for arg in call.args() {
        match arg.strip_prefix('-') {
            _ if only_operands => flags.operands.push(arg),
            None | Some("") => flags.operands.push(arg),
            Some("-") => only_operands = true,
            Some(word) if word.starts_with('-') => match long.iter().find(|(name, _)| *name == &word[1..]) {
                Some((_, letter)) => flags.letters.push(*letter),
                None => return call.complain(&format!("unrecognized option '{arg}'")).map(|()| None),
            },
            Some(letters) => match letters.chars().find(|letter| !known.contains(*letter)) {
                Some(letter) => return call.complain(&format!("invalid option -- '{letter}'")).map(|()| None),
                None => flags.letters.extend(letters.chars()),
            },
        }
    }
    Ok(Some(flags))
}

impl Flags<'_> {
    pub(super) fn has(&self, letter: char) -> bool {
        self.letters.contains(&letter)
    }
}
