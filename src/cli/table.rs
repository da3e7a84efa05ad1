//! Columns for people: each as wide as its widest cell, the last one free.

use std::fmt::Write as _;

/// Renders `rows` under `header`.
pub(super) fn render<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = header.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: [&str; N]| {
        let mut row = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            write!(row, "{cell:width$}  ").expect("a string can be written");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    };
    line(header);
    for row in rows {
        line(row.each_ref().map(String::as_str));
    }
    text
}

/// Renders names with their values, without a header.
pub(super) fn pairs(rows: &[[String; 2]]) -> String {
    let width = rows.iter().map(|[name, _]| name.chars().count()).max();
    let width = width.unwrap_or_default();
    let line = |[name, value]: &[String; 2]| format!("{name:width$}  {value}\n");
    rows.iter().map(line).collect()
}
