//! Axes: ranges, ticks and their labels.

/// How values spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// In proportion to the values.
    Linear,
    /// In proportion to their logarithms.
    Log,
}

impl Scale {
    /// Whether a value has a place on an axis that is long enough.
    pub(crate) fn holds(self, value: f64) -> bool {
        value.is_finite() && (self == Scale::Linear || value > 0.0)
    }
}

/// A range of values, the greater end first if they run from right to left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) scale: Scale,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The least and the greatest of the finite values.
pub(crate) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |extent, value| match extent {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// The value below which a share of the sorted values lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[(share * (sorted.len() - 1) as f64).round() as usize]
}

impl Axis {
    /// An axis that holds the values from `low` to `high`, with some room around them.
    pub(crate) fn linear(low: f64, high: f64) -> Self {
        let (low, high) = (low.max(-1e300), high.min(1e300));
        // A constant still needs a neighbourhood.
        let room = if high > low { 0.04 * (high - low) } else { low.abs().max(1e-3) * 0.5 };
        Axis { scale: Scale::Linear, low: low - room, high: high + room }
    }

    /// A logarithmic axis; both ends must be positive.
    pub(crate) fn log(low: f64, high: f64) -> Self {
        // Far enough from the ends of what a number can hold that room can be added.
        let (low, high) = (low.clamp(1e-250, 1e250), high.clamp(1e-250, 1e250));
        let room = if high > low { 10_f64.powf(0.05 * (high.log10() - low.log10())).max(1.05) } else { 2.0 };
        Axis { scale: Scale::Log, low: low / room, high: high * room }
    }

    /// The same values in the opposite direction.
    pub(crate) fn reversed(self) -> Self {
        Axis { low: self.high, high: self.low, ..self }
    }

    /// Where a value lies, from 0 at the low end to 1 at the high end; not finite if it has no place.
    pub(crate) fn share(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => f64::NEG_INFINITY,
            Scale::Log => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
        }
    }

    /// Round values on the axis, at most about `most` of them, with labels.
    pub(crate) fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        if self.low > self.high {
            return self.reversed().ticks(most).into_iter().rev().collect();
        }
        let values = match self.scale {
            Scale::Linear => self.linear_ticks(most),
            Scale::Log => self.log_ticks(most),
        };
        let step = values.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let powers = self.scale == Scale::Log && values.iter().any(|&value| !(1e-3..1e6).contains(&value));
        values.iter().map(|&value| (value, label(value, self.scale, step, powers))).collect()
    }

    /// The tenths (or, on a logarithmic axis, the digits of every decade) between the ticks, where they help the eye.
    pub(crate) fn minor_ticks(&self) -> Vec<f64> {
        match self.scale {
            _ if self.low > self.high => self.reversed().minor_ticks(),
            Scale::Log if self.high.log10() - self.low.log10() <= 7.0 => {
                self.decades(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
            }
            _ => Vec::new(),
        }
    }

    fn linear_ticks(&self, most: usize) -> Vec<f64> {
        let span = self.high - self.low;
        let raw = span / most.max(1) as f64;
        let decade = 10_f64.powf(raw.log10().floor());
        // The finest steps first; one that leaves a single tick is too coarse, and the one before has to do.
        let mut ticks = Vec::new();
        for step in [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade) {
            let coarser = self.multiples(step);
            if coarser.len() < 2 {
                break;
            }
            ticks = coarser;
            if span / step <= most as f64 + 1e-9 {
                break;
            }
        }
        ticks
    }

    /// The multiples of `step` on the axis.
    fn multiples(&self, step: f64) -> Vec<f64> {
        let (first, last) = ((self.low / step).ceil(), (self.high / step).floor());
        if !(step.is_finite() && step > 0.0 && first.is_finite() && last - first < 1000.0) {
            return Vec::new();
        }
        (0..=(last - first).max(0.0) as usize)
            .map(|tick| (first + tick as f64) * step)
            .filter(|tick| (self.low..=self.high).contains(tick))
            // A zero that came out as −0 would be labelled so.
            .map(|tick| if tick == 0.0 { 0.0 } else { tick })
            .collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<f64> {
        for digits in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
            let ticks = self.decades(digits);
            if ticks.len() <= most {
                // Within a decade, round steps say more than the one number of this kind, if any.
                return if ticks.len() >= 2 { ticks } else { self.linear_ticks(most.min(5)) };
            }
        }
        let decades = self.decades(&[1.0]);
        let every = decades.len().div_ceil(most.max(1));
        decades.into_iter().filter(|tick| (tick.log10().round() as i64).rem_euclid(every as i64) == 0).collect()
    }

    fn decades(&self, digits: &[f64]) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        (first..=last)
            .flat_map(|decade| digits.iter().map(move |digit| times_power(*digit, decade)))
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}

/// `digit` times a power of ten, exactly as a reader would write it (0.3, not 0.30000000000000004).
fn times_power(digit: f64, power: i32) -> f64 {
    format!("{digit}e{power}").parse().unwrap_or(f64::NAN)
}

/// The label of a tick: plain where a reader takes it in at a glance, else with a power of ten.
fn label(value: f64, scale: Scale, step: f64, powers: bool) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if powers || !(1e-4..1e7).contains(&size) {
        return scientific(value);
    }
    let plain = match scale {
        // Each with the digits it needs: 0.05, 0.1, 20.
        Scale::Log => format!("{value:.4e}").parse::<f64>().unwrap_or(value).to_string(),
        Scale::Linear => {
            let decimals = (-(step.min(size) * 1.000_001).log10().floor()).clamp(0.0, 12.0) as usize;
            format!("{value:.decimals$}")
        }
    };
    minus(&group(&plain))
}

/// `2.5×10⁻⁴`, or `10⁻⁴` for one times a power.
fn scientific(value: f64) -> String {
    let text = format!("{value:.2e}");
    let Some((digits, power)) = text.split_once('e') else { return text };
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let power: String = power
        .chars()
        .map(|character| match character {
            '-' => '⁻',
            digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit.to_digit(10).unwrap_or(0) as usize],
        })
        .collect();
    match digits {
        "1" => format!("10{power}"),
        "-1" => format!("−10{power}"),
        _ => minus(&format!("{digits}×10{power}")),
    }
}

/// Thin spaces between thousands, from five digits on.
fn group(plain: &str) -> String {
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let digits = whole.trim_start_matches('-').len();
    if digits < 5 {
        return plain.to_owned();
    }
    let mut grouped = String::new();
    for (index, character) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if index > 0 && left % 3 == 0 && !grouped.ends_with('-') {
            grouped.push('\u{2009}');
        }
        grouped.push(character);
    }
    grouped + rest
}

fn minus(text: &str) -> String {
    text.replacen('-', "−", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis, most: usize) -> Vec<String> {
        axis.ticks(most).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        let axis = Axis { scale: Scale::Linear, low: -1.3, high: 1.3 };
        assert_eq!(labels(axis, 6), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
        let steps = Axis { scale: Scale::Linear, low: 0.0, high: 50_000.0 };
        assert_eq!(
            labels(steps, 5),
            ["0", "10\u{2009}000", "20\u{2009}000", "30\u{2009}000", "40\u{2009}000", "50\u{2009}000"]
        );
    }

    #[test]
    fn logarithmic_ticks_read_one_two_five() {
        let axis = Axis { scale: Scale::Log, low: 4.5, high: 110.0 };
        assert_eq!(labels(axis, 8), ["5", "10", "20", "50", "100"]);
        let small = Axis { scale: Scale::Log, low: 8e-6, high: 0.3 };
        assert_eq!(labels(small, 6), ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]);
        let narrow = Axis { scale: Scale::Log, low: 0.021, high: 0.029 };
        assert_eq!(labels(narrow, 5), ["0.022", "0.024", "0.026", "0.028"]);
        assert_eq!(labels(small.reversed(), 6), ["10⁻¹", "10⁻²", "10⁻³", "10⁻⁴", "10⁻⁵"]);
        assert_eq!((small.reversed().share(0.3), small.reversed().share(8e-6)), (0.0, 1.0));
        let wide = Axis { scale: Scale::Log, low: 1e-30, high: 1e30 };
        assert!((3..=8).contains(&labels(wide, 8).len()));
    }

    #[test]
    fn odd_ranges_have_an_axis() {
        for axis in [
            Axis::linear(0.0, 0.0),
            Axis::linear(5.0, 5.0),
            Axis::linear(-1e308, 1e308),
            Axis::linear(1e-320, 1e-320),
            Axis::log(1e-320, 1e-320),
            Axis::log(1.0, 1.0),
            Axis::log(1e-300, 1e300),
        ] {
            assert!(axis.low < axis.high, "{axis:?}");
            assert!((1..=12).contains(&axis.ticks(8).len()), "{axis:?} {:?}", axis.ticks(8));
        }
    }

    #[test]
    fn thousands_are_grouped_from_five_digits() {
        assert_eq!(group("9999"), "9999");
        assert_eq!(group("-123456.5"), "-123\u{2009}456.5");
        assert_eq!(scientific(-2.5e-4), "−2.5×10⁻⁴");
    }
}
