//! A story's script: one line, one thing. First the world, then what happens and when.
//!
//! ```text
//! nodes 3                          pve1 … pve3, 128 GiB each; `nodes 3 gib 32`
//! ceph 2                           two OSDs a host
//! vm 101 on pve2 gib 8 ha          or: ct, stopped; cpus N, device X, cdrom X, disk N (GiB, local), lock X, template, deaf
//! mode act                         observe | approve | act
//! at 10m alarm pve2 FAN3           an alarm begins to fire
//! after handed-over 5m …           so long after the phase was entered for the first time
//! until closed                     or: until 2h
//! ```

use std::time::Duration;

use pitlane::model::time::Period;

#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Lines about the world and the rules, as words.
    pub setting: Vec<Vec<String>>,
    pub events: Vec<Event>,
    pub until: Until,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub when: When,
    pub words: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum When {
    /// Since the story's start.
    At(Duration),
    /// Since a phase was first entered.
    After(String, Duration),
}

#[derive(Clone, Debug, Default)]
pub enum Until {
    #[default]
    Closed,
    At(Duration),
}

/// Reads a script; `#` begins a remark.
pub fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script::default();
    for (number, line) in text.lines().enumerate() {
        let words = words(line.split('#').next().unwrap_or_default());
        let wrong = |why: &str| format!("script:{}: {why}: {line}", number + 1);
        match words.first().map(String::as_str) {
            None => {}
            Some("at") => {
                let when = When::At(span(words.get(1)).ok_or_else(|| wrong("when?"))?);
                script.events.push(Event { when, words: words[2..].to_vec() });
            }
            Some("after") => {
                let phase = words.get(1).ok_or_else(|| wrong("after what?"))?.clone();
                let when = When::After(phase, span(words.get(2)).ok_or_else(|| wrong("when?"))?);
                script.events.push(Event { when, words: words[3..].to_vec() });
            }
            Some("until") => {
                script.until = match words.get(1).map(String::as_str) {
                    Some("closed") => Until::Closed,
                    _ => Until::At(span(words.get(1)).ok_or_else(|| wrong("until when?"))?),
                };
            }
            Some(_) => script.setting.push(words),
        }
    }
    Ok(script)
}

fn span(word: Option<&String>) -> Option<Duration> {
    word?.parse::<Period>().ok().map(|period| period.0)
}

/// Splits at spaces; "quoted words" stay together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (part, text) in line.split('"').enumerate() {
        if part % 2 == 1 {
            words.push(text.to_owned());
        } else {
            words.extend(text.split_whitespace().map(str::to_owned));
        }
    }
    words
}
