//! The API server as its clients see it: in-process over a memory store, and over TLS.

mod access;
mod discovery;
mod kubectl;
mod objects;
mod patches;
mod support;
mod tls;
mod watches;
