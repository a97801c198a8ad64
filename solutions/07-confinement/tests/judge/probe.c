// Makes system calls that nobody else would, one in a child of its own each, and says what the
// kernel answered. A test cannot do it itself: Rust calls it unsafe, and it is.
//
//   probe FILTER   loads a filter first (struct sock_filter, as bytes)
//   probe          makes the calls as they are
//
// Input, a line each:  64|32 NUMBER ARGUMENT ARGUMENT ARGUMENT ARGUMENT ARGUMENT ARGUMENT
// Output, a line each: trap DATA NUMBER ARCHITECTURE | errno N | returned | signal N | blocked
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

struct said {
  int state; // 0 nothing, 1 trapped, 2 came back
  int data, number;
  unsigned architecture;
  long result;
};
static volatile struct said *said;

static void trapped(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  said->data = info->si_errno;
  said->number = info->si_syscall;
  said->architecture = info->si_arch;
  said->state = 1;
  __builtin_trap(); // an end without a call: _exit would trap as well
}

static long call64(long number, const uint64_t *a) {
  long result;
#if defined(__x86_64__)
  register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]),
                   "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
#else
  register uint64_t x8 __asm__("x8") = number, x0 __asm__("x0") = a[0], x1 __asm__("x1") = a[1],
      x2 __asm__("x2") = a[2], x3 __asm__("x3") = a[3], x4 __asm__("x4") = a[4], x5 __asm__("x5") = a[5];
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  result = x0;
#endif
  return result;
}

#if defined(__x86_64__)
// The way of 32-bit programs, which a 64-bit one can take as well.
static long call32(long number, const uint64_t *a) {
  long result;
  uint64_t last = a[5];
  __asm__ volatile("push %%rbp\n\tmov %[last], %%rbp\n\tint $0x80\n\tpop %%rbp"
                   : "=a"(result) : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]),
                   "D"(a[4]), [last] "r"(last) : "r8", "r9", "r10", "r11", "memory");
  return (int)result;
}
#else
static long call32(long number, const uint64_t *a) { (void)number, (void)a; return -ENOEXEC; }
#endif

static void late(int signal) { (void)signal; }

int main(int argc, char **argv) {
  sigaction(SIGALRM, &(struct sigaction){.sa_handler = late}, 0);
  static struct sock_filter instructions[4096];
  struct sock_fprog filter = {0, instructions};
  if (argc > 1) {
    int file = open(argv[1], O_RDONLY);
    ssize_t size = read(file, instructions, sizeof instructions);
    if (size <= 0) return perror(argv[1]), 1;
    filter.len = size / sizeof *instructions;
    close(file);
  }
  said = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int bits;
  long number;
  unsigned long long in[6];
  while (scanf("%d %ld %llu %llu %llu %llu %llu %llu", &bits, &number, in, in + 1, in + 2, in + 3,
               in + 4, in + 5) == 8) {
    uint64_t a[6];
    for (int i = 0; i < 6; i++) a[i] = in[i];
    *said = (struct said){0};
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      setpgid(0, 0);
      setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
      int nowhere = open("/dev/null", O_RDWR);
      dup2(nowhere, 0), dup2(nowhere, 1), dup2(nowhere, 2);
      if (filter.len) {
        struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
        sigaction(SIGSYS, &action, 0);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter)) _exit(99);
      }
      said->result = bits == 64 ? call64(number, a) : call32(number, a);
      said->state = 2;
      __builtin_trap();
    }
    int status, blocked = 0;
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {filter.len ? 50 : 1, 0}}, 0);
    while (waitpid(child, &status, __WALL) != child) {
      blocked = !said->state; // it is late: SIGALRM interrupted us
      kill(child, SIGKILL);
    }
    long result = said->result;
    if (said->state == 1) printf("trap %d %d %u\n", said->data, said->number, said->architecture);
    else if (said->state == 2 && result < 0 && result > -4096) printf("errno %ld\n", -result);
    else if (said->state == 2) printf("returned\n");
    else if (blocked) printf("blocked\n");
    else if (WIFSIGNALED(status)) printf("signal %d\n", WTERMSIG(status));
    else if (WEXITSTATUS(status) == 99) return fprintf(stderr, "no filter\n"), 1;
    else printf("returned\n");
  }
  return 0;
}
