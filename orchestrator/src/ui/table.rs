//! Tables of text: columns as wide as they must be, the flexible one cut where the line is full, and others where
//! that is not enough.

use super::{
    style::{Paint, paint},
    text::{escape, pad, shorten, width},
};

/// Spaces between columns.
const GAP: usize = 2;
/// No column is cut below this.
const LEAST: usize = 8;

/// One cell: its text, and how it is painted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// A cell of text that may come from anywhere: it is escaped.
    pub fn new(text: &str) -> Self {
        Self::painted(text, Paint::Plain)
    }

    /// The same, painted.
    pub fn painted(text: &str, paint: Paint) -> Self {
        Self { text: escape(text).into_owned(), paint }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text.as_ref())
    }
}

/// A table in the making.
#[derive(Debug)]
pub struct Table {
    head: Vec<&'static str>,
    /// The column that is cut first when the line is full.
    flexible: usize,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings, of which one column is cut before the others.
    pub fn new(head: Vec<&'static str>, flexible: usize) -> Self {
        Self { head, flexible, rows: Vec::new() }
    }

    /// Adds a row, a cell for each heading.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines, cut to so many columns; the headings first.
    pub fn render(&self, columns: usize) -> String {
        let widths = self.widths(columns);
        let head: Vec<_> = self.head.iter().map(|name| Cell::painted(name, Paint::Dim)).collect();
        let lines = std::iter::once(&head).chain(&self.rows);
        lines.map(|cells| line(cells, &widths)).collect()
    }

    fn widths(&self, columns: usize) -> Vec<usize> {
        let mut widths: Vec<_> = self.head.iter().map(|name| width(name)).collect();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                widths[column] = widths[column].max(width(&cell.text));
            }
        }
        let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let mut surplus = total.saturating_sub(columns);
        let flexible = &mut widths[self.flexible];
        let given = surplus.min(flexible.saturating_sub(LEAST));
        *flexible -= given;
        surplus -= given;
        // Where that is not enough, the widest gives way, until none can.
        while surplus > 0
            && let Some(widest) = widths.iter_mut().max()
            && *widest > LEAST
        {
            *widest -= 1;
            surplus -= 1;
        }
        widths
    }
}

fn line(cells: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    let mut owed = 0;
    for (cell, width_of_column) in cells.iter().zip(widths) {
        let text = shorten(&cell.text, *width_of_column);
        let filled = width(&text);
        // Spaces are written when something follows, so that no line ends in them.
        if filled > 0 {
            line.push_str(&pad("", owed));
            line.push_str(&paint(cell.paint, &text));
            owed = 0;
        }
        owed += width_of_column - filled + GAP;
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::plain;

    fn table() -> Table {
        let mut table = Table::new(vec!["NAME", "N", "LAST"], 0);
        table.row(vec!["a-rather-long-name".into(), "".into(), "x".into()]);
        table.row(vec!["漢字".into(), "12".into(), "".into()]);
        table.row(vec![Cell::painted("b\u{1b}[0m\n", Paint::Bad), "3".into(), "y".into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        insta::assert_snapshot!(plain(&table().render(80)), @r"
        NAME                N   LAST
        a-rather-long-name      x
        漢字                12
        b\u{1b}[0m\n        3   y
        ");
    }

    #[test]
    fn the_flexible_column_gives_way() {
        insta::assert_snapshot!(plain(&table().render(24)), @r"
        NAME            N   LAST
        a-rather-long…      x
        漢字            12
        b\u{1b}[0m\n    3   y
        ");
        insta::assert_snapshot!(plain(&table().render(1)), @r"
        NAME      N   LAST
        a-rathe…      x
        漢字      12
        b\u{1b}…  3   y
        ");
    }

    #[test]
    fn then_the_widest_do() {
        let mut table = Table::new(vec!["NAME", "WHERE", "WHAT"], 2);
        table.row(vec!["short".into(), "/a/path/that/is/long".into(), "some words".into()]);
        insta::assert_snapshot!(plain(&table.render(32)), @r"
        NAME   WHERE            WHAT
        short  /a/path/that/i…  some wo…
        ");
    }
}
