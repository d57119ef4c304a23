//! Tables as spreadsheets write and read them: CSV in the character sets that they use, or xlsx,
//! with cells that they neither run nor round.

use super::xlsx;
use crate::http::error::{ApiError, Code};

/// The most rows of a file that comes in.
pub const ROWS_MAX: usize = 2_000;
pub const COLUMNS_MAX: usize = 64;
/// Digits that a spreadsheet keeps; of longer numbers it makes zeros or powers of ten.
const DIGITS_KEPT: usize = 11;
/// Tells a spreadsheet that the file is UTF-8.
pub const BOM: &str = "\u{feff}";

/// Why a file is no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableError {
    Empty,
    /// Neither UTF-8 nor GB18030, or not a text.
    NotText,
    TooManyRows,
    Torn,
}

impl TableError {
    /// Stable, for words and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotText => "not_text",
            Self::TooManyRows => "too_many_rows",
            Self::Torn => "torn",
        }
    }
}

impl From<TableError> for ApiError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::TooManyRows => Self::new(Code::TooLarge).with("max_rows", ROWS_MAX),
            other => Self::invalid("file", other.as_str()),
        }
    }
}

/// The text of a file: by its mark, else UTF-8, else GB18030, which spreadsheets in China write.
pub fn text(bytes: &[u8]) -> Result<String, TableError> {
    let text = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, mark)) => {
            encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..])
        }
        None => match std::str::from_utf8(bytes) {
            Ok(text) => Some(text.into()),
            Err(_) => {
                encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(bytes)
            }
        },
    };
    let text = text.filter(|text| !text.contains('\0')).ok_or(TableError::NotText)?;
    Ok(text.into_owned())
}

/// A row, and where it stands in its file, from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    pub line: usize,
    pub cells: Vec<String>,
}

/// The rows of a file, the head first. Cells are as a person means them, see [`meant`].
pub fn rows(bytes: &[u8]) -> Result<Vec<Line>, TableError> {
    if xlsx::is_packed(bytes) {
        let rows = xlsx::rows(bytes)?.into_iter().enumerate();
        let row = |(nth, row): (usize, Vec<String>)| Line {
            line: nth + 1,
            cells: row.iter().map(|cell| meant(cell)).collect(),
        };
        return Ok(rows.map(row).collect());
    }
    let text = text(bytes)?;
    let head = text.lines().next().unwrap_or_default();
    let comma = [b',', b'\t', b';'].into_iter().max_by_key(|comma| {
        // Of equals the last is taken; a head without any is one column.
        (head.bytes().filter(|byte| byte == comma).count(), *comma == b',')
    });
    let mut table = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(comma.unwrap_or(b','))
        .from_reader(text.as_bytes());
    let (mut rows, mut at, mut line) = (Vec::new(), 0, 1);
    for row in table.records() {
        let row = row.map_err(|_| TableError::Torn)?;
        if rows.len() > ROWS_MAX {
            return Err(TableError::TooManyRows);
        }
        let place = row.position().map_or(at, |place| place.byte() as usize);
        let start = start(&text, place);
        line += breaks(text.as_bytes().get(at..start).unwrap_or_default());
        at = start;
        rows.push(Line { line, cells: row.iter().take(COLUMNS_MAX).map(meant).collect() });
    }
    if rows.is_empty() { Err(TableError::Empty) } else { Ok(rows) }
}

/// Where a row starts that was read from here on: the reader counts the end of the row before and
/// empty lines to it.
fn start(text: &str, place: usize) -> usize {
    let rest = text.as_bytes().get(place..).unwrap_or_default();
    place + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// Lines that end here, in any way that files end them.
fn breaks(text: &[u8]) -> usize {
    let ends = |(nth, byte): (usize, &u8)| match byte {
        b'\n' => true,
        b'\r' => text.get(nth + 1) != Some(&b'\n'),
        _ => false,
    };
    text.iter().enumerate().filter(|at| ends(*at)).count()
}

/// What a person means by a cell: without what keeps a spreadsheet from running or rounding it.
fn meant(cell: &str) -> String {
    let cell = cell.trim();
    let quoted = cell.strip_prefix("=\"").and_then(|cell| cell.strip_suffix('"'));
    let cell = quoted.unwrap_or(cell).trim();
    cell.strip_prefix('\'').unwrap_or(cell).trim().to_owned()
}

/// A cell that goes out: nothing that a spreadsheet would run, and long numbers as text.
pub fn cell(text: &str) -> String {
    let plain = text.replace(['\r', '\n', '\t', '\0'], " ");
    let runs = plain.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let long = plain.len() > DIGITS_KEPT && plain.bytes().all(|byte| byte.is_ascii_digit());
    match (runs, long) {
        (true, _) => format!("'{plain}"),
        // A spreadsheet takes digits behind a blank for text, and shows no mark.
        (_, true) => format!("\t{plain}"),
        _ => plain,
    }
}

/// A line of a file that goes out.
pub fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>, ApiError> {
    let mut line =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    line.write_record(cells.into_iter().map(cell)).map_err(ApiError::internal)?;
    line.into_inner().map_err(|error| ApiError::internal(error.into_error()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TABLE: &str = "订单号,快递单号\r\n123,SF1\r\n";

    fn cells(bytes: &[u8]) -> Vec<Vec<String>> {
        rows(bytes).unwrap().into_iter().map(|line| line.cells).collect()
    }

    #[track_caller]
    fn reads(bytes: &[u8]) {
        assert_eq!(cells(bytes), [["订单号", "快递单号"], ["123", "SF1"]]);
    }

    #[test]
    fn a_table_is_read_in_every_character_set_that_spreadsheets_write() {
        reads(TABLE.as_bytes());
        reads(format!("{BOM}{TABLE}").as_bytes());
        reads(&encoding_rs::GB18030.encode(TABLE).0);
        let wide: Vec<u8> = format!("{BOM}{}", TABLE.replace(',', "\t"))
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        reads(&wide);
        reads(TABLE.replace(',', ";").as_bytes());
    }

    #[test]
    fn a_row_is_told_by_its_line_in_the_file() {
        for end in ["\n", "\r\n", "\r"] {
            let file = ["", "a,b", "1,2", "", "", "\"3", "3\",4", "5,6", ""].join(end);
            let rows = rows(file.as_bytes()).unwrap();
            let lines: Vec<usize> = rows.iter().map(|row| row.line).collect();
            assert_eq!(lines, [2, 3, 6, 8], "{end:?}");
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for (bytes, expected) in [
            (&b""[..], TableError::Empty),
            (&b"\xff\x00\x81"[..], TableError::NotText),
            (&b"PK\x03\x04\x00\x00"[..], TableError::NotText),
            (&b"a,\x00b\n"[..], TableError::NotText),
            (&b"\xef\xbb\xbfa,\x00b\n"[..], TableError::NotText),
            (&b"\xff\xfea\x00,\x00\x00\x00"[..], TableError::NotText),
        ] {
            assert_eq!(rows(bytes), Err(expected), "{bytes:?}");
        }
        let many = "a,b\n".repeat(ROWS_MAX + 2);
        assert_eq!(rows(many.as_bytes()), Err(TableError::TooManyRows));
    }

    #[test]
    fn no_cell_runs_or_is_rounded_and_all_come_back() {
        for evil in ["=1+1", "+1", "-1", "@x", " =1", "\t=1", "\r=1", "＝1", "a\n=1"] {
            let cell = cell(evil);
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{evil}: {cell}");
            assert!(!cell.trim_start().starts_with(['=', '+', '-', '@']), "{evil}: {cell}");
            assert!(!cell.contains('\n'));
        }
        for text in ["202611251234567890123456", "-12", "13800138000", "红茶", "a \"b\", c"] {
            let line = line([text, "x"]).unwrap();
            assert_eq!(cells(&line), [[text, "x"]], "{text}");
        }
        assert_eq!(cell("202611251234567890123456"), "\t202611251234567890123456");
    }
}
