//! The engine's shared library: where it is, and how it gets there.
//!
//! What enters: nothing but the machine. What leaves: the path of `libchdb`, checked and unpacked once per user. What
//! never happens: a download by a build script, a library whose digest differs from the pinned one, a half-unpacked
//! directory under the final name.

use crate::EmbedError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The version of the npm packages; the engine calls itself ClickHouse 26.7.2.1.
pub const VERSION: &str = "26.7.3-stable.1";

/// One machine's package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name for npm.
    pub name: &'static str,
    /// The library's file name.
    pub file: &'static str,
    /// SHA-256 of the packed file. `None` where the package could not be had for pinning: npm's own integrity check, against
    /// what its registry states for the pinned version, is then the only one.
    pub sha256: Option<&'static str>,
}

/// The package for this machine; `None` where there is none.
pub fn package() -> Option<Package> {
    let glibc = cfg!(not(target_env = "musl"));
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") if glibc => Some(Package {
            name: "@chdb/lib-linux-x64-gnu",
            file: "libchdb.so",
            sha256: Some("c0d32b129e988f2b9a9a31c9141aecf5e1e2453f9a079efc4d36ab8e3f92b2ad"),
        }),
        ("linux", "aarch64") if glibc => {
            Some(Package { name: "@chdb/lib-linux-arm64-gnu", file: "libchdb.so", sha256: None })
        }
        ("macos", "aarch64") => {
            Some(Package { name: "@chdb/lib-darwin-arm64", file: "libchdb.dylib", sha256: None })
        }
        ("macos", "x86_64") => {
            Some(Package { name: "@chdb/lib-darwin-x64", file: "libchdb.dylib", sha256: None })
        }
        _ => None,
    }
}

/// `~/.cache/tickhouse` (or below `XDG_CACHE_HOME`), on macOS `~/Library/Caches/tickhouse`.
pub fn cache_dir() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("HOME").unwrap_or_else(std::env::temp_dir);
    let base = if cfg!(target_os = "macos") {
        home.join("Library/Caches")
    } else {
        variable("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"))
    };
    base.join("tickhouse")
}

/// Where the library is: `TICKHOUSE_CHDB_LIB`, else its place in [`cache_dir`].
///
/// # Errors
/// [`EmbedError::LibraryMissing`] when it is not there.
pub fn find() -> Result<PathBuf, EmbedError> {
    let path = match std::env::var_os("TICKHOUSE_CHDB_LIB").filter(|value| !value.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => installed_path(&cache_dir(), this_package()?),
    };
    if path.is_file() { Ok(path) } else { Err(EmbedError::LibraryMissing { path }) }
}

fn this_package() -> Result<Package, EmbedError> {
    package().ok_or(EmbedError::Unsupported { os: std::env::consts::OS, arch: std::env::consts::ARCH })
}

fn installed_path(cache: &Path, package: Package) -> PathBuf {
    cache.join(format!("chdb-{VERSION}")).join(package.file)
}

/// What [`install`] is doing, told about four times a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// npm fetches the package (178 MB) and shows nothing of it; seconds since the start.
    Downloading {
        /// Seconds.
        seconds: u64,
    },
    /// The digest is computed.
    Checking,
    /// The library is unpacked (566 MB).
    Unpacking {
        /// Bytes on disk so far.
        bytes: u64,
    },
}

/// What [`install`] found or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It was there: nothing was done.
    Already(PathBuf),
    /// It was fetched, checked and unpacked.
    Now(PathBuf),
}

impl Installed {
    /// The library.
    pub fn path(&self) -> &Path {
        let (Self::Already(path) | Self::Now(path)) = self;
        path
    }
}

/// Brings the library into the user's cache by `npm pack`. Blocks (minutes on a slow line); a second call does nothing, and
/// two at once wait for each other. An interrupted one leaves only a directory that the next call removes.
///
/// # Errors
/// npm or tar missing or failing, a digest that differs, a full disk.
pub fn install(progress: &mut dyn FnMut(Step)) -> Result<Installed, EmbedError> {
    if let Ok(path) = find() {
        return Ok(Installed::Already(path));
    }
    let package = this_package()?;
    install_into(&cache_dir(), package, progress)
}

fn install_into(
    cache: &Path,
    package: Package,
    progress: &mut dyn FnMut(Step),
) -> Result<Installed, EmbedError> {
    std::fs::create_dir_all(cache).map_err(EmbedError::io(cache))?;
    let lock_path = cache.join("install.lock");
    let lock = File::create(&lock_path).map_err(EmbedError::io(&lock_path))?;
    lock.lock().map_err(EmbedError::io(&lock_path))?;
    let target = installed_path(cache, package);
    if target.is_file() {
        return Ok(Installed::Already(target));
    }
    let work = cache.join("installing");
    if work.exists() {
        std::fs::remove_dir_all(&work).map_err(EmbedError::io(&work))?;
    }
    std::fs::create_dir_all(&work).map_err(EmbedError::io(&work))?;

    let packed = download(&work, package, progress)?;
    progress(Step::Checking);
    check(&packed, package)?;
    unpack(&packed, &work, package, progress)?;
    let directory = cache.join(format!("chdb-{VERSION}"));
    if directory.exists() {
        // without the library in it: what somebody began by hand
        std::fs::remove_dir_all(&directory).map_err(EmbedError::io(&directory))?;
    }
    std::fs::rename(work.join("package"), &directory).map_err(EmbedError::io(&directory))?;
    drop(std::fs::remove_dir_all(&work));
    Ok(Installed::Now(target))
}

fn download(work: &Path, package: Package, progress: &mut dyn FnMut(Step)) -> Result<PathBuf, EmbedError> {
    let mut command = Command::new("npm");
    command.args(["pack", "--silent", &format!("{}@{VERSION}", package.name)]).current_dir(work);
    let start = Instant::now();
    run(
        command,
        "npm",
        "install Node.js (`apt-get install npm` or `brew install node`), or put the library where TICKHOUSE_CHDB_LIB points",
        &mut || {
            progress(Step::Downloading { seconds: start.elapsed().as_secs() });
        },
    )?;
    let entries = std::fs::read_dir(work).map_err(EmbedError::io(work))?;
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| EmbedError::CommandFailed {
            command: "npm pack".to_owned(),
            detail: format!("it left no .tgz in {}", work.display()),
        })
}

fn check(packed: &Path, package: Package) -> Result<(), EmbedError> {
    let Some(expected) = package.sha256 else {
        tracing::info!(
            package = package.name,
            "no digest is pinned for this machine, npm's own integrity check stands"
        );
        return Ok(());
    };
    let found = sha256(packed)?;
    if found == expected {
        Ok(())
    } else {
        Err(EmbedError::Digest { package: package.name.to_owned(), expected, found })
    }
}

fn sha256(path: &Path) -> Result<String, EmbedError> {
    let mut file = File::open(path).map_err(EmbedError::io(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(EmbedError::io(path))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hex::encode(hasher.finalize()))
}

fn unpack(
    packed: &Path,
    work: &Path,
    package: Package,
    progress: &mut dyn FnMut(Step),
) -> Result<(), EmbedError> {
    let member = format!("package/{}", package.file);
    let library = work.join(&member);
    let mut command = Command::new("tar");
    command.arg("-xzf").arg(packed).arg("-C").arg(work).arg(&member);
    run(command, "tar", "install it (`apt-get install tar`)", &mut || {
        progress(Step::Unpacking { bytes: std::fs::metadata(&library).map_or(0, |file| file.len()) });
    })
}

/// Runs a command to its end, calling `tick` about four times a second. Its output is kept for the error only.
fn run(mut command: Command, program: &str, remedy: &str, tick: &mut dyn FnMut()) -> Result<(), EmbedError> {
    let shown = format!("{command:?}").replace('"', "");
    let output = tempfile::tempfile().map_err(EmbedError::io(std::env::temp_dir()))?;
    let reader = output.try_clone().map_err(EmbedError::io(std::env::temp_dir()))?;
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(EmbedError::ProgramMissing {
                program: program.to_owned(),
                remedy: remedy.to_owned(),
            });
        }
        Err(error) => return Err(EmbedError::CommandFailed { command: shown, detail: error.to_string() }),
    };
    let mut told = Instant::now();
    tick();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => {
                return Err(EmbedError::CommandFailed { command: shown, detail: error.to_string() });
            }
        }
        if told.elapsed() > Duration::from_millis(250) {
            told = Instant::now();
            tick();
        }
    };
    if status.success() {
        return Ok(());
    }
    Err(EmbedError::CommandFailed { command: shown, detail: format!("{status}: {}", whole_text(reader)) })
}

fn whole_text(mut file: File) -> String {
    use std::io::Seek as _;

    let mut text = String::new();
    if file.rewind().is_ok() {
        // what can't be read is not shown
        drop(file.read_to_string(&mut text));
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_another_digest_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let packed = directory.path().join("x.tgz");
        std::fs::write(&packed, b"abc").unwrap();
        // FIPS 180-2, appendix B.1
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&packed).unwrap(), abc);
        let package = Package { name: "x", file: "libchdb.so", sha256: Some(abc) };
        check(&packed, package).unwrap();
        std::fs::write(&packed, b"abd").unwrap();
        let error = check(&packed, package).unwrap_err();
        assert!(matches!(error, EmbedError::Digest { .. }), "{error}");
    }

    #[test]
    fn a_missing_program_says_what_to_do() {
        let error =
            run(Command::new("no-such-program-here"), "no-such-program-here", "install it", &mut || {})
                .unwrap_err();
        assert_eq!(error.to_string(), "`no-such-program-here` was not found: install it");
    }

    #[test]
    fn a_failing_program_shows_its_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no room >&2; exit 3"]);
        let error = run(command, "sh", "", &mut || {}).unwrap_err();
        assert!(error.to_string().contains("no room"), "{error}");
    }

    #[test]
    fn an_installed_library_is_left_alone() {
        let cache = tempfile::tempdir().unwrap();
        let package = Package { name: "x", file: "libchdb.so", sha256: None };
        let path = installed_path(cache.path(), package);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"library").unwrap();
        let mut steps = 0;
        let installed = install_into(cache.path(), package, &mut |_| steps += 1).unwrap();
        assert_eq!((installed, steps), (Installed::Already(path), 0));
    }
}
