//! One file: from the server to the disk, back to the server, and under its name.

use super::unit::{Piece, Unit};
use super::{Export, ExportProgress};
use crate::folder::Folder;
use crate::readback::holds;
use crate::{ArchiveError, FileEntry, RowDigest, Stop};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use tickhouse_read::Statement;
use tokio::io::AsyncWriteExt as _;

/// How often a file is written whose rows change meanwhile.
const ATTEMPTS: u32 = 4;

/// A file on disk.
struct Written {
    bytes: u64,
    sha256: String,
}

impl Export {
    /// Writes a piece; `None` when it was stopped, and nothing of it is left then.
    #[expect(clippy::too_many_arguments, reason = "the state of one run, passed down")]
    pub(super) async fn piece_into(
        &self,
        folder: &Folder,
        unit: &Unit,
        piece: &Piece,
        path: &str,
        stop: &Stop,
        progress: &mut ExportProgress,
        tell: &mut impl FnMut(&ExportProgress),
    ) -> Result<Option<FileEntry>, ArchiveError> {
        let whole = folder.path(path);
        let partial = folder.path(&format!("{path}.partial"));
        let written = tokio::select! {
            () = stop.wished() => Ok(None),
            written = self.settled(unit, piece, path, &partial, progress, tell) => written.map(Some),
        };
        let Some((written, digest)) = written.inspect_err(|_| discard(&partial))? else {
            discard(&partial);
            return Ok(None);
        };
        std::fs::rename(&partial, &whole).map_err(ArchiveError::file(&whole))?;
        // new folders are names in theirs, which a power cut may take too
        whole.ancestors().skip(1).take(path.split('/').count()).try_for_each(sync_folder)?;
        let today = self.cut.filter(|_| unit.day == self.request.to);
        Ok(Some(FileEntry {
            path: path.to_owned(),
            table: self.request.table.name.to_owned(),
            partition: unit.partition(),
            format: self.request.format.format().name().to_owned(),
            rows: digest.rows,
            bytes: written.bytes,
            sha256: written.sha256,
            digest: digest.hashes(),
            until: today.map(|at| at.to_string()),
            only: self.only(),
            moved_at: None,
        }))
    }

    /// Writes it until what was read back is what the table holds.
    async fn settled(
        &self,
        unit: &Unit,
        piece: &Piece,
        path: &str,
        partial: &Path,
        progress: &mut ExportProgress,
        tell: &mut impl FnMut(&ExportProgress),
    ) -> Result<(Written, RowDigest), ArchiveError> {
        let mut digest = piece.digest;
        for _ in 0..ATTEMPTS {
            progress.writing = digest.rows;
            tell(progress);
            let written = self.stream(unit, piece, partial).await?;
            if holds(&self.store, &self.columns, self.request.format, partial, digest).await? {
                return Ok((written, digest));
            }
            let now = self.digest(unit, piece).await?;
            if now == digest {
                return Err(ArchiveError::Damaged { path: partial.to_owned() });
            }
            digest = now;
        }
        Err(ArchiveError::Unsteady { path: path.to_owned(), attempts: ATTEMPTS })
    }

    /// From the server to the disk, synced.
    async fn stream(&self, unit: &Unit, piece: &Piece, partial: &Path) -> Result<Written, ArchiveError> {
        let format = self.request.format;
        let sql = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} SETTINGS {}",
            self.columns.selected(format),
            self.from(),
            self.of_piece(unit),
            self.request.table.order,
            format.settings()
        );
        let doing = || format!("read the rows of {}", unit.partition());
        let failed = ArchiveError::file(partial);
        if let Some(place) = partial.parent() {
            std::fs::create_dir_all(place).map_err(ArchiveError::file(place))?;
        }
        let mut answer = self
            .reader
            .stream(&self.bound_piece(sql, unit, piece), format.format())
            .await
            .map_err(ArchiveError::read(doing()))?;
        let mut hash = Sha256::new();
        let mut bytes = 0;
        let mut to_disk = async || -> Result<std::io::Result<()>, ArchiveError> {
            let mut file = match tokio::fs::File::create(partial).await {
                Ok(file) => tokio::io::BufWriter::with_capacity(1 << 20, file),
                Err(error) => return Ok(Err(error)),
            };
            while let Some(chunk) = answer.next().await.map_err(ArchiveError::read(doing()))? {
                hash.update(&chunk);
                bytes += chunk.len() as u64;
                if let Err(error) = file.write_all(&chunk).await {
                    return Ok(Err(error));
                }
            }
            Ok(match file.flush().await {
                Ok(()) => file.get_ref().sync_all().await,
                Err(error) => Err(error),
            })
        };
        to_disk().await?.map_err(failed)?;
        Ok(Written { bytes, sha256: hex::encode(hash.finalize()) })
    }

    /// The digest of a piece as the table is now.
    async fn digest(&self, unit: &Unit, piece: &Piece) -> Result<RowDigest, ArchiveError> {
        #[derive(Deserialize)]
        struct Digest {
            rows: u64,
            hash_sum: u64,
            hash_xor: u64,
        }
        let sql =
            format!("SELECT {} FROM {} WHERE {}", self.columns.digest(), self.from(), self.of_piece(unit));
        let found = self.reader.rows::<Digest>(&self.bound_piece(sql, unit, piece)).await;
        let found = found.map_err(ArchiveError::read(format!("hash the rows of {}", unit.partition())))?;
        let digest = |row: &Digest| RowDigest { rows: row.rows, sum: row.hash_sum, xor: row.hash_xor };
        Ok(found.first().map(digest).unwrap_or_default())
    }

    fn of_piece(&self, unit: &Unit) -> String {
        let mut condition = self.wanted();
        if self.request.table.has_token {
            condition += match unit.symbol {
                None => " AND instrument_token BETWEEN {first:UInt32} AND {last:UInt32}",
                Some(_) => " AND instrument_token IN {among:Array(UInt32)}",
            };
        }
        if unit.symbol.is_some() && self.request.table.has_symbol {
            condition += " AND symbol = {symbol:String}";
        }
        condition
    }

    fn bound_piece(&self, sql: String, unit: &Unit, piece: &Piece) -> Statement {
        let (first, last) = (piece.tokens.first().copied(), piece.tokens.last().copied());
        let statement = self
            .bound(sql, unit.day, unit.day)
            .with("first", first.unwrap_or_default())
            .with("last", last.unwrap_or_default());
        match &unit.symbol {
            None => statement,
            Some(symbol) => statement.with("among", &piece.tokens[..]).with("symbol", symbol.as_str()),
        }
    }
}

/// Takes a half-written file away; the next run does where this one can't.
fn discard(partial: &Path) {
    std::fs::remove_file(partial).ok();
}

fn sync_folder(place: &Path) -> Result<(), ArchiveError> {
    std::fs::File::open(place).and_then(|place| place.sync_all()).map_err(ArchiveError::file(place))
}
