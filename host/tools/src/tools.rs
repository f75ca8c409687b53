//! One module a tool. Each answers its exit code; an error means that its output is gone.

mod cat;
mod echo;
mod env;
mod flags;
mod ls;
mod mkdir;
mod pwd;
mod rm;
mod tar;
mod test;
mod truth;

pub(crate) use cat::cat;
pub(crate) use echo::echo;
pub(crate) use env::env;
pub(crate) use ls::ls;
pub(crate) use mkdir::mkdir;
pub(crate) use pwd::pwd;
pub(crate) use rm::rm;
pub(crate) use tar::tar;
pub(crate) use test::test;
pub(crate) use truth::{fail, succeed};

#[cfg(test)]
mod tests;
