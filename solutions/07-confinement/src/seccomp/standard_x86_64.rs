use sys::Instruction; /** x */ pub const PROGRAM: &[Instruction] = &[];
