//! Which parts of the file system are covered and which shown, where the wishes overlap: what lies deeper wins,
//! whatever lies around it. Pure; [`super::mounts`] does it.

use std::path::{Path, PathBuf};

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    /// An absolute path.
    pub(crate) path: PathBuf,
    /// What is wanted there.
    pub(crate) kind: Kind,
}

/// What is wanted at a path. Of two wishes for the same one the later kind wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// It is there as it is, and cannot be moved away with what lies in it.
    Pinned,
    /// Nothing is seen of it.
    Hidden,
    /// A place of the child's own.
    Private,
    /// It is there and cannot be written.
    ReadOnly,
    /// It is there as it is.
    Shown,
    /// It cannot be replaced, where it is seen at all.
    Guarded,
    /// A `/dev` of the child's own.
    Devices,
}

/// What is there where nobody wished for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Background {
    /// The whole file system.
    Host,
    /// Nothing.
    Empty,
}

/// What is seen at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    ReadOnly,
    AsItIs,
}

/// The wishes that take an act, in the order in which they are to be done: a path after those around it.
pub(crate) fn acts(background: Background, mut wishes: Vec<Wish>) -> Vec<Wish> {
    wishes.sort_by(|a, b| a.path.cmp(&b.path).then(b.kind.cmp(&a.kind)));
    wishes.dedup_by(|later, first| later.path == first.path && later.kind != Kind::Pinned);
    let all = seen_by_default(background);
    let mut around: Vec<(PathBuf, Seen)> = Vec::new();
    let mut acts = Vec::with_capacity(wishes.len());
    for wish in wishes {
        while around.last().is_some_and(|(path, _)| !wish.path.starts_with(path)) {
            around.pop();
        }
        // What something is done about is a mount point, and cannot be moved.
        if wish.kind == Kind::Pinned && acts.last().is_some_and(|act: &Wish| act.path == wish.path) {
            continue;
        }
        let seen = around.last().map_or(all, |(_, seen)| *seen);
        let (needed, becomes) = effect(wish.kind, seen);
        if needed {
            around.push((wish.path.clone(), becomes));
            acts.push(wish);
        }
    }
    acts
}

/// Whether a path is seen as it is, once these acts were done.
pub(crate) fn is_seen(background: Background, acts: &[Wish], path: &Path) -> bool {
    let around = acts.iter().rfind(|act| path.starts_with(&act.path));
    around.map_or(seen_by_default(background), |act| effect(act.kind, Seen::AsItIs).1) == Seen::AsItIs
}

fn seen_by_default(background: Background) -> Seen {
    match background {
        Background::Host => Seen::AsItIs,
        Background::Empty => Seen::Nothing,
    }
}

/// Whether a wish takes an act where this is seen, and what is seen then.
fn effect(kind: Kind, seen: Seen) -> (bool, Seen) {
    match (kind, seen) {
        // Nothing can be moved in what is covered, or only read.
        (Kind::Pinned, _) => (seen == Seen::AsItIs, seen),
        (Kind::Hidden, _) => (seen != Seen::Nothing, Seen::Nothing),
        (Kind::Private | Kind::Devices, _) => (true, Seen::Nothing),
        // Nobody loses a right by what lies around it.
        (Kind::ReadOnly, _) => (seen == Seen::Nothing, Seen::ReadOnly),
        (Kind::Shown, _) => (seen != Seen::AsItIs, Seen::AsItIs),
        (Kind::Guarded, _) => (seen == Seen::AsItIs, Seen::ReadOnly),
    }
}

/// Whether one of the wishes that are to be done takes something of the host's to this path.
pub(crate) fn takes_original(kind: Kind) -> bool {
    match kind {
        Kind::ReadOnly | Kind::Shown | Kind::Guarded => true,
        Kind::Pinned | Kind::Hidden | Kind::Private | Kind::Devices => false,
    }
}

/// A wish, from text.
pub(crate) fn wish(path: impl AsRef<Path>, kind: Kind) -> Wish {
    Wish { path: path.as_ref().to_owned(), kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(background: Background, wishes: &[(&str, Kind)], expected: &[(&str, Kind)]) {
        let to_wishes =
            |list: &[(&str, Kind)]| list.iter().map(|(path, kind)| wish(path, *kind)).collect::<Vec<_>>();
        assert_eq!(acts(background, to_wishes(wishes)), to_wishes(expected));
    }

    #[test]
    fn what_nothing_hides_costs_nothing() {
        use Kind::{Private, Shown};
        check(Background::Host, &[("/home/a", Shown)], &[]);
        check(Background::Host, &[("/home/a", Shown), ("/tmp", Private)], &[("/tmp", Private)]);
        let both = [("/tmp", Private), ("/tmp/a", Shown)];
        check(Background::Host, &[("/tmp/a/b", Shown), ("/tmp/a", Shown), ("/tmp", Private)], &both);
        let beside = [("/tmp", Private), ("/tmp/a", Shown), ("/tmp/ab", Shown)];
        check(Background::Host, &[("/tmp/ab", Shown), ("/tmp/a", Shown), ("/tmp", Private)], &beside);
    }

    #[test]
    fn what_lies_deeper_wins() {
        use Kind::{Hidden, Private, Shown};
        let all = [
            ("/tmp", Private),
            ("/tmp/base", Shown),
            ("/tmp/base/home", Hidden),
            ("/tmp/base/home/work", Shown),
        ];
        check(Background::Host, &all, &all);
        // Hidden within what is hidden already.
        check(Background::Host, &[("/tmp", Private), ("/tmp/home", Hidden)], &[("/tmp", Private)]);
        let nested = [("/h/.aws", Hidden), ("/h/.aws/q", Hidden), ("/h/.aws/q/work", Shown)];
        check(Background::Host, &nested, &[nested[0], nested[2]]);
    }

    #[track_caller]
    fn check_seen(background: Background, acts: &[(&str, Kind)], expected: &[(&str, bool)]) {
        let acts: Vec<_> = acts.iter().map(|(path, kind)| wish(path, *kind)).collect();
        for (path, seen) in expected {
            assert_eq!(is_seen(background, &acts, Path::new(path)), *seen, "{path}");
        }
    }

    #[test]
    fn the_deepest_act_around_a_path_tells_whether_it_is_seen() {
        use Kind::{Hidden, Private, ReadOnly, Shown};
        let acts = [("/tmp", Private), ("/tmp/base", Shown), ("/tmp/base/home", Hidden)];
        let expected =
            [("/a", true), ("/tmp/a", false), ("/tmp/base/a", true), ("/tmp/base/home/work", false)];
        check_seen(Background::Host, &acts, &expected);
        let acts = [("/base", ReadOnly), ("/base/out", Shown)];
        check_seen(Background::Empty, &acts, &[("/a", false), ("/base/a", false), ("/base/out/a", true)]);
    }

    #[test]
    fn what_is_declared_is_not_hidden() {
        use Kind::{Hidden, Private, Shown};
        check(Background::Host, &[("/h/.aws", Hidden), ("/h/.aws", Shown)], &[]);
        check(Background::Host, &[("/tmp", Private), ("/tmp", Shown)], &[]);
    }

    #[test]
    fn an_empty_root_holds_what_is_named() {
        use Kind::{Guarded, Hidden, Private, ReadOnly, Shown};
        let all = [("/base", ReadOnly), ("/base/out", Shown), ("/tmp", Private), ("/usr", ReadOnly)];
        check(Background::Empty, &all, &all);
        let guarded = [("/usr", ReadOnly), ("/usr/bin/q", Guarded), ("/opt/q", Guarded)];
        check(Background::Empty, &guarded, &guarded[..1]);
        let hidden = [("/etc", ReadOnly), ("/etc/shadow", Hidden), ("/root/.ssh", Hidden)];
        check(Background::Empty, &hidden, &hidden[..2]);
        // The right to write is not lost by a wish to read.
        check(Background::Empty, &[("/w", Shown), ("/w/in", ReadOnly)], &[("/w", Shown)]);
    }

    #[test]
    fn what_leads_to_a_hidden_place_cannot_be_moved() {
        use Kind::{Hidden, Pinned, Private, ReadOnly, Shown};
        let all = [("/h", Pinned), ("/h/.config", Pinned), ("/h/.config/gh", Hidden)];
        check(Background::Host, &all, &all);
        // Shown or not: it can be moved unless something is mounted there.
        check(Background::Host, &[&[("/h", Shown)], &all[..]].concat(), &all);
        let twice = [("/h", Hidden), ("/h", Pinned), ("/h/.ssh", Hidden)];
        check(Background::Host, &twice, &twice[..1]);
        check(Background::Host, &[("/tmp", Private), ("/tmp/h", Pinned)], &[("/tmp", Private)]);
        let written = [("/etc", ReadOnly), ("/etc/a", Pinned), ("/h", Shown), ("/h/.config", Pinned)];
        check(Background::Empty, &written, &[written[0], written[2], written[3]]);
    }

    #[test]
    fn the_program_is_guarded_where_it_could_be_written() {
        use Kind::{Guarded, Private};
        check(Background::Host, &[("/usr/bin/q", Guarded)], &[("/usr/bin/q", Guarded)]);
        check(Background::Host, &[("/tmp", Private), ("/tmp/q", Guarded)], &[("/tmp", Private)]);
    }
}
