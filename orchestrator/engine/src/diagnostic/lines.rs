//! [`LineIndex`]: from byte offsets to lines and columns.

/// Bytes between two remembered counts of characters.
const BLOCK: usize = 1024;

/// A place as people count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// 1-based.
    pub line: usize,
    /// 1-based, in Unicode characters.
    pub column: usize,
}

/// Finds lines and columns in a text. Built in one pass; each look-up costs at most a kilobyte of counting,
/// however long the lines are.
#[derive(Debug, Clone)]
pub struct LineIndex<'a> {
    text: &'a str,
    /// Offsets at which lines start.
    starts: Vec<usize>,
    /// Characters before each block of the text.
    blocks: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    /// Reads the text (after a BOM) once.
    pub fn new(text: &'a str) -> Self {
        let mut starts = vec![0];
        let mut blocks = Vec::with_capacity(text.len() / BLOCK + 1);
        let mut characters = 0;
        for (offset, byte) in text.bytes().enumerate() {
            if offset % BLOCK == 0 {
                blocks.push(characters);
            }
            if byte == b'\n' {
                starts.push(offset + 1);
            }
            characters += usize::from(starts_character(byte));
        }
        Self { text, starts, blocks }
    }

    /// Line and column of a byte offset; past the end counts as the end.
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        Position { line, column: self.characters(offset) - self.characters(start) + 1 }
    }

    /// The text of a line (1-based) without its line feed; empty where there is no such line.
    pub fn line(&self, line: usize) -> &'a str {
        let Some(start) = line.checked_sub(1).and_then(|line| self.starts.get(line)) else {
            return "";
        };
        let end = self.starts.get(line).map_or(self.text.len(), |next| next - 1);
        self.text[*start..end].trim_end_matches('\r')
    }

    /// Characters that start before `offset`.
    fn characters(&self, offset: usize) -> usize {
        let block = (offset / BLOCK).min(self.blocks.len().saturating_sub(1));
        let before = self.blocks.get(block).copied().unwrap_or(0);
        let rest = &self.text.as_bytes()[block * BLOCK..offset];
        before + rest.iter().filter(|byte| starts_character(**byte)).count()
    }
}

/// Whether a byte of UTF-8 is the first of a character.
fn starts_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, offset: usize, line: usize, column: usize) {
        assert_eq!(LineIndex::new(text).position(offset), Position { line, column });
    }

    #[test]
    fn columns_count_characters() {
        check("", 0, 1, 1);
        check("ab\ncd", 4, 2, 2);
        check("ab\ncd", 2, 1, 3);
        check("ab\n", 3, 2, 1);
        check("ab\r\ncd", 4, 2, 1);
        check("äö€𝄞x", "äö€𝄞".len(), 1, 5);
        check("ab", 99, 1, 3);
    }

    #[test]
    fn long_lines_are_counted_by_blocks() {
        let text = format!("x\n{}y", "ä".repeat(5000));
        check(&text, text.len() - 1, 2, 5001);
    }

    #[test]
    fn lines_come_without_their_end() {
        let index = LineIndex::new("one\r\ntwo\n");
        assert_eq!(
            (index.line(0), index.line(1), index.line(2), index.line(3), index.line(4)),
            ("", "one", "two", "", "")
        );
    }
}
