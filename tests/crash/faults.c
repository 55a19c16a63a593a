/* Makes a disk fail: loaded into the proxy with LD_PRELOAD, it lets writes and syncs of files under one directory fail.
 *
 * FAULTS_CONTROL names a file that is mapped, so that its writer decides at any moment: which faults, after how
 * many calls that could fail, and under which directory. It counts there what it made fail.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  SYNC_FAILS = 1,  /* fsync, fdatasync and sync_file_range say EIO. */
  WRITE_FAILS = 2, /* Each write says EIO. */
  FULL = 4,        /* What needs a new block says ENOSPC; what lies in blocks that are there goes on. */
  NO_SPACE = 8,    /* Each write says ENOSPC, as where nothing is overwritten in place. */
  SHORT = 16,      /* A write takes half of what it is given, and the next one says ENOSPC. */
};

struct control {
  _Atomic int64_t faults;
  _Atomic int64_t countdown; /* So many calls still succeed. */
  _Atomic int64_t hits;
  char under[PATH_MAX];
};

static struct control *control;

__attribute__((constructor)) static void map_control(void) {
  const char *path = getenv("FAULTS_CONTROL");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) control = mapped;
  close(file);
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int lies_under(const char *path) {
  size_t length = strlen(control->under);
  return length > 0 && strncmp(path, control->under, length) == 0;
}

static int concerns(int file) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return lies_under(path);
}

static int due(void) {
  if (control->countdown > 0) {
    control->countdown--;
    return 0;
  }
  control->hits++;
  return 1;
}

/* Whether a call on this file is to fail by one of these faults. */
static int64_t struck(int file, int64_t faults) {
  int64_t on = control ? control->faults & faults : 0;
  return on && concerns(file) && due() ? on : 0;
}

static int needs_block(int file, off_t offset, size_t count) {
  struct stat is;
  if (fstat(file, &is) != 0) return 0;
  off_t end = offset + (off_t)count;
  return end > is.st_size || end > (off_t)is.st_blocks * 512;
}

/* How much of a write is let through; less than nothing is an error. */
static ssize_t allowed(int file, size_t count, off_t offset) {
  int64_t faults = control ? control->faults : 0;
  if ((faults & FULL) && S_ISREG(({ struct stat is; fstat(file, &is); is.st_mode; })) &&
      needs_block(file, offset < 0 ? lseek(file, 0, SEEK_CUR) : offset, count) && struck(file, FULL)) {
    errno = ENOSPC;
    return -1;
  }
  int64_t on = struck(file, WRITE_FAILS | NO_SPACE | SHORT);
  if (!on) return (ssize_t)count;
  if ((on & SHORT) && control->hits == 1 && count > 1) return (ssize_t)(count / 2);
  errno = on & WRITE_FAILS ? EIO : ENOSPC;
  return -1;
}

ssize_t write(int file, const void *bytes, size_t count) {
  REAL(write);
  ssize_t some = allowed(file, count, -1);
  return some < 0 ? -1 : real(file, bytes, (size_t)some);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  REAL(pwrite);
  ssize_t some = allowed(file, count, offset);
  return some < 0 ? -1 : real(file, bytes, (size_t)some, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
  return pwrite(file, bytes, count, offset);
}

static size_t total(const struct iovec *parts, int count) {
  size_t sum = 0;
  for (int index = 0; index < count; index++) sum += parts[index].iov_len;
  return sum;
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  REAL(writev);
  return allowed(file, total(parts, count), -1) < 0 ? -1 : real(file, parts, count);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset) {
  REAL(pwritev);
  return allowed(file, total(parts, count), offset) < 0 ? -1 : real(file, parts, count, offset);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t offset) {
  return pwritev(file, parts, count, offset);
}

static int no_sync(int file) {
  if (!struck(file, SYNC_FAILS)) return 0;
  errno = EIO;
  return 1;
}

int fsync(int file) {
  REAL(fsync);
  return no_sync(file) ? -1 : real(file);
}

int fdatasync(int file) {
  REAL(fdatasync);
  return no_sync(file) ? -1 : real(file);
}

int sync_file_range(int file, off64_t offset, off64_t count, unsigned flags) {
  REAL(sync_file_range);
  return no_sync(file) ? -1 : real(file, offset, count, flags);
}

/* Whether making this file needs space that is not there. */
static int no_room(const char *path, int flags) {
  if (!control || !(control->faults & (FULL | NO_SPACE)) || !(flags & O_CREAT)) return 0;
  if (!lies_under(path) || access(path, F_OK) == 0 || !due()) return 0;
  errno = ENOSPC;
  return 1;
}

static mode_t mode_of(int flags, va_list rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; }

int open(const char *path, int flags, ...) {
  REAL(open);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return no_room(path, flags) ? -1 : real(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  REAL(open64);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return no_room(path, flags) ? -1 : real(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...) {
  REAL(openat);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return no_room(path, flags) ? -1 : real(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...) {
  REAL(openat64);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return no_room(path, flags) ? -1 : real(directory, path, flags, mode);
}

int fallocate(int file, int mode, off_t offset, off_t count) {
  REAL(fallocate);
  if (!struck(file, FULL | NO_SPACE)) return real(file, mode, offset, count);
  errno = ENOSPC;
  return -1;
}

int fallocate64(int file, int mode, off64_t offset, off64_t count) { return fallocate(file, mode, offset, count); }

int posix_fallocate(int file, off_t offset, off_t count) {
  REAL(posix_fallocate);
  return struck(file, FULL | NO_SPACE) ? ENOSPC : real(file, offset, count);
}

int posix_fallocate64(int file, off64_t offset, off64_t count) { return posix_fallocate(file, offset, count); }
