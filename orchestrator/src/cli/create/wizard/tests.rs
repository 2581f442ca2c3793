//! A whole conversation, with somebody who also answers wrongly.

use std::collections::VecDeque;

use super::{super::prompter::Judge, *};

/// Answers in the order in which they are asked for; those that a judge refuses are asked for again.
struct Script {
    answers: VecDeque<&'static str>,
    refused: usize,
}

impl Script {
    fn next(&mut self) -> &'static str {
        self.answers.pop_front().expect("no more questions than answers")
    }
}

impl Prompter for Script {
    fn text(&mut self, _: &str, default: &str, judge: Judge<'_>) -> Result<String> {
        loop {
            let answer = self.next();
            let answer = if answer.is_empty() { default } else { answer };
            if judge(answer).is_ok() {
                return Ok(answer.to_owned());
            }
            self.refused += 1;
        }
    }

    fn choose(&mut self, _: &str, items: &[String]) -> Result<usize> {
        let answer = self.next();
        let place = items.iter().position(|item| item.starts_with(answer));
        Ok(place.unwrap_or_else(|| panic!("{answer} is none of {items:?}")))
    }

    fn confirm(&mut self, _: &str, _: bool) -> Result<bool> {
        Ok(self.next() == "yes")
    }

    fn show(&mut self, _: &str) {}
}

#[test]
fn a_conversation_becomes_a_definition() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().to_owned());
    let answers = [
        "not a name",
        "wizardry",
        "",
        "",
        "a skill",
        "json-parse: ",
        "",
        "{\"a\": 1}",
        "leave",
        "end the run",
        "",
        "",
        "",
        "standard",
        "yes",
        "step1",
        "second",
        "a skill",
        "sleep: ",
        "type",
        "true",
        "250ms",
        "try again",
        "soon",
        "30s",
        "256MiB",
        "half",
        "0.5",
        "strict",
        "yes",
        "third",
        "a skill",
        "json-parse: ",
        "step1.parsed",
        "type",
        "/a",
        "go on",
        "",
        "",
        "",
        "none",
        "no",
        "with the stored",
        "no",
    ];
    let mut script = Script { answers: answers.into_iter().collect(), refused: 0 };
    let made = ask(&mut script, &home).unwrap();
    assert_eq!((script.answers.len(), script.refused), (0, 6));
    assert_eq!((&made.save, made.overwrite, made.run), (&Save::Stored, false, false));
    insta::assert_snapshot!(made.definition, @r#"
    {
      "name": "wizardry",
      "version": "1.0.0",
      "steps": [
        {
          "id": "step1",
          "type": "skill",
          "skill": "json-parse",
          "inputs": {
            "data": {
              "a": 1
            }
          }
        },
        {
          "id": "second",
          "type": "skill",
          "skill": "sleep",
          "inputs": {
            "duration": "250ms"
          },
          "timeout": "30s",
          "resource_limits": {
            "memory": "256MiB",
            "cpu": 0.5
          },
          "sandbox": "strict",
          "error_handling": {
            "strategy": "retry",
            "max_attempts": 3
          }
        },
        {
          "id": "third",
          "type": "skill",
          "skill": "json-parse",
          "inputs": {
            "data": "step1.parsed",
            "pointer": "/a"
          },
          "sandbox": "none",
          "error_handling": {
            "strategy": "skip"
          }
        }
      ]
    }
    "#);
}
