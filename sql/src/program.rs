//! How many steps it takes at least to add a row to a temporary result, by the program that SQLite runs.
//!
//! A statement that runs long goes round in its program. Each way round takes as many steps as it has
//! instructions, and adds the rows that it inserts into cursors of temporary results, without those that it
//! deletes there. The way that adds the most rows for its steps bounds what a statement can hold after a
//! number of steps, whatever its values are.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::bounds::{INSTRUCTIONS_READ, STEPS_PER_HELD_ROW};

/// An instruction of SQLite's virtual machine, with its first three operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub name: String,
    pub operands: [i64; 3],
}

/// Instructions that may go on at their second operand, in this version of SQLite: those that its source
/// marks so, and `SeekScan`, `SequenceTest` and `SorterCompare`, which do so without a mark. Those that have
/// an own rule below are not among them.
const JUMPS: &str = "
    VFilter Init MustBeInt Once If IfNot IsType IfNullRow SeekLT SeekLE SeekGE SeekGT IfNoHope
    NoConflict NotFound Found SeekRowid NotExists Last IfSizeBetween SorterSort Sort Rewind
    IfEmpty SorterNext Prev Next IdxLE IdxGT IdxLT IdxGE IFindKey RowSetRead RowSetTest Program
    FkIfZero IsNull NotNull Ne Eq Gt Le Lt Ge ElseEq IfPos IfNotZero DecrJumpZero IncrVacuum
    VNext Filter SeekScan SequenceTest SorterCompare
";

/// The fewest steps for each row that is added to temporary results; nothing if none is added again and
/// again.
pub(crate) fn steps_per_row(program: &[Instruction]) -> Option<u64> {
    let flow = Flow::of(program).filter(|_| program.len() <= INSTRUCTIONS_READ);
    let Some(flow) = flow else { return Some(STEPS_PER_HELD_ROW) };
    // No way round has more instructions than the program.
    let mut too_many = program.len() as i64 + 1;
    if !flow.adds_a_row_in_fewer(too_many) {
        return None;
    }
    let mut steps = 1;
    while too_many - steps > 1 {
        let middle = i64::midpoint(steps, too_many);
        if flow.adds_a_row_in_fewer(middle) { too_many = middle } else { steps = middle }
    }
    u64::try_from(steps).ok()
}

/// Where each instruction may go on, and how many rows it adds.
struct Flow {
    next: Vec<Vec<usize>>,
    rows: Vec<i64>,
}

impl Flow {
    /// Nothing if the program has a form that is not known.
    fn of(program: &[Instruction]) -> Option<Self> {
        let routines = Routines::of(program)?;
        let next: Option<Vec<Vec<usize>>> =
            (0..program.len()).map(|at| routines.behind(program, at)).collect();
        let next = next?;
        let is_inside = next.iter().flatten().all(|at| *at < program.len());
        is_inside.then(|| Self { next, rows: rows(program) })
    }

    /// Whether some way round adds a row in fewer than so many steps: Bellman and Ford's search for a circle
    /// of negative length.
    fn adds_a_row_in_fewer(&self, steps: i64) -> bool {
        let inserting = self.rows.iter().filter(|rows| **rows > 0).count() as i64;
        let mut lengths = vec![0_i64; self.next.len()];
        for _ in 0..=self.next.len() {
            let mut is_shorter = false;
            for (at, next) in self.next.iter().enumerate() {
                let length = lengths[at] + 1 - steps * self.rows[at];
                for behind in next {
                    if length < lengths[*behind] {
                        lengths[*behind] = length;
                        is_shorter = true;
                    }
                }
                // No way without a circle is that short.
                if length < -steps * inserting {
                    return true;
                }
            }
            if !is_shorter {
                return false;
            }
        }
        true
    }
}

/// The rows that each instruction adds to temporary results.
fn rows(program: &[Instruction]) -> Vec<i64> {
    let cursors = |names: &[&str]| -> FxHashSet<i64> {
        let opening = program.iter().filter(|instruction| names.contains(&instruction.name.as_str()));
        opening.map(|instruction| instruction.operands[0]).collect()
    };
    let temporary = cursors(&["OpenEphemeral", "OpenAutoindex", "SorterOpen", "OpenDup"]);
    let lasting = cursors(&["OpenWrite"]);
    let of = |instruction: &Instruction| {
        let cursor = instruction.operands[0];
        match instruction.name.as_str() {
            "Insert" | "IdxInsert" | "SorterInsert" if temporary.contains(&cursor) => 1,
            "Delete" if temporary.contains(&cursor) && !lasting.contains(&cursor) => -1,
            _ => 0,
        }
    };
    program.iter().map(of).collect()
}

/// Where coroutines and subroutines begin, end and are called, by the register with their address.
#[derive(Default)]
struct Routines {
    /// The first instruction of each coroutine, and the first behind it.
    bodies: FxHashMap<i64, (usize, usize)>,
    yields: FxHashMap<i64, Vec<usize>>,
    ends: FxHashMap<i64, Vec<usize>>,
    calls: FxHashMap<i64, Vec<usize>>,
}

impl Routines {
    fn of(program: &[Instruction]) -> Option<Self> {
        let mut found = Self::default();
        for (at, instruction) in program.iter().enumerate() {
            let [register, to, begin] = instruction.operands;
            match instruction.name.as_str() {
                // A coroutine that is begun again has no second body.
                "InitCoroutine" if to != 0 => {
                    let body = (usize::try_from(begin).ok()?, usize::try_from(to).ok()?);
                    if found.bodies.insert(register, body).is_some() {
                        return None;
                    }
                }
                "Yield" => found.yields.entry(register).or_default().push(at),
                "EndCoroutine" => found.ends.entry(register).or_default().push(at),
                "Gosub" => found.calls.entry(register).or_default().push(at),
                _ => {}
            }
        }
        Some(found)
    }

    /// Where an instruction may go on.
    fn behind(&self, program: &[Instruction], at: usize) -> Option<Vec<usize>> {
        let Instruction { name, operands: [first, second, third] } = &program[at];
        let target = |operand: i64| usize::try_from(operand).ok();
        let all = |places: &FxHashMap<i64, Vec<usize>>| places.get(first).cloned().unwrap_or_default();
        Some(match name.as_str() {
            "Halt" => Vec::new(),
            "Goto" | "Gosub" => vec![target(*second)?],
            "Jump" => vec![target(*first)?, target(*second)?, target(*third)?],
            "InitCoroutine" => vec![if *second == 0 { at + 1 } else { target(*second)? }],
            "Return" => {
                let mut next: Vec<usize> = all(&self.calls).into_iter().map(|call| call + 1).collect();
                next.extend((*third != 0).then_some(at + 1));
                next
            }
            "Yield" => {
                let (begin, end) = *self.bodies.get(first)?;
                let is_inside = |at: usize| (begin..end).contains(&at);
                let others = all(&self.yields).into_iter().filter(|other| is_inside(*other) != is_inside(at));
                let mut next: Vec<usize> = others.map(|other| other + 1).collect();
                if !is_inside(at) {
                    next.push(begin);
                    next.extend(all(&self.ends));
                }
                next
            }
            // It goes on where the one that yields last says.
            "EndCoroutine" => {
                let (begin, end) = *self.bodies.get(first)?;
                let callers = all(&self.yields).into_iter().filter(|at| !(begin..end).contains(at));
                let targets = callers.map(|at| program[at].operands[1]).filter(|to| *to != 0);
                targets.map(target).collect::<Option<Vec<usize>>>()?
            }
            _ => {
                let mut next = vec![at + 1];
                if *second > 0 && JUMPS.split_whitespace().any(|jump| jump == name) {
                    next.push(target(*second)?);
                }
                // They may pass over the instruction behind them.
                if ["SeekGE", "SeekLE"].contains(&name.as_str()) {
                    next.push(at + 2);
                }
                if name == "SeekScan" {
                    next.push(target(program.get(at + 1)?.operands[1])?);
                }
                next
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &str) -> Vec<Instruction> {
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let name = words.next().expect("a name").to_owned();
            let operands = [0; 3].map(|_| words.next().map_or(0, |word| word.parse().expect("a number")));
            Instruction { name, operands }
        };
        text.split(';').map(line).collect()
    }

    #[test]
    fn the_way_round_that_adds_most_rows_counts() {
        let sorted = "SorterOpen 1; OpenRead 0; Rewind 0 7; Column 0 0 1; MakeRecord 1 1 2; SorterInsert 1 2; \
                      Next 0 3; Halt";
        assert_eq!(steps_per_row(&program(sorted)), Some(4));
        let both = sorted.replace("Column 0 0 1", "If 1 5; Column 0 0 1");
        let both = both.replace("Rewind 0 7", "Rewind 0 8");
        assert_eq!(steps_per_row(&program(&both)), Some(4), "it may go by the column");
        let copied = sorted.replace("SorterInsert 1 2; Next 0 3", "Insert 1 2; Insert 1 2; Next 0 3");
        let copied = copied.replace("SorterOpen 1", "OpenEphemeral 1").replace("Rewind 0 7", "Rewind 0 8");
        assert_eq!(steps_per_row(&program(&copied)), Some(2));
    }

    #[test]
    fn rows_that_are_deleted_again_and_rows_of_tables_are_not_held() {
        let queue = "OpenEphemeral 1; Insert 1 2; Rewind 1 6; Delete 1; Insert 1 2; Goto 0 2; Halt";
        assert_eq!(steps_per_row(&program(queue)), None);
        let table = "OpenWrite 1; Rewind 0 5; MakeRecord 1 1 2; Insert 1 2; Next 0 2; Halt";
        assert_eq!(steps_per_row(&program(table)), None);
    }

    #[test]
    fn a_row_of_a_coroutine_takes_the_steps_of_both_sides() {
        let yields = "SorterOpen 1; InitCoroutine 5 7 2; Rewind 0 6; Column 0 0 1; Yield 5; Next 0 3; \
                      EndCoroutine 5; InitCoroutine 5 0 2; Yield 5 11; SorterInsert 1 2; Goto 0 8; Halt";
        assert_eq!(steps_per_row(&program(yields)), Some(6));
        let unknown = yields.replace("InitCoroutine 5 7 2", "Noop").replace("InitCoroutine 5 0 2", "Noop");
        assert_eq!(steps_per_row(&program(&unknown)), Some(STEPS_PER_HELD_ROW));
    }
}
