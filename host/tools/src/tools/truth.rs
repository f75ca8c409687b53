use std::io;

use crate::tool::Call;

/// `true`.
pub(crate) fn succeed(_: &mut Call<'_>) -> io::Result<u8> {
    Ok(0)
}

/// `false`.
pub(crate) fn fail(_: &mut Call<'_>) -> io::Result<u8> {
    Ok(1)
}
