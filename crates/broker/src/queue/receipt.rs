//! Receipts: which message of which queue, and which of its receives.

use millstream_types::Receipt;

/// A receipt taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiptParts {
    pub(crate) queue: u64,
    pub(crate) number: u64,
    pub(crate) receipt: u64,
}

impl ReceiptParts {
    pub(crate) fn text(self) -> String {
        let Self {
            queue,
            number,
            receipt,
        } = self;
        format!("{queue:x}-{number:x}-{receipt:016x}")
    }

    pub(crate) fn parse(receipt: &Receipt) -> Option<Self> {
        let mut parts = receipt.0.splitn(3, '-').map(|part| {
            // `from_str_radix` would take a sign, too.
            let digits = part.bytes().all(|c| c.is_ascii_hexdigit());
            u64::from_str_radix(part, 16).ok().filter(|_| digits)
        });
        let mut next = || parts.next().flatten();
        Some(Self {
            queue: next()?,
            number: next()?,
            receipt: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_back() {
        let parts = ReceiptParts {
            queue: 3,
            number: u64::MAX,
            receipt: 7,
        };
        assert_eq!(ReceiptParts::parse(&Receipt(parts.text().into())), Some(parts));
        for text in ["", "3", "3-4", "3-4-x", "3-4-5-6", "+3-4-5", "hello-1-2"] {
            assert_eq!(ReceiptParts::parse(&Receipt(text.into())), None, "{text}");
        }
    }
}
