//! How the released program is laid out: what an idle service runs lies side by side (`idle.ld`, written by `tests/idle-order`),
//! and the addresses that are filled in when it starts are packed. Both only save memory (docs/PERFORMANCE.md).

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=src/link");
    let is = |name: &str, value: &str| var(name).is_ok_and(|is| is == value);
    // A linker of somebody's choice may know neither.
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let chosen = var("RUSTC_LINKER").is_ok() || flags.contains("linker") || flags.contains("fuse-ld");
    if is("PROFILE", "release") && is("TARGET", "x86_64-unknown-linux-gnu") && !chosen {
        let here = var("CARGO_MANIFEST_DIR").expect("cargo says so");
        println!("cargo::rustc-link-arg-bins=-T{here}/src/link/idle.ld");
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
