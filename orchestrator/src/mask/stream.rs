//! Masking of a stream that comes in pieces: a secret that is cut by the border between two reads is found too.

use std::rc::Rc;

use super::{MASK, Masker};

/// One stream on its way through a masker.
#[derive(Debug)]
pub struct Stream {
    masker: Rc<Masker>,
    /// What came and is not given on yet: it may be the beginning of a secret.
    held: Vec<u8>,
}

impl Stream {
    /// A stream of which nothing came yet.
    pub fn new(masker: Rc<Masker>) -> Self {
        Self { masker, held: Vec::new() }
    }

    /// Takes what came, and gives on what can be no part of a secret any more.
    pub fn push(&mut self, bytes: &[u8], to: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        let certain = self.held.len() - self.masker.begun(&self.held);
        self.give(certain, to);
    }

    /// Gives on the rest: the stream is over.
    pub fn finish(&mut self, to: &mut Vec<u8>) {
        self.give(self.held.len(), to);
    }

    /// Gives on everything before `certain`. What begins there can be completed by nothing that is still to come.
    fn give(&mut self, certain: usize, to: &mut Vec<u8>) {
        let mut done = 0;
        for found in self.masker.search.iter().flat_map(|search| search.all(&self.held)) {
            if found.start >= certain {
                break;
            }
            to.extend_from_slice(&self.held[done..found.start]);
            to.extend_from_slice(MASK.as_bytes());
            done = found.end;
        }
        if done < certain {
            to.extend_from_slice(&self.held[done..certain]);
            done = certain;
        }
        self.held.drain(..done);
    }
}

impl Masker {
    /// The length of the longest end of `bytes` with which a secret may begin.
    fn begun(&self, bytes: &[u8]) -> usize {
        let begins = |form: &Vec<u8>| {
            let (first, _) = form.split_first()?;
            // Shorter than the form by one: a whole one is no beginning.
            let end = &bytes[bytes.len().saturating_sub(form.len() - 1)..];
            let mut places = memchr::memchr_iter(*first, end);
            places.find(|place| form.starts_with(&end[*place..])).map(|place| end.len() - place)
        };
        self.forms.iter().filter_map(begins).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the stream is cut, what comes out is the masked whole.
    #[track_caller]
    fn check(secrets: &[&str], whole: &str, expected: &str) {
        let masker = Rc::new(Masker::new(secrets.iter().copied()).unwrap());
        for size in 1..=whole.len() {
            let mut stream = Stream::new(Rc::clone(&masker));
            let mut out = Vec::new();
            for piece in whole.as_bytes().chunks(size) {
                stream.push(piece, &mut out);
            }
            stream.finish(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "in pieces of {size}");
        }
        assert_eq!(masker.text(whole), expected);
    }

    #[test]
    fn borders_of_reads_hide_nothing() {
        check(&["secret"], "a secret, secrets, secre", "a ***, ***s, secre");
        check(&["secret", "secretive"], "secretive secreti", "*** ***i");
        check(&["aaaaaab"], "aaaaaaaaab aaaaaa", "aaa*** aaaaaa");
        check(&["abcdef", "cdefgh"], "abcdefgh cdefgh", "***gh ***");
        check(&["line one\nline two"], "x line one\nline two y", "x *** y");
    }

    #[test]
    fn nothing_is_held_back_that_cannot_be_a_secret() {
        let masker = Rc::new(Masker::new(["secret"]).unwrap());
        let mut stream = Stream::new(masker);
        let mut out = Vec::new();
        stream.push(b"a line\n", &mut out);
        assert_eq!(out, b"a line\n");
        stream.push(b"a sec", &mut out);
        assert_eq!(out, b"a line\na ");
        stream.push(b"ond", &mut out);
        assert_eq!(out, b"a line\na second");
    }
}
