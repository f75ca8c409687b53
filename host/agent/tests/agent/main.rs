//! The agent against an API server, images, a runtime and a network that are small fakes in this process.

mod api;
mod fakes;
mod node;
mod pods;
mod restarts;
mod sessions;
mod world;
