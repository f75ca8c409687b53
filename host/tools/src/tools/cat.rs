use std::io::{self, Read, Write};

use super::flags;
use crate::tool::Call;

const BUFFER_BYTES: usize = 64 << 10;

/// `cat [FILE…]`: files one after another; `-`, or nothing, is stdin.
pub(crate) fn cat(call: &mut Call<'_>) -> io::Result<u8> {
    let Some(flags) = flags::parse(call, "u", &[])? else { return Ok(1) };
    let files = if flags.operands.is_empty() { vec!["-"] } else { flags.operands };
    let mut code = 0;
    for file in files {
        let copied = match file {
            "-" => copy(call.stdin, call.stdout)?,
            file => match call.tree.read(&call.path(file)) {
                Ok(mut content) => copy(&mut content, call.stdout)?,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = copied {
            call.complain_of(file, &error)?;
            code = 1;
        }
    }
    Ok(code)
}

/// The outer error is the output's, the inner one the input's.
fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<io::Result<()>> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(error) => return Ok(Err(error)),
        }
        // Somebody may wait for what there is so far.
        to.flush()?;
    }
}
