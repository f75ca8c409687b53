use serde_json::Value;

use crate::{Quantity, Selector, names};

/// Texts in objects that have a grammar of their own, one a line: quantities, names, and selectors in JSON. What
/// is read is read again as it is written.
pub fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let quantities: Vec<Quantity> = text.lines().filter_map(|line| Quantity::parse(line).ok()).collect();
    quantities.iter().for_each(check_quantity);
    quantities.windows(2).for_each(|pair| check_sum(pair[0], pair[1]));
    for line in text.lines() {
        check_names(line);
        if let Ok(selector) = serde_json::from_str::<Value>(line) {
            check_selector(&selector);
        }
    }
}

fn check_quantity(quantity: &Quantity) {
    let text = quantity.to_string();
    let again = Quantity::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!((again, again.to_string()), (*quantity, text.clone()), "{text}");
    assert_eq!(quantity.is_zero(), text == "0");
    assert_eq!(quantity.is_negative(), text.starts_with('-'));
    let (units, milli) = (quantity.units(), quantity.milli());
    assert!(
        milli.signum() == units.signum() && units.unsigned_abs() <= milli.unsigned_abs(),
        "{text}: {units} {milli}"
    );
}

fn check_sum(one: Quantity, other: Quantity) {
    assert_eq!(one + other, other + one);
    assert_eq!(one.cmp(&other), other.cmp(&one).reverse());
    assert_eq!(one - other, -(other - one));
    check_quantity(&(one + other));
    check_quantity(&(one - other));
}

fn check_names(text: &str) {
    let fits = |found: Vec<String>| found.is_empty();
    if fits(names::check_dns1123_label(text)) {
        assert!(fits(names::check_dns1123_subdomain(text)), "{text:?}");
    }
    if fits(names::check_dns1035_label(text)) {
        assert!(fits(names::check_dns1123_label(text)), "{text:?}");
    }
}

fn check_selector(selector: &Value) {
    // A plain map may select by what is no label, and nothing has a text that is not read.
    let is_plain = selector.as_object().is_none_or(|plain| plain.values().all(Value::is_string));
    let Some(selector) = Selector::from_json(selector).ok().filter(|_| !is_plain) else { return };
    let again = Selector::parse(&selector.to_string());
    assert_eq!(again.as_ref(), Ok(&selector), "{selector}");
}
