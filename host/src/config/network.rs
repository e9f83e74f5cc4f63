//! Addresses that belong together: one alone, or all of a network.

use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

/// See the module. An address of IPv4 is the same however it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    /// What they have in common, as bits of IPv6.
    common: u128,
    mask: u128,
}

/// Neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address, nor a network such as 10.0.0.0/8")]
pub struct NoNetwork;

impl Network {
    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.common
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let length: u32 = length.map_or(Ok(all), str::parse).map_err(|_| NoNetwork)?;
        if length > all {
            return Err(NoNetwork);
        }
        // Of no bits at all nothing is left to compare.
        let mask = u128::MAX.checked_shl(all - length).unwrap_or(0);
        Ok(Self { common: bits(address) & mask, mask })
    }
}

impl TryFrom<String> for Network {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Self, NoNetwork> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.1.2", "::ffff:10.1.2.3"][..],
                &["11.0.0.0", "9.255.255.255"][..],
            ),
            ("10.1.2.3/8", &["10.0.0.1"], &["11.0.0.1"]),
            ("192.168.1.4", &["192.168.1.4"], &["192.168.1.5"]),
            ("::ffff:192.168.1.4", &["192.168.1.4"], &["192.168.1.5"]),
            ("192.168.1.4/31", &["192.168.1.5"], &["192.168.1.6"]),
            ("0.0.0.0/0", &["1.2.3.4"], &["2001:db8::1"]),
            ("2001:db8::/32", &["2001:db8:1::5"], &["2001:db9::", "10.0.0.1"]),
            ("::/0", &["2001:db8::", "10.0.0.1"], &[]),
        ] {
            let parsed: Network = network.parse().unwrap();
            for (addresses, expected) in [(inside, true), (outside, false)] {
                for address in addresses {
                    assert_eq!(parsed.contains(address.parse().unwrap()), expected, "{address} in {network}");
                }
            }
        }
        for bad in
            ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "::/129", "proxy", "10.0.0.0/8/8"]
        {
            assert_eq!(bad.parse::<Network>(), Err(NoNetwork), "{bad}");
        }
    }
}
