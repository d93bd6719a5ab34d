//! What became of the failure documents of one mapping, as its conditions tell it.

use crate::view::Condition;
use millstream_types::{DestinationArn, Wall};

/// Documents wait: the destination does not take them.
const DESTINATION_UNAVAILABLE: &str = "DestinationUnavailable";
/// Documents were given up.
const DOCUMENTS_UNDELIVERABLE: &str = "DocumentsUndeliverable";

/// Since the mapping was taken up by this process.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    waiting: Option<(String, Wall)>,
    given_up: Option<GivenUp>,
}

#[derive(Debug)]
struct GivenUp {
    documents: u64,
    destination: DestinationArn,
    since: Wall,
}

impl Posts {
    /// A document was delivered. Whether that changes a condition.
    pub(crate) fn delivered(&mut self) -> bool {
        self.waiting.take().is_some()
    }

    /// A delivery failed at `now`. Whether that changes a condition.
    pub(crate) fn failed(&mut self, destination: &DestinationArn, why: &str, now: Wall) -> bool {
        let message = format!("{destination}: {why}");
        let since = self.waiting.as_ref().map_or(now, |w| w.1);
        let before = self.waiting.replace((message, since));
        before.map(|b| b.0) != self.waiting.as_ref().map(|w| w.0.clone())
    }

    /// A document was given up at `now`.
    pub(crate) fn given_up(&mut self, destination: &DestinationArn, now: Wall) {
        // It does not wait any more; what waits besides says so with its next attempt.
        self.waiting = None;
        let (documents, since) = self
            .given_up
            .as_ref()
            .map_or((0, now), |g| (g.documents, g.since));
        self.given_up = Some(GivenUp {
            documents: documents + 1,
            destination: destination.clone(),
            since,
        });
    }

    /// For people.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = Condition> {
        let waiting = self.waiting.as_ref().map(|(message, since)| Condition {
            kind: DESTINATION_UNAVAILABLE,
            message: message.clone(),
            since: *since,
        });
        let given_up = self.given_up.as_ref().map(|g| Condition {
            kind: DOCUMENTS_UNDELIVERABLE,
            message: format!(
                "{} could not be delivered to {} in time; their discards are kept and show FAILED",
                match g.documents {
                    1 => "1 failure document".to_owned(),
                    n => format!("{n} failure documents"),
                },
                g.destination
            ),
            since: g.since,
        });
        waiting.into_iter().chain(given_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{SourceArn, StreamName};

    fn shown(posts: &Posts) -> Vec<(&'static str, String, u64)> {
        posts
            .conditions()
            .map(|c| (c.kind, c.message, c.since.0))
            .collect()
    }

    #[test]
    fn waiting_ends_with_a_delivery_and_giving_up_stays() {
        let mut posts = Posts::default();
        let destination = DestinationArn::from(SourceArn::local_stream(&StreamName::new("dead").unwrap()));
        let waits = format!("{destination}: full");
        assert!(!posts.delivered());
        assert!(posts.failed(&destination, "full", Wall(5)));
        assert!(!posts.failed(&destination, "full", Wall(6)), "nothing new");
        assert_eq!(shown(&posts), [(DESTINATION_UNAVAILABLE, waits, 5)]);
        posts.given_up(&destination, Wall(7));
        posts.given_up(&destination, Wall(8));
        let given_up = format!(
            "2 failure documents could not be delivered to {destination} in time; their discards are kept and show FAILED"
        );
        assert_eq!(shown(&posts), [(DOCUMENTS_UNDELIVERABLE, given_up, 7)]);
        assert!(posts.failed(&destination, "full", Wall(9)));
        assert!(posts.delivered());
        assert_eq!(shown(&posts).len(), 1);
    }
}
