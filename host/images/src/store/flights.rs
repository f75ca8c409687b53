use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Who is fetching what in this process: those who want the same wait for the first, and then find it there.
#[derive(Clone, Default, Debug)]
pub(crate) struct Flights(Arc<Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>>);

impl Flights {
    /// The lock to hold while fetching. Entries that nobody holds any longer go at the next call.
    pub(crate) fn of(&self, what: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| flight.strong_count() > 0);
        if let Some(flight) = flights.get(what).and_then(Weak::upgrade) {
            return flight;
        }
        let flight = Arc::default();
        flights.insert(what.to_owned(), Arc::downgrade(&flight));
        flight
    }
}
