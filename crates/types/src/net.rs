//! What kind of place an IP address is, for whoever connects to where a user says.
//!
//! Addresses that carry an IPv4 address inside an IPv6 one (mapped, translated, 6to4) are what they carry: a
//! translator on the way would take them there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// Reachable from everywhere.
    Public,
    /// This machine, or a network of one's own.
    Private,
    /// Never a function: the text says why.
    Forbidden(&'static str),
}

const UNSPECIFIED: &str = "unspecified";
const LINK_LOCAL: &str = "link-local, where clouds keep the credentials of the machine";
const METADATA: &str = "a cloud's metadata service";
const MULTICAST: &str = "multicast or broadcast";

/// The metadata services that are not link-local: AWS (the whole range of its IPv6 services), Google, Alibaba, Azure.
const METADATA_V6: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
];
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];

/// Networks that are private, shared or reserved: whatever answers there is not the public internet.
const PRIVATE_V4: [(Ipv4Addr, u32); 12] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// All of IPv6 that is handed out for the internet; what lies outside is private or reserved.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const PRIVATE_V6: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
];

/// What kind of place `address` is.
#[must_use]
pub fn address_kind(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(v4) => kind_v4(v4),
        IpAddr::V6(v6) => carried_v4(v6).map_or_else(|| kind_v6(v6), kind_v4),
    }
}

/// What kind of place a host of a URL is, if it is an address and not a name. An IPv6 address stands in brackets.
#[must_use]
pub fn host_kind(host: &str) -> Option<AddressKind> {
    host_address(host).map(address_kind)
}

/// The address that a host of a URL is, if it is none of a name. An IPv6 address stands in brackets.
#[must_use]
pub fn host_address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

fn kind_v4(v4: Ipv4Addr) -> AddressKind {
    let within = |(network, bits): (Ipv4Addr, u32)| (v4.to_bits() ^ network.to_bits()) >> (32 - bits) == 0;
    match v4 {
        _ if v4.octets()[0] == 0 => AddressKind::Forbidden(UNSPECIFIED),
        _ if v4.is_link_local() => AddressKind::Forbidden(LINK_LOCAL),
        _ if v4.is_multicast() || v4.is_broadcast() => AddressKind::Forbidden(MULTICAST),
        _ if METADATA_V4.contains(&v4) => AddressKind::Forbidden(METADATA),
        _ if PRIVATE_V4.into_iter().any(within) => AddressKind::Private,
        _ => AddressKind::Public,
    }
}

fn kind_v6(v6: Ipv6Addr) -> AddressKind {
    let within = |(network, bits): (Ipv6Addr, u32)| (v6.to_bits() ^ network.to_bits()) >> (128 - bits) == 0;
    match v6 {
        _ if v6.is_unspecified() => AddressKind::Forbidden(UNSPECIFIED),
        _ if v6.is_unicast_link_local() => AddressKind::Forbidden(LINK_LOCAL),
        _ if v6.is_multicast() => AddressKind::Forbidden(MULTICAST),
        _ if METADATA_V6.into_iter().any(within) => AddressKind::Forbidden(METADATA),
        _ if !within(GLOBAL_V6) || PRIVATE_V6.into_iter().any(within) => AddressKind::Private,
        _ => AddressKind::Public,
    }
}

/// The IPv4 address inside: `::ffff:a.b.c.d`, `::a.b.c.d`, the translators' `64:ff9b::a.b.c.d`, and 6to4.
fn carried_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] if !(v6.is_unspecified() || v6.is_loopback()) => {
            Some(v4(high, low))
        }
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_kind() {
        use AddressKind::{Forbidden, Private, Public};
        let rows = [
            ("8.8.8.8", Public),
            ("172.15.255.255", Public),
            ("172.32.0.0", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("198.20.0.0", Public),
            ("223.255.255.255", Public),
            ("10.255.255.255", Private),
            ("127.0.0.1", Private),
            ("127.8.8.8", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.4.4", Private),
            ("100.64.0.1", Private),
            ("100.127.255.255", Private),
            ("198.19.255.255", Private),
            ("192.0.2.1", Private),
            ("240.0.0.1", Private),
            ("0.0.0.0", Forbidden(UNSPECIFIED)),
            ("0.1.2.3", Forbidden(UNSPECIFIED)),
            ("169.254.169.254", Forbidden(LINK_LOCAL)),
            ("169.254.0.1", Forbidden(LINK_LOCAL)),
            ("224.0.0.1", Forbidden(MULTICAST)),
            ("239.255.255.255", Forbidden(MULTICAST)),
            ("255.255.255.255", Forbidden(MULTICAST)),
            ("100.100.100.200", Forbidden(METADATA)),
            ("168.63.129.16", Forbidden(METADATA)),
            ("[2606:4700::1111]", Public),
            ("[2a00:1450:4001::1]", Public),
            ("[::1]", Private),
            ("[fc00::1]", Private),
            ("[fd12:3456::1]", Private),
            ("[fec0::1]", Private),
            ("[2001:db8::1]", Private),
            ("[2001::1]", Private),
            ("[4000::1]", Private),
            ("[::]", Forbidden(UNSPECIFIED)),
            ("[fe80::1]", Forbidden(LINK_LOCAL)),
            ("[febf::1]", Forbidden(LINK_LOCAL)),
            ("[ff02::1]", Forbidden(MULTICAST)),
            ("[fd00:ec2::254]", Forbidden(METADATA)),
            ("[fd00:ec2::23]", Forbidden(METADATA)),
            ("[fd20:ce::254]", Forbidden(METADATA)),
            ("[fd00:ec3::254]", Private),
            // What carries an IPv4 address is what it carries.
            ("[::ffff:169.254.169.254]", Forbidden(LINK_LOCAL)),
            ("[::ffff:127.0.0.1]", Private),
            ("[::ffff:8.8.8.8]", Public),
            ("[::169.254.169.254]", Forbidden(LINK_LOCAL)),
            ("[64:ff9b::a9fe:a9fe]", Forbidden(LINK_LOCAL)),
            ("[64:ff9b::10.0.0.1]", Private),
            ("[2002:a9fe:a9fe::1]", Forbidden(LINK_LOCAL)),
            ("[2002:808:808::1]", Public),
        ];
        for (host, expected) in rows {
            assert_eq!(host_kind(host), Some(expected), "{host}");
        }
    }

    #[test]
    fn names_are_no_addresses() {
        for host in [
            "localhost",
            "example.com",
            "127.1",
            "::1",
            "[::1",
            "",
            "0x7f.0.0.1",
        ] {
            assert_eq!(host_kind(host), None, "{host}");
        }
    }
}
