//! `cidr`: an IP address within a network. An operator of EventBridge's buses that Lambda does not have.

use core::net::IpAddr;

/// A network: its address, and how many leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// An address with `/` and the number of bits, or an address alone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = width(address);
        let bits = match bits {
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => most,
        };
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether the text is an address of the network.
    pub(super) fn contains(&self, text: &str) -> bool {
        let Ok(address) = text.parse::<IpAddr>() else {
            return false;
        };
        let shift = width(self.address) - self.bits;
        let network = |a: IpAddr| number(a).checked_shr(shift).unwrap_or_default();
        width(address) == width(self.address) && network(address) == network(self.address)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks() {
        let table: &[(&str, &[&str], &[&str])] = &[
            (
                "10.0.0.0/24",
                &["10.0.0.0", "10.0.0.255"],
                &["10.0.1.0", "x", "::a00:0"],
            ),
            ("10.1.2.3", &["10.1.2.3"], &["10.1.2.4"]),
            ("0.0.0.0/0", &["1.2.3.4"], &["::1"]),
            ("2001:db8::/32", &["2001:db8::1"], &["2001:db9::1", "10.0.0.1"]),
            ("::/0", &["::1"], &["1.2.3.4"]),
        ];
        for (network, good, bad) in table {
            let network = Network::parse(network).unwrap();
            assert!(good.iter().all(|a| network.contains(a)), "{network:?}");
            assert!(!bad.iter().any(|a| network.contains(a)), "{network:?}");
        }
        for refused in [
            "10.0.0.0/33",
            "10.0.0/8",
            "x",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "",
        ] {
            assert_eq!(Network::parse(refused), None, "{refused}");
        }
    }
}
