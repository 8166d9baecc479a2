//! Backups in S3: the engine itself speaks to a server of S3 on localhost (moto), which is installed once beside the tests.

use crate::{ask, run, store, ticks};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tickhouse_archive::{
    BackupError, BackupOptions, BackupPlaces, BackupProgress, Method, Place, create_backup, find_backup,
    in_database, list_backups, restore_backup, verify_backup,
};
use tickhouse_embed::testkit::TestEngine;
use tickhouse_model::Timestamp;
use tokio::sync::watch;

const KEY: &str = "AKIATICKHOUSE";
const SECRET: &str = "it's/a+secret-of-the-bucket";

/// A server of S3 with one bucket, killed when dropped.
struct S3(Child, String);

impl Drop for S3 {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl S3 {
    fn start() -> Self {
        let program = install().join("bin/moto_server");
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.split_once("http://").map(|(_, at)| at.trim().to_owned()));
        let address = address.expect("it says where it listens");
        // it writes a line per request
        std::thread::spawn(move || lines.for_each(drop));
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(b"PUT /ticks-backup HTTP/1.0\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
        Self(child, address)
    }

    fn places(&self, folder: &Path) -> BackupPlaces {
        let variable = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some(KEY.to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some(SECRET.to_owned()),
            "AWS_ENDPOINT_URL" => Some(format!("http://{}", self.1)),
            _ => None,
        };
        BackupPlaces {
            place: Place::parse("s3://ticks-backup/nightly", variable).unwrap(),
            engine_folder: Some(folder.to_owned()),
            lock: folder.join("lock"),
        }
    }
}

/// The virtual environment of the server, made once for a list of packages.
fn install() -> PathBuf {
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3/requirements.txt");
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let place = target.join("python-s3");
    let note = place.join("installed.txt");
    let list = std::fs::read_to_string(&wanted).unwrap();
    if std::fs::read_to_string(&note).is_ok_and(|installed| installed == list) {
        return place;
    }
    let done = |command: &mut Command| {
        let output = command.output().expect("python3 is there: apt-get install python3 python3-venv");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place));
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    done(Command::new(place.join("bin/python")).args(quiet).arg(&wanted));
    std::fs::write(note, list).unwrap();
    place
}

/// Whether any file below a folder holds a text.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            holds(&path, text)
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        }
    })
}

#[tokio::test]
async fn backups_go_to_s3_and_come_back_and_the_secret_stays_secret() {
    let s3 = S3::start();
    let folder = tempfile::tempdir().unwrap();
    let at = s3.places(folder.path());
    let store = store("backup_s3").await;
    let progress = watch::Sender::new(BackupProgress::default());
    let back_up = async |incremental, method| {
        let now = Timestamp::from_millis(1_763_663_400_000);
        create_backup(&store, &at, BackupOptions { incremental, method }, now, &progress).await
    };
    ticks(&store, "2026-11-19", &["INFY", "NIFTY"], 400).await;
    let error = back_up(false, Some(Method::Server)).await.unwrap_err();
    assert!(matches!(error, BackupError::Method { .. }), "{error}");
    let full = back_up(false, None).await.unwrap();
    ticks(&store, "2026-11-20", &["INFY", "NIFTY"], 300).await;
    let second = back_up(true, None).await.unwrap();
    assert_eq!((full.method, &second.base), (Method::Native, &Some(full.id.clone())));
    assert!(second.bytes < full.bytes && second.bytes > 0, "{} and {}", second.bytes, full.bytes);
    let listed = list_backups(&store, &at.place).await.unwrap();
    assert_eq!(listed.iter().map(|one| &one.id).collect::<Vec<_>>(), [&full.id, &second.id]);
    let (_, chain) = find_backup(&store, &at.place).await.unwrap();
    assert_eq!(chain.record().id, second.id);
    verify_backup(&store, &at, &chain, &progress).await.unwrap();
    let target = in_database(&store, "backup_s3_back");
    restore_backup(&target, &at, &chain, &progress).await.unwrap();
    let rows = "SELECT count(), sum(cityHash64(*)) FROM tick_data";
    assert_eq!(ask(&target, rows).await, ask(&store, rows).await);

    run(&store, "SYSTEM FLUSH LOGS").await;
    let hidden = ask(&store, "SELECT countIf(query LIKE '%[HIDDEN]%') > 5 FROM system.query_log").await;
    assert_eq!(hidden, "1", "the statements are there, without the secret");
    let engine = TestEngine::shared().await.engine().options().data_dir.clone();
    for text in [SECRET, &SECRET.replace('\'', "\\'")] {
        assert!(!holds(&engine.join("log"), text) && !holds(&engine.join("store"), text), "{text}");
    }
}
