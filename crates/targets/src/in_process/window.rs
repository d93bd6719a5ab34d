//! The tumbling window that a closure is called for.

use bytes::Bytes;
use millstream_types::WindowEnvelope;
use serde::de::DeserializeOwned;

/// The tumbling window of a batch, and the state that the function returned last.
#[derive(Clone, Debug)]
pub struct Window(WindowEnvelope);

impl Window {
    /// Its start, inclusive, in ms since the Unix epoch.
    #[must_use]
    pub fn start_ms(&self) -> u64 {
        self.0.start.0
    }

    /// Its end, exclusive, in ms since the Unix epoch.
    #[must_use]
    pub fn end_ms(&self) -> u64 {
        self.0.end.0
    }

    /// Whether this is the last call of the window: there are no records, and the state that is returned is dropped.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.0.is_final
    }

    /// Whether the window ends early, because its state is too big or leaves no room for a record. If more of its
    /// records come, it goes on with a fresh state.
    #[must_use]
    pub fn is_terminated_early(&self) -> bool {
        self.0.terminated_early
    }

    /// The state as JSON, as it was returned; `{}` at the start.
    #[must_use]
    pub fn state_json(&self) -> &Bytes {
        &self.0.state
    }

    /// The state read as `T`, or its default at the start of the window.
    ///
    /// # Errors
    /// If what was returned last is no `T`.
    pub fn state<T: DeserializeOwned + Default>(&self) -> Result<T, serde_json::Error> {
        if self.0.state.as_ref() == b"{}" {
            return Ok(T::default());
        }
        serde_json::from_slice(&self.0.state)
    }
}

impl From<WindowEnvelope> for Window {
    fn from(window: WindowEnvelope) -> Self {
        Self(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::Wall;

    fn window(state: &'static str) -> Window {
        Window::from(WindowEnvelope {
            start: Wall(1_000),
            end: Wall(2_000),
            state: Bytes::from_static(state.as_bytes()),
            is_final: true,
            terminated_early: false,
        })
    }

    #[test]
    fn a_state_is_read_as_a_type_and_begins_with_its_default() {
        assert_eq!(window("{}").state::<u64>().unwrap(), 0);
        assert_eq!(window("7").state::<u64>().unwrap(), 7);
        assert_eq!(window("[1,2]").state::<Vec<u8>>().unwrap(), [1, 2]);
        assert!(window("\"a\"").state::<u64>().is_err());
        let w = window("7");
        assert_eq!(
            (w.start_ms(), w.end_ms(), &w.state_json()[..]),
            (1_000, 2_000, &b"7"[..])
        );
        assert!(w.is_final() && !w.is_terminated_early());
    }
}
