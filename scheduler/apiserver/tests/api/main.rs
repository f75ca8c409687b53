//! The API server as its clients see it: in-process over a memory store, and over TLS.

mod access;
mod accounts;
mod certificates;
mod custom;
mod discovery;
mod errors;
mod evictions;
mod fake_node;
mod kubectl;
mod lifecycle;
mod load;
mod objects;
mod patches;
mod proxy;
mod recorded;
mod streams;
mod support;
mod tls;
mod usage;
mod views;
mod watches;
