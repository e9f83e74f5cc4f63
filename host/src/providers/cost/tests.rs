use patchbay_plugin_api::{Model, Pricing};
use serde_json::{Value, json};

use super::*;
use crate::config::ProviderSettings;
use crate::testing;

/// Settings of which only the prices matter.
fn priced(pricing: &Value) -> ProviderSettings {
    ProviderSettings { pricing: testing::pricing(pricing), ..testing::settings("p") }
}

fn tokens(counts: [u64; 5]) -> Tokens {
    let [prompt, cached_prompt, cache_write, completion, reasoning] = counts;
    Tokens { prompt, cached_prompt, cache_write, completion, reasoning }
}

/// What so many tokens cost at these prices, as it stands in answers.
#[track_caller]
fn check(prices: &Value, counts: [u64; 5], expected: &str) {
    let settings = priced(&json!({ "m": prices }));
    let cost = settings.pricing["m"].prices.cost(&tokens(counts));
    assert_eq!(serde_json::to_string(&cost).unwrap(), expected, "{prices} for {counts:?}");
}

#[test]
fn costs_are_right_to_the_last_digit() {
    let plain = json!({"prompt": 0.15, "completion": 0.6});
    check(&plain, [0, 0, 0, 0, 0], "0");
    check(&plain, [1, 0, 0, 0, 0], "0.00000015");
    check(&plain, [0, 0, 0, 1, 0], "0.0000006");
    check(&plain, [1_000_000, 0, 0, 1_000_000, 0], "0.75");
    check(&plain, [1234, 0, 0, 567, 0], "0.0005253");
    // What floating point makes 0.30000000000000004 of.
    check(&json!({"prompt": 0.1, "completion": 0.2}), [1_000_000, 0, 0, 1_000_000, 0], "0.3");
    check(&json!({"prompt": 0.1, "completion": 0.7}), [3_000_000, 0, 0, 0, 0], "0.3");
    check(&json!({"prompt": 1.1, "completion": 2.2}), [3, 0, 0, 3, 0], "0.0000099");

    // A list per thousand, and the same per million.
    check(&json!({"prompt": 0.0005, "completion": 0.0015, "per": 1000}), [1234, 0, 0, 567, 0], "0.0014675");
    check(&json!({"prompt": 0.5, "completion": 1.5}), [1234, 0, 0, 567, 0], "0.0014675");
    check(&json!({"prompt": "0.000000000001", "completion": 0, "per": 1}), [7, 0, 0, 0, 0], "0.000000000007");

    // Parts that have prices of their own, and parts that do not.
    let all =
        json!({"prompt": 3, "cached_prompt": 0.3, "cache_write": 3.75, "completion": 15, "reasoning": 10});
    check(&all, [1000, 0, 0, 100, 0], "0.0045");
    check(&all, [1000, 600, 0, 100, 0], "0.00288");
    check(&all, [1000, 600, 300, 100, 0], "0.003105");
    check(&all, [1000, 0, 0, 100, 80], "0.0041");
    check(&all, [1000, 600, 300, 100, 80], "0.002705");
    check(&json!({"prompt": 3, "completion": 15}), [1000, 600, 300, 100, 80], "0.0045");
    // More of a part than of the whole is the whole.
    check(&all, [1000, 5000, 5000, 100, 500], "0.0013");

    // No more digits than there are.
    check(&json!({"prompt": "2.50", "completion": "10.00"}), [400_000, 0, 0, 0, 0], "1");
    check(
        &json!({"prompt": 1, "completion": 0, "per": 3}),
        [1, 0, 0, 0, 0],
        "0.3333333333333333333333333333",
    );
    check(&json!({"prompt": 150, "completion": 600}), [2_000_000_000, 0, 0, 1_000_000_000, 0], "900000");
}

#[test]
fn what_has_no_price_has_no_cost() {
    check(&json!({"prompt": 1}), [10, 0, 0, 0, 0], "0.00001");
    check(&json!({"prompt": 1}), [10, 0, 0, 1, 0], "null");
    check(&json!({"completion": 1}), [10, 0, 0, 1, 0], "null");
    check(&json!({"reasoning": 1}), [0, 0, 0, 1, 1], "0.000001");
    check(&json!({}), [0, 0, 0, 0, 0], "0");
    // Beyond what can be counted.
    check(
        &json!({"prompt": "4294967294.5", "completion": 1, "per": 1}),
        [u64::MAX, 0, 0, u64::MAX, 0],
        "null",
    );
}

#[test]
fn a_model_is_looked_for_by_all_of_its_names() {
    let mut plan = testing::plan("https://up.test");
    plan.model.aliases.insert("fast".to_owned(), "f-1".to_owned());
    let prices = json!({"f-1": {"prompt": 1, "completion": 1}, "dated-2026": {"prompt": 2, "completion": 2}});
    let provider = testing::provider(priced(&prices), Some(plan));
    let prompt = |names: &[&'static str]| {
        let names = names.iter().flat_map(|name| provider.names_of(name));
        provider.priced(names).and_then(|priced| priced.prices.prompt).map(|price| price.to_string())
    };
    assert_eq!(prompt(&["fast"]).as_deref(), Some("1"));
    assert_eq!(prompt(&["dated", "dated-2026"]).as_deref(), Some("2"));
    assert_eq!(prompt(&["fast", "dated-2026"]).as_deref(), Some("1"), "the first that has one");
    assert_eq!(prompt(&["other"]), None);
}

#[test]
fn the_vendors_list_is_believed_where_nobody_else_says_anything() {
    let provider = testing::provider(priced(&json!({"a": {"prompt": 1, "completion": 1}})), None);
    let listed = |id: &str, prompt| Model { pricing: Some(Pricing::new(prompt, 0.25)), ..Model::new(id) };
    provider.catalogue.hold([listed("a", 9.0), listed("b", 0.075), Model::new("c"), listed("d", -1.0)]);
    for (names, expected) in [
        (&["a"][..], Some((PriceSource::Configuration, "1"))),
        (&["b"], Some((PriceSource::Vendor, "0.075"))),
        (&["b", "a"], Some((PriceSource::Configuration, "1"))),
        (&["c", "b"], Some((PriceSource::Vendor, "0.075"))),
        (&["c"], None),
        (&["d"], None),
    ] {
        let said = provider.priced(names.iter().copied());
        let said = said.map(|priced| (priced.source, priced.prices.prompt.unwrap().to_string()));
        let said = said.as_ref().map(|(source, price)| (*source, price.as_str()));
        assert_eq!(said, expected, "{names:?}");
    }
}

#[test]
fn billionths_are_rounded_and_never_below_nothing() {
    for (dollars, expected) in [
        ("0", 0),
        ("0.0000000004", 0),
        ("0.0000000016", 2),
        ("0.007157", 7_157_000),
        ("12", 12_000_000_000),
        ("-1", 0),
    ] {
        assert_eq!(Cost(dollars.parse().unwrap()).in_nanodollars(), expected, "{dollars}");
    }
}
