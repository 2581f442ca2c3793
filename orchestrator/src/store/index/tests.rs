//! Tests: the order and the newest lines, many writers, damage, rebuilding and compaction.

use std::{fs::OpenOptions, io::Write as _};

use schemas::view::RunStatus;

use super::{Entry, Filter, Index};
use crate::store::{files, home::Home, names::RunId, view, view::tests::view_of};

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("home"));
    home.ensure().unwrap();
    (dir, home)
}

fn entry(run: RunId, status: RunStatus) -> Entry {
    Entry::of(&view_of(run, status)).unwrap()
}

fn ids(count: usize) -> Vec<RunId> {
    std::iter::repeat_with(RunId::generate).take(count).collect()
}

fn all(index: &Index) -> Vec<(RunId, RunStatus)> {
    let entries = index.newest(usize::MAX, &Filter::default(), |_| true).unwrap().unwrap();
    entries.into_iter().map(|entry| (entry.run_id, entry.status)).collect()
}

fn line_count(home: &Home) -> usize {
    std::fs::read_to_string(home.index()).unwrap().lines().count()
}

#[test]
fn the_last_line_wins_and_the_first_gives_the_place() {
    use RunStatus::{Completed, Failed, Queued, Running};
    let (_dir, home) = home();
    let index = Index::new(&home);
    let [a, b, c] = ids(3)[..] else { unreachable!("three were asked for") };
    for run in [a, b, c] {
        index.created(&entry(run, Queued)).unwrap();
    }
    index.changed(&entry(b, Running)).unwrap();
    index.changed(&entry(a, Running)).unwrap();
    index.changed(&entry(b, Failed)).unwrap();
    assert_eq!(all(&index), [(c, Queued), (b, Failed), (a, Running)]);
    index.changed(&entry(a, Completed)).unwrap();
    index.deleted(&[c]).unwrap();
    assert_eq!(all(&index), [(b, Failed), (a, Completed)]);
    let newest = index.newest(1, &Filter::default(), |_| true).unwrap().unwrap();
    assert_eq!(newest, [entry(b, Failed)]);
    let completed = index.newest(5, &Filter::default(), |entry| entry.status == Completed).unwrap().unwrap();
    assert_eq!(completed, [entry(a, Completed)]);
    assert_eq!(index.newest(0, &Filter::default(), |_| true).unwrap().unwrap(), []);
}

#[test]
fn a_filter_may_correct_what_it_sees() {
    let (_dir, home) = home();
    let index = Index::new(&home);
    let run = RunId::generate();
    index.created(&entry(run, RunStatus::Running)).unwrap();
    let corrected = |entry: &mut Entry| {
        entry.status = RunStatus::Interrupted;
        true
    };
    assert_eq!(
        index.newest(1, &Filter::default(), corrected).unwrap().unwrap()[0].status,
        RunStatus::Interrupted
    );
}

#[test]
fn lines_that_do_not_parse_are_skipped_and_mended() {
    let (_dir, home) = home();
    let index = Index::new(&home);
    let runs = ids(3);
    index.created(&entry(runs[0], RunStatus::Completed)).unwrap();
    let mut file = OpenOptions::new().append(true).open(home.index()).unwrap();
    file.write_all(b"garbage\n\xff\xfe\n{\"v\":1}\n{\"v\":1,\"run_id\":\"../x\"}\n\n").unwrap();
    let long = vec![b'x'; 200_000];
    file.write_all(&[&long[..], b"\n"].concat()).unwrap();
    index.created(&entry(runs[1], RunStatus::Completed)).unwrap();
    // The line of a run that is torn: what stood before still holds.
    file.write_all(format!("{{\"v\":1,\"run_id\":\"{}\",\"workf", runs[1]).as_bytes()).unwrap();
    index.created(&entry(runs[2], RunStatus::Failed)).unwrap();
    let expected =
        [(runs[2], RunStatus::Failed), (runs[1], RunStatus::Completed), (runs[0], RunStatus::Completed)];
    assert_eq!(all(&index), expected);
    index.compact().unwrap();
    assert_eq!(all(&index), expected);
    assert_eq!(line_count(&home), 4);
}

#[test]
fn a_run_whose_first_line_is_lost_is_still_listed() {
    let (_dir, home) = home();
    let index = Index::new(&home);
    let runs = ids(3);
    for run in &runs {
        index.created(&entry(*run, RunStatus::Queued)).unwrap();
        index.changed(&entry(*run, RunStatus::Completed)).unwrap();
    }
    let text = std::fs::read_to_string(home.index()).unwrap();
    let lost = format!("{{\"v\":1,\"run_id\":\"{}\",\"first\"", runs[2]);
    let mut file = std::fs::File::create(home.index()).unwrap();
    for line in text.lines().filter(|line| !line.starts_with(&lost)) {
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    let listed: Vec<_> = all(&index).into_iter().map(|(run, _)| run).collect();
    assert_eq!(listed, [runs[1], runs[0], runs[2]]);
}

#[test]
fn fields_in_another_order_are_read_too() {
    let (_dir, home) = home();
    let index = Index::new(&home);
    let run = RunId::generate();
    let value = serde_json::to_value(entry(run, RunStatus::Completed)).unwrap();
    let mut sorted = value.as_object().unwrap().clone();
    sorted.insert("first".into(), true.into());
    sorted.insert("v".into(), 1.into());
    sorted.insert("added_by_a_later_version".into(), "x".into());
    std::fs::File::create(home.index()).unwrap().write_all(&serde_json::to_vec(&sorted).unwrap()).unwrap();
    assert_eq!(all(&index), [(run, RunStatus::Completed)]);
}

#[test]
fn many_writers_lose_no_line() {
    let (_dir, home) = home();
    let runs = ids(400);
    std::thread::scope(|scope| {
        for share in runs.chunks(50) {
            let index = Index::new(&home);
            scope.spawn(move || {
                for run in share {
                    index.created(&entry(*run, RunStatus::Queued)).unwrap();
                    index.changed(&entry(*run, RunStatus::Completed)).unwrap();
                }
            });
        }
        let index = Index::new(&home);
        scope.spawn(move || {
            for _ in 0..20 {
                index.compact().unwrap();
            }
        });
    });
    let index = Index::new(&home);
    let mut listed = all(&index);
    assert!(listed.iter().all(|(_, status)| *status == RunStatus::Completed));
    listed.sort_unstable();
    assert_eq!(listed.into_iter().map(|(run, _)| run).collect::<Vec<_>>(), runs);
    // And none is mixed with another.
    let text = std::fs::read_to_string(home.index()).unwrap();
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn a_missing_index_is_rebuilt_from_the_runs() {
    let (_dir, home) = home();
    let runs = ids(4);
    for run in &runs {
        files::ensure_dir(home.run(*run).path()).unwrap();
    }
    // One has ended, one runs, one has only its journal, and one was never created.
    view::write(&home.run(runs[0]), &view_of(runs[0], RunStatus::Completed)).unwrap();
    view::write(&home.run(runs[1]), &view_of(runs[1], RunStatus::Queued)).unwrap();
    let mut folded = Vec::new();
    let index = Index::new(&home);
    assert_eq!(index.newest(1, &Filter::default(), |_| true).unwrap(), None);
    let listed = index
        .list(
            10,
            &Filter::default(),
            |_| true,
            |run| {
                folded.push(run.id());
                (run.id() != runs[3]).then(|| view_of(run.id(), RunStatus::Running))
            },
        )
        .unwrap();
    assert_eq!(folded, runs[1..]);
    let expected =
        [(runs[2], RunStatus::Running), (runs[1], RunStatus::Running), (runs[0], RunStatus::Completed)];
    assert_eq!(listed.iter().map(|entry| (entry.run_id, entry.status)).collect::<Vec<_>>(), expected);
    assert_eq!(all(&index), expected, "and kept");
}

#[test]
fn a_new_index_never_hides_older_runs() {
    let (_dir, home) = home();
    let index = Index::new(&home);
    let runs = ids(2);
    files::ensure_dir(home.run(runs[0]).path()).unwrap();
    index.created(&entry(runs[0], RunStatus::Queued)).unwrap();
    assert_eq!(all(&index).len(), 1, "alone it starts the index");
    for lost in [None, Some("")] {
        match lost {
            None => std::fs::remove_file(home.index()).unwrap(),
            Some(_) => drop(std::fs::File::create(home.index()).unwrap()),
        }
        files::ensure_dir(home.run(runs[1]).path()).unwrap();
        index.created(&entry(runs[1], RunStatus::Queued)).unwrap();
        assert_eq!(index.newest(9, &Filter::default(), |_| true).unwrap(), None, "it waits for a rebuild");
        let fold = |run: &crate::store::home::RunDir| Some(view_of(run.id(), RunStatus::Running));
        assert_eq!(index.list(9, &Filter::default(), |_| true, fold).unwrap().len(), 2);
    }
}

#[test]
fn listing_an_empty_home_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("home"));
    assert_eq!(Index::new(&home).list(20, &Filter::default(), |_| true, |_| None).unwrap(), []);
    assert!(!home.path().exists());
}

#[test]
fn a_grown_index_is_compacted_by_itself() {
    let (_dir, home) = home();
    let index = Index::new(&home);
    let runs = ids(300);
    let mut longest = 0;
    for run in &runs {
        index.created(&entry(*run, RunStatus::Queued)).unwrap();
        index.changed(&entry(*run, RunStatus::Running)).unwrap();
        index.changed(&entry(*run, RunStatus::Completed)).unwrap();
        longest = longest.max(line_count(&home));
    }
    let listed: Vec<_> = all(&index).into_iter().map(|(run, _)| run).rev().collect();
    assert_eq!(listed, runs);
    assert!(longest < 900, "{longest} lines: it was never compacted");
}

#[test]
fn the_tail_of_ten_thousand_lines_is_enough() {
    let (_dir, home) = home();
    let runs = ids(10_000);
    let mut file = files::open_private(&home.index(), OpenOptions::new().append(true).create(true)).unwrap();
    // All that lies before is unreadable: whoever needs it would notice.
    for run in &runs[..9_900] {
        file.write_all(format!("{run} not a line of the index\n").as_bytes()).unwrap();
    }
    for run in &runs[9_900..] {
        file.write_all(
            &super::line::run_line(&entry(*run, RunStatus::Completed), super::line::Place::First).unwrap(),
        )
        .unwrap();
    }
    let index = Index::new(&home);
    let newest = index.newest(20, &Filter::default(), |_| true).unwrap().unwrap();
    let expected: Vec<_> = runs.iter().rev().take(20).copied().collect();
    assert_eq!(newest.iter().map(|entry| entry.run_id).collect::<Vec<_>>(), expected);
}

#[test]
fn a_filter_sees_the_last_line_of_each_run() {
    let (_dir, home) = home();
    let index = Index::new(&home);
    let runs = ids(2);
    for run in &runs {
        index.created(&entry(*run, RunStatus::Queued)).unwrap();
    }
    index.changed(&entry(runs[0], RunStatus::Completed)).unwrap();
    index.changed(&entry(runs[1], RunStatus::Failed)).unwrap();
    let failed = Filter { status: Some(RunStatus::Failed), ..Filter::default() };
    assert_eq!(index.newest(9, &failed, |_| true).unwrap().unwrap(), [entry(runs[1], RunStatus::Failed)]);
    let queued = Filter { status: Some(RunStatus::Queued), ..Filter::default() };
    assert_eq!(index.newest(9, &queued, |_| true).unwrap().unwrap(), []);
}
