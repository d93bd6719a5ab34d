//! When a failure document that cannot be delivered is given up (semantics, section 9: AWS gives no figure).

use millstream_types::Wall;
use millstream_types::durable::{DeliveryEnd, DeliveryState};
use std::time::Duration;

/// Longest reason that is kept, in characters.
const MAX_ERROR: usize = 512;

/// For how long the delivery of a document is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryPolicy {
    /// From its first attempt on. An attempt that fails later than that is the last.
    pub for_at_most: Duration,
}

impl Default for DeliveryPolicy {
    /// A day: long enough for somebody to mend a destination, whoever is called at night.
    fn default() -> Self {
        Self {
            for_at_most: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// How a delivery stands behind a failed attempt at `now`.
#[must_use]
pub fn failed(before: &DeliveryState, error: &str, policy: DeliveryPolicy, now: Wall) -> DeliveryState {
    let first_attempt = match before.attempts {
        0 => now,
        _ => before.first_attempt,
    };
    let tried_for = Duration::from_millis(now.0.saturating_sub(first_attempt.0));
    DeliveryState {
        attempts: before.attempts.saturating_add(1),
        first_attempt,
        last_attempt: now,
        error: error.chars().take(MAX_ERROR).collect(),
        end: (before.attempts > 0 && tried_for >= policy.for_at_most).then_some(DeliveryEnd::Failed),
    }
}

/// How a delivery stands behind the attempt at `now` that worked.
#[must_use]
pub fn delivered(before: DeliveryState, now: Wall) -> DeliveryState {
    DeliveryState {
        attempts: before.attempts.saturating_add(1),
        first_attempt: match before.attempts {
            0 => now,
            _ => before.first_attempt,
        },
        last_attempt: now,
        end: Some(DeliveryEnd::Delivered),
        ..before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_given_up_at_the_first_failure_behind_its_time() {
        let policy = DeliveryPolicy {
            for_at_most: Duration::from_secs(60),
        };
        let mut state = DeliveryState::default();
        for (at, attempts, end) in [
            (5_000, 1, None),
            (30_000, 2, None),
            (64_999, 3, None),
            (65_000, 4, Some(DeliveryEnd::Failed)),
        ] {
            state = failed(&state, "down", policy, Wall(at));
            assert_eq!((state.attempts, state.end), (attempts, end), "{at}");
        }
        assert_eq!(
            (state.first_attempt, state.last_attempt),
            (Wall(5_000), Wall(65_000))
        );
    }

    #[test]
    fn the_first_failure_is_never_the_last() {
        let policy = DeliveryPolicy {
            for_at_most: Duration::ZERO,
        };
        let first = failed(&DeliveryState::default(), "down", policy, Wall(7));
        assert_eq!(first.end, None);
        assert_eq!(
            failed(&first, "down", policy, Wall(7)).end,
            Some(DeliveryEnd::Failed)
        );
    }

    #[test]
    fn what_is_delivered_keeps_what_was_before() {
        let before = failed(
            &DeliveryState::default(),
            &"x".repeat(9_000),
            DeliveryPolicy::default(),
            Wall(1),
        );
        assert_eq!(before.error.len(), MAX_ERROR);
        let state = delivered(before, Wall(9));
        assert_eq!(
            (state.attempts, state.first_attempt, state.end),
            (2, Wall(1), Some(DeliveryEnd::Delivered))
        );
    }
}
