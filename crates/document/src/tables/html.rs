//! The tables of an HTML template: rows and cells of each `<table>`, all of them texts.

use super::{Recorder, RowKind, Table};
use crate::error::DocumentError;
use crate::limits::Limits;
use crate::tags::{attributes_of, decode, tag_end};

/// The most columns or rows that one cell may go over.
const MOST_SPAN: usize = 1_000;
/// Elements whose content nobody reads.
const HIDDEN: [&str; 4] = ["style", "script", "template", "noscript"];
/// Elements that begin a line of their own within a cell.
const LINES: [&str; 6] = ["br", "p", "div", "li", "tr", "hr"];

/// The tables of finished HTML, in its order.
///
/// # Errors
/// [`DocumentError::TableUnfit`] of a table within a table, and of spans that lead too far.
pub(crate) fn tables_of_html(html: &str, limits: &Limits) -> Result<Vec<Table>, DocumentError> {
    let mut reader = Reader::new(limits);
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        reader.text(&rest[..start]);
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let is_tag = rest[1..].starts_with(|character: char| character.is_ascii_alphabetic() || matches!(character, '/' | '!' | '?'));
        if !is_tag {
            reader.text("<");
            rest = &rest[1..];
            continue;
        }
        let Some(end) = tag_end(rest) else { break };
        let tag = &rest[1..end - 1];
        rest = &rest[end..];
        let (closing, tag) = tag.strip_prefix('/').map_or((false, tag), |tag| (true, tag));
        let name_end = tag.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(tag.len());
        let name = tag[..name_end].to_ascii_lowercase();
        if closing {
            reader.close(&name);
        } else {
            reader.open(&name, &tag[name_end..])?;
            if HIDDEN.contains(&&*name) {
                rest = after(rest, &name);
            }
        }
    }
    reader.end_table();
    Ok(reader.recorder.finish())
}

/// What follows the closing tag of that name.
fn after<'h>(html: &'h str, name: &str) -> &'h str {
    let end = html.match_indices("</").find(|(at, _)| {
        let word = html.as_bytes().get(at + 2..at + 2 + name.len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    });
    end.map_or("", |(at, _)| &html[at..])
}

/// Where the reader is.
struct Reader {
    recorder: Recorder,
    /// Tables that were begun.
    count: usize,
    id: Option<String>,
    part: RowKind,
    /// Rows below that a cell of a column goes over.
    spans: Vec<usize>,
    column: usize,
    /// The text of the open cell, and the columns that it goes over.
    cell: Option<(String, usize)>,
    in_row: bool,
}

impl Reader {
    fn new(limits: &Limits) -> Self {
        Self {
            recorder: Recorder::new(limits),
            count: 0,
            id: None,
            part: RowKind::Body,
            spans: Vec::new(),
            column: 0,
            cell: None,
            in_row: false,
        }
    }

    /// Line ends of the source are blanks.
    fn text(&mut self, text: &str) {
        if let Some((cell, _)) = &mut self.cell {
            cell.extend(text.chars().map(|character| if matches!(character, '\n' | '\r') { ' ' } else { character }));
        }
    }

    fn line(&mut self) {
        if let Some((cell, _)) = &mut self.cell {
            cell.push('\n');
        }
    }

    fn open(&mut self, name: &str, attributes: &str) -> Result<(), DocumentError> {
        if name == "table" {
            return self.begin_table(attributes);
        }
        if self.id.is_none() {
            return Ok(());
        }
        match name {
            "thead" | "tbody" | "tfoot" => {
                self.end_row()?;
                self.part = match name {
                    "thead" => RowKind::Head,
                    "tfoot" => RowKind::Total,
                    _ => RowKind::Body,
                };
            }
            "tr" => self.begin_row()?,
            "td" | "th" => self.begin_cell(attributes)?,
            name if LINES.contains(&name) => self.line(),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "table" => self.end_table(),
            "td" | "th" => self.end_cell(),
            name if LINES.contains(&name) => self.line(),
            _ => {}
        }
    }

    fn begin_table(&mut self, attributes: &str) -> Result<(), DocumentError> {
        if let Some(outer) = &self.id {
            let reason = "there is a table within it; accepted: tables whose cells hold text".to_owned();
            return Err(DocumentError::TableUnfit { at: outer.clone(), reason });
        }
        self.count += 1;
        let own = attributes_of(attributes).into_iter().find(|(name, value)| name == "id" && !value.trim().is_empty());
        let id = own.map_or_else(|| format!("table-{}", self.count), |(_, value)| value);
        self.recorder.begin_table(&id)?;
        self.id = Some(id);
        (self.part, self.in_row) = (RowKind::Body, false);
        self.spans.clear();
        Ok(())
    }

    fn end_table(&mut self) {
        self.end_cell();
        self.recorder.end_table();
        (self.id, self.in_row) = (None, false);
    }

    fn begin_row(&mut self) -> Result<(), DocumentError> {
        self.end_row()?;
        self.recorder.begin_row(self.part)?;
        (self.in_row, self.column) = (true, 0);
        Ok(())
    }

    /// What cells of the rows above reach into at the end of the row is used up with it.
    fn end_row(&mut self) -> Result<(), DocumentError> {
        self.end_cell();
        if self.in_row {
            let last = self.spans.iter().rposition(|rows| *rows > 0).map_or(0, |last| last + 1);
            self.skip_spans(last)?;
        }
        self.in_row = false;
        Ok(())
    }

    fn begin_cell(&mut self, attributes: &str) -> Result<(), DocumentError> {
        if !self.in_row {
            self.begin_row()?;
        }
        self.end_cell();
        self.skip_spans(0)?;
        let attributes = attributes_of(attributes);
        let span = |wanted: &str| {
            let given = attributes.iter().find(|(name, _)| name == wanted).and_then(|(_, value)| value.trim().parse::<usize>().ok());
            given.unwrap_or(1).max(1)
        };
        let (columns, rows) = (span("colspan"), span("rowspan"));
        if columns > MOST_SPAN || rows > MOST_SPAN {
            let reason = format!("a cell goes over {columns} columns and {rows} rows; accepted: up to {MOST_SPAN} each");
            return Err(DocumentError::TableUnfit { at: self.id.clone().unwrap_or_default(), reason });
        }
        self.recorder.begin_cell(columns)?;
        self.cell = Some((String::new(), columns));
        let end = self.column + columns;
        if self.spans.len() < end {
            self.spans.resize(end, 0);
        }
        self.spans[self.column..end].fill(rows - 1);
        self.column = end;
        Ok(())
    }

    /// Empty cells where one from above reaches into this row, at least up to the column `until`.
    fn skip_spans(&mut self, until: usize) -> Result<(), DocumentError> {
        while self.column < until || self.spans.get(self.column).is_some_and(|rows| *rows > 0) {
            if let Some(rows) = self.spans.get_mut(self.column) {
                *rows = rows.saturating_sub(1);
            }
            self.recorder.begin_cell(1)?;
            self.recorder.end_cell(1);
            self.column += 1;
        }
        Ok(())
    }

    fn end_cell(&mut self) {
        if let Some((text, columns)) = self.cell.take() {
            self.recorder.add(&shown(&text), None);
            self.recorder.end_cell(columns);
        }
    }
}

/// The text as a browser shows it: references decoded, white space closed up, one line for each line of the cell.
fn shown(text: &str) -> String {
    let mut decoded = decode(text);
    if decoded.contains('&') {
        // References by a name that is not common.
        // All of it is text by now, also what looks like a tag.
        decoded = decode(&ammonia::Builder::empty().clean(&text.replace('<', "&lt;")).to_string());
    }
    let lines = decoded.split('\n').map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::*;

    fn rows(html: &str) -> Vec<String> {
        let tables = tables_of_html(html, &Limits::default()).unwrap();
        let line = |cells: &[Cell]| cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join("|");
        tables.iter().flat_map(|table| &table.rows).map(|row| format!("{:?} {}", row.kind, line(&row.cells))).collect()
    }

    #[test]
    fn cells_are_read_as_a_browser_shows_them() {
        let html = "<style>td{content:'<table><tr><td>no'}</style><p>no</p><table id=lines><caption>no</caption><thead><tr><th>Na\n  me</th><th title='a > b'>Gr&ouml;&szlig;e</th>\
            </thead><tbody><tr><td>A &amp; B<td><b>1</b> 200&nbsp;&euro;<!-- <td>no --><tr><td><p>two</p><p>lines</p></td><td>a<br>b</td></tr></tbody>\
            <tfoot><tr><td>Sum</td><td>&lt;2&gt;</td></tr></table><td>no</td>";
        assert_eq!(rows(html), ["Head Na me|Größe", "Body A & B|1 200\u{a0}€", "Body two\nlines|a\nb", "Total Sum|<2>"]);
    }

    #[test]
    fn cells_that_go_over_others_leave_them_empty_and_all_else_in_its_column() {
        let html = "<table><tr><td rowspan=3>a</td><td colspan=2>b</td><td>c</td></tr><tr><td>d</td><td>e</td><td rowspan=2>f</td></tr><tr><td>g</td></tr>\
            <tr><td>h</td></tr></table>";
        assert_eq!(rows(html), ["Body a|b||c", "Body |d|e|f", "Body |g||", "Body h"]);
    }

    #[test]
    fn tables_have_the_id_of_their_element_or_a_number() {
        let tables = tables_of_html("<table id=\" a b \"></table><TABLE><TR><TD>x</TABLE><table id=''><tr>", &Limits::default()).unwrap();
        let ids: Vec<_> = tables.iter().map(|table| (table.id.as_str(), table.rows.len())).collect();
        assert_eq!(ids, [(" a b ", 0), ("table-2", 1), ("table-3", 1)]);
    }

    #[test]
    fn what_is_no_plain_table_is_refused_by_its_id_and_the_number_of_cells_is_bounded() {
        let refused = |html: &str| tables_of_html(html, &Limits { table_cells: 1_000, ..Limits::default() }).unwrap_err().to_string();
        assert!(refused("<table id=outer><tr><td><table>").contains("\"outer\": there is a table within it"));
        assert!(refused("<table><tr><td colspan=1001>").contains("1001 columns"));
        assert!(refused("<table><tr><td colspan=600><td colspan=600>").contains("limit of 1000"));
        assert!(refused(&"<table></table>".repeat(201)).contains("limit of 200"));
    }

    #[test]
    fn what_looks_like_a_tag_in_a_text_stays_text_and_rows_without_cells_are_bounded() {
        let table = |cell: &str| format!("<table><tr><td>{cell}</td></tr></table>");
        let cell = |html: &str| tables_of_html(html, &Limits::default()).unwrap()[0].rows[0].cells[0].text.clone();
        assert_eq!(cell(&table("&hearts; <<!---->b a=1><<!---->p>y")), "\u{2665} <b a=1><p>y");
        let many: String = (0..2_000).map(|at| format!("<<!---->b a={at}>")).chain(["<<!---->p>y".repeat(20_000)]).collect();
        assert!(cell(&table(&format!("&x{many}"))).ends_with("<p>y"));
        let limits = Limits { table_cells: 100, ..Limits::default() };
        let error = tables_of_html(&format!("<table>{}", "<tr>".repeat(101)), &limits).unwrap_err();
        assert!(error.to_string().contains("rows"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_stumble(pieces in proptest::collection::vec("(<|</)(table|tr|td|th|thead|style|b|br)( colspan=[0-9]{1,3}| rowspan=[0-9]{1,3}| id='?[a-z]*'?)*>?|<!--|-->|&[a-z]*;?|[<>'\"éa b\n]*", 0..60)) {
            if let Ok(tables) = tables_of_html(&pieces.concat(), &Limits { table_cells: 5_000, ..Limits::default() }) {
                proptest::prop_assert!(tables.iter().flat_map(|table| &table.rows).map(|row| row.cells.len()).sum::<usize>() <= 5_000);
            }
        }
    }
}
