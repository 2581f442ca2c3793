//! The exit codes of `q workflow`: one table for every command.

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done; for a run: completed.
    Done = 0,
    /// The run failed, or the command was refused.
    Failed = 1,
    /// Bad flags or missing operands.
    Usage = 2,
    /// Something is wrong inside a file, expression, cron, schedule or input value.
    Invalid = 3,
    /// The named thing does not exist.
    NotFound = 4,
    /// The run was rolled back.
    RolledBack = 5,
    /// The rollback itself failed.
    RollbackFailed = 6,
    /// Isolation is required and not available.
    Isolation = 7,
    /// Cancelled by `stop`.
    Cancelled = 8,
    /// Engine or state error: disk full, lock, corrupt journal.
    Engine = 9,
    /// Still queued or running (only `status --exit-code`).
    Active = 10,
    /// Interrupted (only `status --exit-code`).
    Interrupted = 11,
    /// Ended by SIGINT after a graceful stop.
    SigInt = 130,
    /// Ended by SIGTERM after a graceful stop.
    SigTerm = 143,
}

impl ExitCode {
    /// Every code with its meaning, in order: the table of the CLI reference.
    pub const TABLE: [(Self, &'static str); 14] = [
        (Self::Done, "done (a run: completed)"),
        (Self::Failed, "failed, or refused"),
        (Self::Usage, "bad flags or missing operands"),
        (Self::Invalid, "something wrong inside a file, expression, cron, schedule or input value"),
        (Self::NotFound, "the named thing does not exist"),
        (Self::RolledBack, "rolled back"),
        (Self::RollbackFailed, "rollback failed"),
        (Self::Isolation, "isolation required and not available"),
        (Self::Cancelled, "cancelled by `stop`"),
        (Self::Engine, "engine or state error (disk full, lock, corrupt journal)"),
        (Self::Active, "still queued or running (only `status --exit-code`)"),
        (Self::Interrupted, "interrupted (only `status --exit-code`)"),
        (Self::SigInt, "ended by SIGINT after a graceful stop"),
        (Self::SigTerm, "ended by SIGTERM after a graceful stop"),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}
