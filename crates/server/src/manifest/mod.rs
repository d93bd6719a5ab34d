//! Resources declared in files: what documents say, what of it is wrong, and what applying it does. Pure: no file is
//! read and no server asked here.

mod form;
mod kind;
mod order;
mod plan;
mod read;
mod rules;
mod tree;

pub(crate) use kind::{API_VERSION, Kind, Settings, document};
pub(crate) use order::{clashes, order, rings, visibility};
pub(crate) use plan::{Action, Live, Plan, plan};
pub(crate) use read::{Object, ObjectId, Place, Problem, Source, read};
pub(crate) use tree::Tree;
