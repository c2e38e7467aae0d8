//! Markdown (CommonMark with tables and strike-through) to HTML that is safe whatever the text.
//!
//! Every tag that is written stands in this file; all text and every address is escaped; raw HTML and pictures are left out; links lead
//! nowhere but to the web, to mail and to telephones.

use pulldown_cmark::{Alignment, Event, Options, Parser, Tag, TagEnd};

use crate::escape::push_escaped;
use crate::value::Markup;

/// Bytes of the text; a contract of 40 pages. A hostile text of this size takes some 50 ms.
pub(crate) const MAX_BYTES: usize = 100_000;
/// Levels of quotes, lists and emphasis inside each other.
pub(crate) const MAX_LEVELS: usize = 50;
/// Bytes of HTML. Links that repeat one long address are what makes much of little.
const MAX_HTML_BYTES: usize = 2_000_000;
/// What an address may begin with.
const SCHEMES: [&str; 5] = ["https://", "http://", "mailto:", "tel:", "#"];

/// What becomes of paragraphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Shape {
    /// As they are.
    #[default]
    Blocks,
    /// Lines of one text, for a place that holds no paragraphs; other blocks lose their tags too.
    Inline,
}

/// Why a text is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    TooLong,
    TooDeep,
}

pub(crate) fn written(text: &str, shape: Shape) -> Result<Markup, Refused> {
    if text.len() > MAX_BYTES {
        return Err(Refused::TooLong);
    }
    let mut writer = Writer { shape, ..Writer::default() };
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        writer.event(event)?;
        if writer.html.len() > MAX_HTML_BYTES {
            return Err(Refused::TooLong);
        }
    }
    let text = writer.text.trim().to_owned();
    Ok(Markup { html: writer.html, text: Some(text) })
}

#[derive(Default)]
struct Writer {
    shape: Shape,
    html: String,
    /// The same without tags.
    text: String,
    levels: usize,
    /// Pictures being left out, but for what is said in their place.
    pictures: usize,
    /// Whether each link that is open has an address that is fine.
    links: Vec<bool>,
    /// The next number of each list that is open.
    lists: Vec<Option<u64>>,
    alignments: Vec<Alignment>,
    column: usize,
    in_head: bool,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) -> Result<(), Refused> {
        match event {
            Event::Start(tag) => {
                self.levels += 1;
                if self.levels > MAX_LEVELS {
                    return Err(Refused::TooDeep);
                }
                self.start(tag);
            }
            Event::End(tag) => {
                self.levels -= 1;
                self.end(tag);
            }
            Event::Text(text) => self.plain(&text),
            Event::Code(text) => {
                self.tag("<code>");
                self.plain(&text);
                self.tag("</code>");
            }
            Event::SoftBreak => self.plain("\n"),
            Event::HardBreak => {
                self.tag("<br>");
                self.text.push('\n');
            }
            Event::Rule => self.block("<hr>"),
            // Raw HTML, and what is not switched on.
            _ => {}
        }
        Ok(())
    }

    fn plain(&mut self, text: &str) {
        push_escaped(text, &mut self.html);
        self.text.push_str(text);
    }

    /// A tag that may stand in a line.
    fn tag(&mut self, tag: &str) {
        if self.pictures == 0 {
            self.html.push_str(tag);
        }
    }

    /// A tag that may not.
    fn block(&mut self, tag: &str) {
        if self.shape == Shape::Blocks {
            self.html.push_str(tag);
        }
    }

    /// A block ends, and what comes after stands on a line of its own.
    fn end_block(&mut self, tag: &str) {
        self.block(tag);
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// A block begins. Where there are no blocks a new line does.
    fn begin_block(&mut self, tag: &str) {
        if self.shape == Shape::Inline && !self.html.is_empty() && !self.html.ends_with("<br>") {
            self.html.push_str("<br>");
        }
        self.block(tag);
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.begin_block("<p>"),
            Tag::Heading { level, .. } => self.begin_block(&format!("<{level}>")),
            Tag::BlockQuote(_) => self.block("<blockquote>"),
            Tag::CodeBlock(_) => self.begin_block("<pre><code>"),
            Tag::List(first) => {
                self.lists.push(first);
                match first {
                    Some(1) => self.block("<ol>"),
                    Some(first) => self.block(&format!("<ol start=\"{first}\">")),
                    None => self.block("<ul>"),
                }
            }
            Tag::Item => {
                self.begin_block("<li>");
                self.mark_item();
            }
            Tag::Table(alignments) => {
                self.alignments = alignments;
                self.block("<table>");
            }
            Tag::TableHead => {
                (self.in_head, self.column) = (true, 0);
                self.begin_block("<thead><tr>");
            }
            Tag::TableRow => {
                self.column = 0;
                self.begin_block("<tr>");
            }
            Tag::TableCell => self.cell(),
            Tag::Emphasis => self.tag("<em>"),
            Tag::Strong => self.tag("<strong>"),
            Tag::Strikethrough => self.tag("<s>"),
            Tag::Link { dest_url, .. } => {
                let is_fine = has_accepted_scheme(&dest_url);
                self.links.push(is_fine);
                if is_fine && self.pictures == 0 {
                    self.html.push_str("<a href=\"");
                    push_escaped(&dest_url, &mut self.html);
                    self.html.push_str("\">");
                }
            }
            Tag::Image { .. } => self.pictures += 1,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.end_block("</p>"),
            TagEnd::Heading(level) => self.end_block(&format!("</{level}>")),
            TagEnd::BlockQuote(_) => self.end_block("</blockquote>"),
            TagEnd::CodeBlock => self.end_block("</code></pre>"),
            TagEnd::List(is_numbered) => {
                self.lists.pop();
                self.end_block(if is_numbered { "</ol>" } else { "</ul>" });
            }
            TagEnd::Item => self.end_block("</li>"),
            TagEnd::Table => self.end_block("</tbody></table>"),
            TagEnd::TableHead => {
                self.in_head = false;
                self.end_block("</tr></thead><tbody>");
            }
            TagEnd::TableRow => self.end_block("</tr>"),
            TagEnd::TableCell => self.block(if self.in_head { "</th>" } else { "</td>" }),
            TagEnd::Emphasis => self.tag("</em>"),
            TagEnd::Strong => self.tag("</strong>"),
            TagEnd::Strikethrough => self.tag("</s>"),
            TagEnd::Link => {
                let is_fine = self.links.pop() == Some(true);
                self.tag(if is_fine { "</a>" } else { "" });
            }
            TagEnd::Image => self.pictures -= 1,
            _ => {}
        }
    }

    /// What stands before an item where there are no tags.
    fn mark_item(&mut self) {
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{number}. ");
                *number = number.saturating_add(1);
                mark
            }
            _ => "• ".to_owned(),
        };
        self.text.push_str(&mark);
        if self.shape == Shape::Inline {
            self.html.push_str(&mark);
        }
    }

    fn cell(&mut self) {
        let name = if self.in_head { "th" } else { "td" };
        let alignment = match self.alignments.get(self.column) {
            Some(Alignment::Left) => " style=\"text-align:left\"",
            Some(Alignment::Center) => " style=\"text-align:center\"",
            Some(Alignment::Right) => " style=\"text-align:right\"",
            _ => "",
        };
        self.block(&format!("<{name}{alignment}>"));
        if self.column > 0 {
            self.text.push_str("  ");
            if self.shape == Shape::Inline {
                self.html.push_str("  ");
            }
        }
        self.column += 1;
    }
}

fn has_accepted_scheme(address: &str) -> bool {
    let starts = |scheme: &str| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    SCHEMES.iter().any(|scheme| starts(scheme))
}
