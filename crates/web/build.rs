//! Has the page taken into the program again when `cargo xtask web` made it. The folder is made where it is missing: of one that is
//! not there, nobody would notice that it comes.

fn main() {
    let dist = "../../web/dist";
    // where the sources can't be written, the page is there or never comes
    std::fs::create_dir_all(dist).ok();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={dist}");
}
