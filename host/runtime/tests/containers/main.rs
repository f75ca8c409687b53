//! Real guests in real containers: `tests/guests`, built once by the first test that needs one.

mod commands;
mod exec;
mod figures;
mod http;
mod limits;
mod preparing;
mod sockets;
mod support;
