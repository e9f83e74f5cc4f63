//! What models cost, as it is written: read exactly, for money that is a little wrong adds up.

use std::collections::BTreeMap;

use patchbay_plugin_api::Pricing;
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize as _, Serialize};
use serde_json::{Map, Value};

/// Prices have no more digits behind the point: sums of them stay exact.
const MOST_DIGITS: u32 = 12;

/// For so many tokens, where nothing else is said.
const MILLION: u32 = 1_000_000;

/// What one model costs, in US dollars for `per` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Prices {
    /// For tokens read.
    #[serde(serialize_with = "as_number")]
    #[schemars(schema_with = "dollars_schema")]
    pub prompt: Option<Decimal>,
    /// For those of them that upstream had read before; like any other where it is not said.
    #[serde(serialize_with = "as_number", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "dollars_schema")]
    pub cached_prompt: Option<Decimal>,
    /// For those of them that upstream keeps for the next time; like any other where it is not said.
    #[serde(serialize_with = "as_number", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "dollars_schema")]
    pub cache_write: Option<Decimal>,
    /// For tokens written.
    #[serde(serialize_with = "as_number")]
    #[schemars(schema_with = "dollars_schema")]
    pub completion: Option<Decimal>,
    /// For those of them that were thoughts; like any other where it is not said.
    #[serde(serialize_with = "as_number", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "dollars_schema")]
    pub reasoning: Option<Decimal>,
    /// For so many tokens.
    pub per: u32,
}

/// Who says what a model costs. Those further down are believed less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// The operator.
    Configuration,
    /// The plugin's author.
    Plugin,
    /// The vendor, in its list of models.
    Vendor,
}

/// Prices, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced {
    /// What it costs.
    pub prices: Prices,
    /// Who says so.
    pub source: PriceSource,
}

/// What the operator and the plugin say, by model: where both do the operator is believed, for the whole model.
pub(super) fn of_config(
    operators: &Map<String, Value>,
    plugins: &Map<String, Value>,
) -> Result<BTreeMap<String, Priced>, String> {
    let mut priced = BTreeMap::new();
    for (config, source) in [(plugins, PriceSource::Plugin), (operators, PriceSource::Configuration)] {
        for (model, written) in config.get("pricing").and_then(Value::as_object).into_iter().flatten() {
            let prices =
                Prices::read(written).map_err(|error| format!("\"pricing\" of \"{model}\": {error}"))?;
            priced.insert(model.clone(), Priced { prices, source });
        }
    }
    Ok(priced)
}

/// For tests: what an operator says.
#[cfg(test)]
pub(crate) fn prices_of(config: &Value) -> Result<BTreeMap<String, Priced>, String> {
    of_config(config.as_object().ok_or("not an object")?, &Map::new())
}

/// Takes out of a plugin's defaults the prices of models that the entry has prices for: two halves of different price
/// lists make no whole one.
pub(super) fn give_way(defaults: &mut Map<String, Value>, entry: &Map<String, Value>) {
    let Some(operators) = entry.get("pricing").and_then(Value::as_object) else { return };
    if let Some(plugins) = defaults.get_mut("pricing").and_then(Value::as_object_mut) {
        plugins.retain(|model, _| !operators.contains_key(model));
    }
}

/// A price as it is written: a text is exact, and a number is what its digits say.
pub(super) fn price(written: &Value) -> Option<Decimal> {
    let price = match written {
        Value::String(text) if text.split('.').all(is_digits) => Decimal::from_str_exact(text).ok()?,
        Value::Number(number) => {
            let digits = number.to_string();
            Decimal::from_str_exact(&digits).or_else(|_| Decimal::from_scientific(&digits)).ok()?
        }
        _ => return None,
    };
    let price = price.normalize();
    (!price.is_sign_negative() && price.scale() <= MOST_DIGITS && price <= Decimal::from(u32::MAX))
        .then_some(price)
}

/// An amount that may be left out, as configuration and keys have it.
pub(crate) fn dollars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    let written = Option::<Value>::deserialize(deserializer)?.filter(|written| !written.is_null());
    let read = |written: Value| {
        price(&written).ok_or_else(|| {
            D::Error::custom(format!("{written} is no amount in US dollars, such as 5 or \"0.50\""))
        })
    };
    written.map(read).transpose()
}

/// An amount that may be left out, for the documentation of what is asked and answered.
pub(crate) fn dollars_schema(generator: &mut SchemaGenerator) -> Schema {
    if generator.contract().is_serialize() {
        return json_schema!({ "type": ["number", "null"], "minimum": 0 });
    }
    json_schema!({ "type": ["number", "string", "null"], "minimum": 0, "pattern": "^[0-9]+(\\.[0-9]+)?$" })
}

fn is_digits(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

impl Prices {
    /// Reads what stands under a model's name.
    fn read(written: &Value) -> Result<Self, String> {
        let of = |name: &str| match written.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(written) => price(written).map(Some).ok_or_else(|| {
                format!("\"{name}\" is {written}, not a price in US dollars, such as 0.5 or \"0.000125\"")
            }),
        };
        let per = match written.get("per") {
            None | Some(Value::Null) => MILLION,
            Some(per) => {
                per.as_u64().and_then(|per| u32::try_from(per).ok()).filter(|per| *per > 0).ok_or_else(
                    || format!("\"per\" is {per}, not a number of tokens, such as 1000 or 1000000"),
                )?
            }
        };
        Ok(Self {
            prompt: of("prompt")?,
            cached_prompt: of("cached_prompt")?,
            cache_write: of("cache_write")?,
            completion: of("completion")?,
            reasoning: of("reasoning")?,
            per,
        })
    }

    /// The same for a million tokens, as people compare them; none where that cannot be said exactly.
    pub fn per_million(&self) -> Option<Self> {
        let times = Decimal::from(MILLION).checked_div(Decimal::from(self.per))?;
        let more = |price: Option<Decimal>| match price {
            None => Some(None),
            Some(price) => price.checked_mul(times).map(|price| Some(price.normalize())),
        };
        Some(Self {
            prompt: more(self.prompt)?,
            cached_prompt: more(self.cached_prompt)?,
            cache_write: more(self.cache_write)?,
            completion: more(self.completion)?,
            reasoning: more(self.reasoning)?,
            per: MILLION,
        })
    }

    /// What a vendor lists; none where a price in it is none.
    pub fn listed(listed: &Pricing) -> Option<Self> {
        // The digits that were written are those that a reader of the number would write.
        let exactly = |number: f64| price(&Value::from(number));
        let maybe = |number: Option<f64>| number.map_or(Some(None), |number| exactly(number).map(Some));
        Some(Self {
            prompt: Some(exactly(listed.prompt)?),
            cached_prompt: maybe(listed.cached_prompt)?,
            cache_write: maybe(listed.cache_write)?,
            completion: Some(exactly(listed.completion)?),
            reasoning: maybe(listed.reasoning)?,
            per: MILLION,
        })
    }
}

/// All of its digits, as a JSON number.
pub(crate) fn as_number<S: serde::Serializer>(
    decimal: &Option<Decimal>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let Some(decimal) = decimal else { return serializer.serialize_none() };
    let digits = serde_json::value::RawValue::from_string(decimal.normalize().to_string());
    digits.map_err(serde::ser::Error::custom)?.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prices_are_what_their_digits_say() {
        for (written, expected) in [
            (json!(0.1), Some("0.1")),
            (json!(2.50), Some("2.5")),
            (json!(3), Some("3")),
            (json!(0), Some("0")),
            (json!(1e-7), Some("0.0000001")),
            (json!(0.000_000_000_001), Some("0.000000000001")),
            (json!("0.075"), Some("0.075")),
            (json!("1.50"), Some("1.5")),
            (json!("4294967295"), Some("4294967295")),
            (json!("4294967296"), None),
            (json!("0.0000000000001"), None),
            (json!(-1), None),
            (json!("-1"), None),
            (json!("1e3"), None),
            (json!("1,5"), None),
            (json!("1."), None),
            (json!(".5"), None),
            (json!("1.2.3"), None),
            (json!(""), None),
            (json!(1e300), None),
            (json!(true), None),
        ] {
            assert_eq!(price(&written).map(|price| price.to_string()).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn the_operator_is_believed_for_the_whole_model() {
        let operators = json!({"pricing": {"a": {"prompt": 1, "per": 1000}}});
        let plugins = json!({"pricing": {"a": {"prompt": 5, "completion": 6}, "b": {"prompt": "0.1", "completion": 0.2}}});
        let priced = of_config(operators.as_object().unwrap(), plugins.as_object().unwrap()).unwrap();
        let (a, b) = (priced["a"], priced["b"]);
        assert_eq!((a.source, b.source), (PriceSource::Configuration, PriceSource::Plugin));
        assert_eq!((a.prices.completion, a.prices.per), (None, 1000));
        assert_eq!(
            serde_json::to_string(&b.prices).unwrap(),
            r#"{"prompt":0.1,"completion":0.2,"per":1000000}"#
        );

        let mut defaults = plugins;
        give_way(defaults.as_object_mut().unwrap(), operators.as_object().unwrap());
        assert_eq!(defaults, json!({"pricing": {"b": {"prompt": "0.1", "completion": 0.2}}}));
    }

    #[test]
    fn what_is_no_price_is_named() {
        for (written, problem) in [
            (json!({"m": {"prompt": "much"}}), "\"pricing\" of \"m\": \"prompt\" is \"much\", not a price"),
            (json!({"m": {"per": 0}}), "\"pricing\" of \"m\": \"per\" is 0, not a number of tokens"),
        ] {
            let config = json!({ "pricing": written });
            let error = of_config(config.as_object().unwrap(), &Map::new()).unwrap_err();
            assert!(error.starts_with(problem), "{error}");
        }
    }

    #[test]
    fn a_vendors_list_is_as_exact_as_it_was_written() {
        let pricing = Pricing { cached_prompt: Some(0.125), ..Pricing::new(0.15, 0.6) };
        let prices = Prices::listed(&pricing).unwrap();
        let written = r#"{"prompt":0.15,"cached_prompt":0.125,"completion":0.6,"per":1000000}"#;
        assert_eq!(serde_json::to_string(&prices).unwrap(), written);
        let thousands =
            Prices::read(&json!({"prompt": "0.0005", "completion": 0.0015, "per": 1000})).unwrap();
        let millions = serde_json::to_string(&thousands.per_million().unwrap()).unwrap();
        assert_eq!(millions, r#"{"prompt":0.5,"completion":1.5,"per":1000000}"#);
        assert_eq!(Prices::listed(&Pricing::new(f64::NAN, 1.0)), None);
        assert_eq!(Prices::listed(&Pricing::new(1.0, -1.0)), None);
    }
}
