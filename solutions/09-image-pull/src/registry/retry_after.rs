//! Reads when a server wants to be asked again: the header Retry-After (RFC 9110, section 10.2.3).
//!
//! It is a number of seconds, or a date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How long to wait from `now` on; `None` if it can't be told. A date that is past means no wait.
pub(crate) fn pause(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(date(header)?.duration_since(now).unwrap_or_default())
}

fn date(text: &str) -> Option<SystemTime> {
    let (_weekday, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let number = |text: &str, most: u64| text.parse::<u64>().ok().filter(|n| *n <= most);
    let (day, year) = (number(day, 31)?, number(year, 9999).filter(|year| *year >= 1970)?);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (number(time.next()?, 23)?, number(time.next()?, 59)?);
    let second = number(time.next()?, 60)?;
    // Counted from March on, a leap day comes last: months then have their lengths in a line.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    let since_1970 = days.checked_sub(719_469)?;
    let seconds = ((since_1970 * 24 + hour) * 60 + minute) * 60 + second;
    (zone == "GMT").then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let now = at(784_111_777);
        let seconds = |header| pause(header, now).map(|pause| pause.as_secs());
        assert_eq!(seconds(" 7 "), Some(7));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:00 GMT"), Some(23));
        assert_eq!(seconds("Mon, 07 Nov 1994 08:49:37 GMT"), Some(86_400));
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0), "long ago");
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(at(0)));
        assert_eq!(date("Tue, 29 Feb 2000 00:00:00 GMT"), Some(at(951_782_400)));
        assert_eq!(date("Sat, 21 Nov 2026 13:00:00 GMT"), Some(at(1_795_266_000)));
        for bad in [
            "",
            "tomorrow",
            "-1",
            "Sun, 06 Nov 1994",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 00 Jan 1970 00:00:00 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        ] {
            assert_eq!(pause(bad, now), None, "{bad}");
        }
    }
}
