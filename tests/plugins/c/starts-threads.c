// Not a plugin: a library that a plugin uses. It starts threads with a routine of its own, and the plugin's code is
// only called from there, as it is with std::thread, GLib and OpenMP.

#include <pthread.h>

static void *run(void *callback) {
    ((void (*)(void))callback)();
    return 0;
}

int start_thread(void (*callback)(void)) {
    pthread_t thread;
    return pthread_create(&thread, 0, run, (void *)callback);
}
