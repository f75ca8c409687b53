use tokio::sync::watch;

/// What readers know of a log that is being written.
pub(crate) struct LiveLog {
    restart: u32,
    state: watch::Sender<LiveState>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LiveState {
    /// Number of the file that is written now: rotation adds one.
    pub(super) segment: u64,
    /// Counts batches, so that each wakes the followers.
    pub(super) batches: u64,
    pub(super) ended: bool,
}

impl LiveLog {
    pub(super) fn new(restart: u32, segment: u64) -> Self {
        Self { restart, state: watch::Sender::new(LiveState { segment, batches: 0, ended: false }) }
    }

    /// Resolves when the last line is in the file.
    pub(crate) async fn ended(&self) {
        // The sender is `self`: it cannot be gone.
        let _ = self.state.subscribe().wait_for(|state| state.ended).await;
    }

    pub(super) fn restart(&self) -> u32 {
        self.restart
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<LiveState> {
        self.state.subscribe()
    }

    pub(super) fn written(&self, segment: u64) {
        self.state.send_modify(|state| {
            state.segment = segment;
            state.batches += 1;
        });
    }

    pub(super) fn end(&self) {
        self.state.send_modify(|state| state.ended = true);
    }
}
