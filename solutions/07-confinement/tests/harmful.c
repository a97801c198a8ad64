/* What root in a container could do to the machine:  harmful WORD
 *
 * To be run in the lab alone (scripts/lab), by scripts/tests/harm.sh: where one of these works, the
 * machine is gone or damaged. Exit status 0: it worked. Else the errno with which the kernel refused.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* Restarts the machine at once, whatever it is doing: sysrq.rst of the kernel's documentation. */
static int press_sysrq(void)
{
    mount(NULL, "/proc/sysrq-trigger", NULL, MS_REMOUNT | MS_BIND, NULL); /* chapter 02 made it read-only */
    int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, "b", 1) != 1 ? -1 : 0;
}

/* In a PID namespace of its own this ends PID 1 there, and nothing else: reboot(2). */
static int restart(void) { return reboot(RB_AUTOBOOT); }

/* Takes away the kernel that was to follow this one; the same right puts another in its place. */
static int replace_kernel(void) { return syscall(SYS_kexec_load, 0, 0, NULL, 0) < 0 ? -1 : 0; }

/* The first bytes of the first disk, of the lab's virtio kind. */
static int write_disk(void)
{
    unlink("/dev/disk");
    if (mknod("/dev/disk", S_IFBLK | 0600, makedev(254, 0)) < 0)
        return -1;
    int fd = open("/dev/disk", O_RDWR | O_SYNC | O_CLOEXEC);
    return fd < 0 || write(fd, "overwritten", 11) != 11 ? -1 : fsync(fd);
}

/* Doubles itself until nobody can start a process any more. */
static int fork_without_end(void)
{
    while (fork() >= 0 || sleep(1) == 0)
        ;
    return 0;
}

static const struct { const char *word; int (*attack)(void); } attacks[] = {
    { "sysrq", press_sysrq },
    { "restart", restart },
    { "next-kernel", replace_kernel },
    { "overwrite", write_disk },
    { "fork-bomb", fork_without_end },
};

int main(int count, char **words)
{
    FILE *line = fopen("/proc/cmdline", "r");
    char text[4096] = "";
    if (!line || !fgets(text, sizeof text, line) || !strstr(text, "coracle.lab")) {
        fprintf(stderr, "this harms the machine that it runs on: scripts/tests/harm.sh runs it in the lab\n");
        return 255;
    }
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
