//! Finding the forms of secrets in what passes by. Nearly nothing of it is one: so where none begins must be cheap to
//! know, for one short token as for the hundreds of forms of a long key.

use std::{iter, ops::Range};

use aho_corasick::{AhoCorasick, Anchored, BuildError, Input, MatchKind, StartKind};

/// Bytes with which a form is looked for; none is shorter.
const BEGIN: usize = 4;
/// Bits of a hash of them. The table of all hashes stays in the processor's nearest cache.
const HASH_BITS: u32 = 16;

/// Finds forms: the leftmost first, of several that begin there the longest.
pub(super) struct Search {
    /// A bit for each hash of the first bytes of a form.
    begins: Box<[u64]>,
    /// What is there, where something may begin.
    forms: AhoCorasick,
}

impl Search {
    /// A search for these. None of them is shorter than [`super::LEAST`].
    pub(super) fn new(forms: &[Vec<u8>]) -> Result<Self, BuildError> {
        let mut begins = vec![0_u64; 1 << (HASH_BITS - u64::BITS.ilog2())].into_boxed_slice();
        for begin in forms.iter().filter_map(|form| form.first_chunk()) {
            let (word, bit) = place(*begin);
            begins[word] |= bit;
        }
        let forms = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .start_kind(StartKind::Anchored)
            .build(forms)?;
        Ok(Self { begins, forms })
    }

    /// Whether there is any.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.next(text, 0).is_some()
    }

    /// All of them, one after the other.
    pub(super) fn all<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut from = 0;
        iter::from_fn(move || {
            let found = self.next(text, from)?;
            from = found.end;
            Some(found)
        })
    }

    /// The first that begins at this place or behind it.
    fn next(&self, text: &[u8], mut from: usize) -> Option<Range<usize>> {
        loop {
            let rest = text.get(from..)?;
            from += rest.array_windows().position(|begin| {
                let (word, bit) = place(*begin);
                self.begins[word] & bit != 0
            })?;
            let input = Input::new(text).range(from..).anchored(Anchored::Yes);
            if let Some(found) = self.forms.find(input) {
                return Some(found.range());
            }
            from += 1;
        }
    }
}

/// Where the bit of these bytes stands: multiplicative hashing (Knuth, volume 3, 6.4).
fn place(begin: [u8; BEGIN]) -> (usize, u64) {
    let hash = u32::from_le_bytes(begin).wrapping_mul(0x9E37_79B1) >> (u32::BITS - HASH_BITS);
    ((hash / u64::BITS) as usize, 1 << (hash % u64::BITS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(forms: &[&str]) -> Search {
        Search::new(&forms.iter().map(|form| form.as_bytes().to_vec()).collect::<Vec<_>>()).unwrap()
    }

    #[track_caller]
    fn check(forms: &[&str], text: &str, expected: &[&str]) {
        let found: Vec<_> = search(forms).all(text.as_bytes()).map(|range| text[range].to_owned()).collect();
        assert_eq!(found, expected, "{forms:?} in {text:?}");
    }

    #[test]
    fn the_leftmost_is_found_and_of_those_the_longest() {
        check(&["secret"], "no sec ret, secre", &[]);
        check(&["secret"], "secretsecret, secret", &["secret"; 3]);
        check(&["secret", "secretive"], "secretive, secretiv", &["secretive", "secret"]);
        check(&["abcdef", "cdefghij"], "abcdefghij", &["abcdef"]);
        check(&["aaaaaab"], "aaaaaaaaab", &["aaaaaab"]);
        check(&["secret"], "sec", &[]);
        check(&[], "nothing is looked for", &[]);
    }

    proptest! {
        #[test]
        fn it_finds_what_a_search_everywhere_finds(
            forms in prop::collection::vec("[ab]{6,9}", 1..6),
            text in "[ab]{0,60}",
        ) {
            let everywhere =
                AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms).unwrap();
            let expected: Vec<_> = everywhere.find_iter(&text).map(|found| found.range()).collect();
            let forms: Vec<_> = forms.into_iter().map(String::into_bytes).collect();
            let found: Vec<_> = Search::new(&forms).unwrap().all(text.as_bytes()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
