//! Near misses of step ids. Texts that look like references are rare, ids may be ten thousand: each text is
//! looked up once, cheap tests come first, and the whole search has a bound.

use std::collections::HashMap;

/// Most comparisons of one definition; beyond it near misses are not looked for.
const MAX_COMPARISONS: usize = 2_000_000;
/// Largest distance of a near miss.
const MAX_DISTANCE: usize = 2;

/// An id that is near a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Near<'a> {
    /// The id.
    pub(super) id: &'a str,
    /// How many characters must be inserted, deleted, replaced or swapped with their neighbour.
    pub(super) distance: usize,
}

/// Looks for ids that are near a text.
#[derive(Debug)]
pub(super) struct NearIds<'a> {
    ids: Vec<(&'a str, u64)>,
    found: HashMap<String, Vec<Near<'a>>>,
    comparisons: usize,
}

impl<'a> NearIds<'a> {
    pub(super) fn new(ids: impl Iterator<Item = &'a str>) -> Self {
        let ids = ids.map(|id| (id, letters(id))).collect();
        Self { ids, found: HashMap::new(), comparisons: 0 }
    }

    /// The ids within two edits of `text`, in the order of the file.
    pub(super) fn of(&mut self, text: &str) -> Vec<Near<'a>> {
        if let Some(found) = self.found.get(text) {
            return found.clone();
        }
        let found = self.search(text);
        self.found.insert(text.to_owned(), found.clone());
        found
    }

    fn search(&mut self, text: &str) -> Vec<Near<'a>> {
        let mut found = Vec::new();
        let mask = letters(text);
        for (id, id_mask) in &self.ids {
            // An edit changes the set of letters by two at most.
            let apart = (mask ^ id_mask).count_ones() as usize > 2 * MAX_DISTANCE;
            if apart || id.len().abs_diff(text.len()) > MAX_DISTANCE {
                continue;
            }
            if self.comparisons >= MAX_COMPARISONS {
                break;
            }
            self.comparisons += 1;
            let distance = strsim::osa_distance(id, text);
            if distance <= MAX_DISTANCE {
                found.push(Near { id, distance });
            }
        }
        found
    }
}

/// The set of characters of a text, one bit each (some share one).
fn letters(text: &str) -> u64 {
    text.bytes().fold(0, |mask, byte| mask | 1 << (byte % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, usize)]) {
        let mut near = NearIds::new(["fetch", "process", "prepare-data"].into_iter());
        let found: Vec<_> = near.of(text).into_iter().map(|near| (near.id, near.distance)).collect();
        assert_eq!(found, expected);
        assert_eq!(near.of(text).len(), expected.len(), "the second look-up answers the same");
    }

    #[test]
    fn edits_are_counted() {
        check("fetc", &[("fetch", 1)]);
        check("fecth", &[("fetch", 1)]);
        check("fetcher", &[("fetch", 2)]);
        check("proces", &[("process", 1)]);
        check("prepare_dta", &[("prepare-data", 2)]);
        check("api", &[]);
        check("", &[]);
    }
}
