//! Times as people write them.

use std::time::{Duration, SystemTime};

/// A time of the past as the host wants it: so long ago, or a date.
pub(super) fn past(text: &str) -> Result<String, String> {
    let then = match humantime::parse_duration(text) {
        Ok(ago) => SystemTime::now().checked_sub(ago).ok_or("that is before all time")?,
        Err(_) => date(text).ok_or("write it as in 24h, 7d, 2026-11-01 or 2026-11-01T12:00:00Z")?,
    };
    Ok(humantime::format_rfc3339_seconds(then).to_string())
}

/// How long it is until a time to come: so long, or until a date.
pub(super) fn ahead(text: &str) -> Result<Duration, String> {
    if let Ok(time) = humantime::parse_duration(text) {
        return Ok(time);
    }
    let then = date(text).ok_or("write it as in 12h, 90d, 2027-01-31 or 2027-01-31T12:00:00Z")?;
    then.duration_since(SystemTime::now()).map_err(|_| "that is over already".to_owned())
}

/// A date stands for its beginning, in UTC.
fn date(text: &str) -> Option<SystemTime> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    humantime::parse_rfc3339_weak(&whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_or_so_long_ago() {
        assert_eq!(past("2026-11-01").unwrap(), "2026-11-01T00:00:00Z");
        assert_eq!(past("2026-11-01T12:30:00Z").unwrap(), "2026-11-01T12:30:00Z");
        assert!(past("7d").is_ok() && past("yesterday").unwrap_err().contains("7d"));
    }

    #[test]
    fn what_is_to_come_is_a_date_or_so_long() {
        const DAY: Duration = Duration::from_secs(86_400);
        assert_eq!(ahead("90d").unwrap(), 90 * DAY);
        let later = SystemTime::now() + 400 * DAY;
        let date = humantime::format_rfc3339_seconds(later).to_string();
        let until = ahead(&date[..10]).unwrap();
        assert!(until > 398 * DAY && until <= 400 * DAY, "{until:?}");
        assert_eq!(ahead("2001-01-01").unwrap_err(), "that is over already");
        assert!(ahead("tomorrow").unwrap_err().contains("2027-01-31"));
    }
}
