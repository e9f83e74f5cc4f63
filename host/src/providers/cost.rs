//! What answers cost: tokens times prices, exactly.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Provider;
use crate::config::{PriceSource, Priced, Prices, as_number};

/// The tokens of one answer, each kind counted as upstreams count it: those in the second place of a line are among
/// those in the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read.
    pub prompt: u64,
    /// Of them, read before.
    pub cached_prompt: u64,
    /// Of them, kept for the next time.
    pub cache_write: u64,
    /// Written.
    pub completion: u64,
    /// Of them, thoughts.
    pub reasoning: u64,
}

/// US dollars, to the last digit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(Decimal);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// This and that. What is beyond counting is as much as can be counted.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left of this without that; never less than nothing.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(Decimal::ZERO))
    }
}

/// An amount as somebody has set it.
impl From<Decimal> for Cost {
    fn from(dollars: Decimal) -> Self {
        Self(dollars.normalize())
    }
}

/// The number alone, never with an exponent.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_number(&Some(self.0), serializer)
    }
}

impl JsonSchema for Cost {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cost".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

/// As it was written, digit by digit.
impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = Box::<RawValue>::deserialize(deserializer)?;
        digits.get().parse().map(Self).map_err(D::Error::custom)
    }
}

/// Sums are made in units of this many decimal places: whole numbers, which a store adds up exactly.
const PLACES: u32 = 18;

/// More dollars than any answer costs: what upstream miscounts must not be more than sums can hold.
const MOST: i128 = 10_000 * 10_i128.pow(PLACES);

impl Cost {
    /// In units of 10^-18 dollars, rounded where it has more places than any price list.
    pub fn in_units(self) -> i128 {
        self.rounded(PLACES).unwrap_or(MOST).min(MOST)
    }

    /// In billionths of a dollar, rounded: for sums that need not be exact.
    pub(crate) fn in_nanodollars(self) -> u64 {
        self.rounded(9).and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or_default()
    }

    /// As a whole number of units with so many places.
    fn rounded(self, places: u32) -> Option<i128> {
        let rounded = self.0.round_dp(places);
        rounded.mantissa().checked_mul(10_i128.pow(places - rounded.scale()))
    }

    /// So many units of 10^-18 dollars.
    pub fn of_units(units: i128) -> Self {
        // Beyond 79 billion dollars the last places are let go.
        let whole = Decimal::try_from_i128_with_scale(units, PLACES);
        let sum = whole.or_else(|_| Decimal::try_from_i128_with_scale(units / 10_i128.pow(9), PLACES - 9));
        Self(sum.unwrap_or(Decimal::MAX).normalize())
    }
}

impl Prices {
    /// What so many tokens cost. None where some of them have no price, or the sum is beyond counting.
    pub fn cost(&self, tokens: &Tokens) -> Option<Cost> {
        // A part that upstream counts as more than the whole is the whole.
        let cached = tokens.cached_prompt.min(tokens.prompt);
        let written = tokens.cache_write.min(tokens.prompt - cached);
        let reasoning = tokens.reasoning.min(tokens.completion);
        let parts = [
            (tokens.prompt - cached - written, self.prompt),
            (cached, self.cached_prompt.or(self.prompt)),
            (written, self.cache_write.or(self.prompt)),
            (tokens.completion - reasoning, self.completion),
            (reasoning, self.reasoning.or(self.completion)),
        ];
        let mut sum = Decimal::ZERO;
        for (count, price) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let price = price?;
            // Where the digits do not suffice they are rounded off: what is not exact is not known.
            let part =
                price.checked_mul(Decimal::from(count)).filter(|part| part.scale() >= price.scale())?;
            let scale = sum.scale().max(part.scale());
            sum = sum.checked_add(part).filter(|sum| sum.scale() >= scale)?;
        }
        Some(Cost(sum.checked_div(Decimal::from(self.per))?.normalize()))
    }
}

impl Provider {
    /// What a model costs here, by the first of its names that somebody has a price for: whatever the vendor lists,
    /// the operator and the plugin are believed first.
    pub fn priced<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Option<Priced> {
        let mut all = names.clone();
        if let Some(priced) = all.find_map(|name| self.settings.pricing.get(name)) {
            return Some(*priced);
        }
        let (list, mut names) = (self.catalogue.list()?, names);
        let prices = names.find_map(|name| list.prices(name))?;
        Some(Priced { prices, source: PriceSource::Vendor })
    }

    /// Every name that a model has here: as it is asked for, and as upstream is.
    pub fn names_of<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        let alias = self.plan.as_ref().and_then(|plan| plan.model.aliases.get(model));
        [Some(model), alias.map(String::as_str)].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests;
