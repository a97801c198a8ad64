//! A filter does what its profile says: an interpreter of its instructions and a reader of the
//! profile's text judge the same calls.

mod judge;

use confine::seccomp::architecture::Architecture::{Aarch64, X86_64};
use confine::seccomp::standard;
use judge::{assert_alike, machine};

#[test]
fn of_the_standard_profile_for_all_capabilities() {
    let mut sets: Vec<Vec<&str>> = standard::WITH_RULES.iter().map(|name| vec![*name]).collect();
    sets.extend([vec![], vec!["CAP_CHOWN"], standard::WITH_RULES.to_vec()]);
    for set in sets {
        for architecture in [X86_64, Aarch64] {
            let count = assert_alike(standard::JSON, &machine(architecture, &set));
            assert!(count > 5000, "only {count} calls were compared");
        }
    }
}
