//! The members of an index, from a file as NSE publishes it: `Company Name,Industry,Symbol,Series,ISIN Code`.

use std::collections::BTreeSet;

/// Why a file of members can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembersError {
    /// The first line has no column `Symbol`.
    #[error("its first line has no column `Symbol`: use the file that NSE publishes of the index's members")]
    NoSymbol,
    /// There is no member in it.
    #[error("it has no members")]
    Empty,
    /// A line is no CSV.
    #[error("it can't be read: {0}")]
    Csv(String),
}

/// The symbols of a file of members, rising, each once. Columns but `Symbol` are passed over, in any order; a byte order
/// mark and blanks around values do not matter.
///
/// # Errors
/// When there is no such column, or no member.
pub fn read_members(text: &str) -> Result<Vec<String>, MembersError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| MembersError::Csv(error.to_string()))?;
    let column =
        headers.iter().position(|name| name.eq_ignore_ascii_case("symbol")).ok_or(MembersError::NoSymbol)?;
    let mut symbols = BTreeSet::new();
    for row in reader.records() {
        let row = row.map_err(|error| MembersError::Csv(error.to_string()))?;
        symbols.extend(row.get(column).filter(|symbol| !symbol.is_empty()).map(str::to_owned));
    }
    if symbols.is_empty() { Err(MembersError::Empty) } else { Ok(symbols.into_iter().collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_nse_publishes_it() {
        let text = "\u{feff}Company Name,Industry,Symbol,Series,ISIN Code\n\
                    Infosys Ltd.,Information Technology,INFY,EQ,INE009A01021\n\
                    \"Mahindra & Mahindra, Ltd.\",Automobile, M&M ,EQ,INE101A01026\n\n";
        assert_eq!(read_members(text).unwrap(), ["INFY", "M&M"]);
        assert_eq!(read_members("SYMBOL\nTCS\nTCS\n").unwrap(), ["TCS"]);
        assert_eq!(read_members("Company,ISIN\nx,y\n"), Err(MembersError::NoSymbol));
        assert_eq!(read_members("Symbol\n"), Err(MembersError::Empty));
        assert_eq!(read_members(""), Err(MembersError::NoSymbol));
    }
}
