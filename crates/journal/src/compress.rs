//! The thread that compresses closed segments: write under another name, sync, rename, remove the original.

use crate::segment::{self, Segment, sync_dir};
use crate::state::Shared;
use crate::{JournalError, paths};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A ring can't be missed; this is for segments whose compression failed.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// Compresses what is closed whenever the bell rings.
pub(crate) fn run_compressor(shared: &Shared) {
    let Some(level) = shared.options.compression else { return };
    yield_to_everybody();
    loop {
        if let Err(error) = compress_closed(shared, level) {
            shared.compression_errors.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "closed segments stay uncompressed for now");
        }
        if !shared.compress.wait(LOOK_AGAIN) {
            return;
        }
    }
}

/// Compressing has all the time there is, and what it takes from a core that sockets wait for is latency.
fn yield_to_everybody() {
    // elsewhere than on Linux a priority belongs to the whole process
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19) {
        tracing::debug!(%error, "segments are compressed at the priority of everything else");
    }
}

fn compress_closed(shared: &Shared, level: i32) -> Result<(), JournalError> {
    for socket in paths::sockets(&shared.recorder_dir)? {
        let dir = shared.recorder_dir.join(socket.to_string());
        for segment in segment::list(&dir)? {
            if shared.compress.is_stopped() {
                return Ok(());
            }
            if !segment.packed && segment.number < shared.first_open(socket) {
                compress(&segment, level, shared)?;
            }
        }
    }
    Ok(())
}

/// Replaces a closed segment by its compressed form. A crash at any point leaves the original or the whole new file.
fn compress(segment: &Segment, level: i32, shared: &Shared) -> Result<(), JournalError> {
    let Some(dir) = segment.path.parent() else { return Ok(()) };
    let packed = Segment::packed_path(dir, segment.number);
    let partial = packed.with_extension("tmp");
    let mut source = File::open(&segment.path).map_err(JournalError::io("opening", &segment.path))?;
    let done =
        File::create(&partial).and_then(|file| zstd::Encoder::new(file, level)).and_then(|mut encoder| {
            encoder.include_checksum(true)?;
            copy_unless_stopped(&mut source, &mut encoder, shared)?;
            encoder.finish()?.sync_all()
        });
    if let Err(error) = done {
        // best effort: a left-over is removed at the next start
        let removed = fs::remove_file(&partial);
        if error.kind() == io::ErrorKind::Interrupted {
            return Ok(());
        }
        tracing::debug!(?removed, "unfinished compression removed");
        return Err(JournalError::io("compressing", &segment.path)(error));
    }
    fs::rename(&partial, &packed).map_err(JournalError::io("renaming", &partial))?;
    sync_dir(dir)?;
    match fs::remove_file(&segment.path) {
        // pruned meanwhile
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => other.map_err(JournalError::io("removing", &segment.path))?,
    }
    sync_dir(dir)?;
    shared.compressed_segments.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn copy_unless_stopped(source: &mut File, target: &mut impl Write, shared: &Shared) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        if shared.compress.is_stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match source.read(&mut buffer)? {
            0 => return Ok(()),
            count => target.write_all(&buffer[..count])?,
        }
    }
}
