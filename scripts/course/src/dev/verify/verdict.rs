use crate::catalogue::Chapter;
use crate::judge::{Line, Outcome};
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Passed,
    Failed,
    Open,
    Blocked(String),
    NotRun,
}

pub fn of(chapter: &Chapter, open: &BTreeSet<String>, lines: &[Line]) -> Vec<Status> {
    let mut statuses: Vec<Status> = Vec::new();
    for (exercise, line) in chapter.exercises.iter().zip(lines) {
        let blocker = exercise.needs.iter().find(|need| {
            let index = chapter.number_of(need).unwrap() - 1;
            statuses[index] != Status::Passed
        });
        statuses.push(if open.contains(&exercise.name) {
            Status::Open
        } else if let Some(blocker) = blocker {
            Status::Blocked(blocker.clone())
        } else {
            match line.outcome {
                Outcome::Passed => Status::Passed,
                Outcome::Failed | Outcome::Died => Status::Failed,
                Outcome::NotRun => Status::NotRun,
            }
        });
    }
    statuses
}
