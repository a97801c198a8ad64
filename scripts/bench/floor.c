/*
 * The floor: what the kernel itself charges for a container.
 *
 * This program does by hand, in the fewest system calls that do it properly,
 * what every runtime must do: new namespaces, the mounts that the OCI runtime
 * specification lists, pivot_root, masked and read-only paths, exec. It parses
 * no JSON, keeps no state, guards against nobody. What a runtime costs beyond
 * the floor is the price of what it does for its users, so the benchmark
 * prints every time as a multiple of this one.
 *
 *   floor [--namespaces 4|6] [--overlay SCRATCH] [--cgroup NAME] [--bridge NAME] ROOTFS COMMAND [ARGUMENT...]
 *
 * --namespaces 6   pid, mnt, uts, ipc, net and cgroup, the loopback interface
 *                  up, capabilities reduced to Docker's usual fourteen (default)
 * --namespaces 4   pid, mnt, uts and ipc alone: a runtime that stands on
 *                  chapters 01 to 03 and has not yet met the others
 * --overlay DIR    the command gets a writable overlay over ROOTFS, whose upper
 *                  layer is a tmpfs mounted on DIR (any empty folder) inside
 *                  the new mount namespace
 * --cgroup NAME    the command gets a cgroup of its own, without limits: one
 *                  folder in version 2, one in each tree of version 1, removed
 *                  at the end; and it finds them on /sys/fs/cgroup, read-only
 * --bridge NAME    a cable to this bridge, which must exist and have the address
 *                  10.250.0.1/16: the container has 10.250.0.2, fd00:250::2 and a
 *                  default route
 *
 * Must run as root. All mounts are made inside the new mount namespace, so
 * nothing is left on the host however the program ends. The exit status is the
 * command's, 128+N if signal N ended it, 125 for an error of our own.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/veth.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUR_ERROR 125
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* mount(2) flags that belong together, named as the OCI specification does. */
#define NO_SUID_EXEC_DEV (MS_NOSUID | MS_NOEXEC | MS_NODEV)

static _Noreturn void fail(const char *what, const char *subject)
{
	fprintf(stderr, "floor: cannot %s %s: %s (os error %d)\n", what, subject,
		strerror(errno), errno);
	_exit(OUR_ERROR);
}

/* Ends the program with `what`, the subject and errno if a call returned -1. */
static long must(long result, const char *what, const char *subject)
{
	if (result == -1)
		fail(what, subject);
	return result;
}

/*
 * Enters the tree that will be the container's root; afterwards it is a mount
 * point, as pivot_root(2) requires, and the working directory.
 */
static void enter_rootfs(const char *rootfs, const char *scratch)
{
	char layers[8192], merged[4096];

	/* A mount made in a shared tree would show outside, and pivot_root
	 * refuses a root whose parent mount is shared. */
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make private", "/");

	if (scratch == NULL) {
		must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind", rootfs);
		must(chdir(rootfs), "enter", rootfs);
		return;
	}
	if (snprintf(layers, sizeof layers, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work",
		     rootfs, scratch, scratch) >= (int)sizeof layers ||
	    snprintf(merged, sizeof merged, "%s/merged", scratch) >= (int)sizeof merged) {
		errno = ENAMETOOLONG;
		fail("name the layers under", scratch);
	}
	must(mount("tmpfs", scratch, "tmpfs", 0, "mode=755"), "mount tmpfs on", scratch);
	must(chdir(scratch), "enter", scratch);
	must(mkdir("upper", 0755), "create", "upper");
	must(mkdir("work", 0755), "create", "work");
	must(mkdir("merged", 0755), "create", "merged");
	must(mount("overlay", merged, "overlay", 0, layers), "mount overlay on", merged);
	must(chdir(merged), "enter", merged);
}

/*
 * Mounts the file systems of the OCI default configuration (runtime-spec,
 * config-linux.md, "Default Filesystems"), relative to the working directory.
 * /proc, /dev and /sys must exist in the tree.
 */
static void mount_file_systems(void)
{
	must(mount("proc", "proc", "proc", NO_SUID_EXEC_DEV, NULL), "mount", "proc");
	must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"),
	     "mount", "dev");
	must(mkdir("dev/pts", 0755), "create", "dev/pts");
	must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		   "newinstance,ptmxmode=0666,mode=0620,gid=5"), "mount", "dev/pts");
	must(mkdir("dev/shm", 0755), "create", "dev/shm");
	must(mount("shm", "dev/shm", "tmpfs", NO_SUID_EXEC_DEV, "mode=1777,size=65536k"),
	     "mount", "dev/shm");
	must(mkdir("dev/mqueue", 0755), "create", "dev/mqueue");
	must(mount("mqueue", "dev/mqueue", "mqueue", NO_SUID_EXEC_DEV, NULL),
	     "mount", "dev/mqueue");
	must(mount("sysfs", "sys", "sysfs", NO_SUID_EXEC_DEV | MS_RDONLY, NULL),
	     "mount", "sys");
}

/* Fills /dev with the nodes and links of config-linux.md, "Default Devices". */
static void make_devices(void)
{
	static const struct { const char *path; int major, minor; } nodes[] = {
		{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
		{"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
	};
	static const struct { const char *target, *path; } links[] = {
		{"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"},
		{"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
		{"/proc/kcore", "dev/core"},       {"pts/ptmx", "dev/ptmx"},
	};

	umask(0); /* or it would take write permission from mode 0666 */
	for (size_t i = 0; i < LENGTH(nodes); i++)
		must(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)),
		     "create", nodes[i].path);
	for (size_t i = 0; i < LENGTH(links); i++)
		must(symlink(links[i].target, links[i].path), "link", links[i].path);
	umask(022);
}

/* Makes the working directory the root and drops the host's tree. */
static void pivot(void)
{
	/* With "." twice the old root ends up stacked on the new one, so it needs
	 * no folder of its own to be put away in (pivot_root(2), NOTES). */
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root to", ".");
	must(umount2(".", MNT_DETACH), "detach", "the old root");
	must(chdir("/"), "enter", "/");
}

/*
 * Hides and write-protects what /proc and /sys show of the host: the lists that
 * Docker and podman put into every config.json. A path that this kernel does
 * not have needs no mask.
 */
static void protect_kernel_files(void)
{
	static const char *const masked_files[] = {
		"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug",
	};
	static const char *const masked_folders[] = {
		"/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware",
	};
	static const char *const read_only[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
	};

	for (size_t i = 0; i < LENGTH(masked_files); i++)
		if (mount("/dev/null", masked_files[i], NULL, MS_BIND, NULL) == -1 && errno != ENOENT)
			fail("mask", masked_files[i]);
	for (size_t i = 0; i < LENGTH(masked_folders); i++)
		if (mount("tmpfs", masked_folders[i], "tmpfs", MS_RDONLY, "size=0k") == -1 && errno != ENOENT)
			fail("mask", masked_folders[i]);
	for (size_t i = 0; i < LENGTH(read_only); i++) {
		if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) == -1) {
			if (errno == ENOENT)
				continue;
			fail("bind", read_only[i]);
		}
		/* The kernel ignores MS_RDONLY while it binds: it takes a second call. */
		must(mount(NULL, read_only[i], NULL,
			   MS_BIND | MS_REMOUNT | MS_RDONLY | NO_SUID_EXEC_DEV, NULL),
		     "make read-only", read_only[i]);
	}
}

/* Brings `lo` up: a new network namespace has it, down. */
static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "open", "a socket");

	must(ioctl(fd, SIOCSIFFLAGS, &request), "bring up", "lo");
	close(fd);
}

/*
 * Keeps the fourteen capabilities that Docker and podman leave to a container,
 * of those that the caller has, and gives up gaining others by exec.
 */
static void drop_capabilities(void)
{
	const uint64_t usual =
		1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_FSETID |
		1ull << CAP_FOWNER | 1ull << CAP_MKNOD | 1ull << CAP_NET_RAW |
		1ull << CAP_SETGID | 1ull << CAP_SETUID | 1ull << CAP_SETFCAP |
		1ull << CAP_SETPCAP | 1ull << CAP_NET_BIND_SERVICE |
		1ull << CAP_SYS_CHROOT | 1ull << CAP_KILL | 1ull << CAP_AUDIT_WRITE;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];

	/* The bounding set first: dropping from it takes CAP_SETPCAP. EINVAL
	 * means a number beyond the last capability of this kernel. */
	for (int cap = 0; cap < 64; cap++)
		if (!(usual >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1) {
			if (errno == EINVAL)
				break;
			fail("drop from the bounding set", "a capability");
		}

	must(syscall(SYS_capget, &header, sets), "read", "capabilities");
	for (int half = 0; half < 2; half++) {
		sets[half].permitted &= (uint32_t)(usual >> (32 * half));
		sets[half].effective = sets[half].permitted;
		sets[half].inheritable = 0;
	}
	must(syscall(SYS_capset, &header, sets), "set", "capabilities");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set", "no_new_privs");
}

/* The folders of a cgroup, and the names of their trees: "" is version 2. */
struct cgroup {
	int count, folder;
	char folders[16][256], trees[16][64];
};

static void write_file(const char *folder, const char *name, const char *value)
{
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = must(open(path, O_WRONLY | O_CLOEXEC), "open", path);
	must(write(fd, value, strlen(value)), "write", path);
	close(fd);
}

/* A new cpuset of version 1 has no CPUs and takes nobody in. */
static void copy_from_parent(const char *folder, const char *name)
{
	char path[512], value[256];
	int fd, length;

	snprintf(path, sizeof path, "%s/../%s", folder, name);
	fd = must(open(path, O_RDONLY | O_CLOEXEC), "open", path);
	length = must(read(fd, value, sizeof value - 1), "read", path);
	value[length] = 0;
	close(fd);
	write_file(folder, name, value);
}

static void add_folder(struct cgroup *cgroup, const char *tree, const char *name)
{
	char *folder = cgroup->folders[cgroup->count];

	snprintf(folder, sizeof cgroup->folders[0], "/sys/fs/cgroup/%s/%s", tree, name);
	snprintf(cgroup->trees[cgroup->count++], sizeof cgroup->trees[0], "%s", tree);
	must(mkdir(folder, 0755), "create", folder);
	if (strcmp(tree, "cpuset") == 0) {
		copy_from_parent(folder, "cpuset.cpus");
		copy_from_parent(folder, "cpuset.mems");
	}
}

static void make_cgroup(struct cgroup *cgroup, const char *name)
{
	char tasks[512];
	struct dirent *tree;
	DIR *trees;

	if (access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0) {
		add_folder(cgroup, "", name);
		cgroup->folder = must(open(cgroup->folders[0], O_PATH | O_CLOEXEC), "open", name);
		return;
	}
	trees = opendir("/sys/fs/cgroup");
	if (trees == NULL)
		fail("list", "/sys/fs/cgroup");
	while ((tree = readdir(trees)) != NULL && cgroup->count < 16) {
		snprintf(tasks, sizeof tasks, "/sys/fs/cgroup/%s/tasks", tree->d_name);
		if (tree->d_type == DT_DIR && tree->d_name[0] != '.' &&
		    strcmp(tree->d_name, "systemd") != 0 && access(tasks, F_OK) == 0)
			add_folder(cgroup, tree->d_name, name);
	}
	closedir(trees);
}

/* In version 1, by the task itself: moving another waits for a lock of the whole machine. */
static void enter_cgroup(const struct cgroup *cgroup)
{
	for (int i = 0; i < cgroup->count; i++)
		if (cgroup->trees[i][0] != 0)
			write_file(cgroup->folders[i], "tasks", "0");
	must(syscall(SYS_unshare, CLONE_NEWCGROUP), "unshare", "the cgroup namespace");
}

/* Relative to the working directory, the new root, and after its /sys is mounted. */
static void mount_cgroup(const struct cgroup *cgroup)
{
	char place[128];

	if (cgroup->trees[0][0] == 0) {
		must(mount("cgroup2", "sys/fs/cgroup", "cgroup2", NO_SUID_EXEC_DEV | MS_RDONLY, NULL),
		     "mount", "sys/fs/cgroup");
		return;
	}
	must(mount("tmpfs", "sys/fs/cgroup", "tmpfs", NO_SUID_EXEC_DEV, "mode=755"), "mount",
	     "sys/fs/cgroup");
	for (int i = 0; i < cgroup->count; i++) {
		snprintf(place, sizeof place, "sys/fs/cgroup/%s", cgroup->trees[i]);
		must(mkdir(place, 0755), "create", place);
		must(mount("cgroup", place, "cgroup", NO_SUID_EXEC_DEV | MS_RDONLY, cgroup->trees[i]),
		     "mount", place);
	}
	must(mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | NO_SUID_EXEC_DEV | MS_RDONLY, NULL),
	     "make read-only", "sys/fs/cgroup");
}

/* A message to the kernel of links, addresses and routes: rtnetlink(7). */
struct message {
	struct nlmsghdr header;
	char rest[1024];
};

static void *begin(struct message *message, int kind, int flags, const void *fixed, int length)
{
	memset(message, 0, sizeof *message);
	message->header.nlmsg_type = kind;
	message->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	message->header.nlmsg_len = NLMSG_LENGTH(length);
	return memcpy(NLMSG_DATA(&message->header), fixed, length);
}

static struct rtattr *add(struct message *message, int kind, const void *value, int length)
{
	struct rtattr *attribute =
		(void *)((char *)message + NLMSG_ALIGN(message->header.nlmsg_len));

	attribute->rta_type = kind;
	attribute->rta_len = RTA_LENGTH(length);
	if (length != 0)
		memcpy(RTA_DATA(attribute), value, length);
	message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + RTA_SPACE(length);
	return attribute;
}

/* Ends an attribute that holds all that was added since. */
static void end(struct message *message, struct rtattr *nest)
{
	nest->rta_len = (char *)message + message->header.nlmsg_len - (char *)nest;
}

static void ask(int netlink, struct message *message, const char *what)
{
	struct { struct nlmsghdr header; struct nlmsgerr error; char rest[1024]; } answer;

	must(send(netlink, message, message->header.nlmsg_len, 0), "ask for", what);
	must(recv(netlink, &answer, sizeof answer, 0), "hear of", what);
	if (answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error != 0) {
		errno = -answer.error.error;
		fail("make", what);
	}
}

/* By the parent: both ends of a cable, one on the bridge and up, one in the container. */
static void lay_cable(const char *bridge, pid_t container)
{
	int netlink = must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "open", "netlink");
	struct ifinfomsg ours = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, theirs = {0};
	uint32_t master = if_nametoindex(bridge), namespace = container;
	struct rtattr *info, *data, *peer;
	struct message link;
	char name[16];

	if (master == 0)
		fail("find the bridge", bridge);
	snprintf(name, sizeof name, "floor%d", container);
	begin(&link, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ours, sizeof ours);
	add(&link, IFLA_IFNAME, name, strlen(name) + 1);
	add(&link, IFLA_MASTER, &master, sizeof master);
	info = add(&link, IFLA_LINKINFO, NULL, 0);
	add(&link, IFLA_INFO_KIND, "veth", 5);
	data = add(&link, IFLA_INFO_DATA, NULL, 0);
	peer = add(&link, VETH_INFO_PEER, &theirs, sizeof theirs);
	add(&link, IFLA_IFNAME, "eth0", 5);
	add(&link, IFLA_NET_NS_PID, &namespace, sizeof namespace);
	end(&link, peer);
	end(&link, data);
	end(&link, info);
	ask(netlink, &link, "a cable");
	close(netlink);
}

/* By the child, when the cable has arrived: its address, up, and the way to everywhere. */
static void configure_cable(void)
{
	int netlink = must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "open", "netlink");
	uint32_t eth0 = if_nametoindex("eth0"), ip = inet_addr("10.250.0.2"), gateway = inet_addr("10.250.0.1");
	struct ifaddrmsg address = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = eth0};
	struct ifinfomsg up = {.ifi_index = eth0, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct rtmsg everywhere = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN,
				   .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST};
	struct ifaddrmsg address6 = {.ifa_family = AF_INET6, .ifa_prefixlen = 64,
				     .ifa_flags = IFA_F_NODAD, .ifa_index = eth0};
	struct in6_addr ip6;
	struct message message;

	begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof address);
	add(&message, IFA_LOCAL, &ip, sizeof ip);
	add(&message, IFA_ADDRESS, &ip, sizeof ip);
	ask(netlink, &message, "an address");
	inet_pton(AF_INET6, "fd00:250::2", &ip6);
	begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address6, sizeof address6);
	add(&message, IFA_LOCAL, &ip6, sizeof ip6);
	add(&message, IFA_ADDRESS, &ip6, sizeof ip6);
	ask(netlink, &message, "an IPv6 address");
	begin(&message, RTM_NEWLINK, 0, &up, sizeof up);
	ask(netlink, &message, "a link that is up");
	begin(&message, RTM_NEWROUTE, NLM_F_CREATE, &everywhere, sizeof everywhere);
	add(&message, RTA_GATEWAY, &gateway, sizeof gateway);
	add(&message, RTA_OIF, &eth0, sizeof eth0);
	ask(netlink, &message, "a route");
	close(netlink);
}

struct options {
	const char *bridge; /* the bridge to be plugged into, or NULL for none */
	int cable[2]; /* a pipe, on which the child waits for the cable */
	const char *cgroup; /* the cgroup's name, or NULL for none */
	int all_namespaces; /* six, rather than the four of chapters 01 to 03 */
	const char *scratch; /* folder for the overlay's tmpfs, or NULL for none */
	const char *rootfs;
	char **command;
};

/* The child's steps, in the order that the kernel requires. */
static _Noreturn void become_container(const struct options *options, const struct cgroup *cgroup)
{
	if (options->cgroup != NULL)
		enter_cgroup(cgroup); /* first: what follows is on its bill */
	must(sethostname("floor", 5), "set", "the hostname");
	if (options->all_namespaces)
		loopback_up();
	if (options->bridge != NULL) {
		char laid;

		if (must(read(options->cable[0], &laid, 1), "wait for", "the cable") == 0)
			_exit(OUR_ERROR); /* the parent has said why */
		configure_cable();
	}
	enter_rootfs(options->rootfs, options->scratch);
	mount_file_systems();
	if (options->cgroup != NULL)
		mount_cgroup(cgroup);
	make_devices();
	pivot();
	protect_kernel_files(); /* after the pivot: these paths are the container's */
	if (options->all_namespaces)
		drop_capabilities(); /* last: mounting took CAP_SYS_ADMIN */
	execv(options->command[0], options->command);
	fail("run", options->command[0]);
}

static _Noreturn void usage(void)
{
	fputs("usage: floor [--namespaces 4|6] [--overlay SCRATCH] [--cgroup NAME] [--bridge NAME] "
	      "ROOTFS COMMAND [ARGUMENT...]\n", stderr);
	exit(OUR_ERROR);
}

static struct options parse(char **arguments)
{
	struct options options = {.all_namespaces = 1};

	for (; arguments[0] && arguments[1] && strncmp(arguments[0], "--", 2) == 0; arguments += 2) {
		if (strcmp(arguments[0], "--overlay") == 0)
			options.scratch = arguments[1];
		else if (strcmp(arguments[0], "--cgroup") == 0)
			options.cgroup = arguments[1];
		else if (strcmp(arguments[0], "--bridge") == 0)
			options.bridge = arguments[1];
		else if (strcmp(arguments[0], "--namespaces") == 0 && strcmp(arguments[1], "4") == 0)
			options.all_namespaces = 0;
		else if (strcmp(arguments[0], "--namespaces") != 0 || strcmp(arguments[1], "6") != 0)
			usage();
	}
	if (arguments[0] == NULL || arguments[1] == NULL)
		usage();
	options.rootfs = arguments[0];
	options.command = arguments + 1;
	return options;
}

int main(int count, char **arguments)
{
	struct options options;
	struct cgroup cgroup = {.count = 0, .folder = -1};
	int status;
	pid_t child;
	/* clone3 rather than clone: it needs no stack, the child gets a copy of
	 * ours, and all namespaces come in the one call that makes the process. */
	struct clone_args clone = {
		.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC,
		.exit_signal = SIGCHLD,
	};

	if (count < 3)
		usage();
	options = parse(arguments + 1);
	if (options.all_namespaces)
		clone.flags |= CLONE_NEWNET | (options.cgroup ? 0 : CLONE_NEWCGROUP);
	if (options.cgroup != NULL)
		make_cgroup(&cgroup, options.cgroup);
	if (cgroup.folder != -1) {
		clone.flags |= CLONE_INTO_CGROUP;
		clone.cgroup = cgroup.folder;
	}

	if (options.bridge != NULL)
		must(pipe2(options.cable, O_CLOEXEC), "open", "a pipe");
	child = must(syscall(SYS_clone3, &clone, sizeof clone), "clone", "the container");
	if (child == 0) {
		if (options.bridge != NULL)
			close(options.cable[1]);
		become_container(&options, &cgroup);
	}
	if (options.bridge != NULL) {
		lay_cable(options.bridge, child);
		must(write(options.cable[1], "", 1), "let go on", "the container");
	}

	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR)
			fail("wait for", "the container");
	for (int i = 0; i < cgroup.count; i++)
		must(rmdir(cgroup.folders[i]), "remove", cgroup.folders[i]);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
