//! What an agent did and used, in one line.

use schemas::view::{AgentView, CountedBy};

use super::text;

/// `request 3, 412 tokens, $0.000080, last tool fs_read`; what is not known is left out.
pub fn line(agent: &AgentView) -> String {
    let mut parts = Vec::new();
    if let Some(requests) = agent.requests {
        parts.push(format!("request {requests}"));
    }
    if let (Some(input), Some(output)) = (agent.input_tokens, agent.output_tokens) {
        let about = if agent.estimated { "about " } else { "" };
        parts.push(format!("{about}{} tokens", input.saturating_add(output)));
    }
    if let Some(cost) = agent.cost_usd {
        parts.push(format!("${}.{:06}", cost.micros / 1_000_000, cost.micros % 1_000_000));
    }
    if let Some(tool) = &agent.last_tool {
        parts.push(format!("last tool {}", text::escape(tool)));
    }
    if agent.counted == CountedBy::AgentReported {
        parts.push(CountedBy::AgentReported.to_string());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use schemas::view::Dollars;

    use super::*;

    #[test]
    fn what_is_known_is_shown() {
        let mut agent = AgentView {
            counted: CountedBy::Proxy,
            requests: Some(3),
            input_tokens: Some(400),
            output_tokens: Some(12),
            estimated: false,
            cost_usd: Some(Dollars::new(0.000_08)),
            tool_calls: 1,
            last_tool: Some("fs_read".to_owned()),
            denied: Vec::new(),
            guardrail: None,
            transcript: None,
        };
        assert_eq!(line(&agent), "request 3, 412 tokens, $0.000080, last tool fs_read");
        agent = AgentView { counted: CountedBy::AgentReported, requests: None, input_tokens: None, ..agent };
        agent = AgentView { cost_usd: None, last_tool: None, ..agent };
        assert_eq!(line(&agent), "agent-reported");
    }
}
