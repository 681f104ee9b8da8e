/* A library for LD_PRELOAD: it steps the wall clock of prometheus-elector's processes, and slows
 * their disk.
 *
 * SOAK_SHIM names a file of two 64-bit numbers, which is read at each call: the error of the wall
 * clock in nanoseconds, and the delay of fsync and rename in microseconds. Prometheus, a Go program,
 * calls the kernel directly and is not affected. So the gate keeps the correct clock, too: it
 * compares its clock with the times of Prometheus' samples, and both share a machine's clock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define GATE "wrapper.gate.process"

struct control {
    volatile int64_t wrong_ns;
    volatile int64_t slow_us;
};

static struct control none;
static struct control *control = &none;
static int has_right_clock;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_rename)(const char *, const char *);

static int is_gate(void) {
    char words[4096];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, words, sizeof words);
    close(fd);
    return size > 0 && memmem(words, (size_t)size, GATE, sizeof GATE) != NULL;
}

__attribute__((constructor)) static void begin(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_rename = dlsym(RTLD_NEXT, "rename");
    has_right_clock = is_gate();
    const char *path = getenv("SOAK_SHIM");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *found = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (found != MAP_FAILED)
        control = found;
}

static void be_slow(void) {
    int64_t us = control->slow_us;
    if (us > 0)
        usleep((useconds_t)us);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int status = real_clock_gettime(clock, at);
    int64_t wrong = has_right_clock ? 0 : control->wrong_ns;
    if (status == 0 && wrong && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = at->tv_sec * SECOND + at->tv_nsec + wrong;
        at->tv_sec = ns / SECOND;
        at->tv_nsec = ns % SECOND;
    }
    return status;
}

int gettimeofday(struct timeval *at, void *zone) {
    (void)zone;
    struct timespec found;
    int status = clock_gettime(CLOCK_REALTIME, &found);
    at->tv_sec = found.tv_sec;
    at->tv_usec = found.tv_nsec / 1000;
    return status;
}

time_t time(time_t *at) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (at)
        *at = found.tv_sec;
    return found.tv_sec;
}

int fsync(int fd) {
    be_slow();
    return real_fsync(fd);
}

int fdatasync(int fd) {
    be_slow();
    return real_fdatasync(fd);
}

int rename(const char *from, const char *to) {
    be_slow();
    return real_rename(from, to);
}
