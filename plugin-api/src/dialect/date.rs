//! Dates as most APIs write them.

/// Seconds since 1970 of a date such as `2026-01-01T00:00:09Z`: in UTC, fractions of seconds left out.
///
/// ```
/// # use patchbay_plugin_api::dialect::unix_seconds;
/// assert_eq!(unix_seconds("1970-01-02T00:00:01.5Z"), Some(86_401));
/// ```
pub fn unix_seconds(date: &str) -> Option<u64> {
    let (day, time) = date.strip_suffix('Z').or_else(|| date.strip_suffix("+00:00"))?.split_once('T')?;
    let three = |text: &str, separator: char| -> Option<[u64; 3]> {
        let mut numbers = text.split(separator).map(|number| number.parse().ok());
        let three = [numbers.next()??, numbers.next()??, numbers.next()??];
        numbers.next().is_none().then_some(three)
    };
    let [year, month, day] = three(day, '-')?;
    let [hour, minute, second] = three(time.split('.').next()?, ':')?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years begin in March, so that a leap day is the last of its year; the months from there are of 31 and 30 days in
    // a pattern of five, which 153 days fill.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // As many days lie between March of the year 0 and 1970.
    Some((days.checked_sub(719_468)? * 24 + hour) * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        for (date, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2024-02-29T23:59:59Z", Some(1_709_251_199)),
            ("2026-01-01T00:00:09.5Z", Some(1_767_225_609)),
            ("2025-02-24T00:00:00+00:00", Some(1_740_355_200)),
            ("2026-13-01T00:00:00Z", None),
            ("2026-01-01", None),
            ("18446744073709551615-01-01T00:00:00Z", None),
            ("soon", None),
        ] {
            assert_eq!(unix_seconds(date), expected, "{date}");
        }
    }
}
