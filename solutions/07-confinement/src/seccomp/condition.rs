//! One comparison of an argument, and the instructions for it.
//!
//! Arguments have 64 bits, and the machine of filters computes with 32. So a comparison looks at
//! the upper word first, and at the lower only if the upper has not decided.

use super::profile::{Argument, Operator};
use super::program::{Place, Program, Test};

/// What must be true of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub argument: u32,
    /// How it is compared, always `argument & mask` with `value`.
    pub comparison: Comparison,
    /// The bits that count; all of them, but for SCMP_CMP_MASKED_EQ.
    pub mask: u64,
    /// The other side.
    pub value: u64,
}

/// The two comparisons from which the others follow, by asking for the contrary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`, and `!=` where false is wanted.
    Equal(bool),
    /// `>`, and `<=`.
    Greater(bool),
    /// `>=`, and `<`.
    GreaterOrEqual(bool),
}

impl Condition {
    /// From a profile. Where registers hold 32 bits, `wide` is false and only those count.
    pub fn new(from: &Argument, wide: bool) -> Condition {
        let (comparison, mask, value) = match from.op {
            Operator::Eq => (Comparison::Equal(true), u64::MAX, from.value),
            Operator::Ne => (Comparison::Equal(false), u64::MAX, from.value),
            Operator::Gt => (Comparison::Greater(true), u64::MAX, from.value),
            Operator::Le => (Comparison::Greater(false), u64::MAX, from.value),
            Operator::Ge => (Comparison::GreaterOrEqual(true), u64::MAX, from.value),
            Operator::Lt => (Comparison::GreaterOrEqual(false), u64::MAX, from.value),
            Operator::MaskedEq => {
                (Comparison::Equal(true), from.value, from.value_two.unwrap_or(0))
            }
        };
        let mask = if wide { mask } else { mask & u64::from(u32::MAX) };
        Condition { argument: from.index, comparison, mask, value: value & mask }
    }

    /// The instructions: go on at `yes` if the condition is true, else at `no`.
    pub fn compile(&self, program: &mut Program, yes: Place, no: Place) -> Place {
        let [low, high] = [0, 4].map(|word| 16 + 8 * self.argument + word); // little-endian
        let half = |word: u64| (word as u32, (word >> 32) as u32);
        let (low_mask, high_mask) = half(self.mask);
        let (low_value, high_value) = half(self.value);
        let (test, wanted) = match self.comparison {
            Comparison::Equal(wanted) => (Test::Equal, wanted),
            Comparison::Greater(wanted) => (Test::Greater, wanted),
            Comparison::GreaterOrEqual(wanted) => (Test::GreaterOrEqual, wanted),
        };
        let (yes, no) = if wanted { (yes, no) } else { (no, yes) };
        let mut at = program.jump_if(test, low_value, yes, no);
        at = program.load_masked(low, low_mask, at);
        if high_mask != 0 {
            at = program.jump_if(Test::Equal, high_value, at, no);
            if test != Test::Equal {
                at = program.jump_if(Test::Greater, high_value, yes, at);
            }
            at = program.load_masked(high, high_mask, at);
        }
        at
    }
}
