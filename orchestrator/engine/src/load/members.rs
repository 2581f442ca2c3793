//! The members of an object in the making: a key that is given twice is reported, and its first value stays.

use std::collections::HashMap;

use super::{Member, Node, Span};
use crate::diagnostic::{Problems, codes::DUPLICATE_KEY};

/// Objects with more keys than this use a table to find duplicates: for the others it is not worth its memory.
const FEW_KEYS: usize = 16;

/// Members so far.
#[derive(Debug, Default)]
pub(super) struct Members {
    list: Vec<Member>,
    /// Places of the keys, once there are many.
    seen: HashMap<Box<str>, Span>,
}

impl Members {
    /// Room for as many members.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { list: Vec::with_capacity(count), seen: HashMap::new() }
    }

    /// Adds a member, unless its key is there already.
    pub(super) fn push(&mut self, key: Box<str>, key_span: Span, value: Node, problems: &mut Problems) {
        if let Some(first) = self.place_of(&key) {
            problems
                .report(DUPLICATE_KEY, key_span.range(), format!("the key `{key}` is given twice"))
                .note(first.range(), "first given here")
                .hint("keep one of them")
                .below(&key);
            return;
        }
        if self.list.len() == FEW_KEYS {
            self.seen = self.list.iter().map(|member| (member.key.clone(), member.key_span)).collect();
        }
        if self.list.len() >= FEW_KEYS {
            self.seen.insert(key.clone(), key_span);
        }
        self.list.push(Member { key, key_span, value });
    }

    fn place_of(&self, key: &str) -> Option<Span> {
        if self.list.len() > FEW_KEYS {
            self.seen.get(key).copied()
        } else {
            self.list.iter().find(|member| &*member.key == key).map(|member| member.key_span)
        }
    }

    /// All of them, in the order of the text.
    pub(super) fn into_list(self) -> Vec<Member> {
        self.list
    }
}
