use std::io;

use super::flags;
use crate::tool::Call;
use crate::words::words;

/// `mkdir [-p] DIRECTORY…`.
pub(crate) fn mkdir(call: &mut Call<'_>) -> io::Result<u8> {
    let Some(flags) = flags::parse(call, "p", &[("parents", 'p')])? else { return Ok(1) };
    if flags.operands.is_empty() {
        call.complain("missing operand")?;
        return Ok(1);
    }
    let mut code = 0;
    for operand in &flags.operands {
        let path = call.path(operand);
        let made = if flags.has('p') { call.tree.create_directories(&path) } else { call.tree.create_directory(&path) };
        if let Err(error) = made {
            call.complain(&format!("cannot create directory '{operand}': {}", words(&error)))?;
            code = 1;
        }
    }
    Ok(code)
}
