//! Sizes and ages as Docker writes them.

/// Three significant digits in decimal units: `13.3kB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

/// How long ago something was, in seconds: `3 weeks ago`.
pub(crate) fn ago(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    let text = match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        3600..7200 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if days < 14 => format!("{days} days"),
        _ if days < 60 => format!("{} weeks", days / 7),
        _ if days < 730 => format!("{} months", days / 30),
        _ => format!("{} years", days / 365),
    };
    format!("{text} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let sizes = [0, 999, 1000, 13_256, 1_234_567, 99_960, 2_000_000_000].map(size);
        assert_eq!(sizes, ["0B", "999B", "1kB", "13.3kB", "1.23MB", "100kB", "2GB"]);
    }

    #[test]
    fn ages_are_rough() {
        let ages = [0, 30, 100, 600, 4000, 100_000, 600_000, 2_000_000, 10_000_000, 100_000_000].map(ago);
        let expected = [
            "Less than a second",
            "30 seconds",
            "About a minute",
            "10 minutes",
            "About an hour",
            "27 hours",
            "6 days",
            "3 weeks",
            "3 months",
            "3 years",
        ];
        assert_eq!(ages.to_vec(), expected.map(|text| format!("{text} ago")));
    }
}
