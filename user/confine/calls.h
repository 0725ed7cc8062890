/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* calls: the system calls that send, receive, migrate and proxy make once they are set
 * up, and those of libc and the libraries in their place on other architectures.
 * scripts/syscalls.sh compares the lists with what the net tests make.
 *
 * Not here, since they are allowed by their arguments: socket(2) and bpf(2). */
#ifndef CONFINE_CALLS_H
#define CONFINE_CALLS_H

#include <stddef.h>

static const char *const confine_calls[] = {
	/* files */
	"access", "chdir", "chmod", "close", "close_range", "copy_file_range", "creat",
	"dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64",
	"fadvise64_64", "fallocate", "fchmod", "fchmodat", "fchown", "fchownat",
	"fcntl", "fcntl64", "fdatasync", "fgetxattr", "flock", "fstat", "fstat64",
	"fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64",
	"getcwd", "getdents", "getdents64", "ioctl", "link", "linkat", "lseek",
	"_llseek", "lstat", "lstat64", "mkdir", "mkdirat", "newfstatat", "open",
	"openat", "openat2", "pipe", "pipe2", "pread64", "preadv", "preadv2",
	"pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink",
	"readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir",
	"sendfile", "splice", "stat", "stat64", "statfs", "statfs64", "statx",
	"symlink", "symlinkat", "sync_file_range", "syncfs", "truncate", "umask",
	"unlink", "unlinkat", "utimensat", "write", "writev",

	/* memory, of this process and of one that is sent or filled */
	"brk", "madvise", "membarrier", "memfd_create", "mincore", "mlock",
	"mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mremap", "msync",
	"munlock", "munlockall", "munmap", "process_madvise", "process_vm_readv",
	"process_vm_writev", "rseq", "userfaultfd",

	/* waiting, and time */
	"clock_getres", "clock_gettime", "clock_gettime64", "clock_nanosleep",
	"clock_nanosleep_time64", "epoll_create", "epoll_create1", "epoll_ctl",
	"epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "futex",
	"futex_time64", "futex_waitv", "gettimeofday", "nanosleep", "poll", "ppoll",
	"ppoll_time64", "pselect6", "pselect6_time64", "restart_syscall", "select",
	"time", "timerfd_create", "timerfd_gettime", "timerfd_settime",
	"timerfd_settime64",

	/* processes, threads and signals */
	"clone", "clone3", "exit", "exit_group", "fork", "get_robust_list",
	"getpgid", "getpgrp", "getpid", "getppid", "getsid", "gettid", "kill",
	"pidfd_getfd", "pidfd_open", "pidfd_send_signal", "prctl", "rt_sigaction",
	"rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend",
	"rt_sigtimedwait", "rt_sigtimedwait_time64", "set_robust_list",
	"set_tid_address", "setsid", "sigaltstack", "signalfd4", "sigreturn",
	"tgkill", "vfork", "wait4", "waitid", "waitpid",

	/* sockets that are there */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname",
	"getsockopt", "listen", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64",
	"recvmsg", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt",
	"shutdown", "socketpair",

	/* this process, and its host */
	"arch_prctl", "capget", "getcpu", "getegid", "getegid32", "geteuid",
	"geteuid32", "getgid", "getgid32", "getgroups", "getgroups32",
	"getpriority", "getrandom", "getresgid", "getresgid32", "getresuid",
	"getresuid32", "getrlimit", "getrusage", "getuid", "getuid32", "prlimit64",
	"riscv_flush_icache", "riscv_hwprobe", "sched_get_priority_max",
	"sched_get_priority_min", "sched_getaffinity", "sched_getattr",
	"sched_getparam", "sched_getscheduler", "sched_setaffinity", "sched_yield",
	"set_thread_area", "setrlimit", "sysinfo", "ugetrlimit", "uname",
	NULL
};

/* For a process that traces another one: to open a descriptor in it while it runs, and
 * to stop it. */
static const char *const confine_tracer_calls[] = {
	"kcmp", "ptrace", "setpgid", NULL
};

/* For serve, which has its sockets and its keeper: it reads an image and what /proc says
 * of others, writes the order, and places pages.  pidfd_send_signal(2): only to ask. */
static const char *const confine_server_calls[] = {
	"access", "close", "fadvise64", "fadvise64_64", "fchmod", "fcntl", "fcntl64",
	"fstat", "fstat64", "fstatat64", "getdents", "getdents64", "ioctl", "lseek",
	"_llseek", "lstat", "lstat64", "newfstatat", "open", "openat", "pread64",
	"preadv", "preadv2", "read", "readahead", "readlink", "readlinkat", "readv",
	"rename", "renameat", "renameat2", "stat", "stat64", "statx", "unlink",
	"unlinkat", "write", "writev",

	"brk", "madvise", "membarrier", "mmap", "mmap2", "mprotect", "mremap",
	"munmap", "rseq",

	"clock_getres", "clock_gettime", "clock_gettime64", "clock_nanosleep",
	"clock_nanosleep_time64", "futex", "futex_time64", "gettimeofday", "nanosleep",
	"poll", "ppoll", "ppoll_time64", "restart_syscall", "time",

	"exit", "exit_group", "get_robust_list", "getpid", "gettid", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "set_robust_list", "sigaltstack",
	"sigreturn", "tgkill",

	"recv", "recvfrom", "recvmsg", "send", "sendmsg", "sendto", "shutdown",

	"getcpu", "geteuid", "geteuid32", "getrandom", "getuid", "getuid32",
	"prlimit64", "riscv_flush_icache", "sched_getaffinity", "sched_yield",
	"sysinfo", "uname",
	NULL
};

#endif
