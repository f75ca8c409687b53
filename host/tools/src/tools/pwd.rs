use std::io;

use crate::tool::Call;

/// `pwd`: the container's working directory.
pub(crate) fn pwd(call: &mut Call<'_>) -> io::Result<u8> {
    writeln!(call.stdout, "{}", call.working_dir)?;
    Ok(0)
}
