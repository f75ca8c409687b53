//! From sources to images: what a Dockerfile says, or what a project's language needs.
//!
//! [`build_dockerfile`] reads a Dockerfile and makes a Docker-style image of files; [`build_project`] calls the compiler of a
//! project's language and makes one wasm file;
//! [`new_project`] writes a project to begin with. All block. Neither stores anything: the host puts what comes out into
//! its image store, and answers where base images come from ([`BaseImages`]).
//!
//! Invariants: the same files and the same Dockerfile give the same layers, byte for byte; nothing of a layer leads out of
//! the image; nothing outside the context is read.
//!
//! Deliberately absent: running anything within an image (`RUN`), and fetching what `ADD` might name by a URL.

mod dockerfile;
mod image;
mod project;
mod template;

#[cfg(any(test, fuzzing))]
pub use dockerfile::fuzzing;
pub use dockerfile::{DockerfileBuild, DockerfileError, NewLayer, Remark, build_dockerfile, find_dockerfile};
pub use image::{
    BaseImage, BaseImages, BaseLayer, BuiltImage, HistoryEntry, InvalidPlatform, Layer, Platform, Settings,
};
pub use project::{BuildError, BuiltModule, build_project};
pub use template::{NewProjectError, TEMPLATES, Template, new_project};
