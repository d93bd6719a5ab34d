//! JSON strings, escaped as serde_json does it: short escapes where JSON has them, `\u00xx` for the other
//! control characters, everything else as UTF-8. Bytes that are not UTF-8 become U+FFFD, so that nothing a
//! source hands out can break an event.

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
const HEX: &[u8; 16] = b"0123456789abcdef";

/// How many bytes [`write_escaped`] appends.
pub(crate) fn escaped_len(text: &[u8]) -> usize {
    if is_plain(text) {
        return text.len();
    }
    let chunk_len = |c: std::str::Utf8Chunk<'_>| {
        let bad = if c.invalid().is_empty() {
            0
        } else {
            REPLACEMENT.len()
        };
        let extra = c.valid().bytes().map(|b| usize::from(EXTRA[usize::from(b)]));
        c.valid().len() + extra.sum::<usize>() + bad
    };
    text.utf8_chunks().map(chunk_len).sum()
}

/// Appends `text` as the inside of a JSON string, without the quotes.
pub(crate) fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    if is_plain(text) {
        out.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        write_valid(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(REPLACEMENT);
        }
    }
}

/// Appends `"text"`.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Whether the bytes stand for themselves: printable ASCII without quote and backslash.
fn is_plain(text: &[u8]) -> bool {
    text.iter()
        .all(|b| matches!(b, 0x20..=0x7f) && !matches!(b, b'"' | b'\\'))
}

/// The letter of a short escape.
const fn short_escape(b: u8) -> Option<u8> {
    Some(match b {
        b'"' | b'\\' => b,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => return None,
    })
}

/// By how many bytes each byte grows; 0 for those that stand for themselves.
const EXTRA: [u8; 256] = {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = match short_escape(b as u8) {
            Some(_) => 1,
            None if b < 0x20 => 5,
            None => 0,
        };
        b += 1;
    }
    table
};

/// Copies what needs no escape in runs: text with a quote every few characters (JSON in JSON) is the usual case.
fn write_valid(text: &[u8], out: &mut Vec<u8>) {
    let mut run = 0;
    for (at, b) in text.iter().enumerate() {
        if EXTRA[usize::from(*b)] > 0 {
            out.extend_from_slice(&text[run..at]);
            write_escape(*b, out);
            run = at + 1;
        }
    }
    out.extend_from_slice(&text[run..]);
}

fn write_escape(b: u8, out: &mut Vec<u8>) {
    match short_escape(b) {
        Some(letter) => out.extend_from_slice(&[b'\\', letter]),
        None => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 0x0f)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &[u8]) -> String {
        let mut out = Vec::new();
        write_escaped(text, &mut out);
        assert_eq!(out.len(), escaped_len(text), "{text:?}");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_characters_quotes_and_bad_bytes() {
        let table: &[(&[u8], &str)] = &[
            (b"", ""),
            (b"plain key-1", "plain key-1"),
            (b"\"\\/", "\\\"\\\\/"),
            (b"\x08\x09\x0a\x0c\x0d", "\\b\\t\\n\\f\\r"),
            (b"\x00\x1f\x7f", "\\u0000\\u001f\x7f"),
            ("ä€😀".as_bytes(), "ä€😀"),
            (b"a\xffb\xc3", "a\u{fffd}b\u{fffd}"),
            (b"\xff\x01", "\u{fffd}\\u0001"),
        ];
        for (input, expected) in table {
            assert_eq!(escaped(input), *expected, "{input:?}");
        }
    }

    #[test]
    fn every_ascii_character_alone() {
        for b in 0..=0x7f_u8 {
            let expected = serde_json::to_string(&char::from(b)).unwrap();
            assert_eq!(format!("\"{}\"", escaped(&[b])), expected);
        }
    }

    proptest! {
        #[test]
        fn as_serde_json_writes_it(bytes: Vec<u8>, text: String) {
            for input in [bytes.as_slice(), text.as_bytes()] {
                let expected = serde_json::to_string(&String::from_utf8_lossy(input)).unwrap();
                prop_assert_eq!(format!("\"{}\"", escaped(input)), expected);
            }
        }
    }
}
