/*
 * Fails one system call of a program, below Node and below the engine. Preloaded (LD_PRELOAD), it counts calls of libc that concern
 * files under given folders, and lets the N-th of one kind fail.
 *
 *   FAULT_PATHS  folders, absolute, separated by `:`
 *   FAULT_MATCH  a text: of the files there, only those concern us whose path holds it
 *   FAULT_CALL   the kind that fails (the names of KINDS); without it nothing fails
 *   FAULT_AT     which call of that kind fails, from 1 on
 *   FAULT_ERRNO  the number of the error; 0: the program is killed instead (SIGKILL)
 *   FAULT_LASTS  1: every later call of that kind fails as well
 *   FAULT_COUNTS a file that is written at the end: one line for each kind, its name and how often it was called
 *   FAULT_TRACE  a file that gets a line for each call that changes something and works: what it did, tab, the path (and the new path)
 *   FAULT_FIRED  a file that gets a line for each call that fails: the kind, and the path or descriptor it was of
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN, READ, PREAD, WRITE, PWRITE, FSYNC, FDATASYNC, CLOSE, RENAME, LINK, UNLINK, RMDIR, MKDIR, FTRUNCATE, LISTING, STAT, MMAP, COPY, CHMOD, SYMLINK, KINDS };

static const char *const NAMES[KINDS] = {"open", "read", "pread", "write", "pwrite", "fsync", "fdatasync", "close", "rename", "link", "unlink", "rmdir", "mkdir", "ftruncate", "opendir", "stat", "mmap", "copy", "chmod", "symlink"};

static long (*real_syscall)(long, ...);
static long raw(long number, long a, long b, long c, long d);

/* Which descriptors are of files that concern us. */
static atomic_uchar is_ours[65536];
static char *_Atomic path_of[65536];
static atomic_long calls[KINDS];
static char paths[4096];
static char match[256];
static char counts_file[PATH_MAX];
static char fired_file[PATH_MAX];
static char trace_file[PATH_MAX];
static char cwd[PATH_MAX];
static int failing = -1;
static long fail_at;
static int fail_errno;
static int fail_lasts;

__attribute__((constructor)) static void begin(void) {
  const char *given = getenv("FAULT_PATHS");
  snprintf(paths, sizeof paths, "%s", given == NULL ? "" : given);
  given = getenv("FAULT_MATCH");
  snprintf(match, sizeof match, "%s", given == NULL ? "" : given);
  given = getenv("FAULT_COUNTS");
  snprintf(counts_file, sizeof counts_file, "%s", given == NULL ? "" : given);
  given = getenv("FAULT_FIRED");
  snprintf(fired_file, sizeof fired_file, "%s", given == NULL ? "" : given);
  given = getenv("FAULT_TRACE");
  snprintf(trace_file, sizeof trace_file, "%s", given == NULL ? "" : given);
  if (getcwd(cwd, sizeof cwd) == NULL) cwd[0] = 0;
  given = getenv("FAULT_CALL");
  for (int kind = 0; given != NULL && kind < KINDS; kind++)
    if (strcmp(given, NAMES[kind]) == 0) failing = kind;
  fail_at = getenv("FAULT_AT") == NULL ? 0 : atol(getenv("FAULT_AT"));
  fail_errno = getenv("FAULT_ERRNO") == NULL ? EIO : atoi(getenv("FAULT_ERRNO"));
  fail_lasts = getenv("FAULT_LASTS") != NULL && getenv("FAULT_LASTS")[0] == '1';
}

__attribute__((destructor)) static void end(void) {
  if (counts_file[0] == 0) return;
  int file = (int)raw(SYS_openat, AT_FDCWD, (long)counts_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  for (int kind = 0; kind < KINDS; kind++) {
    char line[64];
    int length = snprintf(line, sizeof line, "%s %ld\n", NAMES[kind], atomic_load(&calls[kind]));
    if (raw(SYS_write, file, (long)line, length, 0) < 0) return;
  }
  raw(SYS_close, file, 0, 0, 0);
}

static void find_syscall(void) { real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall"); }
static long raw(long number, long a, long b, long c, long d) {
  if (real_syscall == NULL) find_syscall();
  return real_syscall(number, a, b, c, d, 0L, 0L);
}

static int concerns(const char *path) {
  char whole[2 * PATH_MAX];
  if (path == NULL) return 0;
  if (path[0] != '/') {
    snprintf(whole, sizeof whole, "%s/%s", cwd, path);
    path = whole;
  }
  if (strstr(path, match) == NULL) return 0;
  for (const char *from = paths; *from != 0;) {
    size_t length = strcspn(from, ":");
    if (length > 0 && strncmp(path, from, length) == 0 && (path[length] == '/' || path[length] == 0)) return 1;
    from += length + (from[length] == ':');
  }
  return 0;
}

/* Counts a call; true where it is the one to fail. */
static int fails(enum kind kind, const char *path, int fd) {
  long number = atomic_fetch_add(&calls[kind], 1) + 1;
  if ((int)kind != failing || number < fail_at || (number > fail_at && !fail_lasts)) return 0;
  if (fired_file[0] != 0) {
    char line[PATH_MAX + 64];
    int length = path == NULL ? snprintf(line, sizeof line, "%s %d\n", NAMES[kind], fd)
                              : snprintf(line, sizeof line, "%s %s\n", NAMES[kind], path);
    int file = (int)raw(SYS_openat, AT_FDCWD, (long)fired_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (raw(SYS_write, file, (long)line, length, 0) < 0) abort();
    raw(SYS_close, file, 0, 0, 0);
  }
  if (fail_errno == 0) raise(SIGKILL);
  errno = fail_errno;
  return 1;
}

static int fails_path(enum kind kind, const char *path) { return concerns(path) && fails(kind, path, -1); }
static int is_known(int fd) { return fd >= 0 && fd < 65536 && atomic_load(&is_ours[fd]); }
static int fails_fd(enum kind kind, int fd) { return is_known(fd) && fails(kind, NULL, fd); }

/* Notes what was done; gives the result back. */
static long traced(long result, const char *what, const char *path, const char *to) {
  if (result < 0 || trace_file[0] == 0 || path == NULL || !concerns(path)) return result;
  int before = errno;
  char line[3 * PATH_MAX];
  int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, path, to == NULL ? "" : to);
  int file = (int)raw(SYS_openat, AT_FDCWD, (long)trace_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (raw(SYS_write, file, (long)line, length, 0) < 0) abort();
  raw(SYS_close, file, 0, 0, 0);
  errno = before;
  return result;
}
static long traced_fd(long result, const char *what, int fd) {
  return is_known(fd) ? traced(result, what, atomic_load(&path_of[fd]), NULL) : result;
}

static int opened(int fd, const char *path, int flags) {
  if (fd < 0 || fd >= 65536) return fd;
  int ours = concerns(path);
  atomic_store(&is_ours[fd], (unsigned char)ours);
  if (ours && trace_file[0] != 0) {
    free(atomic_exchange(&path_of[fd], strdup(path)));
    if ((flags & (O_CREAT | O_TRUNC)) != 0) traced(0, "create", path, NULL);
  }
  return fd;
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (real == NULL) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define MODE_OF(flags) \
  mode_t mode = 0; \
  if (((flags) & O_CREAT) != 0 || ((flags) & O_TMPFILE) == O_TMPFILE) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

int open(const char *path, int flags, ...) {
  MODE_OF(flags)
  REAL(int, "open", const char *, int, ...);
  return fails_path(OPEN, path) ? -1 : opened(real(path, flags, mode), path, flags);
}
int open64(const char *path, int flags, ...) {
  MODE_OF(flags)
  REAL(int, "open64", const char *, int, ...);
  return fails_path(OPEN, path) ? -1 : opened(real(path, flags, mode), path, flags);
}
int openat(int folder, const char *path, int flags, ...) {
  MODE_OF(flags)
  REAL(int, "openat", int, const char *, int, ...);
  return fails_path(OPEN, path) ? -1 : opened(real(folder, path, flags, mode), path, flags);
}
int close(int fd) {
  REAL(int, "close", int);
  int known = is_known(fd);
  if (known) atomic_store(&is_ours[fd], 0);
  int result = real(fd); /* Linux closes a descriptor also where it reports an error. */
  return known && fails(CLOSE, NULL, fd) ? -1 : result;
}

#define ON_FD(kind, type, name, params, args) \
  type name params { \
    REAL(type, #name, int, ...); \
    return fails_fd(kind, fd) ? -1 : (type)traced_fd(((type(*) params)real) args, #kind, fd); \
  }
ON_FD(READ, ssize_t, read, (int fd, void *to, size_t size), (fd, to, size))
ON_FD(READ, ssize_t, readv, (int fd, const struct iovec *to, int count), (fd, to, count))
ON_FD(PREAD, ssize_t, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
ON_FD(PREAD, ssize_t, pread64, (int fd, void *to, size_t size, off64_t at), (fd, to, size, at))
ON_FD(PREAD, ssize_t, preadv, (int fd, const struct iovec *to, int count, off_t at), (fd, to, count, at))
ON_FD(PREAD, ssize_t, preadv64, (int fd, const struct iovec *to, int count, off64_t at), (fd, to, count, at))
ON_FD(WRITE, ssize_t, write, (int fd, const void *from, size_t size), (fd, from, size))
ON_FD(WRITE, ssize_t, writev, (int fd, const struct iovec *from, int count), (fd, from, count))
ON_FD(PWRITE, ssize_t, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
ON_FD(PWRITE, ssize_t, pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at))
ON_FD(PWRITE, ssize_t, pwritev, (int fd, const struct iovec *from, int count, off_t at), (fd, from, count, at))
ON_FD(PWRITE, ssize_t, pwritev64, (int fd, const struct iovec *from, int count, off64_t at), (fd, from, count, at))
ON_FD(FSYNC, int, fsync, (int fd), (fd))
ON_FD(FDATASYNC, int, fdatasync, (int fd), (fd))
ON_FD(FTRUNCATE, int, ftruncate, (int fd, off_t size), (fd, size))
ON_FD(FTRUNCATE, int, ftruncate64, (int fd, off64_t size), (fd, size))
ON_FD(FTRUNCATE, int, fallocate, (int fd, int how, off_t at, off_t size), (fd, how, at, size))
ON_FD(CHMOD, int, fchmod, (int fd, mode_t mode), (fd, mode))
ON_FD(COPY, ssize_t, sendfile, (int fd, int from, off_t *at, size_t size), (fd, from, at, size))
ON_FD(COPY, ssize_t, sendfile64, (int fd, int from, off64_t *at, size_t size), (fd, from, at, size))
ON_FD(COPY, ssize_t, copy_file_range, (int fd, off64_t *from, int to, off64_t *at, size_t size, unsigned flags), (fd, from, to, at, size, flags))

#define ON_PATH(kind, type, failed, name, params, args) \
  type name params { \
    static type(*real) params; \
    if (real == NULL) real = (type(*) params)dlsym(RTLD_NEXT, #name); \
    return fails_path(kind, path) ? failed : real args; \
  }

#define CHANGES_PATH(kind, name, params, args, to) \
  int name params { \
    static int(*real) params; \
    if (real == NULL) real = (int(*) params)dlsym(RTLD_NEXT, #name); \
    return fails_path(kind, path) ? -1 : (int)traced(real args, #kind, path, to); \
  }
CHANGES_PATH(RENAME, rename, (const char *path, const char *to), (path, to), to)
CHANGES_PATH(LINK, link, (const char *path, const char *to), (path, to), to)
CHANGES_PATH(UNLINK, unlink, (const char *path), (path), NULL)
CHANGES_PATH(RMDIR, rmdir, (const char *path), (path), NULL)
CHANGES_PATH(MKDIR, mkdir, (const char *path, mode_t mode), (path, mode), NULL)
ON_PATH(LISTING, DIR *, NULL, opendir, (const char *path), (path))
ON_PATH(LISTING, int, -1, scandir64, (const char *path, struct dirent64 ***found, int (*filter)(const struct dirent64 *), int (*order)(const struct dirent64 **, const struct dirent64 **)), (path, found, filter, order))
ON_PATH(STAT, int, -1, access, (const char *path, int mode), (path, mode))
ON_PATH(CHMOD, int, -1, chmod, (const char *path, mode_t mode), (path, mode))

int symlink(const char *to, const char *path) {
  REAL(int, "symlink", const char *, const char *);
  return fails_path(SYMLINK, path) ? -1 : real(to, path);
}
int unlinkat(int folder, const char *path, int flags) {
  REAL(int, "unlinkat", int, const char *, int);
  return fails_path(flags & AT_REMOVEDIR ? RMDIR : UNLINK, path) ? -1 : (int)traced(real(folder, path, flags), "UNLINK", path, NULL);
}
char *mkdtemp(char *path) {
  REAL(char *, "mkdtemp", char *);
  if (fails_path(MKDIR, path)) return NULL;
  char *made = real(path);
  traced(made == NULL ? -1 : 0, "MKDIR", made, NULL);
  return made;
}
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t from) {
  REAL(void *, "mmap", void *, size_t, int, int, int, off_t);
  return (flags & MAP_ANONYMOUS) == 0 && fails_fd(MMAP, fd) ? MAP_FAILED : real(at, size, protection, flags, fd, from);
}

/* Node's file status goes through `syscall`, and so do other calls that an older libc does not know. */
long syscall(long number, ...) {
  if (real_syscall == NULL) find_syscall();
  va_list rest;
  va_start(rest, number);
  long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long);
  long d = va_arg(rest, long), e = va_arg(rest, long), f = va_arg(rest, long);
  va_end(rest);
  int failed = 0;
  if (number == SYS_statx) failed = ((const char *)b)[0] != 0 ? fails_path(STAT, (const char *)b) : fails_fd(STAT, (int)a);
  if (number == SYS_close) return close((int)a);
  if (number == SYS_copy_file_range) failed = fails_fd(COPY, (int)a);
  return failed ? -1 : real_syscall(number, a, b, c, d, e, f);
}
