//! Programs that die of a signal, even as PID 1.
//!
//! To PID 1 of a namespace most signals do nothing. But a fault of its own kills also PID 1: the
//! kernel can't let it go on (pid_namespaces(7) speaks of signals that others send). The smallest
//! program with a fault is an ELF header, elf(5), and an instruction that nobody can execute.

use super::super::run::folder;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Where the header says that the file is mapped.
const BASE: u64 = 0x40_0000;
/// The length of both headers; the code comes behind.
const HEADERS: u64 = 64 + 56;

/// A fault.
pub struct Fault {
    /// The signal that it dies of.
    pub signal: i32,
    /// Where execution begins.
    entry: u64,
    /// What is executed.
    code: &'static [u8],
}

/// Those that this machine's processor knows.
pub fn all() -> Vec<Fault> {
    // An address at which nothing is mapped, and one behind the end of the mapped file.
    let mut faults = vec![
        Fault { signal: 11, entry: 0x10, code: &[] },
        Fault { signal: 7, entry: BASE + 0x2000, code: &[] },
    ];
    let behind = BASE + HEADERS;
    match std::env::consts::ARCH {
        "x86_64" => faults.extend([
            Fault { signal: 4, entry: behind, code: &[0x0f, 0x0b] }, // ud2
            Fault { signal: 5, entry: behind, code: &[0xcc] },       // int3
        ]),
        "aarch64" => faults.extend([
            Fault { signal: 4, entry: behind, code: &[0, 0, 0, 0] }, // udf #0
            Fault { signal: 5, entry: behind, code: &[0, 0, 0x20, 0xd4] }, // brk #0
        ]),
        _ => {}
    }
    faults
}

impl Fault {
    /// Writes the program.
    pub fn write(&self) -> PathBuf {
        let path = folder().join(harness::random_name("fault"));
        fs::write(&path, self.elf()).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    fn elf(&self) -> Vec<u8> {
        let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
        let length: u64 = 0x4000; // more than there is in the file
        let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        elf.extend([2u16, machine].iter().flat_map(|field| field.to_le_bytes())); // an executable
        elf.extend(1u32.to_le_bytes());
        elf.extend([self.entry, 64, 0].iter().flat_map(|field| field.to_le_bytes()));
        elf.extend(0u32.to_le_bytes());
        elf.extend([64u16, 56, 1, 0, 0, 0].iter().flat_map(|field| field.to_le_bytes()));
        elf.extend([1u32, 5].iter().flat_map(|field| field.to_le_bytes())); // load, read and execute
        let segment = [0, BASE, BASE, length, length, 0x1000];
        elf.extend(segment.iter().flat_map(|field| field.to_le_bytes()));
        elf.extend(self.code);
        elf
    }
}
