//! `tickhouse instruments` against the simulator's master and against files.

use super::{last_json, run, stderr, stdout, succeed, tickhouse};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Output, Stdio};

/// What a test started and must stop, also when it fails.
struct Services<'a> {
    folder: &'a Path,
    exchange: Child,
}

impl Drop for Services<'_> {
    fn drop(&mut self) {
        // it may have ended by itself
        self.exchange.kill().ok();
        self.exchange.wait().ok();
        run(&["clickhouse", "stop", "--data-dir", "data"], self.folder);
    }
}

/// ClickHouse with the schema, and an exchange; also the exchange's address.
fn start(folder: &Path) -> (Services<'_>, String) {
    let listen =
        ["sim", "--listen", "127.0.0.1:0", "--instruments", "2000", "--rate", "1", "--data-dir", "data"];
    let mut exchange = tickhouse(&listen).current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(exchange.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let services = Services { folder, exchange };
    succeed(&run(
        &["clickhouse", "start", "--http-port", "0", "--tcp-port", "0", "--data-dir", "data"],
        folder,
    ));
    succeed(&run(&["migrate", "--data-dir", "data"], folder));
    let url = line.trim().rsplit_once(' ').unwrap().1.to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{line}");
    (services, url)
}

const HEADER: &str = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
                      instrument_type,segment,exchange";

#[test]
fn a_master_is_fetched_searched_shown_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (_services, url) = start(here);
    let instruments = |arguments: &[&str]| -> Output {
        run(&[&["instruments"], arguments, &["--data-dir", "data"]].concat(), here)
    };
    let nothing = instruments(&["diff"]);
    assert!(stderr(&nothing).contains("tickhouse instruments sync"), "{}", stderr(&nothing));
    let counts = |output: &Output, key: &str| last_json(output)["stored"][key].as_u64().unwrap();

    let dry = instruments(&["sync", "--api-url", &url, "--dry-run", "--json"]);
    assert_eq!(counts(&dry, "added"), 2_000, "{}", stderr(&dry));
    let first = instruments(&["sync", "--api-url", &url, "--json"]);
    assert_eq!(
        (counts(&first, "added"), counts(&first, "instruments")),
        (2_000, 2_000),
        "{}",
        stderr(&first)
    );
    let again = instruments(&["sync", "--api-url", &url, "--json"]);
    assert_eq!((counts(&again, "unchanged"), counts(&again, "rows")), (2_000, 0), "{}", stderr(&again));

    let found = succeed(&instruments(&["search", "nifty", "--type", "index", "--json"]));
    let best: Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
    assert_eq!((&best["instrument_token"], &best["symbol"]), (&256_265.into(), &"NIFTY".into()));
    let shown = succeed(&instruments(&["show", "NSE:INFY"]));
    assert!(shown.contains("408065 NSE:INFY") && shown.contains("Information Technology"), "{shown}");
    assert!(stderr(&instruments(&["show", "NOSUCH"])).contains("instruments search"));
    assert!(succeed(&instruments(&["missing"])).contains("no tick is stored raw"));
    assert!(succeed(&instruments(&["mend", "--dry-run"])).contains("0 ticks of 0 tokens"));

    // a file of one exchange that the simulator does not have, before and after an expiry
    let write =
        |name: &str, rows: &str| std::fs::write(here.join(name), format!("{HEADER}\n{rows}")).unwrap();
    write(
        "monday.csv",
        "1285,5,GOLDOCT,GOLD,0,2026-10-06,0,1,1,FUT,XYZ-FUT,XYZ\nbad row\n1541,6,ZINC,ZINC,0,,0,1,1,EQ,XYZ,XYZ\n",
    );
    write(
        "tuesday.csv",
        "1285,5,GOLDDEC,GOLD,0,2026-12-04,0,1,1,FUT,XYZ-FUT,XYZ\n1541,6,ZINC,ZINC,0,,0,1,5,EQ,XYZ,XYZ\n",
    );
    let monday = instruments(&["load", "monday.csv", "--date", "2026-10-05"]);
    assert!(succeed(&monday).contains("changed: 2 added"), "{}", stdout(&monday));
    assert!(stderr(&monday).contains("line 3"), "{}", stderr(&monday));
    succeed(&instruments(&["load", "tuesday.csv", "--date", "2026-10-07"]));
    let at = |day: &str| succeed(&instruments(&["show", "1285", "--at", day, "--json"]));
    assert!(at("2026-10-06").contains("GOLDOCT") && at("2026-10-07").contains("GOLDDEC"));
    let difference = succeed(&instruments(&["diff", "2026-10-05", "2026-10-07", "--json"]));
    let difference: Value = serde_json::from_str(&difference).unwrap();
    assert_eq!(difference["counts"], serde_json::json!({ "changed": 1, "reused": 1 }), "{difference}");

    std::fs::write(here.join("no.csv"), "a,b\n1,2\n").unwrap();
    let refused = instruments(&["load", "no.csv"]);
    assert!(stderr(&refused).contains("no.csv is no file of instruments"), "{}", stderr(&refused));
}
