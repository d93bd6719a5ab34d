//! The store through its public interface, on real databases in temporary directories.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in a test a panic is the report

mod catalog;
mod db;
mod faults;
mod journal;
mod mailroom;
mod model;
mod support;
mod values;
