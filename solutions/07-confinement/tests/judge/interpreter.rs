//! The kernel's machine for filters, `kernel/seccomp.c` and `net/core/filter.c`, with its rules for
//! what a program may be.

use super::Call;
use sys::Instruction;

/// What the kernel checks before it takes a program.
pub fn verify(program: &[Instruction]) {
    let length = program.len();
    assert!((1..=4096).contains(&length), "{length} instructions");
    for (at, Instruction { code, jump_true, jump_false, k }) in program.iter().enumerate() {
        let left = length - at - 1;
        match code {
            0x20 => assert!(k % 4 == 0 && *k < 64, "a load from {k}"),
            0x54 | 0x06 => {}
            0x05 => assert!((*k as usize) < left, "{at} jumps out of the program"),
            0x15 | 0x25 | 0x35 | 0x45 => {
                let farthest = usize::from(*jump_true.max(jump_false));
                assert!(farthest < left, "{at} jumps out of the program");
            }
            other => panic!("instruction {other:#x}"),
        }
    }
    assert_eq!(program[length - 1].code, 0x06, "the last one does not return");
}

/// What a verified program answers, and after how many instructions.
pub fn run(program: &[Instruction], call: &Call) -> (u32, usize) {
    let mut data = vec![call.number, call.word, 0x1234_5678, 0x7fff];
    data.extend(call.arguments.iter().flat_map(|word| [*word as u32, (*word >> 32) as u32]));
    let (mut register, mut at) = (0, 0);
    for steps in 1.. {
        let Instruction { code, jump_true, jump_false, k } = program[at];
        at += 1;
        let branch = |holds| usize::from(if holds { jump_true } else { jump_false });
        match code {
            0x06 => return (k, steps),
            0x20 => register = data[k as usize / 4],
            0x54 => register &= k,
            0x05 => at += k as usize,
            0x15 => at += branch(register == k),
            0x25 => at += branch(register > k),
            0x35 => at += branch(register >= k),
            0x45 => at += branch(register & k != 0),
            other => panic!("instruction {other:#x}"),
        }
    }
    unreachable!("every jump leads forward")
}
