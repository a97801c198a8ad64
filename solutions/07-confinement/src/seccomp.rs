//! Lets a program make some system calls and not others: `seccomp(2)`.
