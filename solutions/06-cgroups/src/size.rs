//! Reads and writes amounts of bytes, in the units of docker: powers of 1024, `64m`, `1.5g`.

/// The bytes that a text means.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size\nhint: a number and a unit, such as 64m or 1.5g");
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let power = match unit.trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(wrong()),
    };
    let factor = 1024_u64.pow(power);
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(|| format!("{text} is too large a size"));
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = number * factor as f64;
    if bytes < (1_u64 << 62) as f64 {
        Ok(bytes as u64)
    } else {
        Err(format!("{text} is too large a size"))
    }
}

/// `12.5 MiB`.
pub fn show(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut amount, mut unit) = (bytes as f64, 0);
    while amount >= 1024.0 && unit + 1 < units.len() {
        (amount, unit) = (amount / 1024.0, unit + 1);
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{amount:.1} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_those_of_docker() {
        for (text, bytes) in [
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            ("64MiB", 64 << 20),
            ("1.5g", 3 << 29),
            ("100", 100),
            ("100b", 100),
            ("4 k", 4096),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in
            ["", "m", "64x", "-1", "64mm", "1.2.3m", "٣m", "99999999999g", "1e3", "0x10", "."]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (64 << 20, "64.0 MiB"), (3 << 29, "1.5 GiB")]
        {
            assert_eq!(show(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,20}") {
            let _ = parse(&text);
        }

        #[test]
        fn a_number_is_bytes(bytes in 0_u64..) {
            prop_assert_eq!(parse(&bytes.to_string()), Ok(bytes));
        }
    }
}
