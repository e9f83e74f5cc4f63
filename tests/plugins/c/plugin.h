/* What makes a library look like a plugin, without the SDK: a manifest, given by the test as MANIFEST. */
__attribute__((section(".patchbay"), used)) const char patchbay_manifest[] = MANIFEST;
