//! A listed set of placements that no single move leads out of, and that the other end is not in.

use super::fault::CertificateFault;
use super::name;
use super::system::System;
use ulm_model::End;

pub(super) fn check(system: &System<'_>, states: &[Vec<u32>]) -> Result<(), CertificateFault> {
    for (number, state) in states.iter().enumerate() {
        system.is_state(state).map_err(|vm| CertificateFault::NoState { state: number, vm })?;
        if number > 0 && states[number - 1] >= *state {
            return Err(CertificateFault::StatesUnordered { state: number });
        }
    }
    let listed = |state: &[u32]| states.binary_search_by(|known| known.as_slice().cmp(state)).is_ok();
    let (start, other) = if system.from == End::A { (End::A, End::B) } else { (End::B, End::A) };
    if !listed(&system.start) {
        return Err(CertificateFault::NoStart { from: name(start) });
    }
    if listed(&system.other) {
        return Err(CertificateFault::OtherEnd { other: name(other) });
    }
    let mut sums = system.sums();
    for (number, state) in states.iter().enumerate() {
        system.each_step(state, &mut sums, |step| match listed(step.state) {
            true => Ok(()),
            false => {
                let host = |host: u32| system.items.terms.host(host).to_owned();
                let vm = system.items.name(step.item);
                Err(CertificateFault::Open { state: number, vm, from: host(step.from), to: host(step.to) })
            }
        })?;
    }
    Ok(())
}
