//! What the API server and a node say to each other while a command runs or is attached to: frames, both ways.
//!
//! A frame is `channel: u8`, `length: u32` big endian, `payload`. The channels are those of Kubernetes' `v5.channel.k8s.io`,
//! so that translating for a client is a change of framing only. The [`Channel::Outcome`] frame is the node's last.

mod frame;
mod outcome;

pub use frame::{Channel, Frame, FrameError, PAYLOAD_BYTES_MAX, decode, encode};
pub use outcome::{attach_failed, exec_failed, exited, succeeded};

use serde::{Deserialize, Serialize};

/// Which of a process's streams somebody wants. With a `tty` there is no stderr of its own.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

/// The payload of [`Channel::Resize`], spelled as Kubernetes' clients spell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminalSize {
    pub width: u16,
    pub height: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_size_is_spelled_as_clients_spell_it() {
        let size: TerminalSize = serde_json::from_str(r#"{"Width":80,"Height":24}"#).unwrap();
        assert_eq!(size, TerminalSize { width: 80, height: 24 });
        assert_eq!(serde_json::to_string(&size).unwrap(), r#"{"Width":80,"Height":24}"#);
    }
}
