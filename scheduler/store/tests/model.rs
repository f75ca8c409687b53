//! Random transactions against the simplest thing that could be right: a map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wasmk_api::{ChangeKind, Op, Precondition, Transaction};
use wasmk_store::{EmbeddedStore, MemoryStore, Scope, Store};

use crate::support::{key, put};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Action {
    Put(usize, Guess),
    Delete(usize, Guess),
    Check(usize, Guess),
}

/// A precondition, where a revision is the right one or a wrong one.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Any,
    Absent,
    Present,
    Right,
    Wrong,
}

/// Name → revision that wrote it.
type Model = BTreeMap<&'static str, u64>;

fn transactions() -> impl Strategy<Value = Vec<BTreeMap<usize, Action>>> {
    let guess = prop_oneof![
        3 => Just(Guess::Any),
        1 => Just(Guess::Absent),
        1 => Just(Guess::Present),
        2 => Just(Guess::Right),
        1 => Just(Guess::Wrong),
    ];
    let action = (0..3, 0..NAMES.len(), guess).prop_map(|(what, name, guess)| match what {
        0 => Action::Put(name, guess),
        1 => Action::Delete(name, guess),
        _ => Action::Check(name, guess),
    });
    let transaction = prop::collection::vec(action, 1..4).prop_map(|actions| {
        let name = |action: &Action| match action {
            Action::Put(name, _) | Action::Delete(name, _) | Action::Check(name, _) => *name,
        };
        // A key appears at most once in a transaction.
        actions.into_iter().map(|action| (name(&action), action)).collect()
    });
    prop::collection::vec(transaction, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_agrees_with_the_model(transactions in transactions()) {
        check(&MemoryStore::new(), &transactions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_file_agrees_with_the_model_and_with_itself_reopened(transactions in transactions()) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("store");
        let model = check(&EmbeddedStore::open(&path).unwrap(), &transactions);
        prop_assert_eq!(revisions(&EmbeddedStore::open(&path).unwrap()), model);
    }
}

fn check(store: &dyn Store, transactions: &[BTreeMap<usize, Action>]) -> Model {
    let runtime = Runtime::new().unwrap();
    let mut model = Model::new();
    let mut revision = 0;
    let mut watch = store.watch(0, Scope::all("pods")).unwrap();
    let mut watched = Model::new();
    for actions in transactions {
        let wanted = model_commit(&model, revision + 1, actions.values());
        let transaction = Transaction { ops: actions.values().map(|action| op(action, &model)).collect() };
        match (runtime.block_on(store.commit(transaction)), wanted) {
            (Ok(committed), Some(next)) => {
                revision = if next == model { revision } else { revision + 1 };
                assert_eq!(committed.revision, revision);
                model = next;
            }
            (Err(_), None) => {}
            (found, wanted) => panic!("{actions:?}: the store says {found:?}, the model {wanted:?}"),
        }
        assert_eq!(revisions(store), model);
        while let Some(batch) = watch.try_next().unwrap().unwrap() {
            for change in &*batch.changes {
                let name = NAMES.into_iter().find(|name| *name == change.object.name()).unwrap();
                let previous = match change.kind {
                    ChangeKind::Deleted => watched.remove(name),
                    _ => watched.insert(name, change.object.revision()),
                };
                assert_eq!(change.previous.as_ref().map(|object| object.revision()), previous);
            }
        }
        assert_eq!(watched, model, "whoever follows the watch sees the same state");
    }
    model
}

/// The model after the transaction, or `None` if a precondition does not hold.
fn model_commit<'a>(model: &Model, revision: u64, actions: impl Iterator<Item = &'a Action>) -> Option<Model> {
    let mut next = model.clone();
    for action in actions {
        let (Action::Put(name, guess) | Action::Delete(name, guess) | Action::Check(name, guess)) = action;
        let name = NAMES[*name];
        let there = model.contains_key(name);
        let holds = match guess {
            Guess::Any => true,
            Guess::Absent => !there,
            Guess::Present | Guess::Right => there,
            Guess::Wrong => false,
        };
        if !holds {
            return None;
        }
        match action {
            Action::Put(..) => drop(next.insert(name, revision)),
            Action::Delete(..) => drop(next.remove(name)),
            Action::Check(..) => {}
        }
    }
    Some(next)
}

fn op(action: &Action, model: &Model) -> Op {
    let precondition = |name: usize, guess: Guess| match guess {
        Guess::Any => Precondition::Any,
        Guess::Absent => Precondition::Absent,
        Guess::Present => Precondition::Present,
        Guess::Right => Precondition::Revision(model.get(NAMES[name]).copied().unwrap_or(7)),
        Guess::Wrong => Precondition::Revision(1_000_000),
    };
    match *action {
        Action::Put(name, guess) => {
            let Op::Put { key, value, .. } = put("pods", NAMES[name], 0).ops.remove(0) else { unreachable!() };
            Op::Put { key, value, precondition: precondition(name, guess) }
        }
        Action::Delete(name, guess) => {
            Op::Delete { key: key("pods", NAMES[name]), precondition: precondition(name, guess) }
        }
        Action::Check(name, guess) => {
            Op::Check { key: key("pods", NAMES[name]), precondition: precondition(name, guess) }
        }
    }
}

fn revisions(store: &dyn Store) -> Model {
    let snapshot = store.snapshot();
    NAMES.into_iter().filter_map(|name| Some((name, snapshot.get(&key("pods", name))?.revision()))).collect()
}
