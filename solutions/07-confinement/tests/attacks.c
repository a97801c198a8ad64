/* What root in a container tries next, one attack a word:  attack WORD [ARGUMENT]
 *
 * Exit status 0: it worked. Else the errno with which the kernel refused, also printed. None of them
 * does harm when it works: what is written is what was there before. Those that would do harm are in
 * harmful.c and run in the lab alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/if.h>
#include <unistd.h>

static const char *argument;

static int file_again(const char *path) /* reads a setting and writes it back */
{
    char text[4096];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t length = read(fd, text, sizeof text);
    if (length < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return -1;
    return write(fd, text, length) == length ? 0 : -1;
}

/* A disk by its number, which needs no /dev: argument is MAJOR:MINOR. */
static int read_disk(void)
{
    unsigned major_number, minor_number;
    char first[512];
    if (sscanf(argument, "%u:%u", &major_number, &minor_number) != 2)
        return errno = EINVAL, -1;
    unlink("/dev/attack-disk");
    if (mknod("/dev/attack-disk", S_IFBLK | 0600, makedev(major_number, minor_number)) < 0)
        return -1;
    int fd = open("/dev/attack-disk", O_RDONLY | O_CLOEXEC);
    return fd < 0 || read(fd, first, sizeof first) < 0 ? -1 : 0;
}

/* The kernel's log as a device, which dmesg(1) reads too. */
static int read_kmsg(void)
{
    unlink("/dev/attack-kmsg");
    if (mknod("/dev/attack-kmsg", S_IFCHR | 0600, makedev(1, 11)) < 0)
        return -1;
    return open("/dev/attack-kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC) < 0 ? -1 : 0;
}

static int mount_tmpfs(void) { return mount("tmpfs", "/tmp", "tmpfs", 0, NULL); }

/* The new way to mount, which an old filter may not know. */
static int new_mount(void) { return syscall(SYS_fsopen, "tmpfs", 0) < 0 ? -1 : 0; }

/* What hides a part of the kernel is a mount, and mounts can be taken away. */
static int uncover(void) { return umount2("/sys/firmware", MNT_DETACH); }

/* /proc/sys is read-only: make it writable again, and then write what a crash executes. */
static int write_proc_sys(void)
{
    if (mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL) < 0)
        return -1;
    return file_again("/proc/sys/kernel/core_pattern");
}

/* The same without a mount of ours: refused by the read-only mount. */
static int write_core_pattern(void) { return file_again("/proc/sys/kernel/core_pattern"); }

/* A process of another user, as that of an application beside an intruder. */
static pid_t neighbour(void)
{
    int ready[2];
    char byte;
    if (pipe(ready) < 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        gid_t group = 1000;
        if (setgroups(1, &group) < 0 || setgid(1000) < 0 || setuid(1000) < 0)
            _exit(1);
        write(ready[1], "x", 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    if (child > 0 && read(ready[0], &byte, 1) != 1)
        child = -1;
    return child;
}

static int with_neighbour(int (*attack)(pid_t))
{
    pid_t victim = neighbour();
    if (victim < 0)
        return errno = ECHILD, -1;
    int result = attack(victim), error = errno;
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    errno = error;
    return result;
}

static int attach(pid_t victim) { return ptrace(PTRACE_ATTACH, victim, NULL, NULL) < 0 ? -1 : 0; }
static int trace_neighbour(void) { return with_neighbour(attach); }

static int read_memory(pid_t victim)
{
    static char theirs[16] = "a secret", ours[16];
    struct iovec to = { ours, sizeof ours }, from = { theirs, sizeof theirs };
    return process_vm_readv(victim, &to, 1, &from, 1, 0) < 0 ? -1 : 0;
}
static int read_neighbour(void) { return with_neighbour(read_memory); }

/* Rubbish, which the kernel refuses with ENOEXEC once it has looked: then the way is open. */
static int load_module(void)
{
    if (syscall(SYS_init_module, "rubbish", 8, "") == 0 || errno == ENOEXEC)
        return 0;
    return -1;
}

static int unshare_mounts(void) { return unshare(CLONE_NEWNS); }
static int unshare_user(void) { return unshare(CLONE_NEWUSER); }
static int clone_user(void)
{
    pid_t child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0)
        _exit(0);
    return child < 0 ? -1 : waitpid(child, NULL, 0) < 0 ? -1 : 0;
}
static int join_pid_namespace(void)
{
    int fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : setns(fd, CLONE_NEWPID);
}

/* Keys belong to users, and root in here is root out there: its keyring is the host's. */
static int read_keyring(void)
{
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1) < 0 ? -1 : 0;
}
static int add_key(void)
{
    return syscall(SYS_add_key, "user", "attack", "x", 1, KEY_SPEC_PROCESS_KEYRING) < 0 ? -1 : 0;
}

static int read_dmesg(void)
{
    static char text[4096];
    return syscall(SYS_syslog, 3 /* SYSLOG_ACTION_READ_ALL */, text, sizeof text) < 0 ? -1 : 0;
}

static int load_bpf(void)
{
    struct bpf_insn program[] = { { .code = 0xb7 /* r0 = 0 */ }, { .code = 0x95 /* exit */ } };
    union bpf_attr attributes = { .prog_type = BPF_PROG_TYPE_KPROBE };
    attributes.insn_cnt = 2;
    attributes.insns = (unsigned long)program;
    attributes.license = (unsigned long)"GPL";
    return syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes) < 0 ? -1 : 0;
}

static int watch_the_machine(void) /* all processes of the first CPU */
{
    struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof event };
    event.config = PERF_COUNT_SW_CONTEXT_SWITCHES;
    return syscall(SYS_perf_event_open, &event, -1, 0, -1, 0) < 0 ? -1 : 0;
}

static int handle_page_faults(void) { return syscall(SYS_userfaultfd, O_CLOEXEC) < 0 ? -1 : 0; }

/* The number by which a file system knows a file, as TYPE:BYTES; for whoever is outside. */
static int print_handle(void)
{
    struct { struct file_handle head; unsigned char bytes[MAX_HANDLE_SZ]; } handle;
    int mount;
    handle.head.handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(AT_FDCWD, argument, &handle.head, &mount, 0) < 0)
        return -1;
    printf("%d:", handle.head.handle_type);
    for (unsigned i = 0; i < handle.head.handle_bytes; i++)
        printf("%02x", handle.head.f_handle[i]);
    return 0;
}

/* A file of the host by that number, past every path and every root. */
static int open_by_number(void)
{
    struct { struct file_handle head; unsigned char bytes[MAX_HANDLE_SZ]; } handle;
    unsigned type, length = 0, byte;
    int used = 0;
    if (sscanf(argument, "%u:%n", &type, &used) != 1)
        return errno = EINVAL, -1;
    for (const char *at = argument + used; sscanf(at, "%2x", &byte) == 1; at += 2)
        handle.head.f_handle[length++] = byte;
    handle.head.handle_type = type;
    handle.head.handle_bytes = length;
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root < 0 || open_by_handle_at(root, &handle.head, O_RDONLY) < 0 ? -1 : 0;
}

static int set_interface(void) /* brings lo up, where it is */
{
    struct ifreq request = { .ifr_name = "lo" };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return -1;
    return ioctl(fd, SIOCSIFFLAGS, &request);
}

static int come_first(void) { return setpriority(PRIO_PROCESS, 0, -10); }
static int real_time(void)
{
    struct sched_param parameters = { .sched_priority = 1 };
    return sched_setscheduler(0, SCHED_FIFO, &parameters);
}

static int add_swap(void) /* what is no file says ENOENT, once we may ask */
{
    return swapon("/no-such-file", 0) < 0 && errno != ENOENT ? -1 : 0;
}
static int stop_accounting(void) { return acct(NULL) < 0 && errno != ENOSYS ? -1 : 0; }

static int rename_machine(void)
{
    char name[65];
    return gethostname(name, sizeof name) < 0 ? -1 : sethostname(name, strlen(name));
}

static int immutable(void)
{
    int flags, fd = open("/tmp/attack-flags", O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ioctl(fd, _IOR('f', 1, long), &flags) < 0)
        return -1;
    flags |= 0x10; /* FS_IMMUTABLE_FL */
    if (ioctl(fd, _IOW('f', 2, long), &flags) < 0)
        return -1;
    flags &= ~0x10;
    return ioctl(fd, _IOW('f', 2, long), &flags);
}

static const struct { const char *word; int (*attack)(void); } attacks[] = {
    { "read-disk", read_disk },
    { "read-kmsg", read_kmsg },
    { "mount", mount_tmpfs },
    { "fsopen", new_mount },
    { "uncover", uncover },
    { "write-proc-sys", write_proc_sys },
    { "write-core-pattern", write_core_pattern },
    { "trace-neighbour", trace_neighbour },
    { "read-neighbour", read_neighbour },
    { "load-module", load_module },
    { "unshare-mounts", unshare_mounts },
    { "unshare-user", unshare_user },
    { "clone-user", clone_user },
    { "setns", join_pid_namespace },
    { "read-keyring", read_keyring },
    { "add-key", add_key },
    { "dmesg", read_dmesg },
    { "bpf", load_bpf },
    { "perf", watch_the_machine },
    { "userfaultfd", handle_page_faults },
    { "handle-of", print_handle },
    { "open-by-handle", open_by_number },
    { "set-interface", set_interface },
    { "nice", come_first },
    { "real-time", real_time },
    { "swapon", add_swap },
    { "acct", stop_accounting },
    { "rename-machine", rename_machine },
    { "immutable", immutable },
};

int main(int count, char **words)
{
    argument = count > 2 ? words[2] : "";
    for (size_t i = 0; count > 1 && i < sizeof attacks / sizeof *attacks; i++)
        if (strcmp(words[1], attacks[i].word) == 0) {
            if (attacks[i].attack() == 0)
                return 0;
            int error = errno;
            printf("%s\n", strerrorname_np(error));
            return error;
        }
    return 255;
}
