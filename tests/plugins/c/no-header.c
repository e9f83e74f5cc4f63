/* It says that it is a plugin, and exports none. */
#include "plugin.h"

int answer(void) { return 42; }
