//! Three lanes of steps side by side: guests, builds, and what neither waits for. A guest or a build keeps a processor
//! busy most of the time, not all of it: on two of them the third lane fills what is left.

use core::panic::AssertUnwindSafe;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::{Result, failed};
use crate::progress::Row;

/// Who runs a step. Cargo locks its target directory: two builds at a time would wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Guests,
    Builds,
    /// What locks nothing that the others use: in a lane of its own, or whoever has nothing else to do.
    Any,
}

/// One step of the table.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) lane: Lane,
    /// Steps further up in the table that must have passed before.
    pub(super) needs: &'static [&'static str],
    pub(super) run: fn() -> Result,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Running,
    Passed,
    Failed,
}

/// What a lane does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Run(usize),
    /// Something that it needs failed.
    Refuse(usize, &'static str),
    /// Everything left needs what another lane is doing.
    Wait,
    Leave,
}

/// Runs all steps, each by `work`, those behind a failed one too unless they need it; the rows are in
/// the order of the table.
pub(super) fn run(steps: &[&Step], work: &(dyn Fn(&Step) -> Result<String> + Sync)) -> Vec<Row> {
    let board = Board {
        states: Mutex::new(vec![State::Pending; steps.len()]),
        rows: Mutex::new(Vec::new()),
        turn: Condvar::new(),
    };
    thread::scope(|scope| {
        for lane in [Lane::Builds, Lane::Guests, Lane::Any] {
            let board = &board;
            scope.spawn(move || board.work_off(steps, lane, work));
        }
    });
    let mut rows = board.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

struct Board {
    states: Mutex<Vec<State>>,
    rows: Mutex<Vec<(usize, Row)>>,
    turn: Condvar,
}

impl Board {
    fn work_off(&self, steps: &[&Step], lane: Lane, work: &(dyn Fn(&Step) -> Result<String> + Sync)) {
        loop {
            let mut states = lock(&self.states);
            match next(steps, &states, lane) {
                Next::Leave => return,
                Next::Wait => drop(self.turn.wait(states)),
                Next::Run(index) => {
                    set(&mut states, index, State::Running);
                    drop(states);
                    let Some(step) = steps.get(index) else { return };
                    self.close(index, Row::of(step.name, survive(step, work)));
                }
                Next::Refuse(index, need) => {
                    set(&mut states, index, State::Running);
                    drop(states);
                    let Some(step) = steps.get(index) else { return };
                    let why = failed(format!("not tried: {need} did not pass"));
                    self.close(index, Row::of(step.name, Err(why)));
                }
            }
        }
    }

    fn close(&self, index: usize, row: Row) {
        let state = if row.passed == Some(true) { State::Passed } else { State::Failed };
        lock(&self.rows).push((index, row));
        set(&mut lock(&self.states), index, state);
        self.turn.notify_all();
    }
}

/// The first step of the lane that can begin; a step for anyone when there is none of its own.
fn next(steps: &[&Step], states: &[State], lane: Lane) -> Next {
    let pending = |step: &Step, state: State, wanted: Lane| state == State::Pending && step.lane == wanted;
    let mut left = false;
    for wanted in [lane, Lane::Any] {
        for (index, (step, state)) in steps.iter().zip(states).enumerate() {
            if !pending(step, *state, wanted) {
                continue;
            }
            left = true;
            let of = |need: &&'static str| steps.iter().zip(states).find(|(step, _)| step.name == *need);
            let ends = || step.needs.iter().filter_map(|need| Some((*need, *of(need)?.1)));
            if let Some((need, _)) = ends().find(|(_, state)| *state == State::Failed) {
                return Next::Refuse(index, need);
            }
            if ends().all(|(_, state)| state == State::Passed) {
                return Next::Run(index);
            }
        }
    }
    if left { Next::Wait } else { Next::Leave }
}

/// Another lane may wait for this step: it must end, whatever happens.
fn survive(step: &Step, work: &(dyn Fn(&Step) -> Result<String> + Sync)) -> Result<String> {
    std::panic::catch_unwind(AssertUnwindSafe(|| work(step)))
        .unwrap_or_else(|_| Err(failed("it panicked, and says above where")))
}

fn set(states: &mut [State], index: usize, state: State) {
    if let Some(place) = states.get_mut(index) {
        *place = state;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    const fn step(name: &'static str, lane: Lane, needs: &'static [&'static str]) -> Step {
        Step { name, lane, needs, run: || Ok(()) }
    }

    const TABLE: &[Step] = &[
        step("setup", Lane::Any, &[]),
        step("clippy", Lane::Builds, &["setup"]),
        step("crash", Lane::Guests, &["setup"]),
        step("formats", Lane::Guests, &["crash", "clippy"]),
        step("fuzz", Lane::Any, &["setup"]),
    ];

    fn all(work: &(dyn Fn(&Step) -> Result<String> + Sync)) -> Vec<Row> {
        run(&TABLE.iter().collect::<Vec<_>>(), work)
    }

    /// Three that wait for each other end only when all run at a time.
    #[test]
    fn the_lanes_run_side_by_side() {
        let (meet, order) = (Barrier::new(3), Mutex::new(Vec::new()));
        let rows = all(&|step| {
            if ["clippy", "crash", "fuzz"].contains(&step.name) {
                meet.wait();
            }
            lock(&order).push(step.name);
            Ok(String::new())
        });
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["setup", "clippy", "crash", "formats", "fuzz"]);
        assert!(rows.iter().all(|row| row.passed == Some(true)));
        let order = lock(&order);
        let place = |name| order.iter().position(|step| *step == name).unwrap();
        assert_eq!(place("setup"), 0);
        assert!(place("formats") > place("crash") && place("formats") > place("clippy"));
    }

    #[test]
    fn what_needs_a_failed_step_is_not_tried_and_not_passed() {
        let rows = all(&|step| match step.name {
            "crash" => Err(failed("no dump")),
            "formats" => Ok("tried".to_owned()),
            _ => Ok(String::new()),
        });
        let row = |name| rows.iter().find(|row| row.name == name).unwrap();
        assert_eq!(row("crash").passed, Some(false));
        assert_eq!(row("formats").passed, Some(false));
        assert_eq!(row("formats").detail, "not tried: crash did not pass");
        assert_eq!(row("fuzz").passed, Some(true));
        let rows = all(&|_| Err(failed("nothing works")));
        assert!(rows.len() == TABLE.len() && rows.iter().all(|row| row.passed == Some(false)));
    }

    /// Another lane waits for what needs it, and must be told.
    #[test]
    fn a_step_that_panics_has_failed() {
        let rows = all(&|step| {
            assert_ne!(step.name, "crash", "seen in the test's output");
            Ok(String::new())
        });
        let failed: Vec<_> =
            rows.iter().filter(|row| row.passed != Some(true)).map(|row| &row.name).collect();
        assert_eq!(failed, ["crash", "formats"]);
    }

    #[test]
    fn a_lane_waits_for_the_others_and_takes_what_is_anyones_last() {
        use State::{Failed, Passed, Pending, Running};
        let steps: Vec<&Step> = TABLE.iter().collect();
        let after = |states: [State; 5], lane| next(&steps, &states, lane);
        assert_eq!(after([Running, Pending, Pending, Pending, Pending], Lane::Guests), Next::Wait);
        assert_eq!(after([Passed, Running, Pending, Pending, Pending], Lane::Guests), Next::Run(2));
        assert_eq!(after([Passed, Running, Passed, Pending, Pending], Lane::Guests), Next::Run(4));
        assert_eq!(after([Passed, Running, Passed, Pending, Passed], Lane::Guests), Next::Wait);
        assert_eq!(after([Passed, Pending, Pending, Pending, Pending], Lane::Any), Next::Run(4));
        assert_eq!(after([Passed, Pending, Pending, Pending, Running], Lane::Any), Next::Leave);
        let refused = Next::Refuse(3, "clippy");
        assert_eq!(after([Passed, Failed, Passed, Pending, Passed], Lane::Guests), refused);
        assert_eq!(after([Passed, Passed, Running, Pending, Passed], Lane::Builds), Next::Leave);
    }
}
