//! `tar`, as far as `kubectl cp` and people copying by hand use it: to stdout and from stdin.

mod create;
mod extract;
mod options;

use std::io;

use crate::tool::Call;
use options::{Mode, Options};

/// What GNU tar ends with when something was left out.
const FAILED: u8 = 2;

pub(crate) fn tar(call: &mut Call<'_>) -> io::Result<u8> {
    let options = match Options::parse(call.args()) {
        Ok(options) => options,
        Err(message) => {
            call.complain(&message)?;
            return Ok(FAILED);
        }
    };
    let clean = match options.mode {
        Mode::Create => create::create(call, &options)?,
        Mode::Extract => extract::extract(call, &options)?,
    };
    if clean {
        return Ok(0);
    }
    call.complain("Exiting with failure status due to previous errors")?;
    Ok(FAILED)
}
