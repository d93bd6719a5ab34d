//! One walk over one record.

use super::op::Scalar;
use super::program::{NodeId, Program, Run};
use super::text::{MAX_DEPTH, Malformed, Scanner, Text};

/// Memory that one record leaves for the next.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// The bits: first those of the record, then those of each array element that is open.
    bits: Vec<u64>,
    /// Which names were seen, for each object that is open.
    seen: Vec<u64>,
    /// A decoded text.
    text: Vec<u8>,
}

/// Hears of every value that is asked for.
pub(super) trait Witness {
    /// A value of the field.
    fn value(&mut self, node: NodeId, value: &Scalar<'_>);
    /// The field is an object.
    fn object(&mut self, node: NodeId);
    /// What was told of the field does not count.
    fn forget(&mut self, node: NodeId);
}

/// Hears nothing: for work, where nobody asks why.
pub(super) struct Nobody;

impl Witness for Nobody {
    #[inline]
    fn value(&mut self, _: NodeId, _: &Scalar<'_>) {}
    #[inline]
    fn object(&mut self, _: NodeId) {}
    #[inline]
    fn forget(&mut self, _: NodeId) {}
}

/// What the data of a record turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Data {
    /// There is none, or nobody asked.
    #[default]
    Unread,
    /// A JSON object or array, all of it well formed.
    Json,
    /// Anything else that is UTF-8.
    Text,
    /// Not UTF-8.
    Binary,
    /// The whole record cannot be read.
    Malformed,
}

/// A walk: values in, a verdict out.
pub(super) struct Walk<'a, W> {
    program: &'a Program,
    scratch: &'a mut Scratch,
    witness: &'a mut W,
    pub(super) data: Data,
}

impl<'a, W: Witness> Walk<'a, W> {
    pub(super) fn new(program: &'a Program, scratch: &'a mut Scratch, witness: &'a mut W) -> Self {
        scratch.bits.clear();
        scratch.bits.resize(program.words(), 0);
        scratch.seen.clear();
        Self {
            program,
            scratch,
            witness,
            data: Data::Unread,
        }
    }

    /// The program.
    pub(super) fn program(&self) -> &'a Program {
        self.program
    }

    /// A field is this text.
    pub(super) fn text(&mut self, node: NodeId, text: &[u8]) {
        self.value(node, &Scalar::Text(text));
    }

    /// A field is this number, as it is written.
    pub(super) fn number(&mut self, node: NodeId, text: &[u8]) {
        self.value(node, &Scalar::Number(text));
    }

    /// A field is null.
    pub(super) fn null(&mut self, node: NodeId) {
        self.value(node, &Scalar::Null);
    }

    /// A field is an object; its members are told one by one.
    pub(super) fn object_at(&mut self, node: NodeId) {
        self.witness.object(node);
    }

    #[inline]
    fn value(&mut self, node: NodeId, value: &Scalar<'_>) {
        self.witness.value(node, value);
        let base = self.scratch.bits.len() - self.program.words();
        for test in &self.program.nodes[node].tests {
            if test.ops.iter().any(|op| op.matches(value)) {
                for bit in &test.bits {
                    self.scratch.bits[base + bit / 64] |= 1 << (bit % 64);
                }
            }
        }
    }

    /// The data of the record, under the node of its name: decides what it is, and looks into it if it is JSON.
    pub(super) fn payload(&mut self, node: NodeId, bytes: &[u8]) {
        let opens = |b: &u8| matches!(b, b'{' | b'[');
        let first = bytes.iter().find(|b| !matches!(b, b' ' | b'\n' | b'\r' | b'\t'));
        let is_open = first.is_some_and(opens);
        self.data = if str::from_utf8(bytes).is_err() {
            Data::Binary
        } else if is_open && self.document(node, bytes).is_ok() {
            Data::Json
        } else {
            Data::Text
        };
        if self.data == Data::Text {
            if is_open {
                // What a document that broke off has told does not count.
                self.forget(node);
            }
            self.text(node, bytes);
        }
    }

    /// The whole record is this JSON text. One that is malformed is as good as unread: nothing matches it.
    pub(super) fn record(&mut self, bytes: &[u8]) {
        if str::from_utf8(bytes).is_ok() && self.document(0, bytes).is_ok() {
            self.data = Data::Json;
        } else {
            self.data = Data::Malformed;
        }
    }

    /// A field is this JSON text.
    pub(super) fn document(&mut self, node: NodeId, bytes: &[u8]) -> Result<(), Malformed> {
        let (bits, seen) = (self.scratch.bits.len(), self.scratch.seen.len());
        let mut scanner = Scanner::new(bytes);
        let result = self.walk(&mut scanner, node, 0).and_then(|()| scanner.end());
        self.scratch.bits.truncate(bits);
        self.scratch.seen.truncate(seen);
        result
    }

    fn walk(&mut self, scanner: &mut Scanner<'_>, node: NodeId, depth: usize) -> Result<(), Malformed> {
        match scanner.peek().ok_or(Malformed)? {
            b'{' => {
                self.witness.object(node);
                if self.program.nodes[node].children.is_empty() {
                    return scanner.skip(depth);
                }
                self.object(scanner, node, depth + 1)
            }
            b'[' => self.array(scanner, node, depth + 1),
            first => self.scalar(scanner, node, first),
        }
    }

    #[inline]
    fn scalar(&mut self, scanner: &mut Scanner<'_>, node: NodeId, first: u8) -> Result<(), Malformed> {
        match first {
            b'"' => {
                scanner.next()?;
                let text = scanner.string()?;
                self.string(node, text);
            }
            b't' => {
                scanner.word(b"true")?;
                self.value(node, &Scalar::Bool(true));
            }
            b'f' => {
                scanner.word(b"false")?;
                self.value(node, &Scalar::Bool(false));
            }
            b'n' => {
                scanner.word(b"null")?;
                self.value(node, &Scalar::Null);
            }
            _ => {
                let number = scanner.number()?;
                self.value(node, &Scalar::Number(number));
            }
        }
        Ok(())
    }

    #[inline]
    fn string(&mut self, node: NodeId, text: Text<'_>) {
        if !text.escaped {
            return self.value(node, &Scalar::Text(text.raw));
        }
        let mut buffer = std::mem::take(&mut self.scratch.text);
        self.value(node, &Scalar::Text(text.decode(&mut buffer)));
        self.scratch.text = buffer;
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, node: NodeId, depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        scanner.next()?;
        if scanner.eat(b'}') {
            return Ok(());
        }
        let words = self.program.nodes[node].children.len().div_ceil(64);
        let seen = self.scratch.seen.len();
        self.scratch.seen.resize(seen + words, 0);
        loop {
            let key = scanner.key()?;
            let found = if key.escaped {
                self.program.find(node, key.decode(&mut self.scratch.text))
            } else {
                self.program.find(node, key.raw)
            };
            match found {
                Some((at, child)) => {
                    let word = &mut self.scratch.seen[seen + at / 64];
                    let again = *word >> (at % 64) & 1 == 1;
                    *word |= 1 << (at % 64);
                    if again {
                        self.forget(child);
                    }
                    self.walk(scanner, child, depth)?;
                }
                None => scanner.skip(depth)?,
            }
            match scanner.next()? {
                b',' => {}
                b'}' => break,
                _ => return Err(Malformed),
            }
        }
        self.scratch.seen.truncate(seen);
        Ok(())
    }

    /// What was told of a name and all below it does not count: of members of the same name the last one does.
    fn forget(&mut self, node: NodeId) {
        let base = self.scratch.bits.len() - self.program.words();
        let mut nodes = vec![node];
        while let Some(id) = nodes.pop() {
            self.witness.forget(id);
            let node = &self.program.nodes[id];
            nodes.extend(node.children.iter().map(|(_, child)| *child));
            for bit in node.tests.iter().flat_map(|t| &t.bits) {
                self.scratch.bits[base + bit / 64] &= !(1 << (bit % 64));
            }
        }
    }

    /// Arrays are flattened: a field is as wanted if one of its elements is. But what a branch wants below the array it
    /// must find within one element, so elements that may have members get bits of their own.
    fn array(&mut self, scanner: &mut Scanner<'_>, node: NodeId, depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        scanner.next()?;
        if scanner.eat(b']') {
            return Ok(());
        }
        let is_leaf = self.program.nodes[node].children.is_empty();
        loop {
            match scanner.peek().ok_or(Malformed)? {
                b'{' | b'[' if !is_leaf => {
                    let start = self.scratch.bits.len();
                    self.scratch.bits.resize(start + self.program.words(), 0);
                    self.walk(scanner, node, depth)?;
                    self.take_over(node);
                    self.scratch.bits.truncate(start);
                }
                b'{' | b'[' => self.walk(scanner, node, depth)?,
                first => self.scalar(scanner, node, first)?,
            }
            match scanner.next()? {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(Malformed),
            }
        }
    }

    /// An element is over. Where it has all that a branch wants below the array, its bits go to what the array is in;
    /// where a branch only wants that something is not there, it must not be in any element. The array's own field is as
    /// wanted whatever the element.
    fn take_over(&mut self, node: NodeId) {
        let words = self.program.words();
        let (outer, element) = {
            let at = self.scratch.bits.len() - words;
            let (before, element) = self.scratch.bits.split_at_mut(at);
            (&mut before[at - words..], element)
        };
        let absent = &self.program.absent;
        for below in &self.program.nodes[node].below {
            let masks = || below.run.masks();
            if !below.wants_value {
                masks().for_each(|(w, mask)| outer[w] |= element[w] & mask);
            } else if masks().all(|(w, mask)| (element[w] ^ absent[w]) & mask == mask) {
                masks().for_each(|(w, mask)| outer[w] |= element[w] & mask & !absent[w]);
            }
        }
        for bit in self.program.nodes[node].tests.iter().flat_map(|t| &t.bits) {
            outer[bit / 64] |= element[bit / 64] & 1 << (bit % 64);
        }
    }

    /// Whether all bits of the run are as they should be.
    pub(super) fn holds(&self, run: Run) -> bool {
        let absent = &self.program.absent;
        let bits = &self.scratch.bits;
        run.masks().all(|(w, mask)| (bits[w] ^ absent[w]) & mask == mask)
    }

    /// Whether one bit is as it should be.
    pub(super) fn is_right(&self, bit: usize) -> bool {
        self.holds(Run {
            from: bit,
            to: bit + 1,
        })
    }

    /// The first pattern that holds.
    #[inline]
    pub(super) fn verdict(&self) -> Option<usize> {
        let holds = |a: &&super::program::Alternative| {
            let format = match self.data {
                Data::Json => !a.wants_text,
                Data::Text => !a.wants_json,
                Data::Unread | Data::Binary => !a.wants_json && !a.wants_text,
                Data::Malformed => false,
            };
            format && self.holds(a.run)
        };
        self.program.alternatives.iter().find(holds).map(|a| a.pattern)
    }
}
