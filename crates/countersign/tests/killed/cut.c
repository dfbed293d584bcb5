/*
 * Loaded into the server under test (LD_PRELOAD), so that the test stands between it and its files.
 *
 * Before each change below CUT_FOLDER (a write, a flush, a renaming, a removal, a shortening) the server
 * says what it is about to do on the socket CUT_SOCKET and waits for one byte: 'g' lets it go on, 'h' lets
 * half of a write happen and asks again before the rest. All changes wait for each other, so that what
 * lies in the folder at such a moment is exactly what a kill at that moment would leave behind. Of several
 * writes to one file in a row it asks before the first.
 *
 * CUT_AHEAD: seconds by which its clock goes ahead of the machine's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static const char *folder, *listener;
static long ahead;

__attribute__((constructor)) static void begin(void) {
    const char *seconds = getenv("CUT_AHEAD");
    folder = getenv("CUT_FOLDER");
    listener = getenv("CUT_SOCKET");
    ahead = seconds ? atol(seconds) : 0;
}

/* SQLite makes a database's -shm file anew after a kill: what is in it does not matter. */
static int below(const char *path) {
    size_t n = folder && listener ? strlen(folder) : 0, all = strlen(path);
    return n && !strncmp(path, folder, n) && path[n] == '/' && (all < 4 || strcmp(path + all - 4, "-shm"));
}

static int open_below(int fd, char path[PATH_MAX]) {
    char link[64];
    if (!folder || !listener) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

static char writing[PATH_MAX]; /* the file that was written to last, and nothing done since */

static char ask(const char *what, const char *path) {
    static int line = -1;
    char said[PATH_MAX + 32], answer = 'g';
    if (line < 0) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        strncpy(at.sun_path, listener, sizeof at.sun_path - 1);
        line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (line < 0 || connect(line, (struct sockaddr *)&at, sizeof at)) abort();
    }
    int n = snprintf(said, sizeof said, "%s %s\n", what, path + strlen(folder) + 1);
    strcpy(writing, *what == 'w' || *what == 'h' ? path : "");
    /* Nobody listens any more: the test is over. */
    if (send(line, said, n, MSG_NOSIGNAL) == n && recv(line, &answer, 1, 0) == 1) return answer;
    return 'g';
}

/* A change to an open file: its result. */
#define TO_OPEN(what, call)                                                                                            \
    char path[PATH_MAX];                                                                                               \
    if (!open_below(fd, path)) return call;                                                                            \
    pthread_mutex_lock(&turn);                                                                                         \
    ask(what, path);                                                                                                   \
    int done = call;                                                                                                   \
    pthread_mutex_unlock(&turn);                                                                                       \
    return done

/* A change to a name: its result. */
#define TO_NAME(what, name, call)                                                                                      \
    if (!below(name)) return call;                                                                                     \
    pthread_mutex_lock(&turn);                                                                                         \
    ask(what, name);                                                                                                   \
    int done = call;                                                                                                   \
    pthread_mutex_unlock(&turn);                                                                                       \
    return done

/* A write: first half of it, where the test wants that. */
#define WRITING(half_call, call)                                                                                       \
    char path[PATH_MAX];                                                                                               \
    if (!open_below(fd, path)) return call;                                                                            \
    pthread_mutex_lock(&turn);                                                                                         \
    ssize_t done;                                                                                                      \
    if (strcmp(writing, path) && ask("write", path) == 'h' && n > 1 && (done = half_call) > 0)                          \
        ask("half", path); /* the caller writes on */                                                                  \
    else done = call;                                                                                                  \
    pthread_mutex_unlock(&turn);                                                                                       \
    return done

ssize_t write(int fd, const void *bytes, size_t n) { WRITING(REAL(write)(fd, bytes, n / 2), REAL(write)(fd, bytes, n)); }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    WRITING(REAL(pwrite64)(fd, bytes, n / 2, at), REAL(pwrite64)(fd, bytes, n, at));
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    WRITING(REAL(pwrite)(fd, bytes, n / 2, at), REAL(pwrite)(fd, bytes, n, at));
}
int fsync(int fd) { TO_OPEN("flush", REAL(fsync)(fd)); }
int fdatasync(int fd) { TO_OPEN("flush", REAL(fdatasync)(fd)); }
int ftruncate64(int fd, off64_t n) { TO_OPEN("shorten", REAL(ftruncate64)(fd, n)); }
int ftruncate(int fd, off_t n) { TO_OPEN("shorten", REAL(ftruncate)(fd, n)); }
int rename(const char *from, const char *to) { TO_NAME("rename", to, REAL(rename)(from, to)); }
int link(const char *from, const char *to) { TO_NAME("link", to, REAL(link)(from, to)); }
int unlink(const char *name) { TO_NAME("remove", name, REAL(unlink)(name)); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = REAL(clock_gettime)(clock, now);
    if (!done && clock == CLOCK_REALTIME) now->tv_sec += ahead;
    return done;
}
