/* It takes as long to be loaded as the test likes: until the file UNTIL is there. */
#include "plugin.h"
#include <unistd.h>

__attribute__((constructor)) static void wait_for_it(void) {
    while (access(UNTIL, F_OK) != 0) usleep(1000);
}
