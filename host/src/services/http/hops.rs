//! How many hosts a request has come through: one whose provider is the host itself would go round for ever.

use http::{HeaderMap, HeaderName, HeaderValue};

/// So many hosts one behind the other are more than anybody means.
const MOST: u8 = 5;

/// What each is told of, as a number.
const HEADER: HeaderName = HeaderName::from_static("x-patchbay-hops");

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hops(u8);

impl Hops {
    /// Those of a request that has arrived. What is no number was not written by a host.
    pub fn of(headers: &HeaderMap) -> Self {
        let said = headers.get(HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        Self(said.unwrap_or_default())
    }

    /// Whether there were too many of them.
    pub fn is_loop(self) -> bool {
        self.0 >= MOST
    }

    /// What upstream is told, which may be a host, too.
    pub fn onward(self) -> (HeaderName, HeaderValue) {
        let value = match self.0 {
            0 => HeaderValue::from_static("1"),
            1 => HeaderValue::from_static("2"),
            2 => HeaderValue::from_static("3"),
            3 => HeaderValue::from_static("4"),
            _ => HeaderValue::from_static("5"),
        };
        (HEADER, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_counts_one_more_until_it_is_a_loop() {
        let mut headers = HeaderMap::new();
        let mut passed = 0;
        while !Hops::of(&headers).is_loop() {
            let (name, value) = Hops::of(&headers).onward();
            headers.insert(name, value);
            passed += 1;
        }
        assert_eq!(passed, MOST);
        for (said, is_loop) in
            [("4", false), ("5", true), ("255", true), ("256", false), ("x", false), ("", false)]
        {
            headers.insert(HEADER, HeaderValue::from_static(said));
            assert_eq!(Hops::of(&headers).is_loop(), is_loop, "{said}");
        }
    }
}
