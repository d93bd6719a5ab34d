//! How often a consumer tells whether its attempts fail.

use millstream_types::Mono;
use std::time::Duration;

/// Whether attempts fail, told when it changes but not more often than twice a second: batches that fail and
/// succeed in turn must not flood those who watch.
#[derive(Debug, Default)]
pub(crate) struct Health {
    told: Option<(bool, Mono)>,
    pending: bool,
}

impl Health {
    const INTERVAL: Duration = Duration::from_millis(500);

    pub(crate) fn news(&mut self, failed: Option<bool>, now: Mono) -> Option<bool> {
        let failed = failed?;
        let early = self.told.is_some_and(|(_, at)| now < at.plus(Self::INTERVAL));
        self.pending = self.told.is_none_or(|(told, _)| told != failed);
        if !self.pending || early {
            return None;
        }
        self.pending = false;
        self.told = Some((failed, now));
        Some(failed)
    }

    pub(crate) fn due(&self) -> Option<Mono> {
        self.told
            .filter(|_| self.pending)
            .map(|(_, at)| at.plus(Self::INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_told_when_it_changes_and_not_too_often() {
        let mut health = Health::default();
        let at = |ms: u64| Mono(ms * 1_000_000);
        assert_eq!(health.news(None, at(0)), None);
        assert_eq!(health.news(Some(false), at(1)), Some(false));
        assert_eq!(
            (health.news(Some(true), at(2)), health.due()),
            (None, Some(at(501)))
        );
        assert_eq!(
            (health.news(Some(false), at(3)), health.due()),
            (None, None),
            "it changed back"
        );
        assert_eq!(health.news(Some(true), at(4)), None);
        assert_eq!(
            (health.news(Some(true), at(501)), health.due()),
            (Some(true), None)
        );
    }
}
