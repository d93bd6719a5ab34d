//! Which addresses may be connected to.

use millstream_types::net::{AddressKind, address_kind};
use std::net::IpAddr;

/// Which addresses functions may be at. Link-local addresses, where clouds keep the credentials of a machine, their
/// other metadata services, multicast and unspecified addresses are refused in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpReach {
    /// This machine and private networks too.
    #[default]
    Private,
    /// Only what is reachable from everywhere: for servers whose users must not reach what is behind its firewall.
    PublicOnly,
}

impl HttpReach {
    /// Whether `address` may be connected to.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(self, address: IpAddr) -> Result<(), String> {
        match (address_kind(address), self) {
            (AddressKind::Forbidden(why), _) => {
                Err(format!("{address} is {why}: functions are never called there"))
            }
            (AddressKind::Private, Self::PublicOnly) => Err(format!(
                "{address} is not a public address, and this server calls http functions at public ones only"
            )),
            (AddressKind::Private, Self::Private) | (AddressKind::Public, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_is_a_setting_and_what_is_forbidden_is_not() {
        for (address, private, public_only) in [
            ("8.8.8.8", true, true),
            ("127.0.0.1", true, false),
            ("10.1.2.3", true, false),
            ("::1", true, false),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("fd00:ec2::254", false, false),
            ("0.0.0.0", false, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            let allowed = |reach: HttpReach| reach.check(address).is_ok();
            assert_eq!(
                (allowed(HttpReach::Private), allowed(HttpReach::PublicOnly)),
                (private, public_only),
                "{address}"
            );
        }
    }
}
