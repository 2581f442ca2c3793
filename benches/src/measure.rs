//! Cost of a command as the kernel counts it. A process of its own measures each, so that the figures of its
//! children are those of one command.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

/// First argument of the measuring process.
pub(crate) const ARGUMENT: &str = "__measure";

/// What something cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Wall time, microseconds.
    pub(crate) wall_us: f64,
    /// CPU time of the command and everything that it waited for, microseconds.
    pub(crate) cpu_us: f64,
    /// Resident size of the largest process, KiB.
    pub(crate) max_rss_kib: f64,
}

impl Cost {
    /// The cost of one of `count` equal parts, after what a run with none of them costs.
    pub(crate) fn per_part(self, base: Self, count: u32) -> Self {
        let part = |whole: f64, base: f64| (whole - base) / f64::from(count);
        Self {
            wall_us: part(self.wall_us, base.wall_us),
            cpu_us: part(self.cpu_us, base.cpu_us),
            max_rss_kib: self.max_rss_kib,
        }
    }
}

/// Measures a command, which must succeed.
pub(crate) fn command(argv: &[&str]) -> Result<Cost> {
    let output = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .args(argv)
        .stderr(Stdio::inherit())
        .output()
        .context("the measuring process")?;
    ensure!(output.status.success(), "{argv:?} failed");
    let text = String::from_utf8(output.stdout)?;
    let mut figures = text.split_ascii_whitespace().map(str::parse::<f64>);
    let mut next = || figures.next().context("a figure is missing")?.context("a figure is no number");
    Ok(Cost { wall_us: next()?, cpu_us: next()?, max_rss_kib: next()? })
}

/// The measuring process: `spawn N PROGRAM` spawns a program N times in turn, `parse FILE` makes a tree of a JSON file
/// by itself, anything else is a command.
#[expect(clippy::print_stdout, reason = "the figures go to the process that asked for them")]
pub(crate) fn child(argv: &[String]) -> Result<()> {
    let began = Instant::now();
    if let [word, count, program] = argv
        && word == "spawn"
    {
        for _ in 0..count.parse::<u32>()? {
            // Without hooks this is posix_spawn(3).
            ensure!(Command::new(program).stdin(Stdio::null()).status()?.success());
        }
    } else if let [word, file] = argv
        && word == "parse"
    {
        let tree: serde_json::Value = serde_json::from_slice(&std::fs::read(file)?)?;
        ensure!(tree.is_object());
    } else {
        let (program, rest) = argv.split_first().context("no command")?;
        let status = Command::new(program).args(rest).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "{argv:?} ended with {status}");
    }
    let wall = began.elapsed();
    let (own, children) = (getrusage(UsageWho::RUSAGE_SELF)?, getrusage(UsageWho::RUSAGE_CHILDREN)?);
    let cpu: i64 = [own.user_time(), own.system_time(), children.user_time(), children.system_time()]
        .iter()
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec())
        .sum();
    println!("{} {cpu} {}", wall.as_micros(), children.max_rss());
    Ok(())
}
