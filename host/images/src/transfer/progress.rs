use std::sync::Arc;

use crate::Digest;

/// How far a blob has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It waits for its turn.
    Waiting {
        total: u64,
    },
    /// It is there already.
    Present,
    Moved {
        done: u64,
        total: u64,
    },
    /// It broke off, and goes on from what has arrived.
    Resumed {
        done: u64,
    },
    Done,
}

/// Who is told of each step of each blob of a transfer. A cheap clone.
#[derive(Clone)]
pub struct Blobs(Arc<Listener>);

type Listener = dyn Fn(&Digest, Step) + Send + Sync;

impl Blobs {
    pub fn told(listener: impl Fn(&Digest, Step) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Nobody is told.
    pub fn silent() -> Self {
        Self::told(|_, _| ())
    }

    pub(super) fn tell(&self, digest: &Digest, step: Step) {
        (self.0)(digest, step);
    }
}
