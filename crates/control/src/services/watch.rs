//! A watch as the API streams it: with heartbeats, and with a reason when it ends.

use crate::convert::mapping;
use crate::status;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use millstream_api::v1;
use millstream_engine::manage::WatchItem;
use millstream_engine::view::{Lagged, MappingEvent};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tonic::Status;
use v1::watch_mappings_response::Event;

const HEARTBEAT: Duration = Duration::from_secs(15);

type Watch = BoxStream<'static, Result<WatchItem, Lagged>>;

/// What a client sees of a watch. Always ends with a status: RESYNC if it was too slow, UNAVAILABLE if the engine
/// stops.
pub(super) fn responses(watch: Watch) -> BoxStream<'static, Result<v1::WatchMappingsResponse, Status>> {
    let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold(Some((watch, heartbeat)), |open| async move {
        let (mut watch, mut heartbeat) = open?;
        Some(match next(&mut watch, &mut heartbeat).await {
            Ok(event) => (
                Ok(v1::WatchMappingsResponse { event: Some(event) }),
                Some((watch, heartbeat)),
            ),
            Err(status) => (Err(status), None),
        })
    })
    .boxed()
}

/// Dropping either future loses nothing: a stream's next and an interval's tick are taken whole or not at all.
async fn next(watch: &mut Watch, heartbeat: &mut Interval) -> Result<Event, Status> {
    tokio::select! {
        biased;
        item = watch.next() => match item {
            Some(Ok(item)) => Ok(event(item)),
            Some(Err(Lagged)) => Err(status::resync()),
            None => Err(status::shutting_down()),
        },
        _ = heartbeat.tick() => Ok(Event::Heartbeat(v1::Heartbeat {})),
    }
}

fn event(item: WatchItem) -> Event {
    match item {
        WatchItem::Event(MappingEvent::Updated(view)) => Event::Updated(mapping::to_api(&view)),
        WatchItem::Event(MappingEvent::Removed(m)) => Event::Removed(v1::MappingRemoved {
            name: mapping::full_name(&m),
            uid: m.id.to_string(),
        }),
        WatchItem::SnapshotEnd => Event::SnapshotEnd(v1::SnapshotEnd {}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;
    use tonic_types::StatusExt as _;

    #[tokio::test(start_paused = true)]
    async fn a_quiet_watch_shows_that_it_lives() {
        let quiet = stream::once(async { Ok(WatchItem::SnapshotEnd) })
            .chain(stream::pending())
            .boxed();
        let mut seen = responses(quiet);
        let started = Instant::now();
        let mut next = async || seen.next().await.unwrap().unwrap().event.unwrap();
        assert_eq!(next().await, Event::SnapshotEnd(v1::SnapshotEnd {}));
        assert_eq!(next().await, Event::Heartbeat(v1::Heartbeat {}));
        assert_eq!(next().await, Event::Heartbeat(v1::Heartbeat {}));
        assert_eq!(started.elapsed(), 2 * HEARTBEAT);
    }

    #[tokio::test]
    async fn the_end_of_a_watch_has_a_reason() {
        let lagged: Watch = stream::iter([Err(Lagged)]).boxed();
        let stopped: Watch = stream::empty().boxed();
        for (watch, code, reason) in [
            (lagged, Code::Aborted, "RESYNC"),
            (stopped, Code::Unavailable, "SHUTTING_DOWN"),
        ] {
            let mut seen = responses(watch);
            let status = seen.next().await.unwrap().unwrap_err();
            assert_eq!(
                (
                    status.code(),
                    status.get_details_error_info().unwrap().reason.as_str()
                ),
                (code, reason)
            );
            assert!(seen.next().await.is_none());
        }
    }
}
