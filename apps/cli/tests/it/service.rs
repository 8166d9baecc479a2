//! `tickhouse service`: what it writes, and that systemd's and Apple's formats read it.

use super::{run, stderr, succeed, tickhouse};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

fn json(words: &[&str], here: &Path) -> Value {
    serde_json::from_str(&succeed(&run(words, here))).unwrap()
}

#[test]
fn a_service_is_planned_written_compared_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let none = run(&["service", "install", "--user", "--dry-run", "--init", "systemd"], here);
    assert!(!none.status.success() && stderr(&none).contains("--config"), "{}", stderr(&none));
    std::fs::write(here.join("tickhouse.toml"), "data_dir = 'da ta'\n").unwrap();

    let planned = ["service", "install", "--user", "--init", "systemd", "--root", "root", "--dry-run"];
    let plan = json(&[&planned[..], &["--json"]].concat(), here);
    assert!(!here.join("root").exists(), "a plan writes nothing");
    let text = plan["text"].as_str().unwrap();
    let data_dir = here.join("da ta");
    assert!(text.contains(&format!("--data-dir \"{}\"\n", data_dir.display())), "{text}");
    // for this machine and not below a folder: what would be run
    let shown = succeed(&run(&["service", "install", "--user", "--init", "systemd", "--dry-run"], here));
    assert!(shown.contains("would run systemctl --user restart tickhouse.service"), "{shown}");

    let place = ["--init", "systemd", "--root", "root"];
    let of_machine = |word: &'static str| [&["service", word][..], &place].concat();
    succeed(&run(&of_machine("install"), here));
    let unit = here.join("root/etc/systemd/system/tickhouse.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    assert!(text.contains("NoNewPrivileges=yes") && text.contains("ReadWritePaths=\""), "{text}");
    let state = |word: &str| json(&[&of_machine("status")[..], &["--json"]].concat(), here)[word].clone();
    assert_eq!((state("installed"), state("current")), (true.into(), true.into()));
    std::fs::write(here.join("tickhouse.toml"), "data_dir = '/srv/ticks'\n").unwrap();
    assert_eq!(state("current"), false);
    verify(&unit);
    succeed(&run(&of_machine("uninstall"), here));
    assert!(!unit.exists());
    let again = run(&of_machine("uninstall"), here);
    assert!(stderr(&again).contains("nothing is installed"), "{}", stderr(&again));

    std::fs::write(here.join("tickhouse.toml"), "data_dri = 'x'\n").unwrap();
    let faulty = run(&of_machine("install"), here);
    assert!(!faulty.status.success() && stderr(&faulty).contains("data_dri"), "{}", stderr(&faulty));
}

#[test]
fn a_plist_says_what_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("a & b.toml"), "data_dir = '/tmp/<data>'\n").unwrap();
    let words =
        ["service", "install", "--init", "launchd", "--user", "--root", "root", "--config", "a & b.toml"];
    succeed(&tickhouse(&words).current_dir(here).env("HOME", "/Users/you").output().unwrap());
    let plist = here.join("root/Users/you/Library/LaunchAgents/in.tickhouse.plist");
    let program = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let read = Command::new("python3").args(["-c", program]).arg(&plist).output().unwrap();
    let read: Value = serde_json::from_str(&succeed(&read)).unwrap();
    let config = here.canonicalize().unwrap().join("a & b.toml");
    assert_eq!(read["ProgramArguments"][3], config.to_str().unwrap());
    assert_eq!(read["ProgramArguments"][5], "/tmp/<data>");
    assert_eq!(read["StandardErrorPath"], "/tmp/<data>/log/up.log");
    assert_eq!((&read["KeepAlive"], &read["RunAtLoad"]), (&true.into(), &true.into()));
}

/// Every unit of `deploy/`, and this one, by systemd's own reader, where it is.
fn verify(unit: &Path) {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/systemd");
    let folder = tempfile::tempdir().unwrap();
    let mut files = vec![unit.to_owned()];
    for entry in std::fs::read_dir(deploy).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_file() {
            // it looks for the program, which is not installed here
            let text =
                std::fs::read_to_string(&entry).unwrap().replace("/usr/local/bin/tickhouse", "/bin/true");
            // and two of one name are one
            let name = entry
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .replace("tickhouse.service", "of-deploy.service");
            files.push(folder.path().join(name));
            std::fs::write(files.last().unwrap(), text.replace("tickhouse.service", "of-deploy.service"))
                .unwrap();
        }
    }
    assert!(files.len() > 6, "{files:?}");
    let verified = Command::new("systemd-analyze").arg("verify").args(&files).stdin(Stdio::null()).output();
    match verified {
        Ok(verified) => {
            // it succeeds with a warning of what it does not know
            let said = stderr(&verified);
            assert!(verified.status.success() && said.trim().is_empty(), "{said}");
        }
        Err(error) => println!("systemd-analyze is not here ({error}): the units were not read by it"),
    }
}
