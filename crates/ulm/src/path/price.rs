//! What moves cost, by its name on the command line or in a file.

use std::time::Duration;

use ulm_model::{Answer, Bytes, RouteAction, Task};
use ulm_path::{ByBytes, BySeconds, MoveCost};
use ulm_policy::{ExpressionCost, ExpressionError, MoveExpression};

use crate::exit::{Exit, Failure, Outcome};
use crate::path::words;

/// What moves cost.
pub enum Price {
    /// The bytes that they copy.
    Bytes,
    /// The time that they take, in milliseconds.
    Seconds,
    /// What an expression says.
    Expression(Box<ExpressionCost>),
}

impl Price {
    /// By its name, or by the expression.
    pub fn of(text: &str, task: &Task) -> Outcome<Self> {
        let wrong = |error: ExpressionError| {
            let message =
                format!("--cost: {error}. It is `bytes`, `seconds` or a CEL expression; docs/placement.md tells more");
            Failure::new(Exit::Usage, message)
        };
        match text {
            "bytes" => Ok(Price::Bytes),
            "seconds" => Ok(Price::Seconds),
            text => {
                let cost = MoveExpression::parse(text).and_then(|expression| expression.over(task)).map_err(wrong)?;
                Ok(Price::Expression(Box::new(cost)))
            }
        }
    }

    /// As the search wants it.
    pub fn cost(&self) -> &dyn MoveCost {
        match self {
            Price::Bytes => &ByBytes,
            Price::Seconds => &BySeconds,
            Price::Expression(cost) => &**cost,
        }
    }

    /// What went wrong with an expression while it was asked.
    pub fn failure(&self) -> Option<&ExpressionError> {
        match self {
            Price::Bytes | Price::Seconds => None,
            Price::Expression(cost) => cost.failure(),
        }
    }

    /// What each step of the answer's route costs.
    pub fn costs(&self, task: &Task, answer: &Answer) -> Vec<u64> {
        let (Answer::Route(route) | Answer::Undecided { best: route, .. }) = answer else { return Vec::new() };
        let cost = |action: RouteAction| match action {
            RouteAction::Move { vm, from, to, .. } => self.cost().cost(task, vm, from, to),
            RouteAction::PowerOn { .. } | RouteAction::PowerOff { .. } => 0,
        };
        route.steps.iter().map(|step| cost(step.action)).collect()
    }

    /// A cost in words.
    pub fn spoken(&self, cost: u64) -> String {
        match self {
            Price::Bytes => Bytes(cost).to_string(),
            Price::Seconds => words::span(Duration::from_millis(cost)),
            Price::Expression(_) => words::grouped(cost),
        }
    }
}
