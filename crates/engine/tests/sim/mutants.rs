//! The simulation finds every known bug: each is switched on, and seeds run until one breaks an invariant.
//!
//! `MILLSTREAM_MUTANT=Name` tries one alone, and prints what it broke and how.

use crate::run::{Failure, run};
use crate::{SEEDS, told};
use millstream_core::mutant::{self, Mutant};
use std::sync::Mutex;

/// The first seed that finds it.
fn find(mutant: Mutant) -> Option<Failure> {
    mutant::switch(Some(mutant));
    let found = SEEDS.into_iter().find_map(|seed| run(seed, false).err());
    mutant::switch(None);
    found.map(|f| *f)
}

#[test]
fn every_known_bug_is_found() {
    let asked = std::env::var("MILLSTREAM_MUTANT").ok();
    let is_asked = |m: &&Mutant| asked.as_ref().is_none_or(|name| format!("{m:?}") == *name);
    let todo: Mutex<Vec<Mutant>> = Mutex::new(Mutant::ALL.iter().filter(is_asked).rev().copied().collect());
    let done: Mutex<Vec<(Mutant, Option<Failure>)>> = Mutex::default();
    let work = || {
        loop {
            let next = todo.lock().unwrap().pop();
            let Some(mutant) = next else { return };
            let found = find(mutant);
            done.lock().unwrap().push((mutant, found));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(mutant, _)| *mutant);
    assert!(!done.is_empty(), "no such bug: {asked:?}");
    for (mutant, found) in &done {
        match found {
            Some(f) if asked.is_some() => eprintln!("{mutant:?}: {}", told(f)),
            Some(f) => eprintln!("{mutant:?}: seed {}: {}", f.seed, f.what),
            None => eprintln!("{mutant:?}: NOT FOUND"),
        }
    }
    let missed: Vec<Mutant> = done
        .iter()
        .filter(|(_, f)| f.is_none())
        .map(|(m, _)| *m)
        .collect();
    assert!(missed.is_empty(), "not found within {SEEDS:?}: {missed:?}");
}
