//! Patterns compiled: one tree of the names that any of them asks for, and a bit for every field of every branch.
//!
//! A record is walked once, along the tree. A value that is as wanted sets the bits of the fields that wanted it; a value
//! where there should be none does the same, and counts against them. In the end a branch holds if all its bits are as
//! they should be. Bits of a branch are numbered in the order of the tree, so that what it wants below a name is one run.

use super::op::Op;
use super::pattern::{Branch, Rule};
use std::sync::Arc;

/// A place in the tree; 0 is the top.
pub(super) type NodeId = usize;

/// A run of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) from: usize,
    pub(super) to: usize,
}

/// A name of the event that is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// The names below, sorted.
    pub(super) children: Vec<(Box<[u8]>, NodeId)>,
    /// What its values are held against.
    pub(super) tests: Vec<Test>,
    /// What the branches want below it.
    pub(super) below: Vec<Below>,
}

/// A question put to every value of a field.
#[derive(Clone, Debug)]
pub(super) struct Test {
    /// Whether one of these holds.
    pub(super) ops: Vec<Op>,
    /// The bits that are set if so.
    pub(super) bits: Vec<usize>,
}

/// What one branch wants below a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Below {
    pub(super) run: Run,
    /// Whether it wants a value there, and not only that there is none.
    pub(super) wants_value: bool,
}

/// One branch of one pattern.
#[derive(Clone, Debug)]
pub(super) struct Alternative {
    /// Which pattern, from 0.
    pub(super) pattern: usize,
    pub(super) run: Run,
    /// Asks for members of the data: it must be JSON.
    pub(super) wants_json: bool,
    /// Asks for the data as a text: it must not be JSON.
    pub(super) wants_text: bool,
    /// The fields, one per bit.
    pub(super) fields: Vec<Field>,
}

/// One field of a branch, for explanations.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) path: Box<str>,
    pub(super) node: NodeId,
    /// Which of the node's tests.
    pub(super) test: usize,
    pub(super) rule: Arc<Rule>,
}

/// The patterns of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) nodes: Vec<Node>,
    pub(super) alternatives: Vec<Alternative>,
    pub(super) patterns: usize,
    /// Bits that must not be set.
    pub(super) absent: Vec<u64>,
    /// Whether any pattern asks for the data, and not only for what stands beside it.
    pub(super) reads_data: bool,
}

impl Program {
    /// `data` is the name of the data at the top of a record.
    pub(super) fn new(patterns: &[Vec<Branch>], data: &str) -> Self {
        let mut program = Self {
            nodes: vec![Node::default()],
            alternatives: Vec::new(),
            patterns: patterns.len(),
            absent: Vec::new(),
            reads_data: false,
        };
        let mut bits = 0;
        for (pattern, branches) in patterns.iter().enumerate() {
            for branch in branches {
                program.add(pattern, branch, data, &mut bits);
            }
        }
        program
    }

    fn add(&mut self, pattern: usize, branch: &Branch, data: &str, bits: &mut usize) {
        let from = *bits;
        let mut fields = Vec::with_capacity(branch.len());
        let (mut wants_json, mut wants_text) = (false, false);
        for (path, rule) in branch {
            let bit = *bits;
            *bits += 1;
            self.absent.resize(bits.div_ceil(64), 0);
            if rule.absent {
                self.absent[bit / 64] |= 1 << (bit % 64);
            }
            if path.first().is_some_and(|name| **name == *data) {
                wants_json |= path.len() > 1;
                wants_text |= path.len() == 1;
            }
            let mut node = 0;
            for name in path.iter() {
                self.note_below(node, bit, from, !rule.absent);
                node = self.child(node, name.as_bytes());
            }
            fields.push(Field {
                path: path.join(".").into(),
                node,
                test: self.test(node, rule, bit),
                rule: rule.clone(),
            });
        }
        self.reads_data |= wants_json | wants_text;
        self.alternatives.push(Alternative {
            pattern,
            run: Run { from, to: *bits },
            wants_json,
            wants_text,
            fields,
        });
    }

    /// The branch that begins at bit `from` wants `bit` below the node.
    fn note_below(&mut self, node: NodeId, bit: usize, from: usize, wants_value: bool) {
        let below = &mut self.nodes[node].below;
        match below.last_mut().filter(|b| b.run.from >= from) {
            Some(known) => {
                known.run.to = bit + 1;
                known.wants_value |= wants_value;
            }
            None => below.push(Below {
                run: Run {
                    from: bit,
                    to: bit + 1,
                },
                wants_value,
            }),
        }
    }

    fn child(&mut self, node: NodeId, name: &[u8]) -> NodeId {
        let new = self.nodes.len();
        let children = &mut self.nodes[node].children;
        match children.binary_search_by(|(known, _)| (**known).cmp(name)) {
            Ok(at) => children[at].1,
            Err(at) => {
                children.insert(at, (name.into(), new));
                self.nodes.push(Node::default());
                new
            }
        }
    }

    fn test(&mut self, node: NodeId, rule: &Rule, bit: usize) -> usize {
        let present = [Op::Exists];
        let ops = if rule.absent { &present[..] } else { &rule.ops[..] };
        let tests = &mut self.nodes[node].tests;
        let at = tests.iter().position(|t| t.ops == ops).unwrap_or_else(|| {
            tests.push(Test {
                ops: ops.to_vec(),
                bits: Vec::new(),
            });
            tests.len() - 1
        });
        tests[at].bits.push(bit);
        at
    }

    /// The place of a name below a node.
    #[inline]
    pub(super) fn find(&self, node: NodeId, name: &[u8]) -> Option<(usize, NodeId)> {
        let children = &self.nodes[node].children;
        let at = if children.len() <= 8 {
            children.iter().position(|(known, _)| **known == *name)?
        } else {
            children.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?
        };
        Some((at, children[at].1))
    }

    /// How many words the bits take.
    pub(super) fn words(&self) -> usize {
        self.absent.len()
    }
}

impl Run {
    /// The words that have bits of the run, each with those bits.
    #[inline]
    pub(super) fn masks(self) -> impl Iterator<Item = (usize, u64)> {
        let (first, last) = (self.from / 64, self.to.saturating_sub(1) / 64);
        (first..=last).map(move |word| {
            let start = self.from.max(word * 64) - word * 64;
            let end = self.to.min(word * 64 + 64) - word * 64;
            let upto = |n: usize| if n == 64 { u64::MAX } else { (1 << n) - 1 };
            (word, upto(end) & !upto(start))
        })
    }
}
