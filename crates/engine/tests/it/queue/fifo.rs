//! FIFO queues: a batch of three groups in which one message fails, case by case (semantics 8 and 10).

use super::stage::{Stage, ms, secs};
use millstream_testkit::{MessageCall, Reply, message_number, raised, report_of_ids};
use millstream_types::Outcome;

/// Which group each of the messages 1 to 6 is of.
const GROUPS: [&str; 6] = ["a", "b", "c", "a", "b", "c"];
const ALL: [u64; 6] = [1, 2, 3, 4, 5, 6];

fn numbers(call: &MessageCall) -> Vec<u64> {
    call.messages.iter().map(message_number).collect()
}

/// What the function says of the batch [a1 b2 c3 a4 b5 c6]; what is deleted then; what comes back, in which order.
#[tokio::test(start_paused = true)]
async fn one_message_of_three_groups_fails() {
    let text = |t: &'static str| Outcome::Response(t.into());
    let listed = |ids: &[&str]| report_of_ids(ids);
    type Row<'a> = (&'a str, bool, Outcome, &'a [u64], &'a [u64]);
    let rows: [Row<'_>; 9] = [
        ("throws", false, raised("Bad"), &[], &ALL),
        ("throws, though it may report", true, raised("Bad"), &[], &ALL),
        ("a report that is not read", false, listed(&["m2"]), &ALL, &[]),
        (
            "lists b2: b5 behind it is deleted, as AWS does",
            true,
            listed(&["m2"]),
            &[1, 3, 4, 5, 6],
            &[2],
        ),
        (
            "lists b2 and what is behind it in b",
            true,
            listed(&["m2", "m5"]),
            &[1, 3, 4, 6],
            &[2, 5],
        ),
        (
            "stops at b2 and lists the rest",
            true,
            listed(&["m2", "m3", "m4", "m5", "m6"]),
            &[1],
            &ALL[1..],
        ),
        (
            "lists an unknown id beside it",
            true,
            listed(&["m2", "m9"]),
            &[],
            &ALL,
        ),
        ("answers what is no report", true, text("nonsense"), &[], &ALL),
        ("lists nothing", true, listed(&[]), &ALL, &[]),
    ];
    for (what, reports, outcome, deleted, back) in rows {
        let mut first = Some(outcome);
        let stage = Stage::new("jobs.fifo", reports, move |_| match first.take() {
            Some(outcome) => Reply::After(secs(1), outcome),
            None => Reply::ok(),
        });
        stage.map(|s| s.report_batch_item_failures = reports);
        stage.send_to(&GROUPS);
        let node = stage.node().await;
        node.run_for(secs(29)).await;
        assert_eq!(stage.batches(), [ALL], "{what}");
        assert_eq!(stage.deletes().concat(), deleted, "{what}");
        assert_eq!(stage.changes(), [], "{what}: visibility is not touched");
        node.run_for(secs(2)).await;
        let again: Vec<Vec<u64>> = stage.batches().split_off(1);
        assert_eq!(again.concat(), back, "{what}");
        assert!(stage.times()[1..].iter().all(|at| *at == 30_000), "{what}");
        assert_eq!(stage.judge_all().peak(), 1, "{what}");
        node.stop().await;
    }
}

/// While b2 fails for ever, everything of a and c is done as soon as it is sent, and what follows in b waits until b2
/// is a dead letter.
#[tokio::test(start_paused = true)]
async fn a_failing_group_never_delays_another() {
    for (reports, batch) in [(false, 1), (true, 1), (true, 10)] {
        let stage = Stage::new("jobs.fifo", reports, move |call| {
            let bad = numbers(call).contains(&2);
            let of_b = call
                .messages
                .iter()
                .filter(|m| m.system.group.as_deref() == Some("b"));
            let listed: Vec<&str> = of_b.filter(|_| bad).map(|m| &*m.id).collect();
            let outcome = match (bad, reports) {
                (true, false) => raised("Bad"),
                _ => report_of_ids(&listed),
            };
            Reply::After(ms(10), outcome)
        });
        stage.queue.change(|q| q.set_max_receives(Some(4)));
        stage.map(|s| {
            s.report_batch_item_failures = reports;
            s.batch_size = batch;
        });
        stage.send_to(&["a", "b", "c"]);
        let node = stage.node().await;
        node.run_for(secs(1)).await;
        stage.send_to(&["b"]);
        for _ in 0..60 {
            let at = stage.at();
            stage.send_to(&["a", "c"]);
            node.run_for(secs(1)).await;
            let calls = stage.function.calls();
            let mut new = calls
                .iter()
                .filter(|c| c.messages.iter().any(|m| m.system.group.as_deref() != Some("b")));
            assert!(
                new.next_back().unwrap().at.0 / 1_000_000 - at <= 10,
                "reports {reports}, batch {batch}"
            );
        }
        let left: Vec<u64> = stage.queue.state().messages().map(|m| m.number).collect();
        assert_eq!(left, [2, 4], "b2 is hidden, b4 is behind it");
        node.run_for(secs(70)).await;
        assert_eq!(stage.queue.state().dead_letters(), [2]);
        assert_eq!(
            stage.batches().last(),
            Some(&vec![4]),
            "freed by the dead-letter queue"
        );
        let history = stage.judge_all();
        assert_eq!((history.dead_lettered(), history.duplicates()), (1, 0));
        node.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn groups_run_side_by_side_and_each_in_order() {
    let stage = Stage::new("jobs.fifo", false, |_| Reply::ok_after(secs(1)));
    let mapping = stage.map(|s| s.batch_size = 1);
    (0..5).for_each(|_| stage.send_to(&["a", "b", "c", "d"]));
    let node = stage.node().await;
    node.run_for(ms(500)).await;
    let inside = node.inspect(&mapping).await.unwrap();
    assert_eq!(
        (inside.snapshot.active_groups, inside.snapshot.batches_in_flight),
        (4, 4)
    );
    node.run_for(secs(5)).await;
    let history = stage.judge_all();
    assert_eq!(
        (history.succeeded(), history.peak()),
        (20, 4),
        "five rounds of four"
    );
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_groups_under_maximum_concurrency() {
    let stage = Stage::new("jobs.fifo", false, |_| Reply::ok_after(ms(100)));
    stage.map(|s| s.maximum_concurrency = Some(7));
    let names: Vec<String> = (0..1_000).map(|n| format!("g{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    (0..2).for_each(|_| stage.send_to(&names));
    let node = stage.node().await;
    node.run_for(secs(30)).await;
    let history = stage.judge_all();
    assert_eq!(
        (history.succeeded(), history.peak(), history.duplicates()),
        (2_000, 7, 0)
    );
    node.stop().await;
}
