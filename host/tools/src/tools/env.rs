use std::io;

use crate::tool::Call;

/// `env`: the container's environment. It starts no other program.
pub(crate) fn env(call: &mut Call<'_>) -> io::Result<u8> {
    if let Some(first) = call.args().first() {
        call.complain(&format!("{first}: env only prints here; run the program itself"))?;
        return Ok(127);
    }
    for (name, value) in call.env {
        writeln!(call.stdout, "{name}={value}")?;
    }
    Ok(0)
}
