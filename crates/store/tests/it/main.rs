//! The store through its public interface, on real databases in temporary directories.

mod catalog;
mod db;
mod faults;
mod journal;
mod mailroom;
mod model;
mod support;
