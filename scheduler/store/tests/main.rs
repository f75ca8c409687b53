//! The tests of the store from outside: one suite for every backend, and what only the file can get wrong.

mod conformance;
mod file;
mod kill;
mod model;
mod support;
