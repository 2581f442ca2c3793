//! What a step costs, beside what the machine itself takes for a process and for a durable record. All
//! subjects run in turn, round after round; what is told is the tenth percentile over the rounds and
//! ratios within one run, since machines are noisy.
//!
//! `cargo run --release -p benchmarks -- [--rounds N] [--quick] [--checks] [--commands] [--home RUNS] [--soak STEPS]
//! [--kill] [--masking]`, after `cargo build --release --bin q`.

mod commands;
mod home;
mod kill;
mod masking;
mod measure;
mod report;
mod soak;
mod subjects;

use anyhow::{Context as _, Result};

use crate::{measure::Cost, subjects::Subjects};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == measure::ARGUMENT) {
        return measure::child(&arguments[1..]);
    }
    let value = |name: &str| arguments.iter().position(|argument| argument == name);
    if let Some(at) = value("--home") {
        let runs = arguments.get(at + 1).context("--home needs a number of runs")?.parse()?;
        return home::measure(&subjects::program()?, runs);
    }
    if value("--masking").is_some() {
        return masking::measure(&subjects::program()?);
    }
    if value("--kill").is_some() {
        return kill::measure(&subjects::program()?);
    }
    if let Some(at) = value("--soak") {
        let steps = arguments.get(at + 1).context("--soak needs a number of steps")?.parse()?;
        return soak::measure(&subjects::program()?, steps);
    }
    if value("--commands").is_some() {
        return commands::measure(&subjects::program()?);
    }
    let quick = value("--quick").is_some();
    let rounds = match value("--rounds") {
        Some(at) => arguments.get(at + 1).context("--rounds needs a number")?.parse()?,
        None if quick => 3,
        None => 15,
    };
    let subjects = Subjects::find(quick)?;
    if value("--checks").is_some() {
        report::print_checks(&subjects.checks()?, subjects.condition()?);
        return Ok(());
    }
    let mut table: Vec<(String, Vec<Cost>)> = Vec::new();
    for round in 0..rounds {
        for (index, (name, cost)) in subjects.round()?.into_iter().enumerate() {
            if round == 0 {
                table.push((name.to_owned(), Vec::new()));
            }
            table[index].1.push(cost);
        }
    }
    report::print(&table, &subjects.once()?)?;
    report::print_checks(&subjects.checks()?, subjects.condition()?);
    Ok(())
}
