//! What a step does with its failures: strategies, and the waits between tries. Everything here is a pure
//! function of the plan, the failure and the number of the try.

use std::time::Duration;

use schemas::failure::{Code, Failure};

use super::StepId;
use crate::units::Bytes;

/// Exit code with which a program that speaks JSON says that its inputs are wrong.
const BAD_INPUT: i32 = 2;

/// One strategy and the failures for which it acts.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategy {
    /// The failures; `None`: all.
    pub on: Option<Vec<Trigger>>,
    /// What it does.
    pub act: Act,
    /// Where it is written down.
    pub written: Written,
}

/// Where a strategy is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// At the step itself.
    Step,
    /// As the default of all leaf steps.
    Default,
}

/// What a rollback does besides the undo of each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Whether the run can be rolled back at all.
    pub enabled: bool,
    /// Rows of steps that run after the undo steps.
    pub rows: Vec<StepId>,
}

/// A kind of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its code.
    pub code: Code,
    /// The skill's own code, or the name of the guardrail.
    pub own: Option<String>,
}

/// What a strategy does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Tries again.
    Retry(Box<Retry>),
    /// Decides at once.
    Final(Final),
}

/// What ends the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Final {
    /// The run fails.
    Halt,
    /// The run is undone.
    Rollback,
    /// The step counts as skipped.
    Skip,
    /// A row with a handler decides.
    Custom(StepId),
}

/// Tries again, with waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Tries in all.
    pub max_attempts: u32,
    /// How waits grow.
    pub backoff: Backoff,
    /// The first wait.
    pub delay: Duration,
    /// The longest wait.
    pub max_delay: Duration,
    /// Whether waits are made random.
    pub jitter: Jitter,
    /// No new try after this time.
    pub max_duration: Option<Duration>,
    /// More memory on the next attempt.
    pub scale: Option<Scale>,
    /// What ends the matter when no try is left; `None`: as if the step had no strategy, but the run halts.
    pub then: Option<Final>,
}

/// How waits grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Backoff {
    /// By a factor each time.
    Exponential {
        /// The factor.
        multiplier: f64,
    },
    /// By the first wait each time.
    Linear,
    /// Not at all.
    Fixed,
}

/// Whether waits are made random.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Jitter {
    /// They are as they are.
    #[default]
    None,
    /// Anything from nothing to the whole wait.
    Full,
}

/// More memory on the next attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// The failures that ask for it.
    pub on: Vec<Trigger>,
    /// The factor.
    pub memory: f64,
    /// Never more than this.
    pub max_memory: Option<Bytes>,
}

impl Strategy {
    /// Whether it acts on a failure.
    pub fn fits(&self, failure: &Failure) -> bool {
        self.on.as_ref().is_none_or(|on| on.iter().any(|trigger| trigger.fits(failure)))
    }

    /// Whether a retry would try again after a failure: one that `on` names, else one that says so itself.
    pub fn repeats(&self, failure: &Failure) -> bool {
        // Of a program that does not speak JSON it is an exit code like any other, and retryable.
        let says_bad_input = failure.code == Code::ExitCode
            && !failure.retryable
            && failure.details.exit_code == Some(BAD_INPUT);
        !says_bad_input && (self.on.is_some() || is_retryable(failure))
    }
}

/// What failed for its children is worth another try if each of them is.
fn is_retryable(failure: &Failure) -> bool {
    let causes = &failure.details.causes;
    let by_causes = failure.code == Code::ChildFailed && !causes.is_empty();
    failure.retryable || (by_causes && causes.iter().all(is_retryable))
}

impl Trigger {
    /// Whether a failure is of this kind.
    pub fn fits(&self, failure: &Failure) -> bool {
        let details = &failure.details;
        let own = |own: &String| [&details.skill_code, &details.guardrail].contains(&&Some(own.clone()));
        self.code == failure.code && self.own.as_ref().is_none_or(own)
    }
}

impl Retry {
    /// The wait after so many failures. `seed` is the same whenever the journal is read.
    pub fn wait(&self, failures: u32, seed: u64) -> Duration {
        let delay = self.delay.as_secs_f64();
        let seconds = match self.backoff {
            Backoff::Fixed => delay,
            Backoff::Linear => delay * f64::from(failures),
            Backoff::Exponential { multiplier } => {
                let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
                delay * multiplier.powi(exponent)
            }
        };
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(self.max_delay);
        match self.jitter {
            Jitter::None => wait,
            Jitter::Full => wait.mul_f64(fraction(seed)),
        }
    }
}

impl Scale {
    /// The memory of the next attempt, after one with `memory` failed.
    pub fn next(&self, failure: &Failure, memory: Bytes) -> Bytes {
        if !self.on.iter().any(|trigger| trigger.fits(failure)) {
            return memory;
        }
        let more = memory.scaled(self.memory);
        self.max_memory.map_or(more, |most| more.min(most.max(memory)))
    }
}

/// A number of [0, 1) that a seed gives, spread as SplitMix64 does.
fn fraction(seed: u64) -> f64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let top = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0);
    f64::from(top) / (f64::from(u32::MAX) + 1.0)
}

/// A seed from what names an attempt: FNV-1a, which stays the same for ever.
pub fn seed<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let bytes = parts.into_iter().flat_map(|part| part.iter().chain(&[0xFF]));
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}
