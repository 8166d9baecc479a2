//! Brings the engine's library and Redis to this machine and says what it does, as `cargo xtask install` does.

use tickhouse_embed::library::{Step, install};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let installed = install(&mut |step| match step {
        Step::Downloading { seconds } => eprint!("\rfetching the engine (178 MB), {seconds} s "),
        Step::Checking => eprint!("\rchecking its digest            "),
        Step::Unpacking { bytes } => eprint!("\runpacking, {} of 566 MB     ", bytes / 1_000_000),
    })?;
    eprintln!();
    println!("{installed:?}");
    println!("redis: {}", if tickhouse_embed::install_redis()? { "installed" } else { "was here" });
    Ok(())
}
