//! Kubernetes quantities: `100m`, `1.5Gi`, `2e3`.
//!
//! Source of the rules: `k8s.io/apimachinery/pkg/api/resource/quantity.go`. A value is held exactly, in billionths:
//! Kubernetes rounds what is finer up (away from zero) to that, and caps what is larger than 2^63-1.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde_json::Value;

const NANOS: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * NANOS;

/// A number with a unit suffix. Equality, order and hash are those of the number; the suffix family that it was
/// written in only decides how it is shown again.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// The family of suffixes that a quantity is shown in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `n u m k M G T P E`, powers of 1000.
    DecimalSi,
    /// `Ki Mi Gi Ti Pi Ei`, powers of 1024.
    BinarySi,
    /// `e3`, `e-6`.
    DecimalExponent,
}

/// Worded as Kubernetes words it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    pub const ZERO: Self = Self { nanos: 0, format: Format::DecimalSi };

    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(rest);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(QuantityError::Format);
        }
        let unit = Unit::parse(suffix)?;
        let magnitude = unit.scale(whole, fraction);
        let nanos = if negative { -magnitude } else { magnitude };
        // Part of a byte cannot be shown in powers of 1024.
        let fractional = unit.format == Format::BinarySi && magnitude > 0 && magnitude < NANOS;
        Ok(Self { nanos, format: if fractional { Format::DecimalSi } else { unit.format } })
    }

    /// A JSON string or number, as the wire allows both.
    pub fn from_value(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::String(text) => Self::parse(text.trim()),
            Value::Number(number) => Self::parse(&number.to_string()),
            Value::Null => Ok(Self::ZERO),
            _ => Err(QuantityError::Format),
        }
    }

    pub fn from_units(units: i64, format: Format) -> Self {
        Self { nanos: i128::from(units) * NANOS, format }
    }

    pub fn from_milli(milli: i64) -> Self {
        Self::capped(i128::from(milli) * (NANOS / 1000), Format::DecimalSi)
    }

    /// Whole units (bytes, counts), rounded up.
    pub fn units(self) -> i64 {
        clamp(ceil_div(self.nanos, NANOS))
    }

    /// Thousandths, rounded up; for CPU.
    pub fn milli(self) -> i64 {
        clamp(ceil_div(self.nanos, NANOS / 1000))
    }

    pub fn format(self) -> Format {
        self.format
    }

    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    fn capped(nanos: i128, format: Format) -> Self {
        Self { nanos: nanos.clamp(-MAX, MAX), format }
    }

    /// A sum shows in the format of its first part, unless that is zero.
    fn sum(self, other: Self, nanos: i128) -> Self {
        Self::capped(nanos, if self.is_zero() { other.format } else { self.format })
    }
}

/// The canonical form: no fraction, the largest suffix that keeps the value exact.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let whole = self.nanos % NANOS == 0;
        match self.format {
            Format::BinarySi if whole && self.nanos.abs() >= 1024 * NANOS => {
                let (number, steps) = strip_factor(self.nanos / NANOS, 1024, 6);
                write!(f, "{number}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][steps])
            }
            Format::DecimalExponent => {
                let (number, steps) = strip_factor(self.nanos, 1000, 9);
                match steps as i32 * 3 - 9 {
                    0 => write!(f, "{number}"),
                    exponent => write!(f, "{number}e{exponent}"),
                }
            }
            Format::DecimalSi | Format::BinarySi => {
                let (number, steps) = strip_factor(self.nanos, 1000, 9);
                write!(f, "{number}{}", ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][steps])
            }
        }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<&k8s_openapi::apimachinery::pkg::api::resource::Quantity> for Quantity {
    type Error = QuantityError;

    fn try_from(wire: &k8s_openapi::apimachinery::pkg::api::resource::Quantity) -> Result<Self, Self::Error> {
        Self::parse(&wire.0)
    }
}

impl From<Quantity> for k8s_openapi::apimachinery::pkg::api::resource::Quantity {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl std::hash::Hash for Quantity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.nanos.hash(state);
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.sum(other, self.nanos + other.nanos)
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.sum(other, self.nanos - other.nanos)
    }
}

impl Neg for Quantity {
    type Output = Self;

    fn neg(self) -> Self {
        Self { nanos: -self.nanos, format: self.format }
    }
}

impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

/// Thousandths of a CPU. Signed, because what is left may be less than nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct MilliCpu(pub i64);

/// A number of bytes. Signed, because what is left may be less than nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Bytes(pub i64);

impl MilliCpu {
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Quantity::parse(text).map(Self::from)
    }
}

impl Bytes {
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Quantity::parse(text).map(Self::from)
    }
}

impl From<Quantity> for MilliCpu {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.milli())
    }
}

impl From<Quantity> for Bytes {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.units())
    }
}

impl From<MilliCpu> for Quantity {
    fn from(cpu: MilliCpu) -> Self {
        Self::from_milli(cpu.0)
    }
}

impl From<Bytes> for Quantity {
    fn from(bytes: Bytes) -> Self {
        Self::from_units(bytes.0, Format::BinarySi)
    }
}

impl fmt::Display for MilliCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Quantity::from(*self).fmt(f)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Quantity::from(*self).fmt(f)
    }
}

macro_rules! arithmetic {
    ($($unit:ident),*) => {$(
        impl Add for $unit {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl Sub for $unit {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl AddAssign for $unit {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl SubAssign for $unit {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }

        impl std::iter::Sum for $unit {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                parts.fold(Self(0), Add::add)
            }
        }
    )*};
}
arithmetic!(MilliCpu, Bytes);

/// What a suffix stands for: `nanos` billionths, divided by ten another `tenths` times.
struct Unit {
    nanos: i128,
    tenths: u32,
    format: Format,
}

impl Unit {
    fn parse(suffix: &str) -> Result<Self, QuantityError> {
        let decimal = |exponent: i64| Self::power_of_ten(exponent, Format::DecimalSi);
        let binary = |exponent: u32| Self { nanos: NANOS << exponent, tenths: 0, format: Format::BinarySi };
        Ok(match suffix {
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "" => decimal(0),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            "Ki" => binary(10),
            "Mi" => binary(20),
            "Gi" => binary(30),
            "Ti" => binary(40),
            "Pi" => binary(50),
            "Ei" => binary(60),
            _ => return Self::exponent(suffix),
        })
    }

    fn exponent(suffix: &str) -> Result<Self, QuantityError> {
        let shaped = |c: char| c.is_ascii_digit() || "+-eEinumkKMGTP".contains(c);
        if !suffix.chars().all(shaped) {
            return Err(QuantityError::Format);
        }
        let digits = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
        let exponent: i64 = digits.parse().map_err(|_| QuantityError::Suffix)?;
        Ok(Self::power_of_ten(exponent, Format::DecimalExponent))
    }

    fn power_of_ten(exponent: i64, format: Format) -> Self {
        // Past these ends everything is capped, or rounds to one billionth.
        let exponent = exponent.clamp(-60, 20) + 9;
        match u32::try_from(exponent) {
            Ok(positive) => Self { nanos: 10i128.pow(positive), tenths: 0, format },
            Err(_) => Self { nanos: 1, tenths: exponent.unsigned_abs() as u32, format },
        }
    }

    /// The billionths in `whole.fraction` units, rounded up and capped.
    fn scale(&self, whole: &str, fraction: &str) -> i128 {
        let digit = |c: u8| i128::from(c - b'0');
        let integer = whole.bytes().fold(0i128, |sum, c| (sum * 10 + digit(c)).min(MAX));
        let (mut part, mut exact) = (0i128, true);
        for c in fraction.bytes().rev() {
            let sum = part + digit(c) * self.nanos;
            (part, exact) = (sum / 10, exact && sum % 10 == 0);
        }
        let mut total = integer.saturating_mul(self.nanos).saturating_add(part);
        for _ in 0..self.tenths {
            (total, exact) = (total / 10, exact && total % 10 == 0);
        }
        total.saturating_add(i128::from(!exact)).min(MAX)
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Divides by `factor` as often as that leaves no rest, at most `limit` times.
fn strip_factor(mut number: i128, factor: i128, limit: usize) -> (i128, usize) {
    let mut steps = 0;
    while steps < limit && number % factor == 0 {
        number /= factor;
        steps += 1;
    }
    (number, steps)
}

/// Rounds away from zero, as Kubernetes does.
fn ceil_div(number: i128, divisor: i128) -> i128 {
    let rest = number % divisor;
    number / divisor + if rest == 0 { 0 } else { number.signum() }
}

fn clamp(number: i128) -> i64 {
    number.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, canonical: &str, milli: i64, units: i64) {
        let quantity = Quantity::parse(text).unwrap();
        assert_eq!((quantity.to_string().as_str(), quantity.milli(), quantity.units()), (canonical, milli, units));
    }

    #[test]
    fn canonical_forms() {
        check("0", "0", 0, 0);
        check("0.5", "500m", 500, 1);
        check("100m", "100m", 100, 1);
        check("1000m", "1", 1000, 1);
        check("1.5", "1500m", 1500, 2);
        check("2048", "2048", 2_048_000, 2048);
        check("1024Ki", "1Mi", 1_048_576_000, 1_048_576);
        check("1.5Gi", "1536Mi", 1_610_612_736_000, 1_610_612_736);
        check("1023Ki", "1023Ki", 1_047_552_000, 1_047_552);
        check("0.5Ki", "512", 512_000, 512);
        check("0.0001Ki", "102400u", 103, 1);
        check("1e3", "1e3", 1_000_000, 1000);
        check("1E3", "1e3", 1_000_000, 1000);
        check("1500e-3", "1500e-3", 1500, 2);
        check("1E", "1E", i64::MAX, 1_000_000_000_000_000_000);
        check("-1.2", "-1200m", -1200, -2);
        check("+.5", "500m", 500, 1);
        check("5.", "5", 5000, 5);
        check("0.0000000001", "1n", 1, 1);
        check("1e-40", "1e-9", 1, 1);
        check("99999999999999999999E", "9223372036854775807", i64::MAX, i64::MAX);
        check("128974848", "128974848", 128_974_848_000, 128_974_848);
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "-", ".", "Ki", "1 Gi", "abc", "1.2.3", "1µ"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Format), "{text:?}");
        }
        for text in ["1K", "1ki", "1mm", "1e", "1ee3", "1Kie2"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Suffix), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_quantities_on_the_wire() {
        let two = Quantity::from_value(&serde_json::json!(2)).unwrap();
        assert_eq!(two, Quantity::parse("2000m").unwrap());
    }

    #[test]
    fn arithmetic_keeps_the_format() {
        let sum = Quantity::parse("512Mi").unwrap() + Quantity::parse("512Mi").unwrap();
        assert_eq!(sum.to_string(), "1Gi");
        assert_eq!((Quantity::ZERO + sum).to_string(), "1Gi");
        assert_eq!((MilliCpu(250) + MilliCpu(750)).to_string(), "1");
        assert_eq!(Bytes(3 << 20).to_string(), "3Mi");
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(number in "[+-]?[0-9]{1,12}(\\.[0-9]{0,12})?",
                                           suffix in "n|u|m||k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e-7|e5") {
            let quantity = Quantity::parse(&format!("{number}{suffix}")).unwrap();
            let again = Quantity::parse(&quantity.to_string()).unwrap();
            prop_assert_eq!(quantity, again);
            prop_assert_eq!(quantity.to_string(), again.to_string());
        }

        #[test]
        fn any_text_parses_or_is_refused(text in ".{0,24}") {
            let _ = Quantity::parse(&text);
        }
    }
}
