/* It takes as long to be loaded as the test likes: until nobody holds the pipe PIPE open for writing. */
#include "plugin.h"
#include <fcntl.h>
#include <unistd.h>

__attribute__((constructor)) static void wait_for_it(void) {
    char byte;
    int pipe = open(PIPE, O_RDONLY);
    while (read(pipe, &byte, 1) > 0) {}
    close(pipe);
}
