//! Waiting for what will happen, with a limit and without fixed sleeps.

use std::time::{Duration, Instant};

/// How long anything may take that should take moments; machines under test are busy.
pub(crate) const SOON: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// Looks until there is an answer.
///
/// # Panics
/// If there is none within `limit`; `what` says what was waited for.
pub(crate) async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} in vain for: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
