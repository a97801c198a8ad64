//! Takes away from a program under judgement what it needs in no chapter so far, and could do most
//! harm with.
//!
//! The sandbox has namespaces and limits of its own, yet its root is the machine's root: the clock,
//! the kernel's modules and the disks' raw blocks have no namespace. A capability that is not in
//! the bounding set of a process is in none that it executes (capabilities(7)). The judge itself
//! keeps all that it has, and thereby is out of reach: nobody may look into a process that can do
//! more than he can (ptrace(2), "Ptrace access mode checking"), be it for its memory or for the
//! descriptor to which it writes its verdict. Chapter 00 is the exception: `xray` has to look into
//! other people's processes, so a program that meant harm could there reach the judge.

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

/// What concerns the whole machine, and what opens other people's processes.
const TAKEN: CapabilitySet = CapabilitySet::SYS_MODULE
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::SYS_BOOT)
    .union(CapabilitySet::SYS_TIME)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::SYSLOG)
    .union(CapabilitySet::MAC_ADMIN)
    .union(CapabilitySet::MAC_OVERRIDE)
    .union(CapabilitySet::WAKE_ALARM)
    .union(CapabilitySet::BLOCK_SUSPEND);

/// No chapter but 00 needs any of it.
pub const NONE: CapabilitySet = CapabilitySet::empty();

/// What `xray` is for: it looks into processes, PID 1 among them.
pub const TO_LOOK: CapabilitySet = CapabilitySet::SYS_PTRACE;

/// Takes it all away but `kept`, for every program that this thread starts from now on.
pub fn take_away_all_but(kept: CapabilitySet) {
    for capability in TAKEN.difference(kept).iter() {
        // It fails where the machine has never let us have it: then there is nothing to take.
        let _ = remove_capability_from_bounding_set(capability);
    }
}
