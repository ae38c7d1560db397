//! Tables for the terminal and for the page, and numbers with their uncertainty.

use super::html::escape;
use std::fmt::Write as _;

/// A table of text. Rows may be shorter or longer than the header.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What the table shows; may be empty.
    pub caption: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The cells, row by row.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    fn width(&self) -> usize {
        self.rows.iter().map(Vec::len).chain([self.columns.len()]).max().unwrap_or(0)
    }

    /// Whether every cell of a column that says anything says a number.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !is_blank(cell)).peekable();
        cells.peek().is_some() && cells.all(|cell| leading_number(cell).is_some())
    }

    /// The table for a terminal: columns two spaces apart, numbers at the right of their column, a rule below the
    /// header.
    pub fn to_text(&self) -> String {
        let cell = |row: &[String], column: usize| row.get(column).map_or(String::new(), |cell| one_line(cell));
        let widths: Vec<usize> = (0..self.width())
            .map(|column| {
                let rows = self.rows.iter().chain([&self.columns]);
                rows.map(|row| display_width(&cell(row, column))).max().unwrap_or(0)
            })
            .collect();
        let line = |row: &[String]| {
            let cells = widths.iter().enumerate().map(|(column, width)| {
                let cell = cell(row, column);
                let space = " ".repeat(width - display_width(&cell));
                if self.is_numeric(column) { space + &cell } else { cell + &space }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut lines = Vec::new();
        lines.extend((!self.caption.is_empty()).then(|| one_line(&self.caption)));
        lines.push(line(&self.columns));
        lines.push(widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  "));
        lines.extend(self.rows.iter().map(|row| line(row)));
        lines.join("\n") + "\n"
    }

    /// The table as an HTML element. A click on a column's name sorts by it, if the page has the script for that.
    pub(crate) fn to_html(&self) -> String {
        self.to_html_with(|_, _| None)
    }

    /// The same, where `extra` may give a cell, by row and column, a class and something after its text.
    pub(crate) fn to_html_with(&self, extra: impl Fn(usize, usize) -> Option<(&'static str, &'static str)>) -> String {
        let mut html = String::from("<div class=\"wide\"><table>\n");
        if !self.caption.is_empty() {
            let _ = writeln!(html, "<caption><span>{}</span></caption>", escape(&self.caption));
        }
        let numeric: Vec<bool> = (0..self.width()).map(|column| self.is_numeric(column)).collect();
        let class = |column: usize, more: &str| match (numeric[column], more) {
            (false, "") => String::new(),
            (false, more) => format!(" class=\"{more}\""),
            (true, "") => " class=\"number\"".to_owned(),
            (true, more) => format!(" class=\"number {more}\""),
        };
        html.push_str("<thead><tr>");
        for (column, name) in self.columns.iter().enumerate() {
            let _ = write!(html, "<th scope=\"col\"{}>{}</th>", class(column, ""), escape(name));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for (index, row) in self.rows.iter().enumerate() {
            html.push_str("<tr>");
            for (column, cell) in row.iter().enumerate() {
                // The script sorts by the value, whatever its spelling.
                let key = leading_number(cell).map_or(String::new(), |value| format!(" data-value=\"{value}\""));
                // A long name may take several lines, lest its column push the numbers out of sight.
                let name = if column == 0 && cell.chars().count() > LONG { ("long", "") } else { ("", "") };
                let (more, after) = extra(index, column).unwrap_or(name);
                let _ = write!(html, "<td{}{key}>{}{after}</td>", class(column, more), escape(cell));
            }
            html.push_str("</tr>\n");
        }
        html + "</tbody>\n</table></div>\n"
    }
}

/// A name of more characters than this is broken into lines.
const LONG: usize = 32;

/// Whether a cell stands for a number that there is not.
fn is_blank(cell: &str) -> bool {
    matches!(cell.trim(), "" | "-" | "–" | "—" | "diverged")
}

/// The number that a cell starts with, with its unit or uncertainty left aside: `1.5e-3 ± 2e-4` is 0.0015.
fn leading_number(cell: &str) -> Option<f64> {
    let plain = cell.trim().replace('−', "-");
    let first = plain.split(['±', ' ', '\u{2009}', '\u{202f}', '%', '×']).next().unwrap_or_default();
    first.parse().ok()
}

fn one_line(cell: &str) -> String {
    cell.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// How many columns of a terminal a text takes: none for combining marks, two for the wide characters of East Asia.
fn display_width(text: &str) -> usize {
    text.chars()
        .map(|character| match u32::from(character) {
            0x0300..=0x036f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x200b..=0x200f | 0x20d0..=0x20ff => 0,
            0xfe00..=0xfe0f | 0xfe20..=0xfe2f | 0xfeff => 0,
            0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff => 2,
            0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
            _ => 1,
        })
        .sum()
}

/// The range of magnitudes that are written without a power of ten.
const PLAIN: std::ops::Range<f64> = 1e-3..1e5;

/// A number with four significant digits, such as `0.01234`, `1234`, `1.234e-5`.
pub fn number(value: f64) -> String {
    significant(value, 4)
}

/// A number with so many significant digits, with a power of ten if it is very small or very large.
fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return value.to_string();
    }
    let power = rounded_power(value, digits);
    if PLAIN.contains(&10_f64.powi(power)) {
        at_place(value, power - digits + 1)
    } else {
        format!("{value:.*e}", (digits - 1) as usize)
    }
}

/// The power of ten of the first digit, after rounding to so many digits.
fn rounded_power(value: f64, digits: i32) -> i32 {
    let text = format!("{:.*e}", (digits - 1) as usize, value.abs());
    text.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0)
}

/// A number rounded to a power of ten, without an exponent.
fn at_place(value: f64, place: i32) -> String {
    if place <= 0 {
        return unsigned_zero(format!("{value:.*}", -place as usize));
    }
    let unit = 10_f64.powi(place);
    unsigned_zero(format!("{:.0}", (value / unit).round() * unit))
}

/// What is zero after rounding is not negative.
fn unsigned_zero(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|character| matches!(character, '0' | '.')) => rest.to_owned(),
        _ => text,
    }
}

/// An estimate with its standard error, such as `0.0123 ± 0.0004` or `1.2e-5 ± 3e-6`: the error has one significant
/// digit (two if the first is a 1, which alone would be coarse), and the estimate ends at the same decimal place.
/// Without an error that is positive and finite, the estimate stands alone.
pub fn plus_minus(value: f64, error: f64) -> String {
    if !(error.is_finite() && error > 0.0 && value.is_finite()) {
        return number(value);
    }
    let begins_with_one = |rounded: String| rounded.starts_with('1');
    let digits = if begins_with_one(format!("{error:.0e}")) || begins_with_one(format!("{error:.1e}")) { 2 } else { 1 };
    let place = rounded_power(error, digits) - digits + 1;
    let top = if value == 0.0 { place } else { rounded_power(value, 1) }.max(rounded_power(error, digits));
    if PLAIN.contains(&10_f64.powi(top)) && place > -6 {
        return format!("{} ± {}", at_place(value, place), at_place(error, place));
    }
    // Each number carries its own power of ten, so that it can be copied.
    let own = if value == 0.0 { place } else { rounded_power(value, 1) };
    let kept = (own - place).max(0) as usize;
    let rounds_to_zero = value.abs() < 0.5 * 10_f64.powi(place);
    let estimate = if rounds_to_zero { "0".to_owned() } else { format!("{value:.kept$e}") };
    format!("{estimate} ± {error:.*e}", (digits - 1) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        Table {
            caption: "Distances".into(),
            columns: vec!["solver".into(), "evaluations".into(), "W₂".into()],
            rows: vec![row(["ddim", "5", "0.123 ± 0.004"]), row(["ü-漢字", "1000", "–"]), vec!["heun".into()]],
        }
    }

    #[test]
    fn terminal_tables_are_aligned() {
        let expected = "\
Distances
solver  evaluations             W₂
------  -----------  -------------
ddim              5  0.123 ± 0.004
ü-漢字         1000              –
heun
";
        assert_eq!(table().to_text(), expected);
        assert_eq!(Table::default().to_text(), "\n\n");
    }

    #[test]
    fn html_tables_are_escaped_and_carry_values() {
        let mut table = table();
        table.rows[0][0] = "<script>alert(1)</script>".into();
        let html = table.to_html();
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"), "{html}");
        assert!(html.contains("data-value=\"0.123\""), "{html}");
    }

    #[test]
    fn uncertainties_set_the_digits() {
        for (value, error, expected) in [
            (0.012_34, 0.000_41, "0.0123 ± 0.0004"),
            (1.23e-5, 3.1e-6, "1.2e-5 ± 3e-6"),
            (0.012_34, 0.000_14, "0.01234 ± 0.00014"),
            (1234.5, 31.0, "1230 ± 30"),
            (-0.5, 0.25, "-0.5 ± 0.2"),
            (0.0, 0.03, "0.00 ± 0.03"),
            (-0.001, 0.03, "0.00 ± 0.03"),
            (2e-7, 3e-6, "0 ± 3e-6"),
            (9.97, 0.098, "9.970 ± 0.098"),
            (0.5, 0.0996, "0.50 ± 0.10"),
            (1e7, 2e5, "1.00e7 ± 2e5"),
            (0.25, 0.0, "0.2500"),
            (0.25, f64::NAN, "0.2500"),
            (f64::NAN, 0.1, "NaN"),
            (f64::INFINITY, 0.1, "inf"),
            (3.0, 40.0, "0 ± 40"),
        ] {
            assert_eq!(plus_minus(value, error), expected, "{value} ± {error}");
        }
    }

    #[test]
    fn plain_numbers_have_four_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1.000"),
            (-0.012_345, "-0.01235"),
            (99_999.0, "1.000e5"),
            (12_345.0, "12350"),
            (1.5e-9, "1.500e-9"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn numbers_are_found_in_cells() {
        assert_eq!(leading_number("1.5e-3 ± 2e-4"), Some(0.0015));
        assert_eq!(leading_number("−2 %"), Some(-2.0));
        assert_eq!(leading_number("2m solver"), None);
    }
}
