//! A program for the machine that judges calls, written from its end to its beginning.
//!
//! Classic BPF has one register, and jumps only forwards, by at most 255 instructions where it
//! compares (`Documentation/networking/filter.rst`). So every program ends, which is why the kernel
//! takes it from anybody. And so it is easily written backwards: whatever an instruction jumps to
//! is already there, and its distance is known.

use super::policy::Fate;
use anyhow::{Result, ensure};
use std::collections::HashMap;
use sys::Instruction;

/// The most instructions that the kernel takes: `BPF_MAXINSNS`.
pub const LONGEST: usize = 4096;

/// An instruction by its distance from the program's end, which stays true while it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

/// What a jump compares the register with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `A == k`
    Equal = 0x15,
    /// `A > k`
    Greater = 0x25,
    /// `A >= k`
    GreaterOrEqual = 0x35,
}

const LOAD: u16 = 0x20; //      A = the word at offset k of struct seccomp_data
const AND: u16 = 0x54; //       A = A & k
const JUMP: u16 = 0x05; //      skip k instructions, however many
const RETURN: u16 = 0x06; //    the end: k is the answer

/// A program that grows towards its beginning.
#[derive(Debug, Default)]
pub struct Program {
    /// The last instruction first.
    reversed: Vec<Instruction>,
    /// Where each answer was last given.
    answers: HashMap<u32, Place>,
    /// And each fate that takes more than one instruction.
    fates: HashMap<Fate, Place>,
}

impl Program {
    /// Answers with `word`. One such instruction serves all that are near enough.
    pub fn answer(&mut self, word: u32) -> Place {
        match self.answers.get(&word) {
            Some(place) if self.distance(*place) <= 128 => *place,
            _ => {
                let place = self.write(RETURN, word, 0, 0);
                self.answers.insert(word, place);
                place
            }
        }
    }

    /// Where this fate has been written already.
    pub fn written(&self, fate: &Fate) -> Option<Place> {
        self.fates.get(fate).copied()
    }

    /// Remembers where that is.
    pub fn remember(&mut self, fate: &Fate, place: Place) -> Place {
        if !fate.rules.is_empty() {
            self.fates.insert(fate.clone(), place);
        }
        place
    }

    /// Loads the word at `offset` of what the kernel tells of the call, and goes on at `then`.
    pub fn load(&mut self, offset: u32, then: Place) -> Place {
        self.load_masked(offset, u32::MAX, then)
    }

    /// The same, and keeps only the bits in `mask`.
    pub fn load_masked(&mut self, offset: u32, mask: u32, then: Place) -> Place {
        let mut then = then;
        if mask != u32::MAX {
            self.fall_through_to(then);
            then = self.write(AND, mask, 0, 0);
        }
        self.fall_through_to(then);
        self.write(LOAD, offset, 0, 0)
    }

    /// Compares the register with `k` and goes on at `yes` or at `no`.
    pub fn jump_if(&mut self, test: Test, k: u32, yes: Place, no: Place) -> Place {
        if yes == no {
            return yes;
        }
        // A nearer stand-in for one may push the other out of reach: 254 leaves room for it.
        let yes = self.within_reach(yes, 254);
        let no = self.within_reach(no, 255);
        let [yes, no] = [yes, no].map(|place| self.distance(place) as u8);
        self.write(test as u16, k, yes, no)
    }

    /// How many instructions lie between one that is written now and `place`.
    fn distance(&self, place: Place) -> usize {
        self.reversed.len() - 1 - place.0
    }

    /// The place itself, if a comparison can jump there, else a new instruction that leads there.
    fn within_reach(&mut self, place: Place, farthest: usize) -> Place {
        let distance = self.distance(place);
        match self.reversed[place.0] {
            _ if distance <= farthest => place,
            Instruction { code: RETURN, k, .. } => {
                let near = self.write(RETURN, k, 0, 0);
                self.answers.insert(k, near);
                near
            }
            _ => self.write(JUMP, distance as u32, 0, 0),
        }
    }

    /// What is written next goes on at `place`.
    fn fall_through_to(&mut self, place: Place) {
        let distance = self.distance(place);
        if distance > 0 {
            self.write(JUMP, distance as u32, 0, 0);
        }
    }

    fn write(&mut self, code: u16, k: u32, jump_true: u8, jump_false: u8) -> Place {
        self.reversed.push(Instruction { code, jump_true, jump_false, k });
        Place(self.reversed.len() - 1)
    }

    /// The program in the kernel's order, if it is not too long.
    pub fn finish(mut self) -> Result<Vec<Instruction>> {
        let length = self.reversed.len();
        ensure!(
            length <= LONGEST,
            "the filter would have {length} instructions, and the kernel takes {LONGEST}\n\
             hint: fewer comparisons of arguments"
        );
        self.reversed.reverse();
        Ok(self.reversed)
    }
}
