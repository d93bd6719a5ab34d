//! Deletes and changes of visibility: one answer for each entry, whatever becomes of the call.

use super::error::{entry_error, failed_entry};
use super::queue::Queue;
use crate::connection::Fault;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use millstream_ports::{EntryError, MAX_ENTRIES};
use millstream_types::Receipt;
use std::time::Duration;

/// Longest that a message can stay hidden.
const MOST_HIDDEN: Duration = Duration::from_secs(43_200);

type Answers = Vec<Result<(), EntryError>>;

/// What SQS said of a call: the ids that worked, and those that did not.
#[derive(Debug)]
struct Said {
    done: Vec<String>,
    failed: Vec<BatchResultErrorEntry>,
}

impl Queue {
    /// Deletes messages.
    pub(super) async fn delete(&self, receipts: &[Receipt]) -> Answers {
        self.each(receipts.len(), self.try_delete(receipts)).await
    }

    /// Changes for how long messages stay hidden from now on.
    pub(super) async fn hide(&self, entries: &[(Receipt, Duration)]) -> Answers {
        self.each(entries.len(), self.try_hide(entries)).await
    }

    async fn each(&self, entries: usize, call: impl Future<Output = Result<Said, Fault>>) -> Answers {
        let failed = |why: EntryError| (0..entries).map(|_| Err(why.clone())).collect();
        if entries == 0 {
            return Vec::new();
        }
        if entries > MAX_ENTRIES {
            let why = format!("{entries} entries in one call; at most {MAX_ENTRIES} are allowed");
            return failed(EntryError::Unavailable(why));
        }
        match call.await {
            Ok(said) => answers(entries, &said),
            Err(fault) => failed(entry_error(&self.arn, self.note(fault))),
        }
    }

    async fn try_delete(&self, receipts: &[Receipt]) -> Result<Said, Fault> {
        let url = self.url().await?;
        let entries = receipts.iter().enumerate().map(|(n, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(n.to_string())
                .receipt_handle(receipt.0.as_ref())
                .build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(unbuilt)?;
        let call = self.client.delete_message_batch().queue_url(url.as_ref());
        let answer = call.set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|e| Fault::of("DeleteMessageBatch", &e))?;
        Ok(Said {
            done: answer.successful.into_iter().map(|entry| entry.id).collect(),
            failed: answer.failed,
        })
    }

    async fn try_hide(&self, entries: &[(Receipt, Duration)]) -> Result<Said, Fault> {
        let url = self.url().await?;
        let entries = entries.iter().enumerate().map(|(n, (receipt, hidden))| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(n.to_string())
                .receipt_handle(receipt.0.as_ref())
                .visibility_timeout(seconds(*hidden))
                .build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(unbuilt)?;
        let call = self
            .client
            .change_message_visibility_batch()
            .queue_url(url.as_ref());
        let answer = call.set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|e| Fault::of("ChangeMessageVisibilityBatch", &e))?;
        Ok(Said {
            done: answer.successful.into_iter().map(|entry| entry.id).collect(),
            failed: answer.failed,
        })
    }
}

/// SQS counts whole seconds. Rounded up: what was to be hidden must not be shown before.
fn seconds(hidden: Duration) -> i32 {
    let hidden = hidden.min(MOST_HIDDEN);
    let up = hidden.as_secs() + u64::from(hidden.subsec_nanos() > 0);
    i32::try_from(up).unwrap_or(i32::MAX)
}

fn unbuilt(e: aws_sdk_sqs::error::BuildError) -> Fault {
    Fault {
        kind: crate::connection::FaultKind::Unavailable,
        code: None,
        text: e.to_string(),
    }
}

/// In the order of the entries. One that nothing was said of may have worked or not.
fn answers(entries: usize, said: &Said) -> Answers {
    let silent = || EntryError::Unavailable("SQS did not say what became of it".to_owned());
    let mut answers: Answers = (0..entries).map(|_| Err(silent())).collect();
    let place = |id: &str| id.parse::<usize>().ok();
    for id in &said.done {
        if let Some(answer) = place(id).and_then(|n| answers.get_mut(n)) {
            *answer = Ok(());
        }
    }
    for failed in &said.failed {
        if let Some(answer) = place(&failed.id).and_then(|n| answers.get_mut(n)) {
            *answer = Err(failed_entry(&failed.code, failed.message.as_deref()));
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_its_own_answer() {
        let failed = |id: &str, code: &str| {
            let entry = BatchResultErrorEntry::builder()
                .id(id)
                .code(code)
                .sender_fault(true);
            entry.build().unwrap()
        };
        let said = Said {
            done: vec!["2".into(), "0".into(), "99".into(), "x".into()],
            failed: vec![
                failed("1", "ReceiptHandleIsInvalid"),
                failed("3", "InternalError"),
            ],
        };
        let answers = answers(5, &said);
        assert!(answers[0].is_ok() && answers[2].is_ok());
        assert!(matches!(answers[1], Err(EntryError::Receipt(_))));
        assert!(matches!(answers[3], Err(EntryError::Unavailable(_))));
        assert!(
            matches!(answers[4], Err(EntryError::Unavailable(_))),
            "not a word of it"
        );
    }

    #[test]
    fn seconds_are_whole_and_bounded() {
        for (millis, expect) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (u64::MAX, 43_200)] {
            assert_eq!(seconds(Duration::from_millis(millis)), expect);
        }
    }
}
