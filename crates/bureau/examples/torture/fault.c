/*
 * Loaded into a process under torture (LD_PRELOAD): stands between it and the files below FAULT_FOLDER, counts
 * the changes that it makes (writes, flushes, shortenings, renamings, links, removals), and does at the chosen
 * one what FAULT says:
 *
 *   kill N          before change N: SIGKILL
 *   point NAME N    before the N-th change of this name, e.g. "records.db-wal flush": SIGKILL
 *   power N         before change N: what was written since each file was last flushed is lost, 512 bytes at a
 *                   time, all of it or by chance; new lengths too; then SIGKILL
 *   liar N          as power, but flushes before it were not carried out: a disk that lies, which nothing survives;
 *                   it shows that the campaign sees what is lost
 *   full N M        changes N to N+M that need room fail with ENOSPC
 *   badflush N      flush N fails with EIO, and what it should have flushed is lost (as the kernel may); later
 *                   ones succeed again
 *   slow MS         each flush takes up to MS milliseconds
 *
 * FAULT_SEED: chance. FAULT_REPORT: a file outside the folder, where the name of the change is written at which
 * the process died or which failed. Names that were created, moved or removed are not undone: see docs/TORTURE.md.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define SECTOR 512

enum { NONE, KILL, POINT, POWER, LIAR, FULL, BADFLUSH, SLOW };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static const char *folder, *report;
static int fault;
static long at, span, changes, flushes, seen;
static char point[128];
static unsigned long long chance;

/* What a file held, as of its last flush, where it was written to since. */
struct sector { off_t no; int had; unsigned char bytes[SECTOR]; struct sector *next; };
struct file { dev_t dev; ino_t ino; off_t size; char path[PATH_MAX]; struct sector *dirty; struct file *next; };
static struct file *files;

static int keeps(void) { return fault == POWER || fault == LIAR || fault == BADFLUSH; }

static unsigned long long rnd(void) {
    chance ^= chance << 13; chance ^= chance >> 7; chance ^= chance << 17;
    return chance;
}

__attribute__((constructor)) static void begin(void) {
    const char *what = getenv("FAULT"), *seed = getenv("FAULT_SEED");
    folder = getenv("FAULT_FOLDER");
    report = getenv("FAULT_REPORT");
    chance = (seed ? strtoull(seed, 0, 10) : 1) * 2654435761u + 88172645463325252ull;
    if (!what || !folder) return;
    if (sscanf(what, "kill %ld", &at) == 1) fault = KILL;
    else if (sscanf(what, "point %127[^:]: %ld", point, &at) == 2) fault = POINT;
    else if (sscanf(what, "power %ld", &at) == 1) fault = POWER;
    else if (sscanf(what, "liar %ld", &at) == 1) fault = LIAR;
    else if (sscanf(what, "full %ld %ld", &at, &span) == 2) fault = FULL;
    else if (sscanf(what, "badflush %ld", &at) == 1) fault = BADFLUSH;
    else if (sscanf(what, "slow %ld", &span) == 1) fault = SLOW;
    else abort();
}

/* SQLite makes a database's -shm file anew: what is in it does not matter. */
static int below(const char *path) {
    size_t n = folder ? strlen(folder) : 0, all = strlen(path);
    return n && !strncmp(path, folder, n) && path[n] == '/' && (all < 4 || strcmp(path + all - 4, "-shm"));
}

static int open_below(int fd, char path[PATH_MAX]) {
    char link[64];
    if (!folder || fd < 3) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

/* The name of a change: databases by their file, everything else by its folder. */
static void name_of(char out[160], const char *what, const char *path) {
    const char *rest = path + strlen(folder) + 1, *slash = strchr(rest, '/');
    snprintf(out, 160, "%.*s %s", (int)(slash ? slash - rest : (long)strlen(rest)), rest, what);
}

static void tell(const char *name) {
    if (!report) return;
    int fd = open(report, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0) return;
    dprintf(fd, "%s\n", name);
    close(fd);
}

static struct file *known(int fd, const char *path) {
    struct stat s;
    if (fstat(fd, &s) || !S_ISREG(s.st_mode)) return 0;
    struct file *f = files;
    while (f && (f->ino != s.st_ino || f->dev != s.st_dev)) f = f->next;
    if (!f) {
        f = calloc(1, sizeof *f);
        if (!f) abort();
        *f = (struct file){.dev = s.st_dev, .ino = s.st_ino, .size = s.st_size, .next = files};
        files = f;
    }
    snprintf(f->path, sizeof f->path, "%s", path);
    return f;
}

/* Keeps what lies in [from, to) before it is written over, once since the last flush. */
static void keep(int fd, const char *path, off_t from, off_t to) {
    struct file *f = known(fd, path);
    if (!f) return;
    for (off_t no = from / SECTOR; no * SECTOR < to; no++) {
        struct sector *s = f->dirty;
        while (s && s->no != no) s = s->next;
        if (s) continue;
        s = calloc(1, sizeof *s);
        if (!s) abort();
        s->no = no;
        if (no * SECTOR < f->size) {
            ssize_t n = pread(fd, s->bytes, SECTOR, no * SECTOR);
            s->had = n > 0 ? (int)n : 0;
        }
        s->next = f->dirty;
        f->dirty = s;
    }
}

static void flushed(struct file *f) {
    struct stat s;
    while (f->dirty) { struct sector *d = f->dirty; f->dirty = d->next; free(d); }
    if (!stat(f->path, &s)) f->size = s.st_size;
}

/* Puts back what was there at the last flush: all of it, or each sector by chance. */
static void lose(struct file *f, int open_fd) {
    int some = rnd() % 3 != 0, shorter = !some || rnd() % 2;
    struct stat s;
    /* Closing a descriptor of its own would let go of the locks that the process holds on the file. */
    int fd = open_fd >= 0 ? open_fd : open(f->path, O_WRONLY);
    if (fd < 0 || fstat(fd, &s) || s.st_ino != f->ino) { if (fd >= 0 && fd != open_fd) close(fd); return; }
    for (struct sector *d = f->dirty; d; d = d->next) {
        static const unsigned char zeros[SECTOR];
        if (some && rnd() % 2) continue;
        if (d->had) REAL(pwrite)(fd, d->bytes, d->had, d->no * SECTOR);
        else if (d->no * SECTOR < s.st_size) {
            off_t left = s.st_size - d->no * SECTOR;
            REAL(pwrite)(fd, zeros, left < SECTOR ? left : SECTOR, d->no * SECTOR);
        }
    }
    if (f->dirty && shorter && s.st_size > f->size && REAL(ftruncate)(fd, f->size)) abort();
    if (fd != open_fd) close(fd);
}

static void die(const char *name) {
    tell(name);
    if (keeps()) for (struct file *f = files; f; f = f->next) lose(f, -1);
    raise(SIGKILL);
    pause();
}

/* Asked before each change: whether it fails, and with what. */
static int before(const char *what, const char *path, int needs_room) {
    char name[160];
    changes++;
    name_of(name, what, path);
    if ((fault == KILL || fault == POWER || fault == LIAR) && changes == at) die(name);
    if (fault == POINT && !strcmp(name, point) && ++seen == at) die(name);
    if (fault == FULL && needs_room && changes >= at && changes < at + span) {
        if (changes == at || !seen++) tell(name);
        return ENOSPC;
    }
    return 0;
}

#define WRITING(position, call)                                                                                        \
    char path[PATH_MAX];                                                                                               \
    if (!fault || !open_below(fd, path)) return call;                                                                  \
    pthread_mutex_lock(&turn);                                                                                         \
    int wrong = before("write", path, 1);                                                                              \
    ssize_t done = -1;                                                                                                 \
    off_t where = position;                                                                                            \
    if (!wrong) {                                                                                                      \
        if (keeps()) keep(fd, path, where, where + (off_t)n);                              \
        done = call;                                                                                                   \
        wrong = errno;                                                                                                 \
    }                                                                                                                  \
    pthread_mutex_unlock(&turn);                                                                                       \
    errno = wrong;                                                                                                     \
    return done

ssize_t write(int fd, const void *bytes, size_t n) { WRITING(lseek(fd, 0, SEEK_CUR), REAL(write)(fd, bytes, n)); }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t to) { WRITING(to, REAL(pwrite64)(fd, bytes, n, to)); }
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t to) { WRITING(to, REAL(pwrite)(fd, bytes, n, to)); }

static int flush(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!fault || !open_below(fd, path)) return real(fd);
    pthread_mutex_lock(&turn);
    int wrong = before("flush", path, 0), done = -1;
    struct file *f = keeps() ? known(fd, path) : 0;
    if (fault == BADFLUSH && ++flushes == at) {
        char name[160];
        name_of(name, "flush", path);
        tell(name);
        if (f) { lose(f, fd); flushed(f); }
        wrong = EIO;
    } else {
        if (fault == SLOW && span > 0) usleep(rnd() % (span * 1000));
        done = real(fd);
        wrong = errno;
        if (!done && f && fault != LIAR) flushed(f);
    }
    pthread_mutex_unlock(&turn);
    errno = wrong;
    return done;
}
int fsync(int fd) { return flush(fd, REAL(fsync)); }
int fdatasync(int fd) { return flush(fd, REAL(fdatasync)); }

#define SHORTEN(call)                                                                                                  \
    char path[PATH_MAX];                                                                                               \
    struct stat s;                                                                                                     \
    if (!fault || !open_below(fd, path)) return call;                                                                  \
    pthread_mutex_lock(&turn);                                                                                         \
    before("shorten", path, 0);                                                                                        \
    if (keeps() && !fstat(fd, &s) && s.st_size > n) keep(fd, path, n, s.st_size);        \
    int done = call;                                                                                                   \
    int wrong = errno;                                                                                                 \
    pthread_mutex_unlock(&turn);                                                                                       \
    errno = wrong;                                                                                                     \
    return done
int ftruncate64(int fd, off64_t n) { SHORTEN(REAL(ftruncate64)(fd, n)); }
int ftruncate(int fd, off_t n) { SHORTEN(REAL(ftruncate)(fd, n)); }

/* A change to a name. A file that is moved keeps what is known of it. */
#define NAMED(what, name, call, moved)                                                                                 \
    if (!fault || !below(name)) return call;                                                                           \
    pthread_mutex_lock(&turn);                                                                                         \
    int wrong = before(what, name, moved), done = -1;                                                                  \
    if (!wrong) {                                                                                                      \
        done = call;                                                                                                   \
        wrong = errno;                                                                                                 \
        if (!done && moved)                                                                                            \
            for (struct file *f = files; f; f = f->next)                                                               \
                if (!strcmp(f->path, from)) snprintf(f->path, sizeof f->path, "%s", name);                              \
    }                                                                                                                  \
    pthread_mutex_unlock(&turn);                                                                                       \
    errno = wrong;                                                                                                     \
    return done
int rename(const char *from, const char *to) { NAMED("rename", to, REAL(rename)(from, to), 1); }
int link(const char *from, const char *to) { NAMED("link", to, REAL(link)(from, to), 1); }
int unlink(const char *name) { const char *from = name; NAMED("remove", name, REAL(unlink)(name), 0); }
