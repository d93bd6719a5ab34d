//! Known bugs, for the simulation of the engine to find: what it does not find there, it would not find elsewhere.
//!
//! Each is one condition at one place, asked as `mutant::on(Mutant::...)`. Without the cargo feature `mutants` that is
//! the constant `false` and nothing of it is left; with it, a test switches one on for its own thread. No crate but
//! `core` and `engine` has the feature, and whoever builds a program of them says so at compile time ([`COMPILED_IN`]).

macro_rules! mutants {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// A known bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $($(#[doc = $doc])* $name,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

mutants! {
    /// What is with the function is stored as finished.
    CommitBeforeSuccess,
    /// A restart begins to count attempts anew.
    LostRetryCounter,
    /// A batch is tried once more than allowed.
    RetryTooMany,
    /// The count of a failed attempt is written, and not synced.
    CountNotSynced,
    /// A throttle costs an attempt.
    ThrottleSpendsAttempt,
    /// The child of a merge starts when the first of its parents is finished.
    ChildBeforeSecondParent,
    /// A shard is finished when its end was read, whatever still waits.
    FinishedTooEarly,
    /// A split forgets the record in the middle.
    BisectDropsMiddle,
    /// A partial report keeps one record too few.
    PartialWrongSuffix,
    /// Now and then an owner stores where it began.
    StaleCheckpoint,
    /// A commit of which nobody knows is taken for stored.
    UnknownAsSuccess,
    /// A commit of which nobody knows is taken for not stored, and its owner goes on.
    UnknownAsFailure,
    /// An owner that has lost its lease goes on.
    NoEpochGuard,
    /// A failure document goes into the outbox before its discard is stored.
    DocumentBeforeDiscard,
    /// A failure document is taken out of the outbox before it is delivered.
    SettledBeforeDelivered,
    /// When the number of lanes changes, reading goes on from the highest lane.
    WatermarkHighest,
    /// When the number of lanes changes, what was finished beyond the lowest lane is forgotten.
    SkipFilterForgotten,
    /// After a restart nothing is read again of lanes that were behind.
    RestartSkipsUnfinished,
    /// Messages that a function reported as failed are deleted.
    DeleteDespitePartial,
    /// A message group may be in several batches at once.
    GroupGateIgnored,
    /// One more batch is in flight than allowed.
    ConcurrencyOffByOne,
    /// Nothing keeps messages hidden while they are being handled.
    NoHeartbeat,
    /// An attempt starts though a pause was answered.
    PauseIgnored,
    /// What matches no filter is sent all the same.
    FilterIgnored,
    /// Messages that match no filter are sent all the same.
    QueueFilterIgnored,
    /// Messages that match no filter are left in their queue.
    UnmatchedLeft,
    /// A restart forgets the state of the window that is open.
    WindowStateForgotten,
    /// A window whose next record does not come is never ended.
    WindowNeverEnds,
    /// Records of the next window are taken into the one that is open.
    WindowTakesNext,
}

/// Whether this build can have known bugs.
pub const COMPILED_IN: bool = cfg!(feature = "mutants");

#[cfg(feature = "mutants")]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether this bug is switched on for this thread.
#[cfg(feature = "mutants")]
#[must_use]
pub fn on(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}

/// Whether this bug is there: never.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline]
pub const fn on(_: Mutant) -> bool {
    COMPILED_IN
}

/// Switches one bug on for this thread, or none.
#[cfg(feature = "mutants")]
pub fn switch(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}
