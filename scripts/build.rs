//! Tells the linker where LibTorch lies, so that every program, test and bench runs without `LD_LIBRARY_PATH`.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=scripts/build.rs");
    let Some(libtorch) = std::env::var_os("LIBTORCH").map(PathBuf::from) else { return };
    // The folder itself and not the link .libtorch: a binary keeps working when the checkout moves.
    let lib = libtorch.join("lib");
    let lib = lib.canonicalize().unwrap_or_else(|_| {
        println!("cargo:warning=no LibTorch at '{}'; run scripts/setup first, or set LIBTORCH", lib.display());
        lib.clone()
    });
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // As DT_RUNPATH, so that LD_LIBRARY_PATH can point a carried binary at another machine's LibTorch.
        println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags");
    }
}
