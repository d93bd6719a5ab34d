//! What becomes of a request: dealt from decks, so that a seed repeats it and no kind of fault is left out.

use millstream_testkit::Rng;
use std::collections::BTreeMap;

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// It is forwarded late, or its answer is.
    Delay,
    /// The connection is reset, and the component never hears of it.
    ResetBefore,
    /// The component does what it is asked; the connection is reset instead of the answer.
    ResetAfter,
    /// The answer is 500 or 503, and the component never hears of it.
    ServerError,
    /// The answer is the service's own error for too many requests, and the component never hears of it.
    Throttle,
    /// The component does what it is asked; half of its answer arrives, then the connection ends.
    CutAnswer,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::Delay,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::ServerError,
        Self::Throttle,
        Self::CutAnswer,
    ];
}

/// Requests of one operation that are dealt together.
const DECK: usize = 20;

/// How many of each 20 requests of an operation have each fault, in the order of [`Fault::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates(pub(crate) [usize; 6]);

impl Rates {
    /// Every third request meets something, every tenth does its work in vain.
    pub(crate) const ROUGH: Self = Self([2, 1, 1, 1, 1, 1]);
}

/// What one request meets, and a number for the details of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) fault: Option<Fault>,
    pub(super) detail: u64,
}

/// The fates of all requests: those of an operation depend on the seed and on how many came before, not on what other
/// operations do meanwhile.
#[derive(Debug)]
pub(super) struct Decks {
    seed: u64,
    rates: Rates,
    of: BTreeMap<String, (Rng, Vec<Option<Fault>>)>,
}

impl Decks {
    pub(super) fn new(seed: u64, rates: Rates) -> Self {
        assert!(rates.0.iter().sum::<usize>() <= DECK, "{rates:?} of {DECK}");
        let of = BTreeMap::new();
        Self { seed, rates, of }
    }

    pub(super) fn draw(&mut self, operation: &str) -> Fate {
        let seed = operation
            .bytes()
            .fold(self.seed, |seed, byte| seed.rotate_left(8) ^ u64::from(byte));
        let (rng, deck) = self
            .of
            .entry(operation.to_owned())
            .or_insert_with(|| (Rng::new(seed), Vec::new()));
        if deck.is_empty() {
            *deck = shuffled(self.rates, rng);
        }
        Fate {
            fault: deck.pop().flatten(),
            detail: rng.next_u64(),
        }
    }
}

fn shuffled(rates: Rates, rng: &mut Rng) -> Vec<Option<Fault>> {
    let faults = Fault::ALL.into_iter().zip(rates.0);
    let mut deck: Vec<_> = faults
        .flat_map(|(fault, n)| std::iter::repeat_n(Some(fault), n))
        .collect();
    deck.resize(DECK, None);
    for last in (1..DECK).rev() {
        deck.swap(last, rng.index(last + 1));
    }
    deck
}

#[test]
fn a_seed_repeats_every_operations_fates_and_a_deck_leaves_nothing_out() {
    let draw = |others: usize| {
        let mut decks = Decks::new(7, Rates::ROUGH);
        let mut fates = Vec::new();
        for _ in 0..DECK {
            fates.push(decks.draw("GetRecords"));
            for _ in 0..others {
                decks.draw("ListShards");
            }
        }
        fates
    };
    let fates = draw(0);
    assert_eq!(fates, draw(3));
    for (fault, n) in Fault::ALL.into_iter().zip(Rates::ROUGH.0) {
        let dealt = fates.iter().filter(|fate| fate.fault == Some(fault)).count();
        assert_eq!(dealt, n, "{fault:?}");
    }
    assert_ne!(fates, {
        let mut decks = Decks::new(8, Rates::ROUGH);
        (0..DECK).map(|_| decks.draw("GetRecords")).collect::<Vec<_>>()
    });
}
