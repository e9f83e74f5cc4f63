//! Exports the host's own `pthread_create`, `timer_create`, `pthread_key_create` and `pthread_key_delete` to the
//! libraries it loads (see src/plugins/keys.rs and threads.rs).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
        for symbol in ["pthread_create", "timer_create", "pthread_key_create", "pthread_key_delete"] {
            println!("cargo::rustc-link-arg=-Wl,--export-dynamic-symbol={symbol}");
        }
    }
}
