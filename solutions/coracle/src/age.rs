//! Says how long ago something was, as people say it.

use std::time::{SystemTime, UNIX_EPOCH};

/// How long ago, in the largest unit that makes sense.
pub fn since(created: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match now.saturating_sub(created) {
        _ if created == 0 => "unknown".to_owned(),
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// The same of a date as images have it: `2024-05-06T07:08:09.123Z` (RFC 3339).
pub fn of_date(date: &str) -> Option<String> {
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // Days since 1970, counted from March so that a leap day comes last (the zone is left out: it
    // moves by hours what is shown in days).
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = days + (153 * month + 2) / 5 + day - 719_469;
    u64::try_from(((days * 24 + hour) * 60 + minute) * 60 + second).ok().map(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_as_long_ago_as_its_second() {
        for (date, second) in [
            ("2001-09-09T01:46:40Z", 1_000_000_000),
            ("2024-02-29T12:00:00.5Z", 1_709_208_000),
            ("1970-01-02T00:00:00Z", 86_400),
        ] {
            assert_eq!(of_date(date), Some(since(second)), "{date}");
        }
        assert_eq!(of_date("yesterday"), None);
    }
}
