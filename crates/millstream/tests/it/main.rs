//! The embedding facade from outside, on a real data directory.

mod example;
mod facade;
