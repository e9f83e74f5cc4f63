/* It crashes while it is loaded. */
#include "plugin.h"

/* Its manifest is where nobody may write. */
__attribute__((constructor)) static void crash(void) { *(volatile char *)patchbay_manifest = 0; }
