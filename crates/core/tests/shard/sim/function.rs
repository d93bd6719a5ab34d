//! What a simulated function answers.

use super::plan::Plan;
use super::windows::with_state;
use crate::rig::{ok, raised, throttled};
use millstream_core::verdict::Verdict;
use millstream_testkit::{CallResult, Rng, report_of};
use millstream_types::{Mark, Outcome, Record, WindowEnvelope};
use std::time::Duration;

/// The first byte of payloads that the function never accepts.
pub const POISON: u8 = b'!';

/// The answer to one call in a window: with a state, unless it is forgotten.
pub fn answer_in_window(
    plan: &Plan,
    records: &[Record],
    window: &WindowEnvelope,
    chaos: bool,
    rng: &mut Rng,
) -> Outcome {
    let outcome = answer(plan, records, chaos, rng);
    if chaos && rng.per_mille(plan.rates.stateless) {
        return outcome;
    }
    with_state(outcome, records, plan.spec.report_batch_item_failures, window)
}

/// The answer to one call. Poison fails for ever where retries end, else only as long as the chaos lasts.
pub fn answer(plan: &Plan, records: &[Record], chaos: bool, rng: &mut Rng) -> Outcome {
    let rates = plan.rates;
    if chaos {
        if rng.per_mille(rates.throttle) {
            let asked = Duration::from_millis(rng.between(1, 2_000));
            return if rng.per_mille(500) {
                throttled()
            } else {
                Outcome::Throttled {
                    retry_after: Some(asked),
                }
            };
        }
        if rng.per_mille(rates.timeout) {
            return Outcome::Timeout {
                after: Duration::from_secs(1),
            };
        }
        if rng.per_mille(rates.error) {
            return raised();
        }
        if !records.is_empty() && rng.per_mille(rates.partial) {
            let failed = records.get(rng.index(records.len())).map(|r| r.mark);
            return report_of(failed.as_slice());
        }
    }
    let ends = plan.spec.max_retry_attempts >= 0;
    let bad = |r: &&Record| r.data.first() == Some(&POISON) && (ends || chaos);
    let poison: Vec<Mark> = records.iter().filter(bad).map(|r| r.mark).collect();
    match poison.is_empty() {
        true => ok(),
        false if plan.spec.report_batch_item_failures => report_of(&poison),
        false => raised(),
    }
}

/// What a call did, for the log.
pub fn result_of(verdict: &Verdict) -> CallResult {
    match verdict {
        Verdict::Done => CallResult::Done,
        Verdict::FailedFrom { index, .. } => CallResult::DoneBefore(*index),
        Verdict::Failed { .. } => CallResult::Failed,
        Verdict::Throttled { .. } => CallResult::NotRun,
    }
}
