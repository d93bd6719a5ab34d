//! The database against a map: any mix of guarded batches, restarts and errors leaves what the map holds.

use crate::support::{TestDb, key};
use futures::future::join_all;
use millstream_store::schema::{Range, Table};
use millstream_store::{Batch, Durability, Guard, GuardedError};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const KEYS: u64 = 6;

#[derive(Clone, Debug)]
enum Change {
    Put(u64, u8),
    Delete(u64),
    DeleteRange(u64, u64),
}

#[derive(Clone, Debug)]
enum Condition {
    None,
    Is(u64, u8),
    Exists(u64),
    Absent(u64),
}

#[derive(Clone, Debug)]
struct Write {
    condition: Condition,
    changes: Vec<Change>,
    synced: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// All queued before the first is written.
    Together(Vec<Write>),
    Restart,
    /// The next write fails without an effect, and is tried again.
    FailOnce(Write),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..KEYS, 0u8..3).prop_map(|(k, v)| Change::Put(k, v)),
        1 => (0..KEYS).prop_map(Change::Delete),
        1 => (0..KEYS, 0..=KEYS).prop_map(|(from, to)| Change::DeleteRange(from, to)),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    let condition = prop_oneof![
        Just(Condition::None),
        (0..KEYS, 0u8..3).prop_map(|(k, v)| Condition::Is(k, v)),
        (0..KEYS).prop_map(Condition::Exists),
        (0..KEYS).prop_map(Condition::Absent),
    ];
    (
        condition,
        proptest::collection::vec(change(), 0..4),
        any::<bool>(),
    )
        .prop_map(|(condition, changes, synced)| Write {
            condition,
            changes,
            synced,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec(write(), 1..8).prop_map(Step::Together),
        1 => Just(Step::Restart),
        1 => write().prop_map(Step::FailOnce),
    ]
}

type Model = BTreeMap<u64, u8>;

impl Write {
    fn on_model(&self, model: &mut Model) -> bool {
        let holds = match &self.condition {
            Condition::None => true,
            Condition::Is(k, v) => model.get(k) == Some(v),
            Condition::Exists(k) => model.contains_key(k),
            Condition::Absent(k) => !model.contains_key(k),
        };
        for change in self.changes.iter().filter(|_| holds) {
            match change {
                Change::Put(k, v) => drop(model.insert(*k, *v)),
                Change::Delete(k) => drop(model.remove(k)),
                Change::DeleteRange(from, to) => model.retain(|k, _| k < from || k >= to),
            }
        }
        holds
    }

    fn on_db(&self, test: &TestDb) -> futures::future::BoxFuture<'static, Result<(), GuardedError>> {
        let guard = match &self.condition {
            Condition::None => Guard::none(),
            Condition::Is(k, v) => Guard::none().is(&key(*k), vec![*v]),
            Condition::Exists(k) => Guard::none().exists(&key(*k)),
            Condition::Absent(k) => Guard::none().absent(&key(*k)),
        };
        let mut batch = Batch::new();
        for change in &self.changes {
            match change {
                Change::Put(k, v) => batch.put(&key(*k), vec![*v]),
                Change::Delete(k) => batch.delete(&key(*k)),
                Change::DeleteRange(from, to) => batch.delete_range(
                    Range::table(Table::StreamBatch)
                        .starting_at(&key(*from))
                        .below(&key(*to)),
                ),
            };
        }
        let durability = if self.synced {
            Durability::Synced
        } else {
            Durability::Written
        };
        test.db.write_guarded(guard, batch, durability)
    }
}

fn contents(test: &TestDb) -> Model {
    let mut found = Model::new();
    test.db
        .scan(&Range::table(Table::StreamBatch), |k, v| {
            found.insert(crate::support::number(k), v[0]);
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut test, mut model) = (TestDb::new(), Model::new());
    for step in steps {
        match step {
            Step::Together(writes) => {
                let held = test.faults.hold();
                let answers = join_all(writes.iter().map(|write| write.on_db(&test)));
                drop(held);
                for (write, answer) in writes.iter().zip(answers.await) {
                    let want = if write.on_model(&mut model) {
                        Ok(())
                    } else {
                        Err(GuardedError::Rejected)
                    };
                    prop_assert_eq!(answer, want);
                }
            }
            Step::Restart => test = test.restart().await,
            Step::FailOnce(write) => {
                test.faults.fail_before_write(1);
                let mut answer = write.on_db(&test).await;
                if matches!(answer, Err(GuardedError::Unknown(_))) {
                    answer = write.on_db(&test).await;
                }
                test.faults.fail_before_write(0);
                prop_assert_eq!(answer.is_ok(), write.on_model(&mut model));
            }
        }
        prop_assert_eq!(contents(&test), model.clone());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_database_is_a_map(steps in proptest::collection::vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps))?;
    }
}
