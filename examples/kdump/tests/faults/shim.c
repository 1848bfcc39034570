/*
 * Faults of files, for kdump under LD_PRELOAD. What is to fail stands in the environment:
 *
 * FAULT_SRC     the file whose reads fail
 * FAULT_READ    short | eio:FROM:TO | end:SIZE | unlink
 *               pieces of at most 100 bytes; EIO for bytes in FROM..TO; nothing behind SIZE, though
 *               the size is as it was; the name is removed at the first read
 * FAULT_SIZE    the size FAULT_SRC is said to have
 * FAULT_WRITE   enospc:N | eio:N | kill:N | int:N | stop:N
 *               at the write that would go beyond N bytes in all: as much as fits, then the error or signal
 * FAULT_RENAME  any: killed when a file is to get another name
 * FAULT_CREATE  any: no file can be made, EROFS
 * FAULT_DEVICE  A or A:B: these files are one block device
 * FAULT_BUSY    any: the device is mounted
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct id { unsigned long long ino; unsigned major, minor; };

static int id_at(int dir, const char *path, int flags, struct id *out)
{
    struct statx found;
    if (syscall(SYS_statx, dir, path, flags, STATX_BASIC_STATS, &found) != 0)
        return 0;
    out->ino = found.stx_ino, out->major = found.stx_dev_major, out->minor = found.stx_dev_minor;
    return 1;
}

static int same(struct id a, struct id b)
{
    return a.ino == b.ino && a.major == b.major && a.minor == b.minor;
}

static struct id source, devices[2];
static int has_source, has_devices;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULT_SRC"), *both = getenv("FAULT_DEVICE");
    if (path)
        has_source = id_at(AT_FDCWD, path, 0, &source);
    if (both) {
        char one[4096];
        const char *colon = strchr(both, ':');
        snprintf(one, sizeof one, "%.*s", colon ? (int)(colon - both) : (int)strlen(both), both);
        has_devices = id_at(AT_FDCWD, one, 0, &devices[0]);
        if (colon && id_at(AT_FDCWD, colon + 1, 0, &devices[1]))
            has_devices++;
    }
}

static int is_source(int fd)
{
    struct id id;
    return has_source && id_at(fd, "", AT_EMPTY_PATH, &id) && same(id, source);
}

static int is_device(struct id id)
{
    for (int i = 0; i < has_devices; i++)
        if (same(id, devices[i]))
            return 1;
    return 0;
}

int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict out)
{
    long code = syscall(SYS_statx, dir, path, flags, mask, out);
    if (code == 0) {
        struct id id = { out->stx_ino, out->stx_dev_major, out->stx_dev_minor };
        const char *size = getenv("FAULT_SIZE");
        if (is_device(id)) {
            out->stx_mode = (out->stx_mode & ~S_IFMT) | S_IFBLK;
            out->stx_rdev_major = 7, out->stx_rdev_minor = 77, out->stx_size = 0;
        }
        if (size && has_source && same(id, source))
            out->stx_size = strtoull(size, NULL, 0);
    }
    return (int)code;
}

static ssize_t faulty_read(int fd, void *buf, size_t len, off_t at)
{
    static ssize_t (*real)(int, void *, size_t, off_t);
    const char *how = getenv("FAULT_READ");
    unsigned long long from, to;
    if (!real)
        real = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread64");
    if (how && is_source(fd)) {
        if (strcmp(how, "short") == 0 && len > 100)
            len = 100;
        if (strcmp(how, "unlink") == 0)
            unlink(getenv("FAULT_SRC"));
        if (sscanf(how, "eio:%lli:%lli", &from, &to) == 2
            && (unsigned long long)at < to && (unsigned long long)at + len > from) {
            /* As the kernel does: first what is good. */
            if ((unsigned long long)at >= from) {
                errno = EIO;
                return -1;
            }
            len = from - at;
        }
        if (sscanf(how, "end:%lli", &to) == 1) {
            if ((unsigned long long)at >= to)
                return 0;
            if ((unsigned long long)at + len > to)
                len = to - at;
        }
    }
    return real(fd, buf, len, at);
}

ssize_t pread64(int fd, void *buf, size_t len, off_t at) { return faulty_read(fd, buf, len, at); }
ssize_t pread(int fd, void *buf, size_t len, off_t at) { return faulty_read(fd, buf, len, at); }

static ssize_t faulty_write(int fd, const void *buf, size_t len, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    static unsigned long long written;
    static int done;
    const char *how = getenv("FAULT_WRITE"), *colon = how ? strchr(how, ':') : NULL;
    if (!real)
        real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
    if (colon && !done) {
        unsigned long long limit = strtoull(colon + 1, NULL, 0);
        if (written + len > limit) {
            size_t fits = limit > written ? limit - written : 0;
            if (fits) {
                ssize_t count = real(fd, buf, fits, at);
                written += fits;
                return count;
            }
            if (strncmp(how, "kill", 4) == 0)
                kill(getpid(), SIGKILL);
            if (strncmp(how, "int", 3) == 0)
                kill(getpid(), SIGINT);
            if (strncmp(how, "stop", 4) == 0) {
                done = 1;
                kill(getpid(), SIGSTOP);
                return real(fd, buf, len, at);
            }
            errno = strncmp(how, "enospc", 6) == 0 ? ENOSPC : EIO;
            return -1;
        }
    }
    written += len;
    return real(fd, buf, len, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off_t at) { return faulty_write(fd, buf, len, at); }
ssize_t pwrite(int fd, const void *buf, size_t len, off_t at) { return faulty_write(fd, buf, len, at); }

int rename(const char *from, const char *to)
{
    if (getenv("FAULT_RENAME"))
        kill(getpid(), SIGKILL);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
    struct id id;
    if ((flags & O_CREAT) && getenv("FAULT_CREATE")) {
        errno = EROFS;
        return -1;
    }
    if (!(flags & O_CREAT) && (flags & O_EXCL) && getenv("FAULT_BUSY")
        && id_at(AT_FDCWD, path, 0, &id) && is_device(id)) {
        errno = EBUSY;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return faulty_open(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return faulty_open(path, flags, mode);
}
