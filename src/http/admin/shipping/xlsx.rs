//! The first sheet of an xlsx file, cell by cell, and never more of it than a person would fill in.
//!
//! Such a file is a packed folder: a small one may unpack to gigabytes, and a sheet may have one
//! cell in its last corner. So each part is unpacked once, counted and looked at, before the file
//! is read; and its cells are walked, not laid out.

use std::io::{Cursor, Read as _};

use calamine::{DataRef, Reader as _, Xlsx};
use quick_xml::Reader;
use quick_xml::events::Event;
use zip::ZipArchive;

use super::table::{COLUMNS_MAX, ROWS_MAX, TableError};

/// All parts of a file, unpacked.
const UNPACKED_MAX: u64 = 16 * 1024 * 1024;
const PARTS_MAX: usize = 1_000;
/// Texts that a file may say it shares: the reader makes room for them before it reads one.
const SHARED_MAX: usize = (ROWS_MAX + 1) * COLUMNS_MAX;
/// Bytes that are copied of one cell: no number or company is as long. What is behind, such as the
/// end of a long list of goods, is of no use here.
const CELL_MAX: usize = 1_000;
/// Bytes that are copied of all cells together: many cells may share one text.
const COPIED_MAX: usize = 8 * 1024 * 1024;
/// Digits that a sheet keeps; a longer number is not the one that was typed.
const EXACT: usize = 15;

/// Whether the bytes begin as a packed folder does.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// The rows of the first sheet, from its first row on.
pub fn rows(bytes: &[u8]) -> Result<Vec<Vec<String>>, TableError> {
    is_bounded(bytes)?;
    let bad = |_| TableError::NotText;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(bad)?;
    let sheet = book.sheet_names().into_iter().next().ok_or(TableError::Empty)?;
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(bad)?;
    let (mut rows, mut left): (Vec<Vec<String>>, usize) = (Vec::new(), COPIED_MAX);
    while let Some(cell) = cells.next_cell().map_err(bad)? {
        let (row, column) = cell.get_position();
        let (row, column) = (row as usize, column as usize);
        if column >= COLUMNS_MAX || is_blank(cell.get_value()) {
            continue;
        }
        if row > ROWS_MAX {
            return Err(TableError::TooManyRows);
        }
        let text = text(cell.get_value());
        left = left.checked_sub(text.len()).ok_or(TableError::TooManyRows)?;
        if rows.len() <= row {
            rows.resize(row + 1, Vec::new());
        }
        if rows[row].len() <= column {
            rows[row].resize(column + 1, String::new());
        }
        rows[row][column] = text;
    }
    if rows.is_empty() { Err(TableError::Empty) } else { Ok(rows) }
}

/// What a cell shows. A number that the sheet could not keep becomes the power of ten that it is,
/// which nobody takes for a number of an order or a parcel.
fn text(cell: &DataRef<'_>) -> String {
    match cell {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => {
            let text = number.to_string();
            let digits = text.split('.').next().unwrap_or_default();
            match digits.len() > EXACT {
                true => format!("{number:E}").replace('E', "E+"),
                false => text,
            }
        }
        DataRef::String(text) => start(text),
        DataRef::SharedString(text) => start(text),
        DataRef::Bool(_)
        | DataRef::DateTime(_)
        | DataRef::DateTimeIso(_)
        | DataRef::DurationIso(_)
        | DataRef::Error(_)
        | DataRef::Empty => String::new(),
    }
}

/// As much of a text as is copied.
fn start(text: &str) -> String {
    text[..text.floor_char_boundary(CELL_MAX)].to_owned()
}

/// Whether a cell shows nothing that is read; sheets have such cells in rows far down.
fn is_blank(cell: &DataRef<'_>) -> bool {
    match cell {
        DataRef::Int(_) | DataRef::Float(_) => false,
        DataRef::String(text) => text.is_empty(),
        DataRef::SharedString(text) => text.is_empty(),
        _ => true,
    }
}

/// Counts what the file unpacks to, as what its own list says of that proves nothing, and looks at
/// what its parts claim.
fn is_bounded(bytes: &[u8]) -> Result<(), TableError> {
    let mut folder = ZipArchive::new(Cursor::new(bytes)).map_err(|_| TableError::NotText)?;
    if folder.len() > PARTS_MAX {
        return Err(TableError::TooManyRows);
    }
    let mut left = UNPACKED_MAX;
    for part in 0..folder.len() {
        let part = folder.by_index(part).map_err(|_| TableError::NotText)?;
        let name = part.name().map_err(|_| TableError::NotText)?.to_ascii_lowercase();
        let mut bytes = Vec::new();
        let read = part.take(left + 1).read_to_end(&mut bytes).map_err(|_| TableError::NotText)?;
        left = left.checked_sub(read as u64).ok_or(TableError::TooManyRows)?;
        let is_text = name.ends_with(".xml") || name.ends_with(".rels");
        if is_text && std::str::from_utf8(&bytes).is_err() {
            return Err(TableError::NotText);
        }
        claims(&bytes)?;
    }
    Ok(())
}

/// Refuses a part that says it has more shared texts than a sheet has cells. It is read by the
/// reader of the sheet, set up like it, and so as far as that one would read it; a part may have
/// any name, and a picture is simply not read far.
fn claims(part: &[u8]) -> Result<(), TableError> {
    let mut reader = Reader::from_reader(part);
    let config = reader.config_mut();
    (config.check_end_names, config.check_comments) = (false, false);
    config.expand_empty_elements = true;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(tag)) if tag.local_name().as_ref() == "sst" => {
                // Any number of the tag, however it is quoted or spaced.
                let mut numbers = tag.attributes_raw().split(|c: char| !c.is_ascii_digit());
                let fits = |digits: &str| {
                    digits.is_empty() || digits.parse().is_ok_and(|many: usize| many <= SHARED_MAX)
                };
                if !numbers.all(fits) {
                    return Err(TableError::TooManyRows);
                }
            }
            Ok(Event::Eof) | Err(_) => return Ok(()),
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;

    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const RELS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    const DOC: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const KIND: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";

    /// The smallest file with this inside its sheet.
    fn file(sheet: &str) -> Vec<u8> {
        sharing(sheet, None)
    }

    /// The same with a part of shared texts.
    fn sharing(sheet: &str, shared: Option<&[u8]>) -> Vec<u8> {
        let parts = [
            (
                "[Content_Types].xml",
                format!(
                    "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
                     <Override PartName=\"/xl/workbook.xml\" ContentType=\"{KIND}.sheet.main+xml\"/>\
                     <Override PartName=\"/xl/worksheets/sheet1.xml\" \
                     ContentType=\"{KIND}.worksheet+xml\"/></Types>"
                ),
            ),
            (
                "_rels/.rels",
                format!(
                    "<Relationships xmlns=\"{RELS}\"><Relationship Id=\"r1\" \
                     Type=\"{DOC}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
                ),
            ),
            (
                "xl/workbook.xml",
                format!(
                    "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{DOC}\"><sheets>\
                     <sheet name=\"a\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
                ),
            ),
            (
                "xl/_rels/workbook.xml.rels",
                format!(
                    "<Relationships xmlns=\"{RELS}\"><Relationship Id=\"r1\" \
                     Type=\"{DOC}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
                ),
            ),
            (
                "xl/worksheets/sheet1.xml",
                format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{sheet}</sheetData></worksheet>"),
            ),
        ];
        let mut folder = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in parts {
            folder.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            folder.write_all(text.as_bytes()).unwrap();
        }
        if let Some(shared) = shared {
            let options = zip::write::SimpleFileOptions::default();
            folder.start_file("xl/sharedStrings.xml", options).unwrap();
            folder.write_all(shared).unwrap();
        }
        folder.finish().unwrap().into_inner()
    }

    fn word(place: &str, text: &str) -> String {
        format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
    }

    #[test]
    fn texts_and_numbers_come_as_they_were_typed_or_as_ruined() {
        let head = [word("A1", "订单号"), word("C1", "快递单号")].concat();
        let sheet = format!(
            "<row r=\"1\">{head}</row>\
             <row r=\"3\"><c r=\"A3\"><v>773123456789012</v></c>\
             <c r=\"C3\"><v>773123456789012000</v></c></row>"
        );
        assert_eq!(
            rows(&file(&sheet)).unwrap(),
            [
                vec!["订单号", "", "快递单号"],
                vec![],
                vec!["773123456789012", "", "7.73123456789012E+17"],
            ]
        );
    }

    #[test]
    fn a_file_that_swells_and_a_sheet_with_a_far_corner_are_refused() {
        let bomb = "<row/>".repeat(4 * 1024 * 1024);
        let bomb = file(&bomb);
        assert!(bomb.len() < 1024 * 1024);
        assert_eq!(rows(&bomb), Err(TableError::TooManyRows));
        let far = file("<row r=\"1048576\"><c r=\"A1048576\"><v>1</v></c></row>");
        assert_eq!(rows(&far), Err(TableError::TooManyRows));
        let wide = file("<row r=\"1\"><c r=\"XFD1\"><v>1</v></c></row>");
        assert_eq!(rows(&wide), Err(TableError::Empty));
        assert_eq!(rows(b"PK\x03\x04 no folder at all"), Err(TableError::NotText));
    }

    #[test]
    fn no_room_is_made_for_texts_that_a_file_only_claims() {
        let sheet = "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c></row>";
        let shares = |tag: &str| {
            let text = format!("{tag}<si><t>x</t></si></sst>");
            rows(&sharing(sheet, Some(text.as_bytes())))
        };
        let fine = format!("<sst xmlns=\"{MAIN}\" count=\"1\" uniqueCount=\"1\">");
        assert_eq!(shares(&fine).unwrap(), [["x"]]);
        for tag in [
            "<sst uniqueCount=\"8000000000000\">",
            "<x:sst xmlns:x='a' a='1' uniqueCount = '+8000000000000' >",
            "<a><sst\nuniqueCount=\"99999999999999999999999\">",
            "<sst uniqueCount=\"200000\"/>",
        ] {
            assert_eq!(shares(tag), Err(TableError::TooManyRows), "{tag}");
        }
        let wide: Vec<u8> = "\u{feff}<sst uniqueCount=\"8000000000000\"></sst>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(rows(&sharing(sheet, Some(&wide))), Err(TableError::NotText));
    }

    #[test]
    fn one_long_text_in_many_cells_is_not_copied_into_each() {
        let long = format!("<sst><si><t>{}</t></si></sst>", "茶".repeat(1024 * 1024));
        let sheet = |cells: usize| {
            let row = |row: usize| {
                let cell = |column| format!("<c r=\"{column}{row}\" t=\"s\"><v>0</v></c>");
                format!("<row r=\"{row}\">{}</row>", ["A", "B", "C", "D", "E"].map(cell).concat())
            };
            (1..=cells / 5).map(row).collect::<String>()
        };
        let few = rows(&sharing(&sheet(5), Some(long.as_bytes()))).unwrap();
        assert_eq!(few[0][4].len(), 999, "cut between two characters");
        let many = sharing(&sheet(10_000), Some(long.as_bytes()));
        assert_eq!(rows(&many), Err(TableError::TooManyRows));
        // Behind the columns that are read it is not looked at.
        let aside = "<row r=\"1\"><c r=\"BM1\" t=\"s\"><v>0</v></c></row>";
        assert_eq!(rows(&sharing(aside, Some(long.as_bytes()))), Err(TableError::Empty));
    }
}
