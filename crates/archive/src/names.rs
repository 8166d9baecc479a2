//! Names of folders from symbols, as Hive writes them: `M&M` is `symbol=M%26M`. `DuckDB`, polars and Arrow decode them.

use sha2::{Digest as _, Sha256};

/// Longest value; file systems allow 255 bytes for a name.
const LONGEST: usize = 200;
/// Hive's word for no value, here for a token that was unknown.
const NONE: &str = "__HIVE_DEFAULT_PARTITION__";

/// A value as part of a folder's name. Different values give different names: what is too long ends with its digest.
pub(crate) fn escaped(value: &str) -> String {
    if value.is_empty() {
        return NONE.to_owned();
    }
    let mut name = String::with_capacity(value.len());
    for byte in value.bytes() {
        // the dot only between others: no name is `.` or `..`, or hidden
        let plain =
            byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && !name.is_empty());
        if plain {
            name.push(char::from(byte));
        } else {
            name.extend([format!("%{byte:02X}")]);
        }
    }
    if name.len() > LONGEST || name == NONE {
        name.truncate(LONGEST - 17);
        name.push('~');
        name.push_str(&hex::encode(&Sha256::digest(value.as_bytes())[..8]));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::{Component, Path};

    #[test]
    fn symbols_become_names_that_stay_where_they_are() {
        assert_eq!(escaped("NIFTY26NOV24000CE"), "NIFTY26NOV24000CE");
        assert_eq!(escaped("M&M"), "M%26M");
        assert_eq!(escaped("NIFTY 50"), "NIFTY%2050");
        assert_eq!(escaped("BAJAJ-AUTO"), "BAJAJ-AUTO");
        assert_eq!(escaped("a.b"), "a.b");
        assert_eq!(escaped("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd");
        assert_eq!(escaped(""), NONE);
        let long = "x".repeat(1_000);
        let hostile = [
            ".",
            "..",
            "/",
            "\\",
            "a\0b",
            "..\\..",
            "\n",
            "%",
            "%2E",
            "é",
            "नि",
            "=",
            "a=b",
            "",
            NONE,
            "~",
            "CON",
            &long,
            &(long.clone() + "y"),
            "x",
        ];
        let names: BTreeSet<String> = hostile.iter().map(|symbol| escaped(symbol)).collect();
        assert_eq!(names.len(), hostile.len(), "no two are the same");
        for name in names {
            assert!(
                name.len() <= LONGEST && name.is_ascii() && !name.contains(['/', '\\', '=', '\0']),
                "{name}"
            );
            let mut parts = Path::new(&name).components();
            assert!(matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)), "{name}");
        }
    }
}
