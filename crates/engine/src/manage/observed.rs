//! What is shown of a mapping whose newest version the engine has not taken up yet. Pure.

use crate::view::{MappingStatus, MappingView};
use millstream_core::mapping_state::MappingState;
use millstream_types::{Desired, Mapping};

/// A mapping with what is observed of it. The engine follows the catalog a moment later; until then its status
/// tells of an older version, and a caller that was told that its pause is durable would see `ACTIVE`. The state
/// is therefore taken from what is wanted whenever the engine is behind.
pub(super) fn view(mapping: Mapping, mut status: MappingStatus) -> MappingView {
    if status.observed_generation < mapping.generation {
        status.state = state_ahead(mapping.desired, status.state);
    }
    MappingView { mapping, status }
}

fn state_ahead(desired: Desired, observed: MappingState) -> MappingState {
    match (desired, observed) {
        (Desired::Deleted, _) => MappingState::Deleting,
        (Desired::Paused, MappingState::Paused) => MappingState::Paused,
        (Desired::Paused, _) => MappingState::Pausing,
        (Desired::Running, MappingState::Creating) => MappingState::Creating,
        (Desired::Running, MappingState::Pausing | MappingState::Paused | MappingState::Resuming) => {
            MappingState::Resuming
        }
        (Desired::Running, _) => MappingState::Updating,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MappingState as S;

    #[test]
    fn what_is_wanted_shows_before_it_is_taken_up() {
        for (desired, observed, expected) in [
            (Desired::Running, S::Creating, S::Creating),
            (Desired::Running, S::Active, S::Updating),
            (Desired::Running, S::Pausing, S::Resuming),
            (Desired::Running, S::Paused, S::Resuming),
            (Desired::Paused, S::Active, S::Pausing),
            (Desired::Paused, S::Creating, S::Pausing),
            (Desired::Paused, S::Paused, S::Paused),
            (Desired::Deleted, S::Active, S::Deleting),
            (Desired::Deleted, S::Paused, S::Deleting),
        ] {
            assert_eq!(
                state_ahead(desired, observed),
                expected,
                "{desired:?} {observed:?}"
            );
        }
    }
}
