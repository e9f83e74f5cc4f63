//! Lists for people: columns as wide as what is in them.

use super::output::Paint;

#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(header: [&str; N]) -> Table {
        Table { rows: vec![header.map(str::to_owned).into()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        // Names come from plugins and upstreams; what would move the cursor is not shown.
        self.rows.push(cells.map(|cell| cell.replace(char::is_control, " ")).into());
    }

    pub(super) fn render(&self, paint: Paint) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let render = |(number, row): (usize, &Vec<String>)| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                // Padded before it is painted: colours have no width.
                let padding = " ".repeat(width + 2 - cell.chars().count());
                line.push_str(&if number == 0 { paint.dim(cell) } else { paint.state(cell) });
                line.push_str(&padding);
            }
            line.trim_end().to_owned()
        };
        self.rows.iter().enumerate().map(render).collect::<Vec<_>>().join("\n")
    }
}

/// A value, or a sign that there is none.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

impl Paint {
    /// The words for how something is have their colours wherever they stand.
    pub(super) fn state(self, word: &str) -> String {
        match word {
            "active" | "available" | "healthy" => self.good(word),
            "refused" | "quarantined" | "unavailable" | "degraded" | "unhealthy" | "no_providers" => {
                self.bad(word)
            }
            _ => word.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["mock".into(), "active".into()]);
        table.row(["a longer näme".into(), or_dash(None::<u64>)]);
        table.row(["\u{1b}[2J".into(), String::new()]);
        let expected = "NAME           STATE\nmock           active\na longer näme  -\n [2J";
        assert_eq!(table.render(Paint::none()), expected);
    }
}
