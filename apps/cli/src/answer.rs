//! Answers of the reading crate, as a table, text or file.

use crate::output;
use crate::table::{self, Column};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use tickhouse_read::{Answer, ByteStream, Format, Reader};

/// Rows that a table shows at most: it is drawn whole.
pub(crate) const MOST_ROWS: usize = 10_000;
/// A table without any.
const NO_ROWS: &str = "no rows";

/// Flags of every command that shows rows.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct How {
    /// How rows are written [default: by the ending of --output, else a table]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<OutputFormat>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Write to this file instead of standard output; it is there only when it is whole
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people: aligned, India's time
    Table,
    /// With a line of names
    Csv,
    /// One array of objects
    Json,
    /// One object per line
    Ndjson,
    /// A Parquet file
    Parquet,
    /// An Arrow file
    Arrow,
}

impl How {
    /// What was asked for.
    pub(crate) fn format(&self) -> OutputFormat {
        let by_ending = || {
            let ending = self.output.as_ref()?.extension()?.to_str()?.to_lowercase();
            match ending.as_str() {
                "jsonl" => Some(OutputFormat::Ndjson),
                "feather" | "ipc" => Some(OutputFormat::Arrow),
                ending => OutputFormat::from_str(ending, true).ok(),
            }
        };
        if self.json {
            OutputFormat::Json
        } else {
            self.format.or_else(by_ending).unwrap_or(OutputFormat::Table)
        }
    }

    /// A table on standard output: for a person.
    pub(crate) fn is_plain_table(&self) -> bool {
        self.output.is_none() && self.format() == OutputFormat::Table
    }
}

/// Writes an answer as asked, and gives how many rows it has, where its format shows that.
pub(crate) async fn show(reader: &Reader, answer: Answer, how: &How) -> anyhow::Result<Option<u64>> {
    let format = how.format();
    let Some(path) = &how.output else {
        if matches!(format, OutputFormat::Parquet | OutputFormat::Arrow) && io::stdout().is_terminal() {
            bail!("that is no text for a terminal: add --output FILE");
        }
        // a lock for all of it would stand across awaits
        return write(reader, answer, format, &mut io::stdout()).await;
    };
    let mut target = Target::of(path)?;
    let rows = tokio::select! {
        written = write(reader, answer, format, target.file()) => written?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted: {} was not written", path.display()),
    };
    target.keep(path)?;
    Ok(rows)
}

fn note_more() {
    eprintln!(
        "only the first {} rows are shown: narrow the question, or take all with --format csv",
        output::grouped(MOST_ROWS as u64)
    );
}

/// Writes a text that is ready, as asked: with a line's end behind it.
pub(crate) fn show_text(text: &str, how: &How) -> anyhow::Result<()> {
    let Some(path) = &how.output else { return Ok(output::line(text)?) };
    let mut target = Target::of(path)?;
    writeln!(target.file(), "{text}").with_context(|| format!("{} can't be written", path.display()))?;
    target.keep(path)
}

/// Where an answer is written to.
enum Target {
    /// A file beside the one that was named, in whose place it comes when it is whole; gone otherwise.
    Beside(tempfile::NamedTempFile, PathBuf),
    /// What is no file, as a pipe or `/dev/null`: written as it comes.
    Itself(std::fs::File),
}

impl Target {
    fn of(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("{} can't be written", path.display());
        // a link stays one: what it leads to is written
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Ok(Self::Itself(std::fs::File::options().write(true).open(&path).with_context(failed)?));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        let file = tempfile::Builder::new().prefix(".tickhouse-").permissions(mode).tempfile_in(folder);
        Ok(Self::Beside(file.with_context(failed)?, path))
    }

    fn file(&mut self) -> &mut std::fs::File {
        match self {
            Self::Beside(file, _) => file.as_file_mut(),
            Self::Itself(file) => file,
        }
    }

    fn keep(self, named: &Path) -> anyhow::Result<()> {
        let Self::Beside(file, path) = self else { return Ok(()) };
        let synced = file.as_file().sync_all();
        let kept = synced.and_then(|()| file.persist(path).map(drop).map_err(|error| error.error));
        kept.with_context(|| format!("{} can't be written", named.display()))
    }
}

async fn write(
    reader: &Reader,
    answer: Answer,
    format: OutputFormat,
    to: &mut impl Write,
) -> anyhow::Result<Option<u64>> {
    let wire = match format {
        OutputFormat::Table => return write_table(reader, answer, to).await,
        OutputFormat::Csv => Format::Csv,
        OutputFormat::Json | OutputFormat::Ndjson => Format::Ndjson,
        OutputFormat::Parquet => Format::Parquet,
        OutputFormat::Arrow => Format::Arrow,
    };
    let mut stream = reader.present(answer, wire).await?;
    if format == OutputFormat::Json {
        let rows = copy_as_array(&mut stream, to).await?;
        to.flush()?;
        return Ok(Some(rows));
    }
    let mut lines = 0;
    while let Some(chunk) = stream.next().await? {
        lines += chunk.split(|byte| *byte == b'\n').count() as u64 - 1;
        to.write_all(&chunk)?;
    }
    to.flush()?;
    Ok(match format {
        OutputFormat::Csv => Some(lines.saturating_sub(1)),
        OutputFormat::Ndjson => Some(lines),
        _ => None,
    })
}

/// Objects on lines as one array of them; gives how many.
async fn copy_as_array(stream: &mut ByteStream, to: &mut impl Write) -> anyhow::Result<u64> {
    to.write_all(b"[")?;
    let mut before: &[u8] = b"\n";
    let mut is_line_open = false;
    let mut rows = 0;
    while let Some(chunk) = stream.next().await? {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            if !is_line_open {
                to.write_all(before)?;
                before = b",\n";
                rows += 1;
            }
            is_line_open = !part.ends_with(b"\n");
            to.write_all(part.strip_suffix(b"\n").unwrap_or(part))?;
        }
    }
    to.write_all(b"\n]\n")?;
    Ok(rows)
}

async fn write_table(reader: &Reader, answer: Answer, to: &mut impl Write) -> anyhow::Result<Option<u64>> {
    let (text, rows) = table_of(reader, answer).await?;
    writeln!(to, "{text}")?;
    to.flush()?;
    if rows > MOST_ROWS {
        note_more();
    }
    Ok(Some(rows as u64))
}

/// An answer as a table, and how many rows it has: more than [`MOST_ROWS`] are counted as one more, and not shown.
pub(crate) async fn table_of(reader: &Reader, answer: Answer) -> anyhow::Result<(String, usize)> {
    let mut stream = reader.present(answer, Format::JsonRows).await?;
    let mut lines = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    while let Some(chunk) = stream.next().await? {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            open.extend_from_slice(part);
            if part.ends_with(b"\n") {
                lines.push(serde_json::from_slice::<Vec<Value>>(&open).context("a row is not JSON")?);
                open.clear();
            }
        }
        // names, types, rows, and one more that says there is more
        if lines.len() > MOST_ROWS + 2 {
            break;
        }
    }
    let mut lines = lines.into_iter();
    let names = lines.next().unwrap_or_default();
    let kinds = lines.next().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let columns: Vec<Column> =
        names.iter().zip(&kinds).map(|(name, kind)| Column { name: text(name), kind: text(kind) }).collect();
    let mut rows: Vec<Vec<Value>> = lines.collect();
    let found = rows.len().min(MOST_ROWS + 1);
    rows.truncate(MOST_ROWS);
    if rows.is_empty() {
        return Ok((NO_ROWS.to_owned(), 0));
    }
    Ok((table::render(&columns, &rows), found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_file_names_its_format() {
        let of = |name: &str| How { output: Some(PathBuf::from(name)), ..How::default() }.format();
        assert_eq!(of("bars.parquet"), OutputFormat::Parquet);
        assert_eq!(of("bars.CSV"), OutputFormat::Csv);
        assert_eq!(of("bars.jsonl"), OutputFormat::Ndjson);
        assert_eq!(of("bars"), OutputFormat::Table);
        assert_eq!(How::default().format(), OutputFormat::Table);
    }

    #[test]
    fn a_file_is_there_when_it_is_whole_and_a_device_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.csv"), folder.path().join("link.csv"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::fs::write(&file, "old").unwrap();
        let mut target = Target::of(&link).unwrap();
        target.file().write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        drop(target);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left of it");
        let mut target = Target::of(&link).unwrap();
        target.file().write_all(b"new").unwrap();
        target.keep(&link).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        let null = Path::new("/dev/null");
        Target::of(null).unwrap().keep(null).unwrap();
        assert!(!std::fs::metadata(null).unwrap().is_file());
    }
}
