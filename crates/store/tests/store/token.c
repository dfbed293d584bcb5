/* Stands between the store and SoftHSM's module (REAL), so that a test can have a token fail, lose its session, or lock its PIN, and
 * counts what was tried. It does what files beside SOFTHSM2_CONF say:
 *   failing        every decryption is answered with a general error
 *   failing-once   the next one is, and the file goes
 *   lost           the next one finds that its session is gone, and everybody is signed out; the file goes
 *   locked         the PIN is locked
 * and writes a line with the answer to `sign-ins` each time somebody signs in. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong_t;
enum { OK = 0, GENERAL_ERROR = 0x05, PIN_LOCKED = 0xA4, SESSION_HANDLE_INVALID = 0xB3 };
/* PKCS#11 v2.40, CK_FUNCTION_LIST: the version, then the calls in the standard's order. */
enum { LOGIN = 18, LOGOUT = 19, DECRYPT_INIT = 33, CALLS = 68 };
struct list {
    unsigned char version[2];
    void *call[CALLS];
};
static struct list ours, *theirs;

static char *beside(const char *name) {
    static _Thread_local char path[4096], folder[4096];
    snprintf(folder, sizeof folder, "%s", getenv("SOFTHSM2_CONF"));
    snprintf(path, sizeof path, "%s/%s", dirname(folder), name);
    return path;
}
static int there(const char *name) { return access(beside(name), F_OK) == 0; }
static int taken(const char *name) { return unlink(beside(name)) == 0; }

static ulong_t login(ulong_t session, ulong_t user, unsigned char *pin, ulong_t length) {
    ulong_t (*really)(ulong_t, ulong_t, unsigned char *, ulong_t) = theirs->call[LOGIN];
    ulong_t answer = there("locked") ? PIN_LOCKED : really(session, user, pin, length);
    FILE *counted = fopen(beside("sign-ins"), "a");
    if (!counted) abort();
    fprintf(counted, "%#lx\n", answer);
    fclose(counted);
    return answer;
}

static ulong_t decrypt_init(ulong_t session, void *mechanism, ulong_t key) {
    ulong_t (*really)(ulong_t, void *, ulong_t) = theirs->call[DECRYPT_INIT];
    if (taken("lost")) {
        ulong_t (*logout)(ulong_t) = theirs->call[LOGOUT];
        if (logout(session) != OK) abort();
        return SESSION_HANDLE_INVALID;
    }
    if (there("failing") || taken("failing-once")) return GENERAL_ERROR;
    return really(session, mechanism, key);
}

ulong_t C_GetFunctionList(struct list **out) {
    void *module = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
    ulong_t (*list)(struct list **) = module ? dlsym(module, "C_GetFunctionList") : NULL;
    if (!list || list(&theirs) != OK) return GENERAL_ERROR;
    memcpy(&ours, theirs, sizeof ours);
    ours.call[LOGIN] = login;
    ours.call[DECRYPT_INIT] = decrypt_init;
    *out = &ours;
    return OK;
}
