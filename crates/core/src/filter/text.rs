//! JSON as it comes: a scanner that checks every byte and builds nothing.
//!
//! It takes what RFC 8259 takes, up to [`MAX_DEPTH`] levels. Numbers are handed out as their text, because equality of a
//! filter compares text, and strings as they stand, because most need no decoding. The bytes are taken for UTF-8; who
//! calls has checked that where it matters.

/// Deepest nesting; text that is nested deeper is taken for malformed.
pub(super) const MAX_DEPTH: usize = 1_000;

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A string between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub(super) raw: &'a [u8],
    /// Whether there is an escape in it.
    pub(super) escaped: bool,
}

impl<'a> Text<'a> {
    /// What it says. Half a surrogate pair is written as if it were a character, which no text of a pattern equals.
    pub(super) fn decode<'b>(self, buffer: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        if !self.escaped {
            return self.raw;
        }
        buffer.clear();
        let mut rest = self.raw;
        while let Some(at) = rest.iter().position(|b| *b == b'\\') {
            let (before, escape) = rest.split_at(at);
            buffer.extend_from_slice(before);
            rest = unescape(escape, buffer);
        }
        buffer.extend_from_slice(rest);
        buffer
    }
}

/// Decodes one escape (two, if they make a pair) at the start of `text`; returns what follows.
fn unescape<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let after = |n: usize| text.get(n..).unwrap_or_default();
    let plain = match text.get(1) {
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => {
            let first = hex(after(2));
            if let (0xd800..0xdc00, [b'\\', b'u', low @ ..]) = (first, after(6))
                && let low @ 0xdc00..0xe000 = hex(low)
            {
                write_code(0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00), out);
                return after(12);
            }
            write_code(first, out);
            return after(6);
        }
        Some(other) => *other,
        None => return &[],
    };
    out.push(plain);
    after(2)
}

fn hex(digits: &[u8]) -> u32 {
    let value = |b: &u8| char::from(*b).to_digit(16).unwrap_or_default();
    digits.iter().take(4).fold(0, |sum, b| sum * 16 + value(b))
}

/// UTF-8 of a code point; also of half a surrogate pair, in the same scheme.
fn write_code(code: u32, out: &mut Vec<u8>) {
    let tail = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
    match code {
        0..0x80 => out.push(code as u8),
        0x80..0x800 => out.extend([0xc0 | (code >> 6) as u8, tail(0)]),
        0x800..0x1_0000 => out.extend([0xe0 | (code >> 12) as u8, tail(6), tail(0)]),
        _ => out.extend([0xf0 | (code >> 18) as u8, tail(12), tail(6), tail(0)]),
    }
}

/// A place in a text.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How far it is.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The bytes from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// The next byte that is no white space, left where it is.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// The next byte that is no white space.
    #[inline]
    pub(super) fn next(&mut self) -> Result<u8, Malformed> {
        let byte = self.peek().ok_or(Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    /// Takes `wanted` if it is the next byte that is no white space.
    #[inline]
    pub(super) fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Malformed),
        }
    }

    /// A member's name and its colon.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Text<'a>, Malformed> {
        if self.next()? != b'"' {
            return Err(Malformed);
        }
        let key = self.string()?;
        if self.next()? != b':' {
            return Err(Malformed);
        }
        Ok(key)
    }

    /// The rest of a string whose first quote is taken.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Text<'a>, Malformed> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_run(self.bytes.get(self.at..).unwrap_or_default());
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let raw = self.since(start);
                    self.at += 1;
                    return Ok(Text { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Malformed),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let digits = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(Malformed),
        };
        let end = self.at + 2 + digits;
        let hex = self.bytes.get(self.at + 2..end).ok_or(Malformed)?;
        if !hex.iter().all(u8::is_ascii_hexdigit) {
            return Err(Malformed);
        }
        self.at = end;
        Ok(())
    }

    /// A number's text; the scanner stands on its first byte.
    #[inline]
    pub(super) fn number(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        self.at += usize::from(self.bytes.get(self.at) == Some(&b'-'));
        let whole = self.digits()?;
        if whole > 1 && self.bytes.get(self.at - whole) == Some(&b'0') {
            return Err(Malformed);
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(self.since(start))
    }

    /// At least one digit; how many.
    fn digits(&mut self) -> Result<usize, Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let n = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += n;
        if n == 0 { Err(Malformed) } else { Ok(n) }
    }

    /// `true`, `false` or `null`; the scanner stands on its first byte.
    pub(super) fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        let found = self
            .bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word));
        self.at += word.len();
        if found { Ok(()) } else { Err(Malformed) }
    }

    /// Checks a value and throws it away; `depth` is how deep it lies.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), Malformed> {
        let mut open = Open::new(depth);
        loop {
            let first = self.next()?;
            if matches!(first, b'{' | b'[') {
                open.room()?;
            }
            let is_complete = match first {
                b'{' if self.eat(b'}') => true,
                b'{' => {
                    open.push(true);
                    self.key()?;
                    false
                }
                b'[' if self.eat(b']') => true,
                b'[' => {
                    open.push(false);
                    false
                }
                first => {
                    self.scalar(first)?;
                    true
                }
            };
            if is_complete && self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    fn scalar(&mut self, first: u8) -> Result<(), Malformed> {
        if first == b'"' {
            return self.string().map(|_| ());
        }
        self.at -= 1;
        match first {
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number().map(|_| ()),
        }
    }

    /// Behind a value: closes what is closed; true if nothing is open any more.
    fn close(&mut self, open: &mut Open) -> Result<bool, Malformed> {
        while let Some(is_object) = open.top() {
            match (self.next()?, is_object) {
                (b',', true) => {
                    self.key()?;
                    return Ok(false);
                }
                (b',', false) => return Ok(false),
                (b'}', true) | (b']', false) => open.pop(),
                _ => return Err(Malformed),
            }
        }
        Ok(true)
    }
}

/// Which of the open brackets are those of objects.
struct Open {
    is_object: [u64; MAX_DEPTH.div_ceil(64)],
    outside: usize,
    depth: usize,
}

impl Open {
    fn new(outside: usize) -> Self {
        Self {
            is_object: [0; MAX_DEPTH.div_ceil(64)],
            outside,
            depth: 0,
        }
    }

    /// Whether there may be one more.
    fn room(&self) -> Result<(), Malformed> {
        if self.outside + self.depth < MAX_DEPTH {
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if is_object {
            self.is_object[word] |= bit;
        } else {
            self.is_object[word] &= !bit;
        }
        self.depth += 1;
    }

    fn top(&self) -> Option<bool> {
        let at = self.depth.checked_sub(1)?;
        Some(self.is_object[at / 64] >> (at % 64) & 1 == 1)
    }

    fn pop(&mut self) {
        self.depth -= 1;
    }
}

/// How many bytes at the start are neither a quote, a backslash nor a control character; eight at a time.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    const LOW: u64 = u64::MAX / 255;
    const HIGH: u64 = LOW << 7;
    let zero = |v: u64| v.wrapping_sub(LOW) & !v & HIGH;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (n, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
        let found = zero(word ^ (LOW * u64::from(b'"'))) | zero(word ^ (LOW * u64::from(b'\\'))) | control;
        if found != 0 {
            return n * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |b: &&u8| !matches!(b, b'"' | b'\\' | 0..0x20);
    chunks.len() * 8 + rest.iter().take_while(is_plain).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_json(text: &[u8]) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.skip(0).and_then(|()| scanner.end()).is_ok()
    }

    #[test]
    fn what_is_json_and_what_is_not() {
        let good = [
            "{}",
            " [ ] ",
            "0",
            "-0",
            "1.5e+10",
            "1E400",
            "\"\\u00e4\\\"\"",
            "{\"a\":[1,{\"b\":null}],\"c\":true}",
            "[[],[[]],{}]",
            "\"\\ud800\"",
            "[1 , 2]",
            "false",
        ];
        for text in good {
            assert!(is_json(text.as_bytes()), "{text}");
        }
        let bad = [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "01",
            "1.",
            ".5",
            "+1",
            "--1",
            "1e",
            "nul",
            "True",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "[1 2]",
            "[1]]",
            "{} {}",
            "{\"a\":1]",
            "[1}",
            "\"\\u12",
            "{\"a\"}",
            "{,}",
            "[,]",
            "1 2",
        ];
        for text in bad {
            assert!(!is_json(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        for (depth, expect) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(is_json(text.as_bytes()), expect, "{depth}");
        }
        assert!(!is_json("[".repeat(1 << 20).as_bytes()));
    }

    #[test]
    fn escapes_are_decoded() {
        let table: &[(&str, &[u8])] = &[
            ("plain", b"plain"),
            (r#"\"\\\/\b\f\n\r\t"#, b"\"\\/\x08\x0c\n\r\t"),
            (r"\u0041\u00e4\u20ac\ud83d\ude00", "Aä€😀".as_bytes()),
            (r"\ud800x", b"\xed\xa0\x80x"),
            (r"\ude00", b"\xed\xb8\x80"),
            (r"\ud83d\u0041", b"\xed\xa0\xbdA"),
            (r"\ud83d\n", b"\xed\xa0\xbd\n"),
        ];
        for (raw, expect) in table {
            let text = format!("{raw}\"");
            let mut buffer = Vec::new();
            let found = Scanner::new(text.as_bytes()).string().unwrap();
            assert_eq!(found.decode(&mut buffer), *expect, "{raw}");
        }
    }

    proptest! {
        /// On anything that looks like JSON here and there, serde has the same opinion.
        #[test]
        fn as_serde_sees_it(text in r#"([\[\]{}:,"\\ aeu0-9.+-]|true|null|\\u00e4|"k":|\n){0,24}"#) {
            let serde = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(is_json(text.as_bytes()), serde, "{:?}", text);
        }

        #[test]
        fn strings_are_decoded_as_serde_does_it(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            let mut buffer = Vec::new();
            let mut scanner = Scanner::new(&json.as_bytes()[1..]);
            prop_assert_eq!(scanner.string().unwrap().decode(&mut buffer), text.as_bytes());
            prop_assert!(scanner.end().is_ok());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = is_json(&bytes);
        }

        #[test]
        fn a_run_ends_where_it_must(bytes: Vec<u8>) {
            let is_plain = |b: &&u8| !matches!(b, b'"' | b'\\' | 0..0x20);
            prop_assert_eq!(plain_run(&bytes), bytes.iter().take_while(is_plain).count());
        }
    }
}
