//! Reads lists of CPUs and of memory nodes, such as `0-3,7`: cpuset(7), "List format".

use std::collections::BTreeSet;
use std::fs;

/// The highest number that anybody may write: more than any machine has.
const HIGHEST: u32 = 65_535;

/// The numbers in a list.
pub fn parse(text: &str) -> Result<BTreeSet<u32>, String> {
    let wrong =
        || format!("{text:?} is no list of CPUs or memory nodes\nhint: numbers and ranges: 0-3,7");
    let number = |word: &str| -> Result<u32, String> {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let number = word.parse().ok().filter(|number| digits && *number <= HIGHEST);
        number.ok_or_else(wrong)
    };
    let mut found = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        found.extend(first..=last);
    }
    Ok(found)
}

/// The CPUs of this machine that are switched on, as the kernel lists them.
pub fn cpus() -> String {
    online("/sys/devices/system/cpu/online")
}

/// The nodes of its memory. A kernel that knows of one alone has no list.
pub fn memory_nodes() -> String {
    online("/sys/devices/system/node/online")
}

fn online(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "0".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_has_numbers_and_ranges() {
        assert_eq!(parse("0-2,7"), Ok([0, 1, 2, 7].into()));
        assert_eq!(parse("3"), Ok([3].into()));
        for text in ["", "a", "1-", "-1", "3-1", "0,,1", "0-99999999", "+1", "1 ,2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9,-]{0,12}") {
            let _ = parse(&text);
        }
    }
}
