//! The checker's word on an answer, whoever gave it.

use ulm_check::{Completeness, check_certificate, check_route};
use ulm_model::{Answer, RouteFile, Task};

use crate::path::price::Price;

/// Whether the answer is right; if not, what is wrong with it.
pub fn answer(task: &Task, answer: &Answer) -> Result<(), String> {
    match answer {
        Answer::Route(route) => {
            check_route(task, route, Completeness::ToB).map_err(|fault| fault.to_string())?;
            if route.cost_bound > route.cost || route.makespan_bound_ms > route.makespan_ms {
                return Err("it is better than what it says that no route can pass".to_owned());
            }
            Ok(())
        }
        Answer::Impossible { certificate } => check_certificate(task, certificate).map_err(|fault| fault.to_string()),
        Answer::Undecided { best, left, .. } => {
            let arrived = check_route(task, best, Completeness::AnyPlacement).map_err(|fault| fault.to_string())?;
            let really: Vec<u32> =
                (0..task.vms.len() as u32).filter(|vm| arrived.at[*vm as usize] != task.vms[*vm as usize].to).collect();
            if really != *left {
                return Err("it does not list the VMs that are not at their hosts of B at its end".to_owned());
            }
            Ok(())
        }
    }
}

/// Whether the costs are what they are said to be.
pub fn costs(file: &RouteFile, price: &Price) -> Result<(), String> {
    let (Answer::Route(route) | Answer::Undecided { best: route, .. }) = &file.answer else { return Ok(()) };
    let really = price.costs(&file.task, &file.answer);
    if let Some(s) = (0..really.len()).find(|s| file.costs.get(*s) != Some(&really[*s])) {
        let said = file.costs.get(s).copied().unwrap_or(0);
        return Err(format!("step {s} is said to cost {said}, but by `{}` it costs {}", file.cost, really[s]));
    }
    let sum = really.iter().fold(0u64, |sum, cost| sum.saturating_add(*cost));
    if sum != route.cost {
        return Err(format!("it is said to cost {}, but its steps cost {sum} together", route.cost));
    }
    Ok(())
}
