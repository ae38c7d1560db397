//! A choice among the runs of a comparison, such as `solver=unipc,nfe<=20`.

use std::str::FromStr;

use crate::error::{Error, Result};

/// Conditions that a run must all meet; none by default.
#[derive(Clone, Debug, Default)]
pub struct Only {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
enum Condition {
    /// The name or the label is, or is not, one of these.
    Text { key: Text, equal: bool, values: Vec<String> },
    /// The budget compares like this with a number.
    Budget { compare: fn(&usize, &usize) -> bool, number: usize },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Text {
    Solver,
    Label,
}

const REMEDY: &str =
    "write conditions such as solver=unipc|ddim, label!=\"Heun, EDM grid\" or nfe<=20 with commas between";

impl Only {
    /// Whether a run meets all conditions; one that chooses its own steps meets none on its budget.
    pub fn admits(&self, solver: &str, label: &str, budget: Option<usize>) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Text { key, equal, values } => {
                let text = match key {
                    Text::Solver => solver,
                    Text::Label => label,
                };
                values.iter().any(|value| value == text) == *equal
            }
            Condition::Budget { compare, number } => budget.is_some_and(|budget| compare(&budget, number)),
        })
    }
}

impl FromStr for Only {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fault = |problem: String| Error::argument(format!("--only {text:?}"), problem, REMEDY);
        let condition = |part: &str| {
            let part = part.trim();
            let end = part.find(['=', '<', '>', '!']).ok_or_else(|| fault(format!("{part:?} compares nothing")))?;
            let (key, rest) = (part[..end].trim(), &part[end..]);
            let signs = rest.find(|c| !"=<>!".contains(c)).unwrap_or(rest.len());
            let (sign, value) = (&rest[..signs], rest[signs..].trim());
            let key = match key {
                "solver" => Text::Solver,
                "label" => Text::Label,
                "nfe" => {
                    let compare: fn(&usize, &usize) -> bool = match sign {
                        "=" => usize::eq,
                        "!=" => usize::ne,
                        "<" => usize::lt,
                        "<=" => usize::le,
                        ">" => usize::gt,
                        ">=" => usize::ge,
                        _ => return Err(fault(format!("{sign:?} compares nothing"))),
                    };
                    let number = value.parse().map_err(|_| fault(format!("{value:?} is no number of evaluations")))?;
                    return Ok(Condition::Budget { compare, number });
                }
                _ => return Err(fault(format!("{key:?} is none of solver, label, nfe"))),
            };
            let equal = match sign {
                "=" => true,
                "!=" => false,
                _ => return Err(fault(format!("a name is compared by = or !=, not by {sign:?}"))),
            };
            let values = value.split('|').map(|value| value.trim().trim_matches(['"', '\'']).to_owned()).collect();
            Ok(Condition::Text { key, equal, values })
        };
        Ok(Only { conditions: parts(text).map(condition).collect::<Result<_>>()? })
    }
}

/// The parts between commas that stand outside quotes.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_met_together() {
        let only: Only = "solver=unipc|ddim, nfe<=20".parse().unwrap();
        assert!(only.admits("unipc", "UniPC", Some(20)) && only.admits("ddim", "DDIM", Some(5)));
        assert!(!only.admits("unipc", "UniPC", Some(21)) && !only.admits("heun", "Heun", Some(5)));
        assert!(!only.admits("unipc", "UniPC", None));
        let only: Only = "label!=\"Heun, EDM grid\"".parse().unwrap();
        assert!(!only.admits("heun", "Heun, EDM grid", None) && only.admits("heun", "Heun", Some(4)));
        assert!(Only::default().admits("heun", "Heun", None));
    }

    #[test]
    fn what_is_no_condition_says_so() {
        for (text, part) in [
            ("unipc", "\"unipc\" compares nothing"),
            ("", "\"\" compares nothing"),
            ("steps=5", "\"steps\" is none of solver, label, nfe"),
            ("nfe<=few", "\"few\" is no number"),
            ("nfe=<5", "\"=<\" compares nothing"),
            ("solver<ddim", "not by \"<\""),
            ("solver=ddim,", "\"\" compares nothing"),
        ] {
            let error = text.parse::<Only>().unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }
}
