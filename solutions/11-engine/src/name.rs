//! Names of containers: those that people give, and those that we make up.

use crate::random;
use crate::state::Named;
use anyhow::{Result, bail};

/// Checks a name as docker does: letters, digits, `_`, `.` and `-`, the first a letter or digit.
pub(crate) fn parse(name: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.len() > 1
        && name.chars().all(fine)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        Ok(name.to_owned())
    } else {
        Err("a name has two or more letters, digits, _ . and -, and begins with a letter or digit"
            .into())
    }
}

/// The name that was asked for, if nobody else has it, else one that nobody has.
pub(crate) fn choose(wanted: Option<&str>, others: &[Named]) -> Result<String> {
    let Some(name) = wanted else { return unused(others) };
    match others.iter().find(|other| other.name == name) {
        None => Ok(name.to_owned()),
        Some(other) => bail!(
            "the name {name} is taken by container {}\nhint: choose another, or remove that one: coracle rm {name}",
            &other.id[..12]
        ),
    }
}

const HOW: [&str; 16] = [
    "brave", "calm", "clever", "eager", "gentle", "happy", "jolly", "keen", "lively", "merry",
    "patient", "quiet", "swift", "steady", "sunny", "wise",
];
const WHO: [&str; 16] = [
    "auk",
    "curlew",
    "dipper",
    "eider",
    "gannet",
    "grebe",
    "heron",
    "kittiwake",
    "lapwing",
    "ouzel",
    "petrel",
    "plover",
    "puffin",
    "sandpiper",
    "tern",
    "wigeon",
];

/// Two words, and a number once those are used up.
fn unused(others: &[Named]) -> Result<String> {
    for attempt in 0_u32.. {
        let [how, who] = random::bytes::<2>()?.map(|byte| usize::from(byte) % 16);
        let number = if attempt < 10 { String::new() } else { attempt.to_string() };
        let name = format!("{}_{}{number}", HOW[how], WHO[who]);
        if others.iter().all(|other| other.name != name) {
            return Ok(name);
        }
    }
    bail!("all names are in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_docker_takes() {
        for name in ["ab", "a1", "web-1.example_x"] {
            parse(name).unwrap();
        }
        for name in ["", "a", "-ab", "a b", "a/b", "..", "é1"] {
            assert!(parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_random_name_passes_its_own_check() {
        parse(&choose(None, &[]).unwrap()).unwrap();
    }
}
