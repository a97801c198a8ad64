//! Turns the weights of version 1, in which people still speak, into those of version 2.
//!
//! A weight says nothing alone: of two groups that both want a CPU, one with twice the weight of
//! the other gets twice the time. What counts is that the middle stays the middle.

/// `cpu.weight`, 1 to 10000 and 100 by default, of `cpu.shares`, 2 to 262144 and 1024 by default.
///
/// The curve goes through the lowest, the default and the highest of both; runc has it since 1.3.2
/// and crun since 1.23 (opencontainers/runc, pull request 4785). Before that a straight line made
/// the default of one, 1024, a 39 of the other.
pub fn cpu(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

/// `io.weight`, 1 to 10000, of `blkio.weight`, 10 to 1000: the straight line of runc
/// (opencontainers/cgroups, ConvertBlkIOToIOWeightValue).
pub fn io(weight: u64) -> u64 {
    1 + weight.saturating_sub(10) * 9_999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_the_default_and_the_highest_stay_what_they_are() {
        assert_eq!([2, 1024, 262_144].map(cpu), [1, 100, 10_000]);
        assert_eq!([10, 1000].map(io), [1, 10_000]);
    }

    #[test]
    fn more_shares_are_never_less_weight() {
        let weights: Vec<u64> = (2..262_145).map(cpu).collect();
        assert!(weights.is_sorted());
        assert!(weights.iter().all(|weight| (1..=10_000).contains(weight)));
    }
}
