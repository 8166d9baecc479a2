//! The keys of the source, each once, on disk.
//!
//! Keys are scattered over 256 files by a hash as they are scanned; each file is then sorted and made unique in memory, which
//! at ten million keys is some 40,000 of them. The order of the plan is that of the files.

use crate::error::ImportError;
use crate::files::{failed, remove_folder, sync_folder_of};
use crate::source::SourceDb;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const BUCKETS: usize = 256;
/// Keys per step of the scan.
const SCAN_COUNT: u64 = 2_000;

/// A key of a database.
pub(crate) type PlannedKey = (u32, Vec<u8>);

/// Scans every database and writes the plan; gives the number of keys. Killed on the way, it leaves no plan.
pub(crate) async fn make(
    folder: &Path,
    dbs: &mut [(u32, SourceDb)],
    mut progress: impl FnMut(u64),
) -> Result<u64, ImportError> {
    let buckets = folder.join("keys");
    remove_folder(&buckets)?;
    std::fs::create_dir_all(&buckets).map_err(failed(&buckets))?;
    let paths: Vec<PathBuf> = (0..BUCKETS).map(|bucket| buckets.join(format!("{bucket:03}"))).collect();
    let open = |path: &PathBuf| File::create(path).map(BufWriter::new).map_err(failed(path));
    let mut files = paths.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut seen = 0;
    for (db, source) in dbs {
        let mut cursor = "0".to_owned();
        loop {
            let scanned = source.scan(&cursor, SCAN_COUNT).await?;
            for key in &scanned.keys {
                let bucket = usize::from(bucket_of(key));
                write_key(&mut files[bucket], *db, key).map_err(failed(&paths[bucket]))?;
            }
            seen += scanned.keys.len() as u64;
            progress(seen);
            match scanned.next {
                _ if scanned.lost => "0".clone_into(&mut cursor),
                Some(next) => cursor = next,
                None => break,
            }
        }
    }
    for (file, path) in files.iter_mut().zip(&paths) {
        file.flush().map_err(failed(path))?;
    }
    drop(files);
    let count = join(folder, &paths)?;
    remove_folder(&buckets)?;
    Ok(count)
}

/// Sorts each bucket and writes the plan.
fn join(folder: &Path, buckets: &[PathBuf]) -> Result<u64, ImportError> {
    let (partial, path) = (folder.join("plan.partial"), folder.join("plan"));
    let mut plan = File::create(&partial).map(BufWriter::new).map_err(failed(&partial))?;
    let mut count = 0;
    for bucket in buckets {
        let mut keys = PlanReader::open(bucket)?.read(usize::MAX)?;
        keys.sort_unstable();
        keys.dedup();
        count += keys.len() as u64;
        for (db, key) in &keys {
            write_key(&mut plan, *db, key).map_err(failed(&partial))?;
        }
    }
    let file = plan.into_inner().map_err(|error| failed(&partial)(error.into_error()))?;
    file.sync_all().map_err(failed(&partial))?;
    std::fs::rename(&partial, &path).map_err(failed(&path))?;
    sync_folder_of(&path).map_err(failed(&path))?;
    Ok(count)
}

fn write_key(file: &mut impl Write, db: u32, key: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(key.len()).map_err(|_| ErrorKind::InvalidInput)?;
    file.write_all(&db.to_le_bytes())?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(key)
}

/// FNV-1a.
pub(crate) fn bucket_of(key: &[u8]) -> u8 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.to_be_bytes()[3]
}

/// Reads a plan from its beginning.
#[derive(Debug)]
pub(crate) struct PlanReader {
    path: PathBuf,
    file: BufReader<File>,
}

impl PlanReader {
    pub(crate) fn open(path: &Path) -> Result<Self, ImportError> {
        let file = File::open(path).map(BufReader::new).map_err(failed(path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Passes over keys.
    pub(crate) fn skip(&mut self, keys: u64) -> Result<(), ImportError> {
        for _ in 0..keys {
            if self.next()?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The next keys, fewer at the end.
    pub(crate) fn read(&mut self, most: usize) -> Result<Vec<PlannedKey>, ImportError> {
        let mut keys = Vec::new();
        while keys.len() < most {
            match self.next()? {
                Some(key) => keys.push(key),
                None => break,
            }
        }
        Ok(keys)
    }

    fn next(&mut self) -> Result<Option<PlannedKey>, ImportError> {
        let mut head = [0; 8];
        match self.file.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(failed(&self.path)(error)),
        }
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut key = Vec::new();
        let length = u64::from(word(4));
        let read = self.file.by_ref().take(length).read_to_end(&mut key).map_err(failed(&self.path))?;
        if read as u64 != length {
            return Err(failed(&self.path)(ErrorKind::UnexpectedEof.into()));
        }
        Ok(Some((word(0), key)))
    }
}
