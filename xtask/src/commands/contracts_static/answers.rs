//! Findings of the analyser and the answers to them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// One thing the analyser found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) detector: String,
    pub(super) impact: String,
    /// `Contract.function`, `Contract.variable`, `Contract` or `function`, as it is declared.
    pub(super) place: String,
    pub(super) description: String,
}

impl Finding {
    /// What would answer it, but for the reason.
    pub(super) fn stanza(&self) -> String {
        format!(
            "[[answer]]\ndetector = \"{}\"\nwhere = [\"{}\"]\nreason = \"\"",
            self.detector, self.place
        )
    }
}

/// The file of answers.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answers {
    /// Detectors that say nothing about this code, wherever they report.
    #[serde(default)]
    detector: Vec<Detector>,
    #[serde(default)]
    answer: Vec<Answer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Detector {
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    detector: String,
    #[serde(rename = "where")]
    places: Vec<String>,
    reason: String,
}

/// Findings and answers that have no counterpart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict<'a> {
    pub(super) unanswered: Vec<&'a Finding>,
    pub(super) stale: Vec<String>,
}

impl Answers {
    pub(super) fn read(text: &str) -> Result<Self> {
        let answers: Self = toml::from_str(text)?;
        let mut given = BTreeSet::new();
        for one in &answers.detector {
            check_reason(&one.name, &one.reason)?;
            if !given.insert((one.name.as_str(), "")) {
                bail!("`{}` is answered twice", one.name);
            }
        }
        for one in &answers.answer {
            check_reason(&one.detector, &one.reason)?;
            if given.contains(&(one.detector.as_str(), "")) {
                bail!("`{}` is answered as a whole already", one.detector);
            }
            for place in &one.places {
                if !given.insert((&one.detector, place)) {
                    bail!("`{}` in `{place}` is answered twice", one.detector);
                }
            }
        }
        Ok(answers)
    }

    pub(super) fn compare<'a>(&self, findings: &'a [Finding]) -> Verdict<'a> {
        let everywhere = |name: &str| self.detector.iter().any(|one| one.name == name);
        let there = |detector: &str, place: &str| {
            let mut answers = self.answer.iter().filter(|one| one.detector == detector);
            answers.any(|one| one.places.iter().any(|answered| answered == place))
        };
        let answered = |finding: &Finding| {
            everywhere(&finding.detector) || there(&finding.detector, &finding.place)
        };
        let unanswered = findings.iter().filter(|finding| !answered(finding)).collect();

        let mut stale = Vec::new();
        for one in &self.detector {
            if !findings.iter().any(|finding| finding.detector == one.name) {
                stale.push(format!("`{}`", one.name));
            }
        }
        for one in &self.answer {
            for place in &one.places {
                let found =
                    |finding: &Finding| finding.detector == one.detector && finding.place == *place;
                if !findings.iter().any(found) {
                    stale.push(format!("`{}` in `{place}`", one.detector));
                }
            }
        }
        Verdict { unanswered, stale }
    }
}

fn check_reason(detector: &str, reason: &str) -> Result<()> {
    if reason.trim().is_empty() {
        bail!("the answer to `{detector}` gives no reason");
    }
    Ok(())
}

/// The findings in the analyser's report.
pub(super) fn findings(report: &Value) -> Result<Vec<Finding>> {
    let text = |value: &Value, key: &str| {
        value[key].as_str().map(str::to_owned).with_context(|| format!("no `{key}`: {value}"))
    };
    // Without any finding the list is missing.
    let Some(list) = report["results"]["detectors"].as_array() else { return Ok(Vec::new()) };
    list.iter()
        .map(|one| {
            let description = text(one, "description")?;
            Ok(Finding {
                detector: text(one, "check")?,
                impact: text(one, "impact")?,
                place: place(&one["elements"][0]),
                description: description.trim().to_owned(),
            })
        })
        .collect()
}

/// Where an element is declared: down to the function, and not to a variable or statement in it.
fn place(element: &Value) -> String {
    let mut names = Vec::new();
    let mut next = element;
    while let Some(name) = next["name"].as_str() {
        let kind = next["type"].as_str().unwrap_or_default();
        let parent = &next["type_specific_fields"]["parent"];
        let is_inside = matches!(kind, "node" | "variable") && parent["type"] == "function";
        if !is_inside {
            names.push(name);
        }
        next = parent;
    }
    names.reverse();
    if names.is_empty() { "the project".to_owned() } else { names.join(".") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Answers, Finding, findings, place};

    fn element(kind: &str, name: &str, parent: Value) -> Value {
        json!({ "type": kind, "name": name, "type_specific_fields": { "parent": parent } })
    }

    fn function() -> Value {
        element("function", "open", element("contract", "Market", Value::Null))
    }

    fn finding(detector: &str, place: &str) -> Finding {
        let [detector, place] = [detector, place].map(str::to_owned);
        Finding { detector, impact: "Low".to_owned(), place, description: String::new() }
    }

    #[test]
    fn a_place_ends_at_the_function() {
        assert_eq!(place(&function()), "Market.open");
        assert_eq!(place(&element("variable", "fee", function())), "Market.open");
        assert_eq!(place(&element("node", "x = 1", function())), "Market.open");
        let contract = element("contract", "Market", Value::Null);
        assert_eq!(place(&element("variable", "FEE", contract.clone())), "Market.FEE");
        assert_eq!(place(&contract), "Market");
        assert_eq!(place(&Value::Null), "the project");
    }

    #[test]
    fn a_report_is_read() {
        let report = json!({ "results": { "detectors": [{
            "check": "timestamp", "impact": "Low", "description": "a comparison\n",
            "elements": [function()],
        }]}});
        let mut expected = finding("timestamp", "Market.open");
        expected.description = "a comparison".to_owned();
        assert_eq!(findings(&report).unwrap(), [expected]);
        assert_eq!(findings(&json!({ "results": {} })).unwrap(), []);
    }

    #[test]
    fn what_has_no_counterpart_is_said() {
        let answers = Answers::read(
            r#"
            [[detector]]
            name = "naming"
            reason = "constants"
            [[detector]]
            name = "gone"
            reason = "was"
            [[answer]]
            detector = "timestamp"
            where = ["Market.open", "Market.close"]
            reason = "hours"
            "#,
        )
        .unwrap();
        let findings = [
            finding("naming", "Market.X"),
            finding("timestamp", "Market.open"),
            finding("timestamp", "Nodes.leave"),
            finding("loop", "Market.open"),
        ];
        let verdict = answers.compare(&findings);
        assert_eq!(verdict.unanswered, [&findings[2], &findings[3]]);
        assert_eq!(verdict.stale, ["`gone`", "`timestamp` in `Market.close`"]);
        assert!(findings[3].stanza().contains("where = [\"Market.open\"]"));
    }

    #[test]
    fn answers_need_a_reason_and_are_given_once() {
        let answer = |place: &str, reason: &str| {
            format!("[[answer]]\ndetector = \"d\"\nwhere = [\"{place}\"]\nreason = \"{reason}\"\n")
        };
        assert!(Answers::read(&answer("a", " ")).is_err());
        assert!(Answers::read(&(answer("a", "x") + &answer("b", "x"))).is_ok());
        assert!(Answers::read(&(answer("a", "x") + &answer("a", "y"))).is_err());
        assert!(Answers::read("[[answers]]\n").is_err());
    }
}
