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
    compile();
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

/// Compiles the few lines of C++ that reach what tch does not: LibTorch's graphs and its mixed precision. Its headers lie beside the
/// libraries that torch-sys has found.
fn compile() {
    const NAME: &str = "ornstein_autograd";
    const SOURCES: [&str; 2] = ["src/differentiable.cpp", "src/autocast.cpp"];
    let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else { return };
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names a folder"));
    // This script runs at every change of a source, and LibTorch's headers take a while.
    let changed = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
    let archive = changed(&out.join(format!("lib{NAME}.a")));
    if archive.is_some() && SOURCES.iter().chain(&["scripts/build.rs"]).all(|path| changed(Path::new(path)) < archive) {
        println!("cargo:rustc-link-search=native={}", out.display());
        println!("cargo:rustc-link-lib=static={NAME}");
        return println!("cargo:rustc-link-lib=stdc++");
    }
    let include = lib.with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .flag_if_supported("-w")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .files(SOURCES)
        .compile(NAME);
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
