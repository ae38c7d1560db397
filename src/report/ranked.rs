//! Tables that say which of their numbers are best.

use super::table::Table;

/// A table some of whose cells are the best of their column, or as good as that for all one can tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankedTable {
    /// The cells.
    pub table: Table,
    /// Cells by row and column, and how each stands; the others are neither.
    pub standings: Vec<(usize, usize, Standing)>,
}

/// How a number stands among those that it competes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The best.
    Best,
    /// Not the best, but it cannot be told from it.
    Tied,
}

impl Standing {
    fn sign(self) -> &'static str {
        match self {
            Standing::Best => "★",
            Standing::Tied => "☆",
        }
    }

    /// The class of the cell, and its sign with words for those who do not see it.
    fn html(self) -> (&'static str, &'static str) {
        match self {
            Standing::Best => ("best", "<span class=\"star\" title=\"best\">★</span>"),
            Standing::Tied => ("tied-best", "<span class=\"star\" title=\"tied with the best\">☆</span>"),
        }
    }
}

const BEST: &str = "★ best";
const TIED: &str = "☆ not distinguishable from the best";

impl RankedTable {
    fn standing(&self, row: usize, column: usize) -> Option<Standing> {
        self.standings.iter().find(|found| (found.0, found.1) == (row, column)).map(|found| found.2)
    }

    /// The signs that occur, in words.
    fn legend(&self) -> String {
        let has = |standing: Standing| self.standings.iter().any(|found| found.2 == standing);
        let signs = [(Standing::Best, BEST), (Standing::Tied, TIED)];
        let shown: Vec<&str> = signs.into_iter().filter(|&(standing, _)| has(standing)).map(|(_, text)| text).collect();
        shown.join(", ")
    }

    /// The table for a terminal, with a sign after each best number, and below it what the signs mean.
    pub fn to_text(&self) -> String {
        let ranked = |column: usize| self.standings.iter().any(|found| found.1 == column);
        let cell = |row: usize, column: usize, text: &String| match self.standing(row, column) {
            Some(standing) => format!("{text} {}", standing.sign()),
            // Numbers stay below one another.
            None if ranked(column) => format!("{text}  "),
            None => text.clone(),
        };
        let row = |(row, cells): (usize, &Vec<String>)| {
            cells.iter().enumerate().map(|(column, text)| cell(row, column, text)).collect()
        };
        let rows = self.table.rows.iter().enumerate().map(row).collect();
        let text = Table { rows, ..self.table.clone() }.to_text();
        let legend = self.legend();
        if legend.is_empty() { text } else { format!("{text}{legend}\n") }
    }

    /// The same as an HTML element.
    pub(crate) fn to_html(&self) -> String {
        let ranked: Vec<usize> = self.standings.iter().map(|found| found.1).collect();
        let empty = ranked.is_empty();
        let html = self.table.to_html_with(|row, column| match self.standing(row, column) {
            Some(standing) => Some(standing.html()),
            None => ranked.contains(&column).then_some(("", "<span class=\"star\"></span>")),
        });
        if empty { html } else { format!("{html}<p class=\"legend\">{}</p>\n", self.legend()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(standings: Vec<(usize, usize, Standing)>) -> RankedTable {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = vec![row(["heun", "0.10 ± 0.01"]), row(["<ddim>", "0.11 ± 0.01"]), row(["euler", "diverged"])];
        let table = Table { caption: String::new(), columns: row(["solver", "W₂"]), rows };
        RankedTable { table, standings }
    }

    #[test]
    fn signs_stand_behind_aligned_numbers() {
        let expected = "\
solver             W₂
------  -------------
heun    0.10 ± 0.01 ★
<ddim>  0.11 ± 0.01 ☆
euler      diverged
★ best, ☆ not distinguishable from the best
";
        assert_eq!(ranked(vec![(0, 1, Standing::Best), (1, 1, Standing::Tied)]).to_text(), expected);
        assert!(!ranked(vec![]).to_text().contains('★'));
    }

    #[test]
    fn cells_are_marked_in_html() {
        let html = ranked(vec![(0, 1, Standing::Best), (9, 9, Standing::Tied)]).to_html();
        assert!(html.contains("class=\"number best\" data-value=\"0.1\">0.10 ± 0.01<span"), "{html}");
        assert!(html.contains("&lt;ddim&gt;") && html.contains("★ best"), "{html}");
        assert!(!ranked(vec![]).to_html().contains("legend"));
        assert!(RankedTable::default().to_html().contains("</table>"));
    }
}
