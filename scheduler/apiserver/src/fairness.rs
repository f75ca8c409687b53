//! Priority and fairness: one noisy client keeps neither nodes nor the system nor other people waiting.
//!
//! Each request belongs to a level, which has seats of its own, and within the level to a flow: the client. A request
//! holds a seat until its answer begins, so a watch or an open stream holds none. Who finds no seat waits in the queue
//! of its flow; a seat that gets free goes to the flow that holds the fewest. What is decided is pure (`queue`); here is
//! the waiting. Source of the idea: KEP-1040.

mod level;
mod queue;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use tokio::sync::oneshot;

pub(crate) use level::Level;
use queue::{Arrival, Queue, Ticket};

/// Waiting longer helps nobody: a quarter of what a whole request may take, as in Kubernetes.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// After which a client that was turned away may come again.
const RETRY_AFTER_SECONDS: &str = "1";

/// Who runs, and who waits.
pub(crate) struct Fairness {
    nodes: Arc<Gate>,
    system: Arc<Gate>,
    users: Arc<Gate>,
}

/// The right to be worked on, until it is dropped.
pub(crate) struct Seat {
    held: Option<(Arc<Gate>, String)>,
}

/// There was no seat, and no place to wait, or the wait was too long.
pub(crate) struct TurnedAway;

impl Default for Fairness {
    fn default() -> Self {
        let gate = |level: Level| Arc::new(Gate::new(Queue::new(level.seats())));
        Self { nodes: gate(Level::Nodes), system: gate(Level::System), users: gate(Level::Users) }
    }
}

impl Fairness {
    /// Waits for a seat; `flow` is the client. Dropping the future gives up the place in the queue.
    pub(crate) async fn enter(&self, flow: String, level: Level) -> Result<Seat, TurnedAway> {
        let gate = match level {
            Level::Exempt => return Ok(Seat { held: None }),
            Level::Nodes => &self.nodes,
            Level::System => &self.system,
            Level::Users => &self.users,
        };
        gate.clone().enter(flow).await
    }
}

impl TurnedAway {
    /// As kube-apiserver says it: text, not a Status.
    pub(crate) fn response(&self) -> Response {
        let text = "Too many requests, please try again later.\n";
        let retry = HeaderValue::from_static(RETRY_AFTER_SECONDS);
        (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, retry)], text).into_response()
    }
}

/// One level's queue, and how those who wait are woken.
struct Gate(Mutex<State>);

struct State {
    queue: Queue,
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
}

impl Gate {
    fn new(queue: Queue) -> Self {
        Self(Mutex::new(State { queue, waiting: HashMap::new() }))
    }

    async fn enter(self: Arc<Self>, flow: String) -> Result<Seat, TurnedAway> {
        let (ticket, woken) = {
            let mut state = self.lock();
            match state.queue.arrive(&flow) {
                Arrival::Run => return Ok(Seat { held: Some((self.clone(), flow)) }),
                Arrival::Refuse => return Err(TurnedAway),
                Arrival::Wait(ticket) => {
                    let (wake, woken) = oneshot::channel();
                    state.waiting.insert(ticket, wake);
                    (ticket, woken)
                }
            }
        };
        let place = Place { held: Some((self, flow)), ticket };
        match tokio::time::timeout(WAIT_MAX, woken).await {
            Ok(Ok(())) => Ok(place.take()),
            _ => Err(TurnedAway),
        }
    }

    fn leave(&self, flow: &str) {
        let mut state = self.lock();
        if let Some(next) = state.queue.finish(flow)
            && let Some(wake) = state.waiting.remove(&next)
        {
            // Who no longer listens gives the seat back by its `Place`.
            let _ = wake.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue. Dropped, it is given up, or the seat is that has come in the meantime.
struct Place {
    held: Option<(Arc<Gate>, String)>,
    ticket: Ticket,
}

impl Place {
    fn take(mut self) -> Seat {
        Seat { held: self.held.take() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((gate, flow)) = self.held.take() else { return };
        let gave_up = {
            let mut state = gate.lock();
            state.waiting.remove(&self.ticket);
            state.queue.abandon(&flow, self.ticket)
        };
        if !gave_up {
            gate.leave(&flow);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((gate, flow)) = self.held.take() {
            gate.leave(&flow);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_seat_goes_on_to_who_waits() {
        let fairness = Fairness { users: Arc::new(Gate::new(Queue::new(1))), ..Fairness::default() };
        let seat = fairness.enter("a".to_owned(), Level::Users).await.ok().unwrap();
        let mut second = Box::pin(fairness.enter("a".to_owned(), Level::Users));
        let mut third = Box::pin(fairness.enter("b".to_owned(), Level::Users));
        assert!(futures::poll!(second.as_mut()).is_pending() && futures::poll!(third.as_mut()).is_pending());
        // Who gives up before and after the seat has come to it leaves it to the next.
        drop(second);
        drop(seat);
        drop(third);
        assert!(fairness.enter("c".to_owned(), Level::Users).await.is_ok());
    }

    #[tokio::test]
    async fn levels_do_not_wait_for_each_other() {
        let fairness = Fairness { users: Arc::new(Gate::new(Queue::new(1))), ..Fairness::default() };
        let _seat = fairness.enter("a".to_owned(), Level::Users).await.ok().unwrap();
        for level in [Level::Nodes, Level::System, Level::Exempt] {
            assert!(fairness.enter("a".to_owned(), level).await.is_ok());
        }
    }
}
