//! Tells the linker where LibTorch lies, so that every program, test and bench runs without `LD_LIBRARY_PATH`; and the
//! program what it was made of, so that it knows which results are its own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=scripts/build.rs");
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=Cargo.lock");
    println!("cargo:rustc-env=ORNSTEIN_SOURCES={}", sources());
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

/// A hash of all sources and of the versions of all dependencies.
fn sources() -> String {
    fn walk(path: &Path, hash: &mut DefaultHasher) {
        if let Ok(entries) = std::fs::read_dir(path) {
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            paths.iter().for_each(|path| walk(path, hash));
        } else {
            (path, std::fs::read(path).unwrap_or_default()).hash(hash);
        }
    }
    let mut hash = DefaultHasher::new();
    walk(Path::new("src"), &mut hash);
    walk(Path::new("Cargo.lock"), &mut hash);
    format!("{:016x}", hash.finish())
}
