/* It never returns from being loaded. */
#include "plugin.h"
#include <unistd.h>

__attribute__((constructor)) static void hang(void) {
    for (;;) pause();
}
