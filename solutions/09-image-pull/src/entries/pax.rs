//! Takes apart the pax records before an entry: `LENGTH KEY=VALUE\n` each (tar(5)).

use anyhow::{Context, Result};
use rustix::fs::Timespec;

/// Takes pax records apart. Each begins with its own length, so its value may hold anything.
pub(crate) fn records(mut rest: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8])>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = record(&mut rest);
        if next.is_none() {
            rest = &[]; // after a bad record there is no telling where the next one begins
        }
        Some(next.context("malformed pax record"))
    })
}

fn record<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let space = rest.iter().position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
    let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    *rest = &rest[length..];
    Some((&record[..equals], &record[equals + 1..]))
}

pub(crate) fn decimal(value: &[u8]) -> Result<u64> {
    Ok(std::str::from_utf8(value)?.parse()?)
}

/// A time in seconds with a fraction: `1700000000.123456789`, `-0.5`.
pub(crate) fn time(value: &[u8]) -> Result<Timespec> {
    let text = std::str::from_utf8(value)?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let (mut tv_sec, mut tv_nsec) = (seconds.parse::<i64>()?, i64::from(digits.parse::<u32>()?));
    if text.starts_with('-') && tv_nsec > 0 {
        // The kernel counts nanoseconds forward from the second before.
        (tv_sec, tv_nsec) = (tv_sec.checked_sub(1).context("too early")?, 1_000_000_000 - tv_nsec);
    }
    Ok(Timespec { tv_sec, tv_nsec })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pax_value_may_hold_line_ends_and_equal_signs() {
        let read: Vec<_> = records(b"12 a=b\n=c\nd\n8 key=v\n").map(Result::unwrap).collect();
        assert_eq!(read, [(&b"a"[..], &b"b\n=c\nd"[..]), (b"key", b"v")]);
    }

    #[test]
    fn malformed_pax_records_are_errors() {
        for bad in ["x", "5 a=b\n", "99 a=b\n", "6 a=b", "0 a=b\n", "1 a=b\n", "6 abcd\n", " =\n"] {
            assert!(records(bad.as_bytes()).any(|r| r.is_err()), "{bad:?}");
        }
    }

    #[test]
    fn times_before_1970_count_forward_from_the_second_before() {
        let time = |text: &str| time(text.as_bytes()).map(|t| (t.tv_sec, t.tv_nsec)).unwrap();
        assert_eq!(time("12"), (12, 0));
        assert_eq!(time("12.5"), (12, 500_000_000));
        assert_eq!(time("1.0000000019"), (1, 1));
        assert_eq!(time("-0.25"), (-1, 750_000_000));
        assert_eq!(time("-3"), (-3, 0));
    }
}
