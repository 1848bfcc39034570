//! What `kdump` said in one guest, what became of the capture kernel, and whether both agree.

use crate::progress::Row;

/// How far apart the largest size that fails and the smallest called "enough" may lie.
const GOAL_MIB: u64 = 16;

/// What `kdump` says of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Refused,
    Unlikely,
    Enough,
    Nothing,
}

/// What each command of the guest said of the region.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) suggest: String,
    plan: String,
    load: String,
    status: String,
    status_json: String,
}

/// One guest.
#[derive(Debug)]
pub(super) struct Outcome {
    /// MiB of the crash region; 0 without one.
    pub(super) size: u64,
    pub(super) loaded: bool,
    pub(super) said: Said,
    pub(super) saved: bool,
    pub(super) what: String,
}

impl Said {
    /// From the console, where each line stands behind the name of the command.
    pub(super) fn read(console: &[String]) -> Self {
        let find = |command: &str, words: &[&str]| {
            let mark = format!("lab: {command} | ");
            let mut lines = console.iter().filter_map(|line| line.split_once(&mark).map(|(_, text)| text));
            let found = lines.rfind(|text| words.iter().any(|word| text.contains(word)));
            found.unwrap_or_default().to_owned()
        };
        Self {
            suggest: find("suggest", &["crashkernel="]),
            plan: find("plan", &["capture kernel: needs", "kdump plan: "]),
            load: {
                let warning = find("load", &["warning: capture kernel", "kdump load: "]);
                if warning.is_empty() { find("load", &["capture kernel loaded"]) } else { warning }
            },
            status: find(
                "status",
                &["capture kernel needs", "kdump plan --suggest", "no capture kernel is loaded"],
            ),
            status_json: find("status-json", &["verdict"]),
        }
    }

    fn plan_verdict(&self) -> Verdict {
        match self.plan.as_str() {
            text if text.starts_with("kdump plan: ") => Verdict::Refused,
            text => verdict(text, "enough"),
        }
    }

    /// A load that says nothing of the need calls the region large enough.
    fn load_verdict(&self, loaded: bool) -> Verdict {
        if loaded { verdict(&self.load, "capture kernel loaded") } else { Verdict::Refused }
    }
}

fn verdict(text: &str, enough: &str) -> Verdict {
    match text {
        _ if text.contains("unlikely to boot") => Verdict::Unlikely,
        _ if text.contains(enough) => Verdict::Enough,
        _ => Verdict::Nothing,
    }
}

impl Outcome {
    /// What plan, load and status say with one voice; [`Verdict::Nothing`] when they do not.
    pub(super) fn verdict(&self) -> Verdict {
        let said = &self.said;
        let (plan, load) = (said.plan_verdict(), said.load_verdict(self.loaded));
        let [status, json] = [&said.status, &said.status_json].map(|text| verdict(text, "enough"));
        let agree = plan == load && (!self.loaded || (status == plan && json == plan));
        if agree { plan } else { Verdict::Nothing }
    }

    /// The size, the verdict and the end in a line.
    pub(super) fn line(&self) -> String {
        format!("{} MiB: {:?}; {}", self.size, self.verdict(), self.what)
    }

    fn row(&self) -> Row {
        let Said { suggest, plan, load, status, status_json } = &self.said;
        let verdict = self.verdict();
        let name = if self.size == 0 { "no region".to_owned() } else { format!("{} MiB", self.size) };
        // To call enough what then does not dump is the one error that must not happen.
        let passed = match verdict {
            Verdict::Enough => self.saved,
            Verdict::Refused | Verdict::Unlikely => true,
            Verdict::Nothing => false,
        };
        let detail = format!(
            "{verdict:?}: {}\nplan: {plan}\nload: {load}\nstatus: {status} {status_json}\nsuggest: {suggest}",
            self.what
        );
        Row::new(&name, passed, detail)
    }
}

/// One row per size, one for the distance, and one for what was suggested.
pub(super) fn judge(outcomes: &[Outcome], suggested: Option<&Outcome>) -> Vec<Row> {
    let mut rows: Vec<Row> = outcomes.iter().map(Outcome::row).collect();
    let sized = || outcomes.iter().chain(suggested).filter(|outcome| outcome.size != 0);
    let failing = sized().filter(|outcome| !outcome.saved).map(|outcome| outcome.size).max();
    let enough =
        sized().filter(|outcome| outcome.verdict() == Verdict::Enough).map(|outcome| outcome.size).min();
    rows.push(if let (Some(failing), Some(enough)) = (failing, enough) {
        let distance = enough.saturating_sub(failing);
        let detail = format!("{failing} MiB fail, {enough} MiB are called enough: {distance} MiB");
        let passed = distance <= GOAL_MIB && failing < enough;
        Row::new("distance", passed, detail)
    } else {
        Row::untested("distance", "takes a size that fails and one that is called enough")
    });
    rows.push(suggestion(outcomes, suggested));
    rows
}

/// Every guest must be told the same, whatever region it has, and what it is told must dump.
fn suggestion(outcomes: &[Outcome], suggested: Option<&Outcome>) -> Row {
    let told = suggested.map_or("", |outcome| outcome.said.suggest.as_str());
    let same = outcomes.iter().all(|outcome| outcome.said.suggest == told);
    let passed = suggested.is_some_and(|outcome| outcome.saved && outcome.verdict() == Verdict::Enough);
    let detail = match suggested {
        None => "nothing was suggested".to_owned(),
        Some(outcome) if !same => {
            let all: Vec<&str> = outcomes.iter().map(|outcome| outcome.said.suggest.as_str()).collect();
            format!("{}; but it depends on the region there is: {told}, {}", outcome.line(), all.join(", "))
        }
        Some(outcome) => format!("{told}: {}", outcome.line()),
    };
    Row::new("plan --suggest", passed && same && !told.is_empty(), detail)
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Said, Verdict, judge};

    fn outcome(size: u64, verdict: &str, saved: bool) -> Outcome {
        let loaded = verdict != "refused";
        let line = |command: &str, text: &str| format!("[    9.1] lab: {command} | {text}");
        let mut console = vec![line("suggest", "crashkernel=96M")];
        if loaded {
            let warning = "kdump load: warning: capture kernel: needs about 99 MiB: unlikely to boot";
            console.push(line("plan", &format!("capture kernel: needs about 99 MiB: {verdict}")));
            console.push(line("load", "capture kernel loaded by kexec_load: 5 segments"));
            console.extend((verdict != "enough").then(|| line("load", warning)));
            console.push(line("status", &format!("capture kernel needs about 99 MiB: {verdict}")));
            console.push(line("status-json", &format!("\"verdict\": \"{verdict}\"")));
        } else {
            console.push(line("plan", "kdump plan: no room for kernel"));
            console.push(line("load", "kdump load: no room for kernel"));
        }
        Outcome { size, loaded, said: Said::read(&console), saved, what: String::new() }
    }

    fn passed(outcomes: &[Outcome], suggested: Option<&Outcome>) -> Vec<String> {
        let rows = judge(outcomes, suggested);
        rows.into_iter().filter(|row| row.passed == Some(false)).map(|row| row.name).collect()
    }

    #[test]
    fn verdicts_are_those_of_all_commands() {
        for (word, verdict) in [
            ("refused", Verdict::Refused),
            ("unlikely to boot", Verdict::Unlikely),
            ("enough", Verdict::Enough),
        ] {
            assert_eq!(outcome(80, word, false).verdict(), verdict);
        }
        let mut other = outcome(80, "enough", true);
        other.said.status_json = "\"verdict\": \"unlikely to boot\"".to_owned();
        assert_eq!(other.verdict(), Verdict::Nothing);
        let mut silent = outcome(80, "unlikely to boot", false);
        silent.said.load = "capture kernel loaded by kexec_load".to_owned();
        assert_eq!(silent.verdict(), Verdict::Nothing);
    }

    #[test]
    fn what_must_not_happen_fails() {
        let (small, short) = (outcome(64, "refused", false), outcome(80, "unlikely to boot", false));
        let suggested = outcome(96, "enough", true);
        let good = [small, short, outcome(96, "enough", true)];
        assert!(passed(&good, Some(&suggested)).is_empty());
        assert_eq!(passed(&good, None), ["plan --suggest"]);
        let dead = outcome(96, "enough", false);
        assert_eq!(passed(&good, Some(&dead)), ["distance", "plan --suggest"]);
        let [small, short, _] = good;
        assert_eq!(passed(&[small, short, dead], Some(&suggested)), ["96 MiB", "distance"]);
        let far = [outcome(64, "refused", false), outcome(96, "enough", true)];
        assert_eq!(passed(&far, Some(&suggested)), ["distance"]);
        let mut other = outcome(112, "enough", true);
        other.said.suggest = "crashkernel=112M".to_owned();
        assert_eq!(passed(&[other], Some(&suggested)), ["plan --suggest"]);
    }
}
