//! Whether everything that we use may be used and passed on under our own licence.

use crate::metadata::Metadata;
use anyhow::bail;
use spdx::{Expression, ParseMode};

/// Licences that ask for no more than their text beside the program.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "WTFPL",
    "Zlib",
];

/// Fails with every package whose licence is missing, unreadable or not allowed.
pub(crate) fn check(metadata: &Metadata) -> anyhow::Result<()> {
    let used = metadata.reach(metadata.members.iter().map(String::as_str), true);
    let mut refused = Vec::new();
    for id in &used {
        let package = &metadata.packages[*id];
        if let Err(why) = allowed(package.license.as_deref()) {
            refused.push(format!("{} {}: {why}", package.name, package.version));
        }
    }
    if !refused.is_empty() {
        bail!(
            "licences that are not allowed (the list is in xtask/src/licences.rs):\n  {}",
            refused.join("\n  ")
        );
    }
    println!("licences: {} packages, all allowed", used.len());
    Ok(())
}

fn allowed(license: Option<&str>) -> Result<(), String> {
    let license = license.ok_or("no licence is named")?;
    let expression = Expression::parse_mode(license, ParseMode::LAX)
        .map_err(|_| format!("`{license}` is no SPDX expression"))?;
    let is_allowed =
        expression.evaluate(|request| request.license.id().is_some_and(|id| ALLOWED.contains(&id.name)));
    if is_allowed { Ok(()) } else { Err(license.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allowed_side_of_an_or_is_enough() {
        for license in
            ["MIT", "MIT/Apache-2.0", "MIT OR MPL-2.0", "Apache-2.0 WITH LLVM-exception", "MIT AND ISC"]
        {
            assert_eq!(allowed(Some(license)), Ok(()), "{license}");
        }
        for license in [Some("GPL-3.0-only"), Some("MIT AND AGPL-3.0-only"), Some("See LICENSE"), None] {
            assert!(allowed(license).is_err(), "{license:?}");
        }
    }
}
