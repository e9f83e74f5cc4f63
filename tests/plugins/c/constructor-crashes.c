/* It crashes while it is loaded. */
#include "plugin.h"

__attribute__((constructor)) static void crash(void) { *(volatile int *)0 = 1; }
