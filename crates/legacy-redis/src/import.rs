//! An import from beginning to end, or from where it was killed.

use crate::answer::time_of_score;
use crate::error::ImportError;
use crate::files::{failed, read_json, remove_folder, write_json};
use crate::identity::{Identity, endpoint_of};
use crate::names::Names;
use crate::plan::{self, PlanReader, PlannedKey};
use crate::positions::Positions;
use crate::publish::Publisher;
use crate::recognise::{Recognised, Recogniser, Skip};
use crate::report::{ImportReport, pattern_of};
use crate::rules::Rules;
use crate::seen::{End, ListSeen, Seen, SetSeen, digest};
use crate::sorted::{self, Sorted};
use crate::sorted_set::member_of;
use crate::source::{Element, Kind, Shape, SourceDb};
use crate::spool::{Checkpoint, Spool, checkpoint_of, spool_path};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tickhouse_stream::Control;

/// Keys that are read together, per database.
const KEYS: usize = 512;
/// Between two checkpoints of reading.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// Largest sum of what is read in one round trip, as far as sizes are known.
const TOGETHER_BYTES: u64 = 8 << 20;

/// What to import, and where to.
#[derive(Clone)]
pub struct ImportOptions {
    /// The source, `redis://[user[:password]@]host:port`, without a database.
    pub source: String,
    /// Its databases.
    pub dbs: Vec<u32>,
    /// Name of the import, of its folder and its stream: letters, digits, `-`, `_`, beginning with a letter.
    pub name: String,
    /// Folder of all imports; this one's is below it.
    pub folder: PathBuf,
    /// What fields and keys mean.
    pub rules: Rules,
    /// Reads and recognises, publishes nothing and leaves nothing.
    pub dry_run: bool,
    /// Wait while the stream is longer than this.
    pub longest_stream: u64,
}

impl fmt::Debug for ImportOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportOptions")
            .field("source", &endpoint_of(&self.source))
            .field("dbs", &self.dbs)
            .field("name", &self.name)
            .field("folder", &self.folder)
            .field("dry_run", &self.dry_run)
            .field("longest_stream", &self.longest_stream)
            .finish_non_exhaustive()
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Finding keys.
    Scanning,
    /// Reading keys.
    Reading,
    /// Sorting records by hour.
    Sorting,
    /// Publishing records.
    Publishing,
}

/// How far a phase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub phase: Phase,
    /// Keys, bytes or records done.
    pub done: u64,
    /// Of how many; `None` while nobody knows.
    pub total: Option<u64>,
}

/// The plan is complete.
#[derive(Debug, Serialize, Deserialize)]
struct Planned {
    keys: u64,
}

/// An import.
#[derive(Debug)]
pub struct Import {
    options: ImportOptions,
    folder: PathBuf,
    dbs: Vec<(u32, SourceDb)>,
    /// Keeps other processes out.
    _lock: File,
}

impl Import {
    /// An import; nothing is read yet.
    ///
    /// # Errors
    /// When name or address are none, the folder belongs to an import of something else or by other rules, or another process
    /// has it.
    pub fn new(options: ImportOptions) -> Result<Self, ImportError> {
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name = &options.name;
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(valid) || name.len() > 40
        {
            return Err(ImportError::Name(name.clone()));
        }
        let folder = if options.dry_run {
            options.folder.join(format!("{name}.dry-run-{}", std::process::id()))
        } else {
            options.folder.join(name)
        };
        let endpoint = endpoint_of(&options.source);
        let open = |db: &u32| Ok((*db, SourceDb::new(&options.source, &endpoint, *db)?));
        let dbs = options.dbs.iter().map(open).collect::<Result<_, ImportError>>()?;
        let identity = Identity { endpoint, dbs: options.dbs.clone(), rules: options.rules.added.clone() };
        let lock = identity.claim(&folder)?;
        Ok(Self { options, folder, dbs, _lock: lock })
    }

    /// Imports what is not imported yet, and says what was done in all. Run again after it ended, it changes nothing.
    ///
    /// # Errors
    /// When source, target or disk fail for good. Run again, it goes on where it was.
    ///
    /// # Cancel safety
    /// Safe at any point, as is a kill.
    pub async fn run(
        &mut self,
        control: &Control,
        names: &Names,
        mut progress: impl FnMut(Progress),
    ) -> Result<ImportReport, ImportError> {
        if self.options.dry_run {
            return self.read(names, &mut progress).await.map(|checkpoint| checkpoint.report);
        }
        let folder = self.folder.clone();
        let mut publisher =
            Publisher::new(control, &self.options.name, &folder, self.options.longest_stream)?;
        let begun = self.folder.join("plan.json").exists();
        if !begun && publisher.is_there().await? {
            return Err(ImportError::Stranger { stream: publisher.stream().name().to_owned() });
        }
        let mut checkpoint = checkpoint_of(&self.folder)?;
        if !checkpoint.complete {
            checkpoint = self.read(names, &mut progress).await?;
        }
        let sorted = self.sorted(&checkpoint, &mut progress)?;
        let total: u64 = sorted.hours.values().sum();
        let mut report = checkpoint.report;
        let told = |done| progress(Progress { phase: Phase::Publishing, done, total: Some(total) });
        publisher.publish(&sorted, told).await?;
        let stored = publisher.stored(&sorted).await?;
        (report.published, report.stored) = (Some(total), Some(stored));
        if stored == total {
            // never needed again: the mark outlives everything
            remove_folder(&self.folder.join("sorted"))?;
        }
        Ok(report)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) const fn options(&self) -> &ImportOptions {
        &self.options
    }

    pub(crate) fn dbs(&self) -> &[(u32, SourceDb)] {
        &self.dbs
    }

    pub(crate) fn dbs_mut(&mut self) -> &mut [(u32, SourceDb)] {
        &mut self.dbs
    }

    fn sorted(
        &self,
        checkpoint: &Checkpoint,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Sorted, ImportError> {
        if let Some(sorted) = sorted::found(&self.folder)? {
            return Ok(sorted);
        }
        let total = Some(checkpoint.bytes);
        let sorted = sorted::sort(&self.folder, checkpoint.bytes, |done| {
            progress(Progress { phase: Phase::Sorting, done, total });
        })?;
        let spool = spool_path(&self.folder);
        std::fs::remove_file(&spool).map_err(failed(&spool))?;
        Ok(sorted)
    }

    /// Plans, then spools what is not spooled yet.
    async fn read(
        &mut self,
        names: &Names,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Checkpoint, ImportError> {
        let planned = self.folder.join("plan.json");
        let keys = if let Some(Planned { keys }) = read_json(&planned)? {
            keys
        } else {
            let keys = plan::make(&self.folder, &mut self.dbs, |done| {
                progress(Progress { phase: Phase::Scanning, done, total: None });
            })
            .await?;
            write_json(&planned, &Planned { keys })?;
            keys
        };
        let (mut spool, mut checkpoint) = Spool::open(&self.folder)?;
        let mut positions = Positions::open(&self.folder)?;
        checkpoint.report.keys = keys;
        let mut plan = PlanReader::open(&self.folder.join("plan"))?;
        plan.skip(checkpoint.keys)?;
        let rules = self.options.rules.clone();
        let recogniser = Recogniser::new(&rules, names);
        let mut noted = Instant::now();
        loop {
            let chunk = plan.read(KEYS)?;
            if chunk.is_empty() {
                break;
            }
            for part in chunk.chunk_by(|a, b| a.0 == b.0) {
                let mut reading = Reading {
                    recogniser: &recogniser,
                    spool: &mut spool,
                    report: &mut checkpoint.report,
                    positions: &mut positions,
                    seen: None,
                };
                let source = self.dbs.iter_mut().find(|(db, _)| *db == part[0].0);
                let Some((db, source)) = source else { continue };
                reading.keys(*db, source, part).await?;
            }
            checkpoint.keys += chunk.len() as u64;
            checkpoint.report.keys_read = checkpoint.keys;
            progress(Progress { phase: Phase::Reading, done: checkpoint.keys, total: Some(keys) });
            if noted.elapsed() >= CHECKPOINT_EVERY {
                // before the note of the keys: keys that are read again are noted again
                positions.flush()?;
                spool.checkpoint(&mut checkpoint)?;
                noted = Instant::now();
            }
        }
        checkpoint.complete = true;
        positions.flush()?;
        spool.checkpoint(&mut checkpoint)?;
        tracing::info!(keys, records = checkpoint.report.records, bytes = spool.bytes(), "every key is read");
        Ok(checkpoint)
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        if self.options.dry_run
            && let Err(error) = remove_folder(&self.folder)
        {
            tracing::warn!(%error, "what a dry run made is not removed");
        }
    }
}

/// Keys into the spool.
struct Reading<'a> {
    recogniser: &'a Recogniser<'a>,
    spool: &'a mut Spool,
    report: &'a mut ImportReport,
    positions: &'a mut Positions,
    /// What was seen so far of the key that is read; `None` where it can't be followed by that.
    seen: Option<Seen>,
}

impl Reading<'_> {
    async fn keys(&mut self, db: u32, source: &mut SourceDb, keys: &[PlannedKey]) -> Result<(), ImportError> {
        let names: Vec<Vec<u8>> = keys.iter().map(|(_, key)| key.clone()).collect();
        let shapes = source.shapes(&names).await?;
        let mut together: Vec<(&[u8], Shape)> = Vec::new();
        let mut bytes = 0;
        for (key, shape) in names.iter().zip(shapes) {
            let size = source.bytes_of(shape);
            let small = shape.is_small() && size <= TOGETHER_BYTES;
            if small && !matches!(shape.kind, Kind::Gone | Kind::Other) {
                bytes += size;
                together.push((key, shape));
                if bytes >= TOGETHER_BYTES {
                    self.together(db, source, &together).await?;
                    together.clear();
                    bytes = 0;
                }
            } else {
                self.alone(db, source, key, shape).await?;
            }
        }
        self.together(db, source, &together).await
    }

    async fn together(
        &mut self,
        db: u32,
        source: &mut SourceDb,
        keys: &[(&[u8], Shape)],
    ) -> Result<(), ImportError> {
        for ((key, shape), elements) in keys.iter().zip(source.small(keys).await?) {
            self.begin(db, key, shape.kind);
            if elements.is_empty() {
                self.skip(db, key, shape.kind, "gone".to_owned());
            }
            self.elements(db, key, shape.kind, elements)?;
            self.end(db, key)?;
        }
        Ok(())
    }

    async fn alone(
        &mut self,
        db: u32,
        source: &mut SourceDb,
        key: &[u8],
        shape: Shape,
    ) -> Result<(), ImportError> {
        self.begin(db, key, shape.kind);
        match shape.kind {
            Kind::Gone => self.skip(db, key, shape.kind, "gone".to_owned()),
            Kind::Other => self.skip(db, key, shape.kind, "a set or a module's type".to_owned()),
            _ => {
                let mut from = Some(String::new());
                while let Some(at) = from {
                    let (elements, next) = source.piece(key, shape, &at).await?;
                    self.elements(db, key, shape.kind, elements)?;
                    from = next;
                }
            }
        }
        self.end(db, key)
    }

    fn begin(&mut self, db: u32, key: &[u8], kind: Kind) {
        self.report.pattern(&pattern_of(db, &String::from_utf8_lossy(key), kind.name())).keys += 1;
        self.seen = match kind {
            Kind::List => Some(Seen::List(ListSeen::default())),
            Kind::SortedSet => Some(Seen::SortedSet(SetSeen::default())),
            _ => None,
        };
    }

    /// From here on the key is followed.
    fn end(&mut self, db: u32, key: &[u8]) -> Result<(), ImportError> {
        match self.seen.take() {
            None => Ok(()),
            Some(Seen::SortedSet(mut set)) => {
                set.finish();
                self.positions.set(db, key, Some(Seen::SortedSet(set)))
            }
            seen => self.positions.set(db, key, seen),
        }
    }

    /// Notes what was read of a key.
    fn note(&mut self, element: &Element) {
        match (element, &mut self.seen) {
            (Element::Text { bytes, .. }, Some(Seen::List(list))) => list.grow(End::Right, digest(bytes)),
            (Element::Text { bytes, score: Some(score) }, Some(Seen::SortedSet(set))) => {
                set.read(member_of(bytes, *score));
            }
            (Element::Fields { id: Some(id), .. }, seen) => *seen = Some(Seen::Stream(id.clone())),
            _ => {}
        }
    }

    fn skip(&mut self, db: u32, key: &[u8], kind: Kind, reason: Skip) {
        self.report.skipped += 1;
        self.report.pattern(&pattern_of(db, &String::from_utf8_lossy(key), kind.name())).skip(reason);
    }

    fn elements(
        &mut self,
        db: u32,
        key: &[u8],
        kind: Kind,
        elements: Vec<Element>,
    ) -> Result<(), ImportError> {
        elements.iter().for_each(|element| self.note(element));
        let key = String::from_utf8_lossy(key);
        let pattern = pattern_of(db, &key, kind.name());
        let mut found: Vec<Result<Recognised, Skip>> = Vec::new();
        let context = self.recogniser.context_of(&key);
        for element in elements {
            let mut context = match &context {
                Ok(context) => context.clone(),
                Err(reason) => {
                    found.push(Err(reason.clone()));
                    continue;
                }
            };
            match element {
                Element::Text { bytes, score } => {
                    context.at = score.and_then(time_of_score);
                    self.recogniser.text(&bytes, &context, &mut |one| found.push(one));
                }
                Element::Fields { fields, at, .. } => {
                    context.at = at;
                    self.recogniser.fields(&fields, &context, &mut |one| found.push(one));
                }
                Element::Refused(reason) => found.push(Err(reason.to_owned())),
            }
        }
        for one in found {
            match one {
                Ok(record) => {
                    self.spool.push(&record)?;
                    self.report.records += 1;
                    self.report.pattern(&pattern).records += 1;
                }
                Err(reason) => {
                    self.report.skipped += 1;
                    self.report.pattern(&pattern).skip(reason);
                }
            }
        }
        Ok(())
    }
}
