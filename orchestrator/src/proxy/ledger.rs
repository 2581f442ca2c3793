//! What an agent has used of its model, and whether it may have more. Pure: it is told, and answers.

use ipc::message::Reported;
use schemas::agent::{Guardrails, Price};
use serde::Deserialize;

/// Bytes of text that are taken for a token where the model does not say.
const BYTES_PER_TOKEN: u64 = 4;
/// Longest line that is looked at for tokens.
const LINE_MAX: usize = 1024 * 1024;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Requests, retries included.
    pub requests: u32,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// Whether some of them are estimated.
    pub estimated: bool,
    /// US dollars; `None` without a price.
    pub cost_usd: Option<f64>,
}

/// A guardrail that was reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trip {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub limit: f64,
}

impl Trip {
    /// What is said of it.
    pub fn message(&self) -> String {
        format!("the agent reached its guardrail `{}` of {}", self.name, self.limit)
    }
}

/// The bounds and what was counted against them.
#[derive(Debug)]
pub struct Ledger {
    max_requests: u32,
    max_tokens: Option<u64>,
    max_cost: Option<f64>,
    price: Option<Price>,
    tally: Tally,
    reported: Option<Reported>,
    trip: Option<Trip>,
}

/// What a model says of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    input: Option<u64>,
    output: Option<u64>,
}

/// Numbers of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    input: u64,
    output: u64,
}

impl Ledger {
    /// An empty one.
    pub fn new(guardrails: &Guardrails, price: Option<Price>) -> Self {
        Self {
            max_requests: guardrails.max_iterations,
            max_tokens: guardrails.max_tokens,
            max_cost: guardrails.max_cost_usd,
            price,
            tally: Tally { cost_usd: price.map(|_| 0.0), ..Tally::default() },
            reported: None,
            trip: None,
        }
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The first guardrail that was reached.
    pub fn trip(&self) -> Option<Trip> {
        self.trip
    }

    /// Counts a request, or refuses it; once one was refused, all are.
    pub fn admit(&mut self) -> Result<(), Trip> {
        let tokens = self.tally.input_tokens.saturating_add(self.tally.output_tokens);
        let tripped = if self.tally.requests >= self.max_requests {
            Some(Trip { name: "max_iterations", limit: f64::from(self.max_requests) })
        } else if let Some(most) = self.max_tokens.filter(|most| tokens >= *most) {
            Some(Trip { name: "max_tokens", limit: as_number(most) })
        } else {
            let spent = self.tally.cost_usd.zip(self.max_cost).filter(|(cost, most)| cost >= most);
            spent.map(|(_, most)| Trip { name: "max_cost_usd", limit: most })
        };
        self.trip = self.trip.or(tripped);
        if let Some(trip) = self.trip {
            return Err(trip);
        }
        self.tally.requests += 1;
        Ok(())
    }

    /// What an agent said that it used, if nothing was counted here.
    pub fn reported(&self) -> Option<Reported> {
        self.reported.filter(|_| self.tally.requests == 0)
    }

    /// Takes what an agent that reaches its model by itself says it used in all so far. It comes after the fact: what
    /// is beyond a bound has tripped it.
    pub fn report(&mut self, new: Reported) {
        let old = self.reported.unwrap_or_default();
        let input_tokens = new.input_tokens.or(old.input_tokens);
        let output_tokens = new.output_tokens.or(old.output_tokens);
        let priced = self.price.zip(input_tokens.zip(output_tokens));
        let priced = priced.map(|(price, (input, output))| cost(price, input, output));
        let now = Reported {
            requests: new.requests.or(old.requests),
            input_tokens,
            output_tokens,
            cost_usd: new.cost_usd.or(priced).or(old.cost_usd),
        };
        self.reported = Some(now);
        if self.tally.requests > 0 {
            return;
        }
        let tokens = input_tokens.unwrap_or(0).saturating_add(output_tokens.unwrap_or(0));
        let beyond = [
            now.requests
                .filter(|requests| *requests > self.max_requests)
                .map(|_| Trip { name: "max_iterations", limit: f64::from(self.max_requests) }),
            self.max_tokens
                .filter(|most| tokens > *most)
                .map(|most| Trip { name: "max_tokens", limit: as_number(most) }),
            now.cost_usd
                .zip(self.max_cost)
                .filter(|(cost, most)| cost > most)
                .map(|(_, most)| Trip { name: "max_cost_usd", limit: most }),
        ];
        self.trip = self.trip.or(beyond.into_iter().flatten().next());
    }

    /// Counts tokens of an answer that is on its way: whoever has read it all may be gone before it ends here.
    pub fn count(&mut self, Tokens { input, output }: Tokens) {
        let tally = &mut self.tally;
        tally.input_tokens = tally.input_tokens.saturating_add(input);
        tally.output_tokens = tally.output_tokens.saturating_add(output);
        tally.cost_usd = self.price.map(|price| cost(price, tally.input_tokens, tally.output_tokens));
    }

    /// An answer has ended: what the model did not say of it is estimated, by the length of the texts.
    pub fn settle(&mut self, said: Used, asked: u64, answered: u64) {
        self.tally.estimated |= said.input.is_none() || said.output.is_none();
        let estimate = |said: Option<u64>, length: u64| said.map_or(length / BYTES_PER_TOKEN, |_| 0);
        self.count(Tokens { input: estimate(said.input, asked), output: estimate(said.output, answered) });
    }
}

/// In US dollars.
fn cost(price: Price, input: u64, output: u64) -> f64 {
    (as_number(input) * price.input + as_number(output) * price.output) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a count of tokens is far below 2^53")]
fn as_number(count: u64) -> f64 {
    count as f64
}

/// Reads an answer on its way for what it says of tokens: events line by line, or one JSON value.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    used: Used,
    /// What of it was told.
    told: Tokens,
}

#[derive(Deserialize)]
struct Line {
    usage: Option<Usage>,
    message: Option<Holder>,
    response: Option<Holder>,
}

#[derive(Deserialize)]
struct Holder {
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(alias = "prompt_tokens")]
    input_tokens: Option<u64>,
    #[serde(alias = "completion_tokens")]
    output_tokens: Option<u64>,
}

impl Reader {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() <= LINE_MAX {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.look();
            }
        }
    }

    /// What was said since this was asked last.
    pub(super) fn news(&mut self) -> Tokens {
        let all = Tokens { input: self.used.input.unwrap_or(0), output: self.used.output.unwrap_or(0) };
        let told = std::mem::replace(&mut self.told, all);
        Tokens { input: all.input.saturating_sub(told.input), output: all.output.saturating_sub(told.output) }
    }

    /// What was said in all.
    pub(super) fn finish(&mut self) -> Used {
        self.look();
        self.used
    }

    fn look(&mut self) {
        let line = self.line.trim_ascii();
        let data = line.strip_prefix(b"data:").map_or(line, <[u8]>::trim_ascii_start);
        if let Ok(found) = serde_json::from_slice::<Line>(data) {
            let inner =
                [found.message, found.response].into_iter().flatten().filter_map(|holder| holder.usage);
            for usage in found.usage.into_iter().chain(inner) {
                // Each is a count so far: the largest is the last.
                self.used.input = self.used.input.max(usage.input_tokens);
                self.used.output = self.used.output.max(usage.output_tokens);
            }
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: &str) -> Used {
        let mut reader = Reader::default();
        text.as_bytes().chunks(7).for_each(|piece| reader.take(piece));
        reader.finish()
    }

    #[track_caller]
    fn check_used(text: &str, input: Option<u64>, output: Option<u64>) {
        assert_eq!(used(text), Used { input, output }, "{text}");
    }

    #[test]
    fn what_models_say_of_tokens_is_read() {
        check_used(
            "data: {\"choices\":[]}\n\ndata: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
            Some(3),
            Some(4),
        );
        check_used(
            "data: {\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\ndata: {\"usage\":{\"output_tokens\":9}}\n",
            Some(5),
            Some(9),
        );
        check_used("{\"response\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}", Some(1), Some(2));
        check_used("data: {\"usage\":null}\n", None, None);
        check_used("<html>", None, None);
    }

    #[test]
    fn what_is_said_on_the_way_is_told_once() {
        let mut reader = Reader::default();
        let mut news = |text: &str| {
            reader.take(text.as_bytes());
            reader.news()
        };
        assert_eq!(
            news("data: {\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n"),
            Tokens { input: 5, output: 1 }
        );
        assert_eq!(news("data: {\"usage\":{\"output_tokens\":9}"), Tokens::default());
        assert_eq!(news("}\n"), Tokens { input: 0, output: 8 });
        assert_eq!(news("data: [DONE]\n"), Tokens::default());
    }

    /// An answer of which the model said so much on its way.
    fn answer(ledger: &mut Ledger, input: u64, output: u64) {
        ledger.count(Tokens { input, output });
        ledger.settle(Used { input: Some(input), output: Some(output) }, 0, 0);
    }

    fn ledger(guardrails: &Guardrails, price: Option<Price>) -> Ledger {
        Ledger::new(guardrails, price)
    }

    #[test]
    fn exactly_so_many_requests_are_admitted() {
        let mut ledger = ledger(&Guardrails { max_iterations: 3, ..Guardrails::default() }, None);
        let admitted = (0..10).filter(|_| ledger.admit().is_ok()).count();
        assert_eq!((admitted, ledger.tally().requests), (3, 3));
        assert_eq!(ledger.trip(), Some(Trip { name: "max_iterations", limit: 3.0 }));
    }

    #[test]
    fn tokens_and_cost_are_checked_before_each_request() {
        let guardrails = Guardrails { max_iterations: 99, max_tokens: Some(10), ..Guardrails::default() };
        let mut bounded = ledger(&guardrails, None);
        assert_eq!(bounded.admit(), Ok(()));
        answer(&mut bounded, 6, 4);
        assert_eq!(bounded.admit(), Err(Trip { name: "max_tokens", limit: 10.0 }));

        let guardrails = Guardrails { max_iterations: 99, max_cost_usd: Some(0.02), ..Guardrails::default() };
        let mut bounded = ledger(&guardrails, Some(Price { input: 3.0, output: 15.0 }));
        assert_eq!(bounded.admit(), Ok(()));
        answer(&mut bounded, 1000, 1000);
        assert_eq!(bounded.admit(), Ok(()));
        answer(&mut bounded, 1000, 1000);
        assert_eq!(bounded.admit(), Err(Trip { name: "max_cost_usd", limit: 0.02 }));
        assert_eq!(bounded.admit(), Err(Trip { name: "max_cost_usd", limit: 0.02 }));
    }

    #[track_caller]
    fn check_report(guardrails: Guardrails, reported: Reported, expected: Option<&str>) {
        let guardrails = Guardrails { max_iterations: 3, ..guardrails };
        let mut bounded = ledger(&guardrails, Some(Price { input: 1.0, output: 1.0 }));
        bounded.report(reported);
        assert_eq!(bounded.trip().map(|trip| trip.name), expected, "{reported:?}");
        let mut counted = ledger(&guardrails, None);
        counted.admit().unwrap();
        counted.report(reported);
        assert_eq!((counted.trip(), counted.reported()), (None, None), "what was counted here stands");
    }

    #[test]
    fn what_an_agent_reports_counts_where_nothing_else_does() {
        let tokens = |most| Guardrails { max_tokens: Some(most), ..Guardrails::default() };
        let cost = |most| Guardrails { max_cost_usd: Some(most), ..Guardrails::default() };
        let used = Reported { input_tokens: Some(6), output_tokens: Some(4), ..Reported::default() };
        check_report(tokens(10), used, None);
        check_report(tokens(9), used, Some("max_tokens"));
        check_report(cost(0.000_009), used, Some("max_cost_usd"));
        check_report(cost(1.0), Reported { cost_usd: Some(1.5), ..used }, Some("max_cost_usd"));
        check_report(tokens(10), Reported { requests: Some(4), ..used }, Some("max_iterations"));
        check_report(tokens(10), Reported::default(), None);
    }

    #[test]
    fn a_silent_model_is_estimated() {
        let mut ledger = ledger(&Guardrails { max_iterations: 1, ..Guardrails::default() }, None);
        ledger.settle(Used::default(), 400, 80);
        let tally = ledger.tally();
        assert_eq!((tally.input_tokens, tally.output_tokens, tally.estimated), (100, 20, true));
    }
}
