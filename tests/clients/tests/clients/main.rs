//! What a person sees who brings the tools they have.
#![cfg(unix)]

mod kubectl;
mod languages;
mod rust;
