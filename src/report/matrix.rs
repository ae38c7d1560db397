//! Which competitors differ, and by how much: a matrix of paired differences.

use super::front::Better;
use super::html::escape;
use super::table::number;
use crate::statistics::{Interval, Pair};
use std::fmt::Write as _;

/// Competitors × competitors at one budget, ordered from best to worst: the ratio of the row's value to the column's, or,
/// of values of which more is better, the difference. A colour is a difference that holds after the adjustment for many tests; what could as well be
/// equal is hatched. An HTML table, so that it can be read aloud, searched and copied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignificanceMatrix {
    /// What is compared, such as `W₂ at 10 evaluations`; may be empty.
    pub caption: String,
    /// The names of the competitors.
    pub competitors: Vec<String>,
    /// The mean value of each, which sets the order; one that is missing or not finite stands last, as diverged.
    pub values: Vec<f64>,
    /// The differences of pairs of them, as [`rank`](crate::statistics::rank()) finds them.
    pub pairs: Vec<Pair>,
    /// Which values are good.
    pub better: Better,
}

/// The ratio from which on a cell has its full colour.
const FULL: f64 = 10.0;

impl SignificanceMatrix {
    fn value(&self, competitor: usize) -> f64 {
        self.values.get(competitor).copied().unwrap_or(f64::NAN)
    }

    /// From best to worst.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.competitors.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (self.value(a), self.value(b));
            b.is_finite().cmp(&a.is_finite()).then(self.better.order(a, b))
        });
        order
    }

    /// A pair as seen from its row.
    fn contrast(&self, row: usize, column: usize) -> Option<Contrast> {
        let seen = self.pairs.iter().flat_map(|&pair| [pair, pair.reversed()]).find(|pair| pair.of == (row, column));
        seen.map(|pair| Contrast(pair, self.better))
    }

    /// The table, and below it what its signs mean.
    pub(crate) fn to_html(&self) -> String {
        let order = self.order();
        let mut html = String::from("<div class=\"wide\"><table class=\"matrix\">\n");
        if !self.caption.is_empty() {
            let _ = writeln!(html, "<caption><span>{}</span></caption>", escape(&self.caption));
        }
        // Columns have the names of the rows, upwards; the numbers lead from one to the other.
        let contrast = if self.better == Better::Less { "row ÷ column" } else { "row − column" };
        let _ =
            write!(html, "<thead><tr><th scope=\"col\">{contrast}</th><th scope=\"col\" class=\"number\">mean</th>");
        for (place, &column) in order.iter().enumerate() {
            let name = escape(&self.competitors[column]);
            let _ = write!(html, "<th scope=\"col\" title=\"{name}\"><span>{} {name}</span></th>", place + 1);
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for (place, &row) in order.iter().enumerate() {
            let value = self.value(row);
            let mean = if value.is_finite() { number(value) } else { "diverged".to_owned() };
            let name = escape(&self.competitors[row]);
            let _ = write!(html, "<tr><th scope=\"row\" title=\"{name}\"><span>{} {name}</span></th>", place + 1);
            let _ = write!(html, "<td class=\"number\">{mean}</td>");
            for &column in &order {
                self.write_cell(&mut html, row, column);
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table></div>\n");
        html + if self.better == Better::Less { LEGEND } else { LEGEND_OF_MORE }
    }

    fn write_cell(&self, html: &mut String, row: usize, column: usize) {
        if row == column {
            html.push_str("<td class=\"self\">·</td>");
            return;
        }
        let Some(contrast) = self.contrast(row, column) else {
            html.push_str("<td></td>");
            return;
        };
        let names = format!("{} against {}", self.competitors[row], self.competitors[column]);
        let title = escape(&format!("{names}\n{}", contrast.details()));
        let text = contrast.text();
        let _ = match contrast.0.differs() {
            false => write!(html, "<td class=\"tied\" title=\"{title}\">{text}</td>"),
            true => {
                let side = if contrast.is_better() { "better" } else { "worse" };
                let share = (100.0 * contrast.strength()).round();
                write!(
                    html,
                    "<td class=\"{side}\" style=\"--share:{share}%\" title=\"{title}\">{text}<sup>*</sup></td>"
                )
            }
        };
    }
}

/// Colours as words, for those who do not see them and for grey prints.
const LEGEND: &str = "<p class=\"legend\"><span class=\"key better\"></span> the row’s value is smaller \
     <span class=\"key worse\"></span> larger, in full colour from tenfold on; * the difference is significant after \
     Holm’s adjustment. <span class=\"key tied\"></span> tied: it could as well be none. &lt; and &gt; stand for ratios of \
     values that are not all positive.</p>\n";

const LEGEND_OF_MORE: &str = "<p class=\"legend\"><span class=\"key better\"></span> the row’s value is larger, which is \
     better, <span class=\"key worse\"></span> smaller; * the difference is significant after Holm’s adjustment. <span \
     class=\"key tied\"></span> tied: it could as well be none.</p>\n";

/// A pair in words and colours.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Contrast(Pair, Better);

impl Contrast {
    /// Whether the row's value is better than the column's.
    fn is_better(&self) -> bool {
        self.1.order(self.0.paired.difference, 0.0).is_lt()
    }

    /// How strong the colour is, from 0 to 1: the logarithm of the ratio. Where there is no ratio, a middle.
    fn strength(&self) -> f64 {
        let strength = self.0.paired.ratio.map_or(0.5, |(ratio, _)| ratio.ln().abs() / FULL.ln());
        // The least still has a hue.
        if strength.is_nan() { 0.5 } else { strength.clamp(0.12, 1.0) }
    }

    /// Such as `1.8×`, or `+0.12`.
    fn text(&self) -> String {
        if self.1 == Better::More {
            let difference = self.0.paired.difference;
            // Two digits are as many as a ratio has.
            let decimals = (1.0 - difference.abs().log10().floor()).clamp(0.0, 6.0) as usize;
            return format!("{}{:.decimals$}", if difference < 0.0 { "−" } else { "+" }, difference.abs());
        }
        let Some((ratio, _)) = self.0.paired.ratio else {
            return if self.0.paired.difference < 0.0 { "&lt;".into() } else { "&gt;".into() };
        };
        match ratio {
            _ if !ratio.is_finite() => String::new(),
            _ if ratio >= 1e4 => format!("{ratio:.0e}×"),
            _ if ratio >= 9.95 => format!("{ratio:.0}×"),
            _ if ratio >= 0.995 => format!("{ratio:.1}×"),
            // As many digits as the inverse has.
            _ if ratio >= 0.095 => format!("{ratio:.2}×"),
            _ if ratio >= 1e-3 => format!("{ratio:.3}×"),
            _ => format!("{ratio:.0e}×"),
        }
    }

    /// The numbers behind a cell.
    fn details(&self) -> String {
        let between = |Interval { low, high }: Interval| format!("[{}, {}]", number(low), number(high));
        let Pair { paired, adjusted, .. } = self.0;
        let mut lines = vec![format!("difference {} {}", number(paired.difference), between(paired.interval))];
        lines.extend(paired.ratio.map(|(ratio, interval)| format!("ratio {} {}", number(ratio), between(interval))));
        lines.push(format!("adjusted p {}", number(adjusted)));
        lines.push(format!("effect size g {}", number(paired.effect)));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{Paired, rank};

    fn matrix(repeats: &[&[f64]]) -> SignificanceMatrix {
        let contest: Vec<Vec<f64>> = repeats.iter().map(|values| values.to_vec()).collect();
        SignificanceMatrix {
            caption: "W₂".into(),
            competitors: (0..contest.len()).map(|index| format!("<s{index}>")).collect(),
            values: contest.iter().map(|values| values.iter().sum::<f64>() / values.len() as f64).collect(),
            pairs: rank(&[contest], Paired::sampled)[0].pairs.clone(),
            better: Better::Less,
        }
    }

    #[test]
    fn rows_run_from_best_to_worst_and_cells_mirror_one_another() {
        let matrix = matrix(&[&[2.0, 2.1, 2.2, 2.0], &[1.0, 1.05, 1.1, 1.01], &[f64::NAN; 4], &[2.0, 2.13, 2.1, 2.05]]);
        assert_eq!(matrix.order(), [1, 3, 0, 2]);
        let html = matrix.to_html();
        assert!(html.contains("&lt;s1&gt;") && !html.contains("<s1>"), "{html}");
        let (there, back) = (matrix.contrast(0, 1).unwrap(), matrix.contrast(1, 0).unwrap());
        assert!(there.0.differs() && back.0.differs() && (there.strength() - back.strength()).abs() < 1e-12);
        assert_eq!((there.text().as_str(), back.text().as_str()), ("2.0×", "0.50×"));
        assert_eq!(there.0.paired.interval.low, -back.0.paired.interval.high);
        assert!(!matrix.contrast(0, 3).unwrap().0.differs() && html.contains("class=\"tied\""));
        assert!(html.contains("diverged"), "{html}");
        assert_eq!(matrix.contrast(0, 2), None);
    }

    #[test]
    fn of_shares_the_largest_is_best() {
        let less = matrix(&[&[0.50, 0.51, 0.52, 0.50], &[0.90, 0.91, 0.93, 0.90], &[f64::NAN; 4]]);
        let more = SignificanceMatrix { better: Better::More, ..less.clone() };
        assert_eq!((less.order(), more.order()), (vec![0, 1, 2], vec![1, 0, 2]));
        let (there, back) = (more.contrast(1, 0).unwrap(), more.contrast(0, 1).unwrap());
        assert!(there.is_better() && !back.is_better() && !less.contrast(1, 0).unwrap().is_better());
        assert_eq!((there.text().as_str(), back.text().as_str()), ("+0.40", "−0.40"));
        let html = more.to_html();
        assert!(html.contains("row − column") && html.contains("larger, which is better"), "{html}");
    }

    #[test]
    fn odd_matrices_are_written() {
        assert!(SignificanceMatrix::default().to_html().contains("</table>"));
        // One repeat tells nothing; estimates of a distance may be negative; values may be missing.
        let one = matrix(&[&[1.0], &[-2.0]]);
        assert!(one.to_html().contains("class=\"tied\""), "{}", one.to_html());
        let short = SignificanceMatrix { values: vec![], ..one };
        assert_eq!(short.to_html().matches("diverged").count(), 2);
        let negative = matrix(&[&[1.0, 1.1, 1.2, 1.1], &[-1.0, -0.9, -1.1, -1.0]]).to_html();
        assert!(negative.contains("&gt;<sup>*</sup></td>") && negative.contains("&lt;<sup>*</sup></td>"), "{negative}");
        assert!(!negative.contains("NaN%"), "{negative}");
    }
}
