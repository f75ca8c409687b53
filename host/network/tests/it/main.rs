//! Real sockets, real certificates, several nodes in one process.

mod cluster;
mod guests;
mod ingress;
mod mesh;
mod rate;
mod rolling;
mod streams;
