# claims: pid_start root_private same_ns
# Has no first line that names an interpreter: the kernel says ENOEXEC.
