//! `tickhouse instruments` against the simulator's master and against files.

use super::parts::Parts;
use super::{last_json, run, stderr, stdout, succeed, tickhouse};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
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

const LOOKUP: &str = r#"{"408065": {"symbol": "INFY", "tradingsymbol": "INFY", "exchange": "NSE", "segment": "NSE", "instrument_type": "EQ",
    "sector": "Information Technology", "lot_size": 1}, "1285": {"symbol": "GOLD", "key": "XYZ:GOLDOCT", "exchange": "XYZ",
    "instrument_type": "FUT", "expiry": "2026-12-04", "lot_size": "100"}, "nonsense": 5}"#;

/// Compressed as `gzip` does it.
fn gzip(text: &str) -> Vec<u8> {
    let mut child =
        std::process::Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn a_compressed_look_up_is_loaded_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (_services, _) = start(here);
    std::fs::write(here.join("token_lookup_enriched.json.gz"), gzip(LOOKUP)).unwrap();
    let load = ["instruments", "load", "token_lookup_enriched.json.gz", "--json", "--data-dir", "data"];
    let loaded = run(&load, here);
    assert_eq!(last_json(&loaded)["stored"]["added"], 2, "{}", stderr(&loaded));
    let show = |name: &str| succeed(&run(&["instruments", "show", name, "--data-dir", "data"], here));
    assert!(show("NSE:INFY").contains("Information Technology") && show("1285").contains("GOLDOCT"));
    // cut off in the middle
    let whole = std::fs::read(here.join("token_lookup_enriched.json.gz")).unwrap();
    std::fs::write(here.join("token_lookup_enriched.json.gz"), &whole[..whole.len() / 2]).unwrap();
    let cut = run(&load, here);
    assert!(
        !cut.status.success() && stderr(&cut).contains("token_lookup_enriched.json.gz"),
        "{}",
        stderr(&cut)
    );
}

/// The brief's fallback: ClickHouse is away when the loader starts, and has no instruments when it comes.
#[test]
fn a_file_stands_in_for_clickhouse_that_is_away() {
    let mut parts = Parts::redis_only();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    std::fs::write(parts.here().join("lookup.json"), LOOKUP).unwrap();
    std::fs::write(parts.here().join("tickhouse.toml"), "[instruments]\nfile = \"lookup.json\"\n").unwrap();
    let url = format!("http://127.0.0.1:{port}");
    parts.spawn("load", &["--clickhouse-url", &url]);
    let log = std::fs::read_to_string(parts.here().join("load")).unwrap();
    assert!(log.contains("instruments.file"), "{log}");
    let redis = last_json(&run(&["redis", "status", "--json", "--data-dir", "data"], parts.here()));
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", redis["state"]["port"])).unwrap();
    let mut connection = client.get_connection().unwrap();
    for token in ["408065", "1285", "999"] {
        let mut add = redis::cmd("XADD");
        add.arg("ticks:stream").arg("*").arg(&[
            "instrument_token",
            token,
            "last_price",
            "1500.5",
            "timestamp",
            "1795000000",
        ]);
        let _: String = add.query(&mut connection).unwrap();
    }
    parts.succeed(&["clickhouse", "start", "--http-port", &port, "--tcp-port", "0"]);
    parts.succeed(&["migrate"]);
    let sql =
        "SELECT instrument_token, symbol, sector, data_quality FROM tick_data ORDER BY instrument_token";
    let wanted = "999\t\t\traw\n1285\tGOLD\t\tenriched\n408065\tINFY\tInformation Technology\tenriched";
    parts.until("three ticks", || (parts.sql("SELECT count() FROM tick_data") == "3").then_some(()));
    assert_eq!(parts.sql(sql), wanted);
}
