//! What goes wrong on command: answers lost, held, garbled, forged, refused.
//!
//! A fault waits for the next calls of one path. It owns which call is hit; what the hit does is
//! `serve.rs`'s business.

use serde::{Deserialize, Serialize};

const FAULTS_MAX: usize = 1_000;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Status 500.
    #[serde(rename = "http_500")]
    Http500,
    /// Status 200 with a body that is no message.
    Garbage,
    /// The call takes effect; the answer's signature is wrong.
    BadSign,
    /// The connection breaks and nothing has happened.
    DropBefore,
    /// The call takes effect and the connection breaks without an answer.
    DropAfter,
    /// The call is held before it takes effect, until the path is released.
    Delay,
    /// The call takes effect at once; its answer is held until the path is released.
    DelayAnswer,
    /// Refused with the fault's `code` (`err_code` or `errcode`).
    Errcode,
}

/// A code is a text for the merchant platform and a number elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FaultCode {
    Number(i64),
    Text(String),
}

impl FaultCode {
    /// As `err_code`.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
    /// As `errcode`; -1 (busy) when it is no number.
    pub(super) fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.parse().unwrap_or(-1),
        }
    }
}

/// A fault as ordered: the `times` calls of `path` after the next `after` ones go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub path: String,
    pub kind: FaultKind,
    #[serde(default = "once")]
    pub times: u32,
    /// How many calls pass unharmed first.
    #[serde(default)]
    pub after: u32,
    /// With `errcode`.
    #[serde(default)]
    pub code: Option<FaultCode>,
    /// With `http_500`, `garbage` and `errcode`: whether the call takes effect all the same.
    #[serde(default)]
    pub effect: bool,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// A fault that hits the next call of the path.
    pub fn next(path: &str, kind: FaultKind) -> Self {
        Self { path: path.to_owned(), kind, times: 1, after: 0, code: None, effect: false }
    }

    /// The next call of the path is refused with a code.
    pub fn refuse(path: &str, code: &str) -> Self {
        Self {
            code: Some(FaultCode::Text(code.to_owned())),
            ..Self::next(path, FaultKind::Errcode)
        }
    }

    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
    pub fn after(self, after: u32) -> Self {
        Self { after, ..self }
    }
    /// The call takes effect although its answer says otherwise.
    pub fn with_effect(self) -> Self {
        Self { effect: true, ..self }
    }
}

/// The faults that still wait for calls, in the order in which they were ordered.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// `false` when too many wait already.
    pub(super) fn add(&mut self, fault: Fault) -> bool {
        let room = self.0.len() < FAULTS_MAX;
        if room && fault.times > 0 {
            self.0.push(fault);
        }
        room
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// A call of the path has come in: the fault that hits it, if one does.
    pub(super) fn hit(&mut self, path: &str) -> Option<Fault> {
        let at = self.0.iter().position(|fault| fault.path == path)?;
        let fault = &mut self.0[at];
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        let hit = fault.clone();
        fault.times -= 1;
        if fault.times == 0 {
            self.0.remove(at);
        }
        Some(hit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kinds(faults: &mut Faults, calls: usize) -> Vec<Option<FaultKind>> {
        let hit = |_| faults.hit("/a").map(|fault| fault.kind);
        (0..calls).map(hit).collect()
    }

    #[test]
    fn a_fault_hits_as_often_as_ordered_and_only_its_path() {
        let mut faults = Faults::default();
        faults.add(Fault::next("/a", FaultKind::Garbage).times(2).after(1));
        faults.add(Fault::next("/a", FaultKind::DropAfter));
        assert!(faults.hit("/b").is_none());
        let garbage = Some(FaultKind::Garbage);
        let expected = [None, garbage, garbage, Some(FaultKind::DropAfter), None];
        assert_eq!(kinds(&mut faults, 5), expected);
    }

    #[test]
    fn cleared_faults_hit_nothing() {
        let mut faults = Faults::default();
        faults.add(Fault::next("/a", FaultKind::Http500));
        faults.clear();
        assert_eq!(kinds(&mut faults, 1), [None]);
    }

    #[test]
    fn faults_are_read_as_the_control_api_writes_them() {
        let json = r#"{"path":"/a","kind":"http_500"}"#;
        let fault: Fault = serde_json::from_str(json).unwrap();
        assert_eq!(fault, Fault::next("/a", FaultKind::Http500));
        let json = r#"{"path":"/a","kind":"errcode","code":43101,"times":3}"#;
        let fault: Fault = serde_json::from_str(json).unwrap();
        assert_eq!(fault.code.unwrap().number(), 43101);
        assert!(serde_json::from_str::<Fault>(r#"{"path":"/a","kind":"boom"}"#).is_err());
    }
}
