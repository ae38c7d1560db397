//! One page with everything: figures, tables and text in a single file that needs no network.

use super::figure::Rendered;
use super::matrix::SignificanceMatrix;
use super::ranked::RankedTable;
use super::table::Table;
use crate::error::Result;
use crate::file::write_whole;
use std::fmt::Write as _;
use std::path::Path;

/// A report as one HTML file: light or dark as the reader prefers, fit for print and for narrow screens.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The title of the report.
    pub title: String,
    /// What was found, in a sentence or two; may be empty. A blank line starts a new paragraph.
    pub summary: String,
    /// Where the numbers come from: pairs such as (`seed`, `7`).
    pub provenance: Vec<(String, String)>,
    /// The sections, in order.
    pub sections: Vec<Section>,
}

/// A part of a page under its own heading, listed in the table of contents.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// What stands below it, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Clone, Debug)]
pub enum Block {
    /// A paragraph of plain text.
    Paragraph(String),
    /// A figure with its caption, which also describes it to those who cannot see it. Small drawings stay drawings,
    /// those with tens of thousands of parts become pictures.
    Figure {
        /// The drawing.
        figure: Rendered,
        /// What it shows.
        caption: String,
    },
    /// A table, which readers may sort.
    Table(Table),
    /// A table with its best numbers marked.
    Ranked(RankedTable),
    /// Which competitors differ.
    Matrix(SignificanceMatrix),
    /// Blocks that are folded away below a line of text until the reader opens them; print has them all.
    Details {
        /// The line that stays.
        summary: String,
        /// What is folded away.
        blocks: Vec<Block>,
    },
    /// A list of pairs of a text and the relative path of a file that it leads to.
    Links(Vec<(String, String)>),
    /// Text whose spaces and line ends matter, such as an experiment in YAML.
    Preformatted(String),
}

/// A drawing that is longer than this, in bytes, is embedded as a picture.
const LONGEST_SVG: usize = 300_000;

impl Page {
    /// The whole document.
    pub fn to_html(&self) -> String {
        let title = escape(&self.title);
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n",
            include_str!("page.css")
        );
        for paragraph in self.summary.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            let _ = writeln!(html, "<p class=\"summary\">{}</p>", escape(paragraph));
        }
        if !self.provenance.is_empty() {
            html.push_str("<dl>\n");
            for (name, value) in &self.provenance {
                let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
            }
            html.push_str("</dl>\n");
        }
        html.push_str("</header>\n");
        if self.sections.len() > 1 {
            html.push_str("<nav aria-label=\"Contents\"><ol>\n");
            for (index, section) in self.sections.iter().enumerate() {
                let _ = writeln!(html, "<li><a href=\"#section-{index}\">{}</a></li>", escape(&section.heading));
            }
            html.push_str("</ol></nav>\n");
        }
        html.push_str("<main>\n");
        for (index, section) in self.sections.iter().enumerate() {
            let _ = writeln!(html, "<section aria-labelledby=\"section-{index}\">");
            let _ = writeln!(html, "<h2 id=\"section-{index}\">{}</h2>", escape(&section.heading));
            section.blocks.iter().for_each(|block| block.write(&mut html));
            html.push_str("</section>\n");
        }
        let _ = write!(html, "</main>\n<script>\n{}</script>\n</body>\n</html>\n", include_str!("page.js"));
        html
    }

    /// Writes the document into a folder that exists.
    ///
    /// # Errors
    /// The file, if it could not be written. Nothing of it is left behind; one that was there before stays as it was.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_whole(path, self.to_html().as_bytes())
    }
}

impl Block {
    fn write(&self, html: &mut String) {
        match self {
            Block::Paragraph(text) => {
                let _ = writeln!(html, "<p>{}</p>", escape(text));
            }
            Block::Figure { figure, caption } => write_figure(html, figure, &escape(caption)),
            Block::Table(table) => html.push_str(&table.to_html()),
            Block::Ranked(table) => html.push_str(&table.to_html()),
            Block::Matrix(matrix) => html.push_str(&matrix.to_html()),
            Block::Details { summary, blocks } => {
                let _ = writeln!(html, "<details>\n<summary>{}</summary>", escape(summary));
                blocks.iter().for_each(|block| block.write(html));
                html.push_str("</details>\n");
            }
            Block::Links(links) => {
                html.push_str("<ul>\n");
                for (text, path) in links {
                    let _ = writeln!(html, "<li><a href=\"{}\">{}</a></li>", escape(&address(path)), escape(text));
                }
                html.push_str("</ul>\n");
            }
            Block::Preformatted(text) => {
                let _ = writeln!(html, "<pre tabindex=\"0\"><code>{}</code></pre>", escape(text));
            }
        }
    }
}

fn write_figure(html: &mut String, figure: &Rendered, caption: &str) {
    html.push_str("<figure>\n<div class=\"card\">");
    if figure.svg.len() <= LONGEST_SVG {
        // The drawing has no element with an id, so several of them do not get in each other's way.
        let drawing =
            figure.svg.trim_end().replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{caption}\" "), 1);
        html.push_str(&drawing);
    } else {
        let (width, height) = figure.size;
        let _ = write!(
            html,
            "<img width=\"{width}\" height=\"{height}\" alt=\"{caption}\" src=\"data:image/png;base64,{}\">",
            base64(&figure.png)
        );
    }
    let _ = write!(html, "</div>\n<figcaption>{caption}</figcaption>\n</figure>\n");
}

/// A relative path as an address: what means something in addresses is spelled in bytes, and `./` keeps the rest from
/// being taken for one of another kind, such as `script:`.
fn address(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_=,+~".contains(&byte);
    let spelled = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let prefix = if path.starts_with('/') { "" } else { "./" };
    prefix.chars().map(String::from).chain(path.bytes().map(spelled)).collect()
}

/// Text as it can stand between tags and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            _ if character.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Bytes in the alphabet of RFC 4648, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = (0..3).fold(0, |word, index| word << 8 | u32::from(group.get(index).copied().unwrap_or(0)));
        for digit in 0..4 {
            let sextet = (word >> (18 - 6 * digit)) & 63;
            text.push(if digit > group.len() { '=' } else { char::from(ALPHABET[sextet as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::ranked::Standing;
    use super::*;

    const NASTY: &str = "<script>alert('x & \"y\"')</script>";

    fn drawing(parts: usize) -> Rendered {
        Rendered {
            svg: format!("<svg width=\"1\">{}</svg>\n", "<g/>".repeat(parts)),
            png: vec![1, 2, 3],
            size: (10, 5),
        }
    }

    #[test]
    fn every_text_is_escaped() {
        let nasty = || NASTY.to_owned();
        let table = Table { caption: nasty(), columns: vec![nasty()], rows: vec![vec![nasty()]] };
        let blocks = vec![
            Block::Paragraph(nasty()),
            Block::Figure { figure: drawing(1), caption: nasty() },
            Block::Figure { figure: drawing(100_000), caption: nasty() },
            Block::Table(table.clone()),
            Block::Preformatted(nasty()),
            Block::Links(vec![(nasty(), nasty())]),
            Block::Ranked(RankedTable { table, standings: vec![(0, 0, Standing::Best)] }),
            Block::Matrix(SignificanceMatrix { caption: nasty(), competitors: vec![nasty(); 2], ..Default::default() }),
        ];
        let blocks = vec![Block::Details { summary: nasty(), blocks }];
        let section = Section { heading: nasty(), blocks };
        let page = Page {
            title: nasty(),
            summary: nasty(),
            provenance: vec![(nasty(), nasty())],
            sections: vec![section.clone(), section],
        };
        let html = page.to_html();
        assert_eq!(html.matches("<script>").count(), 1, "only our own");
        assert!(!html.contains("\"y\"") && !html.contains("'x"));
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let block = || Block::Figure { figure: drawing(1), caption: "a".into() };
        let section = |heading: &str| Section { heading: heading.into(), blocks: vec![block()] };
        let page = Page { sections: vec![section("One"), section("Two")], ..Page::default() };
        let html = page.to_html();
        for remote in ["src=\"http", "href=\"http", "url(", "@import", "<link"] {
            assert!(!html.contains(remote), "{remote}");
        }
        assert!(html.contains("<a href=\"#section-1\">Two</a>") && html.contains("id=\"section-1\""));
        assert!(html.contains("<svg role=\"img\" aria-label=\"a\" width=\"1\">"));
    }

    #[test]
    fn links_are_relative_addresses() {
        assert_eq!(address("sde=ve,seed=1/report.html"), "./sde=ve,seed=1/report.html");
        assert_eq!(address("javascript:a b?#%"), "./javascript%3Aa%20b%3F%23%25");
        assert_eq!(address("/runs/ü"), "/runs/%C3%BC");
    }

    #[test]
    fn long_drawings_become_pictures() {
        let mut html = String::new();
        write_figure(&mut html, &drawing(100_000), "c");
        assert!(html.contains("<img width=\"10\" height=\"5\" alt=\"c\" src=\"data:image/png;base64,AQID\">"));
        assert!(!html.contains("<svg"));
    }

    #[test]
    fn base64_follows_the_rfc() {
        let expected = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in expected {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn pages_are_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        Page::default().save(&path).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("</html>\n"));
        assert!(Page::default().save(&folder.path().join("missing/report.html")).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
