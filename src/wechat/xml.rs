//! The flat XML of WeChat Pay v2, in and out.
//!
//! One message is one root element with text children: [`Fields`]. This module refuses whatever is
//! more than that (DOCTYPE, entities, nesting, a name twice, another encoding, truncation, more
//! than [`LIMIT_BYTES`]) and knows nothing of what the fields mean. Values are kept to the last
//! blank, because they are signed as they stand.

use std::collections::BTreeMap;
use std::fmt;

use quick_xml::errors::{Error as QuickError, SyntaxError};
use quick_xml::events::{BytesCData, BytesEnd, BytesRef, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};

/// The longest message that is read, in bytes.
pub const LIMIT_BYTES: usize = 64 * 1024;

/// The root element of requests, answers and notifications.
const ROOT: &str = "xml";

/// The fields of one message by name, in byte order of the names, which is the order of signing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    pub fn new() -> Self {
        Self::default()
    }
    /// The value; an empty element gives the empty string.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
    /// The value unless it is missing or empty, which mean the same to WeChat.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }
    /// Sets a field; the former value is handed back. `name` must be an XML name.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(name.into(), value.into())
    }
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Names only: values hold openids and signatures, which belong in no log.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fields").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("longer than {LIMIT_BYTES} bytes")]
    TooLarge,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("holds a DOCTYPE")]
    Doctype,
    #[error("not well-formed, or truncated")]
    Malformed,
    #[error("the root element has another name")]
    Root,
    #[error("an element inside a field")]
    Nested,
    #[error("a field twice")]
    Duplicate,
    #[error("an entity that XML does not define, or a character that it forbids")]
    Entity,
}

/// Reads a message with the root element `xml`.
pub fn parse(bytes: &[u8]) -> Result<Fields, XmlError> {
    parse_rooted(bytes, ROOT)
}

/// Reads a message with another root element; the decrypted refund notification has `root`.
pub fn parse_rooted(bytes: &[u8], root: &str) -> Result<Fields, XmlError> {
    if bytes.len() > LIMIT_BYTES {
        return Err(XmlError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
    let mut parser = Parser(Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)));
    let fields = if parser.root_is_open(root)? { parser.fields()? } else { Fields::new() };
    parser.end()?;
    Ok(fields)
}

/// Walks the document in three steps: up to the root's start tag, its fields, what follows it.
struct Parser<'a>(Reader<&'a [u8]>);

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<Event<'a>, XmlError> {
        match self.0.read_event() {
            Ok(Event::DocType(_)) | Err(QuickError::Syntax(SyntaxError::UnclosedDoctype)) => {
                Err(XmlError::Doctype)
            }
            Ok(event) => Ok(event),
            Err(_) => Err(XmlError::Malformed),
        }
    }

    /// False when the root is an empty element, `<xml/>`.
    fn root_is_open(&mut self, root: &str) -> Result<bool, XmlError> {
        loop {
            let (tag, open) = match self.next()? {
                Event::Start(tag) => (tag, true),
                Event::Empty(tag) => (tag, false),
                Event::Decl(declaration) => {
                    let encoding = declaration.encoding().transpose();
                    let encoding = encoding.map_err(|_| XmlError::Malformed)?;
                    if encoding.is_some_and(|name| !name.eq_ignore_ascii_case("utf-8")) {
                        return Err(XmlError::NotUtf8);
                    }
                    continue;
                }
                other => {
                    skip_between(&other)?;
                    continue;
                }
            };
            return if tag.name().0 == root { Ok(open) } else { Err(XmlError::Root) };
        }
    }

    fn fields(&mut self) -> Result<Fields, XmlError> {
        let mut fields = Fields::new();
        loop {
            let (name, value) = match self.next()? {
                Event::Start(tag) => (field_name(&tag)?, self.value()?),
                Event::Empty(tag) => (field_name(&tag)?, String::new()),
                Event::End(_) => return Ok(fields),
                other => {
                    skip_between(&other)?;
                    continue;
                }
            };
            if fields.insert(name, value).is_some() {
                return Err(XmlError::Duplicate);
            }
        }
    }

    /// Text, CDATA sections and references up to the end tag, in one string.
    fn value(&mut self) -> Result<String, XmlError> {
        let mut value = String::new();
        loop {
            match self.next()? {
                Event::Text(text) => value.push_str(&text.xml10_content()),
                Event::CData(text) => value.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => value.push(referenced(&reference)?),
                Event::End(_) => break,
                Event::Start(_) | Event::Empty(_) => return Err(XmlError::Nested),
                // A comment inside a value would let two readers see two values.
                _ => return Err(XmlError::Malformed),
            }
        }
        if value.chars().all(is_xml_char) { Ok(value) } else { Err(XmlError::Entity) }
    }

    fn end(&mut self) -> Result<(), XmlError> {
        loop {
            match self.next()? {
                Event::Eof => return Ok(()),
                other => skip_between(&other)?,
            }
        }
    }
}

/// Between elements only blanks, comments and processing instructions may stand.
fn skip_between(event: &Event<'_>) -> Result<(), XmlError> {
    match event {
        Event::Text(text) if text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n')) => Ok(()),
        Event::Comment(_) | Event::PI(_) => Ok(()),
        _ => Err(XmlError::Malformed),
    }
}

fn field_name(tag: &BytesStart<'_>) -> Result<String, XmlError> {
    let name = tag.name().0;
    let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if starts_well && name.chars().all(|c| c.is_alphanumeric() || "_-.:".contains(c)) {
        Ok(name.to_owned())
    } else {
        Err(XmlError::Malformed)
    }
}

/// Numeric references and the five names that XML itself defines.
fn referenced(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| XmlError::Entity)? {
        return Ok(character);
    }
    match reference.as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(XmlError::Entity),
    }
}

/// The characters that an XML 1.0 document may hold.
pub(crate) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Writes a message: every value as CDATA, `]]>` split over two sections. Values must consist of
/// characters that XML allows, or the other side cannot read the message.
pub fn write(fields: &Fields) -> String {
    let mut writer = Writer::new(Vec::new());
    write_all(&mut writer, fields).expect("writing to memory does not fail");
    String::from_utf8(writer.into_inner()).expect("names and values are UTF-8")
}

fn write_all(writer: &mut Writer<Vec<u8>>, fields: &Fields) -> std::io::Result<()> {
    writer.write_event(Event::Start(BytesStart::new(ROOT)))?;
    for (name, value) in fields.iter() {
        writer.write_event(Event::Start(BytesStart::new(name)))?;
        for (n, part) in value.split('\r').enumerate() {
            // A reader turns a literal carriage return into a line feed; only a reference survives.
            if n > 0 {
                writer.write_event(Event::Text(BytesText::from_escaped("&#13;")))?;
            }
            for section in BytesCData::escaped(part) {
                writer.write_event(Event::CData(section))?;
            }
        }
        writer.write_event(Event::End(BytesEnd::new(name)))?;
    }
    writer.write_event(Event::End(BytesEnd::new(ROOT)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(document: &str, expected: Result<&[(&str, &str)], XmlError>) {
        let expected = expected.map(|pairs| pairs.iter().copied().collect::<Fields>());
        let read = parse(document.as_bytes());
        assert_eq!(read, expected, "{document}");
    }

    #[test]
    fn reads_text_cdata_and_empty_elements() {
        check("<xml/>", Ok(&[]));
        check("<xml><a>1</a><b><![CDATA[二]]></b></xml>", Ok(&[("a", "1"), ("b", "二")]));
        check(
            "<xml>\n <a/>\t<b></b ><c><![CDATA[]]></c>\r\n</xml>\n",
            Ok(&[("a", ""), ("b", ""), ("c", "")]),
        );
    }

    #[test]
    fn joins_sections_and_text_in_a_row() {
        check("<xml><a><![CDATA[x]]]]><![CDATA[>y]]></a></xml>", Ok(&[("a", "x]]>y")]));
        check("<xml><a>1<![CDATA[2]]>3</a></xml>", Ok(&[("a", "123")]));
    }

    #[test]
    fn keeps_blanks_of_values() {
        check("<xml><a> x </a><b><![CDATA[\ty ]]></b></xml>", Ok(&[("a", " x "), ("b", "\ty ")]));
        check("<xml><a> <![CDATA[x]]>\n</a></xml>", Ok(&[("a", " x\n")]));
    }

    #[test]
    fn resolves_references() {
        check(
            "<xml><a>&#65;&#x4E2D;&#128512;&lt;&amp;&gt;&quot;&apos;</a></xml>",
            Ok(&[("a", "A中😀<&>\"'")]),
        );
        check("<xml><a><![CDATA[&#65;&lt;]]></a></xml>", Ok(&[("a", "&#65;&lt;")]));
        for bad in
            ["&nbsp;", "&#0;", "&#8;", "&#xD800;", "&#x110000;", "&#xFFFF;", "&#99999999999;"]
        {
            check(&format!("<xml><a>{bad}</a></xml>"), Err(XmlError::Entity));
        }
        check("<xml><a>R&D</a></xml>", Err(XmlError::Malformed));
    }

    #[test]
    fn a_byte_order_mark_and_a_declaration_are_fine() {
        check("\u{feff}<xml><a>1</a></xml>", Ok(&[("a", "1")]));
        check(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><xml><a>1</a></xml>",
            Ok(&[("a", "1")]),
        );
        check("<?xml version=\"1.0\" encoding=\"GBK\"?><xml/>", Err(XmlError::NotUtf8));
    }

    #[test]
    fn a_doctype_is_refused_wherever_it_stands_but_not_as_data() {
        check("<!DOCTYPE xml><xml/>", Err(XmlError::Doctype));
        check("<!doctype xml><xml/>", Err(XmlError::Doctype));
        check("<!DOCTYPE xml [<!ENTITY a \"b\">]><xml><a>&a;</a></xml>", Err(XmlError::Doctype));
        check("<xml><!DOCTYPE xml></xml>", Err(XmlError::Doctype));
        check("<xml><a><!DOCTYPE xml></a></xml>", Err(XmlError::Doctype));
        check("<xml/><!DOCTYPE xml", Err(XmlError::Doctype));
        check("<!ENTITY a \"b\"><xml/>", Err(XmlError::Malformed));
        check("<xml><a><![CDATA[<!DOCTYPE xml>]]></a></xml>", Ok(&[("a", "<!DOCTYPE xml>")]));
        check("<xml><a>&lt;!DOCTYPE xml&gt;</a></xml>", Ok(&[("a", "<!DOCTYPE xml>")]));
    }

    #[test]
    fn what_is_not_flat_or_not_whole_is_refused() {
        check("<xml><a><b>1</b></a></xml>", Err(XmlError::Nested));
        check("<xml><a>1<b/></a></xml>", Err(XmlError::Nested));
        check("<xml><a>1</a><a>1</a></xml>", Err(XmlError::Duplicate));
        check("<xml><a/><a>1</a></xml>", Err(XmlError::Duplicate));
        check("<root><a>1</a></root>", Err(XmlError::Root));
        check("<html/>", Err(XmlError::Root));
        for bad in [
            "",
            "   ",
            "SUCCESS",
            "{}",
            "<xml>",
            "<xml><a>1</a>",
            "<xml><a>1</xml>",
            "<xml><a><![CDATA[1</a></xml>",
            "<xml><a>1<!-- -->2</a></xml>",
            "<xml>text<a>1</a></xml>",
            "<xml/><xml/>",
            "<xml/>tail",
            "<xml><>1</></xml>",
            "<xml><1a>1</1a></xml>",
            "<xml></xml></xml>",
        ] {
            check(bad, Err(XmlError::Malformed));
        }
    }

    #[test]
    fn other_encodings_and_oversize_are_refused() {
        assert_eq!(parse(b"<xml><a>\xd6\xd0</a></xml>"), Err(XmlError::NotUtf8));
        let utf16: Vec<u8> = "\u{feff}<xml/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(parse(&utf16), Err(XmlError::NotUtf8));
        let longest = format!("<xml><a>{}</a></xml>", "x".repeat(LIMIT_BYTES - 18));
        assert_eq!(longest.len(), LIMIT_BYTES);
        assert!(parse(longest.as_bytes()).is_ok());
        assert_eq!(parse(format!("{longest} ").as_bytes()), Err(XmlError::TooLarge));
    }

    #[test]
    fn writes_cdata_and_splits_its_end_mark() {
        let fields = Fields::from_iter([("b", "x]]>y"), ("a", "一"), ("c", "")]);
        let written = write(&fields);
        assert_eq!(
            written,
            "<xml><a><![CDATA[一]]></a><b><![CDATA[x]]]]><![CDATA[>y]]></b><c><![CDATA[]]></c></xml>"
        );
        assert_eq!(parse(written.as_bytes()), Ok(fields));
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!("{:?}", Fields::from_iter([("openid", "oUpF8uMuAJO")]));
        assert_eq!(shown, "Fields([\"openid\"])");
    }

    fn value() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            8 => any::<char>(),
            4 => prop::sample::select("]>[<!&;#'\"- \t\r\n0Aa中".chars().collect::<Vec<_>>()),
        ];
        prop::collection::vec(character.prop_filter("XML", |c| is_xml_char(*c)), 0..40)
            .prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            fields in prop::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,12}", value(), 0..12)
        ) {
            let fields: Fields = fields.into_iter().collect();
            prop_assert_eq!(parse(write(&fields).as_bytes()), Ok(fields));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_near_document_makes_the_reader_panic(
            parts in prop::collection::vec(prop::sample::select(vec![
                "<xml>", "</xml>", "<a>", "</a>", "<a/>", "<![CDATA[", "]]>", "<!DOCTYPE", "<!--",
                "-->", "<?", "?>", "&", ";", "&#", "&#x41;", "&lt;", "<", ">", "'", "\"", "中", " ",
            ]), 0..30)
        ) {
            let _ = parse(parts.concat().as_bytes());
        }
    }
}
