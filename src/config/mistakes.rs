//! Mistakes in a file, all of them, each with its place and what to write instead.

use std::fmt;

/// Where something stands: line and column, both from 1, as editors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };

    /// From the parser's marker: lines from 1, columns from 0.
    pub fn of(line: usize, column_from_zero: usize) -> Self {
        Self { line: line.max(1), column: column_from_zero + 1 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    pub file: String,
    #[serde(flatten)]
    pub place: Place,
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.place.line, self.place.column, self.text)
    }
}

/// What was found so far, over all files read.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    file: String,
    all: Vec<Mistake>,
}

impl Mistakes {
    pub fn of(file: impl Into<String>) -> Self {
        Self { file: file.into(), all: Vec::new() }
    }

    /// The file that mistakes belong to now.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// From here on mistakes belong to this file.
    pub fn turn_to(&mut self, file: impl Into<String>) {
        self.file = file.into();
    }

    pub fn add(&mut self, place: Place, text: impl Into<String>) {
        self.all.push(Mistake { file: self.file.clone(), place, text: text.into() });
    }

    pub fn list(&self) -> &[Mistake] {
        &self.all
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The value if nothing is wrong, else everything that is, in reading order within each file.
    pub fn or<T>(mut self, value: Option<T>) -> Result<T, Self> {
        let mut files: Vec<String> = Vec::new();
        for mistake in &self.all {
            if !files.contains(&mistake.file) {
                files.push(mistake.file.clone());
            }
        }
        self.all.sort_by_key(|m| (files.iter().position(|f| *f == m.file), m.place));
        self.all.dedup();
        match value {
            Some(value) if self.all.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.all.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

/// The nearest of the known words, if one is near enough to be meant.
pub fn meant<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', ' '], "_");
    let written = plain(written);
    known
        .into_iter()
        .map(|word| (distance(&written, &plain(word)), word))
        .filter(|(far, word)| *far <= 1 + word.len() / 4)
        .min()
        .map(|(_, word)| word)
}

/// How many letters to insert, drop, change or swap with a neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = usize::from(a[i - 1] != b[j - 1]);
                let best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + change);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_understood() {
        let known = ["steady_for", "or_episodes", "within", "clears_after"];
        assert_eq!(meant("staedy_for", known), Some("steady_for"));
        assert_eq!(meant("Steady-For", known), Some("steady_for"));
        assert_eq!(meant("or_episode", known), Some("or_episodes"));
        assert_eq!(meant("colour", known), None);
    }

    #[test]
    fn mistakes_come_in_reading_order_file_by_file() {
        let mut all = Mistakes::of("b.yaml");
        all.add(Place { line: 2, column: 1 }, "two");
        all.add(Place { line: 1, column: 5 }, "one");
        all.turn_to("a.yaml");
        all.add(Place::START, "three");
        let said = all.or(Some(())).expect_err("there are mistakes").to_string();
        assert_eq!(said, "b.yaml:1:5: one\nb.yaml:2:1: two\na.yaml:1:1: three");
    }
}
