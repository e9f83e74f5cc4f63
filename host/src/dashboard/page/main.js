// The dashboard: every part is started once, and then follows what happens.

import { startBay } from "./bay.js";
import { startEvents } from "./events.js";
import { startLive } from "./live.js";
import { startNotices } from "./notices.js";
import { startOverview } from "./overview.js";
import { startPlayground } from "./playground.js";
import { startPlugins } from "./plugins.js";
import { startProviders } from "./providers.js";
import { startReload } from "./reload.js";
import { loadProviders } from "./state.js";
import { startToken } from "./token.js";
import { startUsage } from "./usage.js";

// 1. What needs nobody's answer.
startNotices();
startToken();
startBay();
startProviders();
startPlugins();
startReload();
startPlayground();
startEvents();

// 2. The first question, before all others: if it needs a token, that is asked for once.
await loadProviders();

// 3. Everything else.
startOverview();
startUsage();
await startLive();
