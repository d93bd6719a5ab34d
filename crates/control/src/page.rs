//! Pages (AIP-158): sizes, tokens, and how much fits into one answer.
//!
//! A token is opaque to clients: where to go on, bound to the listing it came from by a checksum, so that a token
//! of another listing or a mangled one is refused rather than answered with the wrong page. It keeps no secret.

use crate::refusal::Refusal;
use prost::Message;

const DEFAULT: usize = 50;
const MAX: usize = 100;
/// Most bytes of one page's items; below the 4 MiB that clients accept by default.
const PAGE_BYTES: usize = 3 * 1024 * 1024;
const VERSION: u8 = 1;

/// How many items a page may have.
pub(crate) fn size(asked: i32) -> Result<usize, Refusal> {
    match usize::try_from(asked) {
        Ok(0) => Ok(DEFAULT),
        Ok(n) => Ok(n.min(MAX)),
        Err(_) => Err(Refusal::new("page_size", asked, "0 to 100, or more for 100")),
    }
}

/// A token that goes on behind `cursor` in the listing `scope`.
pub(crate) fn seal(scope: &str, cursor: &[u8]) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&checksum(scope, cursor).to_be_bytes());
    bytes.extend_from_slice(cursor);
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// The cursor of a token; none for the empty token of a first page.
pub(crate) fn open(scope: &str, token: &str) -> Result<Option<Vec<u8>>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let refused = || {
        Refusal::new(
            "page_token",
            token,
            "the next_page_token of the same listing, or empty",
        )
    };
    let bytes = base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(token)
        .map_err(|_| refused())?;
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            let (sum, cursor) = rest.split_first_chunk::<8>().ok_or_else(refused)?;
            let same = u64::from_be_bytes(*sum) == checksum(scope, cursor);
            if same {
                Ok(Some(cursor.to_vec()))
            } else {
                Err(refused())
            }
        }
        _ => Err(refused()),
    }
}

/// The name or id that a token holds.
pub(crate) fn open_as<T: std::str::FromStr>(scope: &str, token: &str) -> Result<Option<T>, Refusal> {
    let Some(cursor) = open(scope, token)? else {
        return Ok(None);
    };
    let name = std::str::from_utf8(&cursor)
        .ok()
        .and_then(|text| text.parse().ok());
    name.map(Some).ok_or_else(|| {
        Refusal::new(
            "page_token",
            token,
            "the next_page_token of the same listing, or empty",
        )
    })
}

/// Cuts a page where it would become too large, never before its first item. Returns whether it did.
pub(crate) fn fit<T: Message>(items: &mut Vec<T>) -> bool {
    let mut bytes = 0;
    let keep = items
        .iter()
        .take_while(|item| {
            let before = bytes;
            bytes += item.encoded_len();
            before == 0 || bytes <= PAGE_BYTES
        })
        .count();
    let cut = keep < items.len();
    items.truncate(keep);
    cut
}

/// FNV-1a over scope and cursor.
fn checksum(scope: &str, cursor: &[u8]) -> u64 {
    let bytes = scope.bytes().chain([0]).chain(cursor.iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (asked, expected) in [
            (0, Some(50)),
            (1, Some(1)),
            (100, Some(100)),
            (101, Some(100)),
            (-1, None),
        ] {
            assert_eq!(size(asked).ok(), expected, "{asked}");
        }
    }

    #[test]
    fn a_token_is_good_for_its_own_listing_only() {
        let token = seal("mappings/default", b"m");
        assert_eq!(
            open("mappings/default", &token).unwrap().as_deref(),
            Some(&b"m"[..])
        );
        assert_eq!(
            open_as::<String>("mappings/default", &token).unwrap().as_deref(),
            Some("m")
        );
        assert_eq!(open("mappings/default", "").unwrap(), None);
        let mut mangled = token.clone();
        mangled.replace_range(12..13, if &token[12..13] == "A" { "B" } else { "A" });
        for (scope, token) in [
            ("mappings/other", &*token),
            ("mappings/default", &mangled),
            ("mappings/default", "m"),
            ("x", "%"),
        ] {
            assert_eq!(
                open(scope, token).unwrap_err().field,
                "page_token",
                "{scope} {token}"
            );
        }
    }

    #[test]
    fn a_page_is_cut_before_it_is_too_large_but_never_empty() {
        let mb = |n: usize| vec![0u8; n * 1024 * 1024];
        for (sizes, kept) in [
            (vec![1, 1, 1], 2),
            (vec![5, 1], 1),
            (vec![0, 0, 0], 3),
            (vec![], 0),
        ] {
            let mut items: Vec<Vec<u8>> = sizes.into_iter().map(mb).collect();
            let before = items.len();
            assert_eq!((fit(&mut items), items.len()), (kept < before, kept));
        }
    }
}
