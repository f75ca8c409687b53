//! Whose turn it is. Pure: requests come and go, seats are given.

use std::collections::{HashMap, VecDeque};

/// Requests of one flow that wait; a client with more is not listening to the answers.
const FLOW_WAITING_MAX: usize = 128;
/// Requests of all flows that wait. Each holds its connection's stream and its headers, a few kilobytes.
const WAITING_MAX: usize = 4096;

/// A request that waits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ticket(u64);

#[derive(PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    Run,
    Wait(Ticket),
    Refuse,
}

pub(super) struct Queue {
    seats: usize,
    running: usize,
    waiting: usize,
    /// Those that run or wait.
    flows: HashMap<String, Flow>,
    clock: u64,
}

#[derive(Default)]
struct Flow {
    running: usize,
    waiting: VecDeque<Ticket>,
    /// When it last got a seat.
    served: u64,
}

impl Queue {
    pub(super) fn new(seats: usize) -> Self {
        Self { seats, running: 0, waiting: 0, flows: HashMap::new(), clock: 0 }
    }

    pub(super) fn arrive(&mut self, name: &str) -> Arrival {
        self.clock += 1;
        let (has_seat, limit) = (self.running < self.seats, self.flow_seats());
        let is_full = self.waiting >= WAITING_MAX;
        let flow = self.flows.entry(name.to_owned()).or_default();
        if has_seat && flow.running < limit {
            flow.running += 1;
            flow.served = self.clock;
            self.running += 1;
            return Arrival::Run;
        }
        if is_full || flow.waiting.len() >= FLOW_WAITING_MAX {
            self.forget_idle(name);
            return Arrival::Refuse;
        }
        let ticket = Ticket(self.clock);
        flow.waiting.push_back(ticket);
        self.waiting += 1;
        Arrival::Wait(ticket)
    }

    /// A request of the flow is done; who has the seat now.
    pub(super) fn finish(&mut self, name: &str) -> Option<Ticket> {
        if let Some(flow) = self.flows.get_mut(name) {
            flow.running = flow.running.saturating_sub(1);
            self.running = self.running.saturating_sub(1);
        }
        let next = self.give();
        self.forget_idle(name);
        next
    }

    /// The request no longer waits. False when it has got a seat already.
    pub(super) fn abandon(&mut self, name: &str, ticket: Ticket) -> bool {
        let Some(flow) = self.flows.get_mut(name) else { return false };
        let Some(place) = flow.waiting.iter().position(|one| *one == ticket) else { return false };
        flow.waiting.remove(place);
        self.waiting -= 1;
        self.forget_idle(name);
        true
    }

    /// To the flow that holds the fewest seats, and among these to the one that was served the longest ago.
    fn give(&mut self) -> Option<Ticket> {
        if self.running >= self.seats {
            return None;
        }
        let limit = self.flow_seats();
        let may = self.flows.values_mut().filter(|flow| !flow.waiting.is_empty() && flow.running < limit);
        let flow = may.min_by_key(|flow| (flow.running, flow.served))?;
        let ticket = flow.waiting.pop_front()?;
        self.clock += 1;
        flow.running += 1;
        flow.served = self.clock;
        self.running += 1;
        self.waiting -= 1;
        Some(ticket)
    }

    /// One flow never holds more than half of the seats, so that slow requests of one client leave room for others.
    fn flow_seats(&self) -> usize {
        self.seats.div_ceil(2)
    }

    fn forget_idle(&mut self, name: &str) {
        if self.flows.get(name).is_some_and(|flow| flow.running == 0 && flow.waiting.is_empty()) {
            self.flows.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Fills every seat that a flow may have, and its queue; the tickets of those that wait.
    fn flood(queue: &mut Queue, name: &str) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        loop {
            match queue.arrive(name) {
                Arrival::Run => {}
                Arrival::Wait(ticket) => tickets.push(ticket),
                Arrival::Refuse => return tickets,
            }
        }
    }

    #[test]
    fn a_flood_leaves_room_for_others() {
        let mut queue = Queue::new(10);
        assert_eq!(flood(&mut queue, "noisy").len(), FLOW_WAITING_MAX);
        assert_eq!(queue.running, 5);
        assert_eq!(queue.arrive("quiet"), Arrival::Run);
    }

    #[test]
    fn a_quiet_flow_comes_first() {
        let mut queue = Queue::new(4);
        flood(&mut queue, "a");
        flood(&mut queue, "b");
        let Arrival::Wait(quiet) = queue.arrive("quiet") else { panic!("every seat is taken") };
        assert_eq!(queue.finish("a"), Some(quiet));
    }

    #[test]
    fn flows_take_turns() {
        let mut queue = Queue::new(2);
        let (a, b) = (flood(&mut queue, "a"), flood(&mut queue, "b"));
        assert_eq!(queue.finish("a"), Some(a[0]));
        assert_eq!(queue.finish("b"), Some(b[0]));
        assert!(queue.abandon("a", a[1]));
        assert!(!queue.abandon("a", a[1]));
        assert_eq!(queue.finish("a"), Some(a[2]));
    }

    #[test]
    fn all_flows_together_are_bounded() {
        let mut queue = Queue::new(1);
        let waiting: usize = (0..100).map(|flow| flood(&mut queue, &flow.to_string()).len()).sum();
        assert_eq!(waiting, WAITING_MAX);
    }

    proptest! {
        #[test]
        fn seats_are_neither_lost_nor_invented(steps in prop::collection::vec((0..3u8, 0..4u8), 1..400)) {
            let mut queue = Queue::new(5);
            // Flow of each request that runs, and of each that waits.
            let (mut running, mut waiting): (Vec<String>, Vec<(String, Ticket)>) = (Vec::new(), Vec::new());
            for (step, flow) in steps {
                let flow = flow.to_string();
                match step {
                    0 => match queue.arrive(&flow) {
                        Arrival::Run => running.push(flow),
                        Arrival::Wait(ticket) => waiting.push((flow, ticket)),
                        Arrival::Refuse => {}
                    },
                    1 => if let Some(place) = running.iter().position(|one| *one == flow) {
                        running.swap_remove(place);
                        if let Some(next) = queue.finish(&flow) {
                            let place = waiting.iter().position(|(_, ticket)| *ticket == next).unwrap();
                            running.push(waiting.swap_remove(place).0);
                        }
                    },
                    _ => if let Some(place) = waiting.iter().position(|(one, _)| *one == flow) {
                        let (flow, ticket) = waiting.swap_remove(place);
                        prop_assert!(queue.abandon(&flow, ticket));
                    },
                }
                prop_assert_eq!(queue.running, running.len());
                prop_assert_eq!(queue.waiting, waiting.len());
                prop_assert!(queue.running <= 5);
                prop_assert!(queue.flows.values().all(|flow| flow.running <= 3));
            }
        }
    }
}
