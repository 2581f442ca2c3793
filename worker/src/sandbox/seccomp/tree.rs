//! From what is to become of each system call to a program for the kernel: a tree of comparisons. When a filter is
//! taken the kernel walks it once for every call that there is, to know which it need never ask about; so what counts
//! is how deep it is, more than how long. (`seccomp_cache_prepare` in the kernel's `seccomp.c`.)

use libc::c_long;
use seccompiler::{BpfProgram, sock_filter};

/// Instructions, as `linux/bpf_common.h` has them.
const LOAD: u16 = 0x20;
pub(super) const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const FIRST_ARGUMENT: u32 = 16;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    /// It is made.
    Allowed,
    /// It fails with EPERM.
    Refused,
    /// It fails with ENOSYS, as in a kernel that does not know it.
    Unknown,
    /// Refused if its first argument has any of these bits.
    Without(u32),
    /// Refused unless its first argument has one of these bits.
    With(u32),
}

impl Goes {
    fn instructions(self) -> Vec<sock_filter> {
        let by_argument = |bits, jt, jf| {
            let test = sock_filter { code: JUMP_ANY_BIT, jt, jf, k: bits };
            let refused = answer(libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs());
            vec![load(FIRST_ARGUMENT), test, answer(libc::SECCOMP_RET_ALLOW), refused]
        };
        match self {
            Self::Allowed => vec![answer(libc::SECCOMP_RET_ALLOW)],
            Self::Refused => vec![answer(libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs())],
            Self::Unknown => vec![answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs())],
            Self::Without(bits) => by_argument(bits, 1, 0),
            Self::With(bits) => by_argument(bits, 0, 1),
        }
    }
}

pub(super) fn load(offset: u32) -> sock_filter {
    sock_filter { code: LOAD, jt: 0, jf: 0, k: offset }
}

pub(super) fn load_number() -> sock_filter {
    load(NUMBER)
}

pub(super) fn answer(action: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: action }
}

/// The calls from a number on, up to the next run.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u32,
    goes: Goes,
}

/// Where a comparison leads.
#[derive(Debug, Clone, Copy)]
enum Target {
    Comparison(usize),
    End(Goes),
}

#[derive(Debug, Clone, Copy)]
struct Comparison {
    least: u32,
    below: Target,
    from: Target,
}

/// A filter with these rules; all `others` go one way. The architecture was looked at by the filter that is taken
/// before.
pub(super) fn program(rules: &[(c_long, Goes)], others: Goes) -> BpfProgram {
    let mut comparisons = Vec::new();
    let root = grow(&runs(rules, others), &mut comparisons);
    let mut ends: Vec<Goes> = Vec::new();
    let targets = comparisons.iter().flat_map(|comparison| [comparison.below, comparison.from]);
    for target in targets.chain([root]) {
        if let Target::End(goes) = target
            && !ends.contains(&goes)
        {
            ends.push(goes);
        }
    }
    let length_of = |ends: &[Goes]| ends.iter().map(|goes| goes.instructions().len()).sum::<usize>();
    // After the load.
    let place = |target| match target {
        Target::Comparison(index) => index,
        Target::End(goes) => {
            let before = ends.iter().take_while(|end| **end != goes).count();
            comparisons.len() + length_of(&ends[..before])
        }
    };
    let jump = |from: usize, to: Target| u8::try_from(place(to) - from - 1).unwrap_or(u8::MAX);
    let mut program = vec![load_number()];
    program.extend(comparisons.iter().enumerate().map(|(index, comparison)| sock_filter {
        code: JUMP_AT_LEAST,
        jt: jump(index, comparison.from),
        jf: jump(index, comparison.below),
        k: comparison.least,
    }));
    program.extend(ends.iter().flat_map(|goes| goes.instructions()));
    program
}

/// All numbers, in runs of those that go one way.
fn runs(rules: &[(c_long, Goes)], others: Goes) -> Vec<Run> {
    let mut rules: Vec<(u32, Goes)> =
        rules.iter().filter_map(|(call, goes)| Some((u32::try_from(*call).ok()?, *goes))).collect();
    rules.sort_by_key(|(call, _)| *call);
    let mut runs = vec![Run { first: 0, goes: others }];
    for (call, goes) in rules {
        for run in [Run { first: call, goes }, Run { first: call + 1, goes: others }] {
            // What was begun at the same number was empty.
            runs.pop_if(|last| last.first == run.first);
            if runs.last().is_none_or(|last| last.goes != run.goes) {
                runs.push(run);
            }
        }
    }
    runs
}

/// Halves the runs until one is left. A comparison comes before those that it leads to: there is no jump back.
fn grow(runs: &[Run], comparisons: &mut Vec<Comparison>) -> Target {
    let (below, from) = match runs {
        [] => return Target::End(Goes::Refused),
        [run] => return Target::End(run.goes),
        runs => runs.split_at(runs.len() / 2),
    };
    let (index, least) = (comparisons.len(), from[0].first);
    let unknown = Target::End(Goes::Refused);
    comparisons.push(Comparison { least, below: unknown, from: unknown });
    let below = grow(below, comparisons);
    let from = grow(from, comparisons);
    comparisons[index] = Comparison { least, below, from };
    Target::Comparison(index)
}

/// What a filter of ours answers, by the rules of `bpf(4)`, and in how many steps.
#[cfg(test)]
pub(super) fn run(program: &[sock_filter], call: c_long, argument: u32) -> (u32, usize) {
    let mut accumulator = 0;
    let mut at = 0;
    for steps in 1.. {
        let step = &program[at];
        let jump = |taken: bool| 1 + usize::from(if taken { step.jt } else { step.jf });
        at += match step.code {
            LOAD if step.k == NUMBER => {
                accumulator = u32::try_from(call).expect("a number");
                1
            }
            LOAD => {
                accumulator = argument;
                1
            }
            JUMP_AT_LEAST => jump(accumulator >= step.k),
            JUMP_ANY_BIT => jump(accumulator & step.k != 0),
            RETURN => return (step.k, steps),
            other => panic!("instruction {other:#x}"),
        };
    }
    unreachable!("a filter has no loop")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();

    /// What becomes of the calls from 0 on, each with the argument 6.
    #[track_caller]
    fn check(rules: &[(c_long, Goes)], others: Goes, expected: &[u32]) {
        let program = program(rules, others);
        for (call, expected) in (0..).zip(expected) {
            assert_eq!(run(&program, call, 6).0, *expected, "{call} of {rules:?}");
        }
    }

    #[test]
    fn each_call_goes_its_way() {
        use Goes::{Allowed, Refused, Unknown, With, Without};
        check(&[], Allowed, &[ALLOW, ALLOW]);
        check(&[(0, Refused)], Allowed, &[EPERM, ALLOW]);
        check(&[(1, Refused)], Allowed, &[ALLOW, EPERM, ALLOW]);
        check(&[(2, Unknown), (1, Refused)], Allowed, &[ALLOW, EPERM, ENOSYS, ALLOW]);
        check(
            &[(1, Allowed), (2, Allowed), (4, Allowed)],
            Refused,
            &[EPERM, ALLOW, ALLOW, EPERM, ALLOW, EPERM],
        );
        check(
            &[(0, With(2)), (1, With(1)), (2, Without(2)), (3, Without(1))],
            Refused,
            &[ALLOW, EPERM, EPERM, ALLOW, EPERM],
        );
        // What is said of a call that goes the way of all others changes nothing.
        check(&[(1, Allowed)], Allowed, &[ALLOW, ALLOW, ALLOW]);
    }

    #[test]
    fn a_tree_is_not_deep() {
        let rules: Vec<_> = (0..40).map(|call| (2 * call + 1, Goes::Allowed)).collect();
        let program = program(&rules, Goes::Refused);
        for call in 0..100 {
            let (answer, steps) = run(&program, call, 0);
            assert_eq!(answer, if call % 2 == 1 && call < 80 { ALLOW } else { EPERM });
            assert!(steps <= 9, "{steps} for {call}");
        }
    }
}
