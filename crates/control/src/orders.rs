//! Finding what an order names.

use ulm_model::{HostIx, HostName, Snapshot, VmIx};

use crate::order::{OrderError, Refusal};

/// A VM by name or UUID. A name that several VMs bear must be told apart by UUID.
pub fn find_vm(snapshot: &Snapshot, wanted: &str) -> Result<VmIx, OrderError> {
    let by_id = wanted.parse().ok().and_then(|uuid| snapshot.find_vm(ulm_model::VmId(uuid)));
    if let Some(ix) = by_id {
        return Ok(ix);
    }
    let named: Vec<VmIx> = snapshot.vms_ix().filter(|(_, vm)| vm.name == wanted).map(|(ix, _)| ix).collect();
    match named.as_slice() {
        [one] => Ok(*one),
        [] => {
            let nearest = nearest(wanted, snapshot.vms.iter().map(|vm| vm.name.as_str()));
            Err(OrderError::new(Refusal::NotFound, format!("no VM `{wanted}` holds resources on any host{nearest}")))
        }
        several => {
            let list: Vec<String> = several
                .iter()
                .map(|&ix| format!("{} on {}", snapshot.vm(ix).id, snapshot.host(snapshot.vm(ix).host).name))
                .collect();
            let message = format!("{} VMs are named `{wanted}`: give the UUID ({})", several.len(), list.join(", "));
            Err(OrderError::new(Refusal::Conflict, message))
        }
    }
}

/// A host by name.
pub fn find_host(snapshot: &Snapshot, wanted: &HostName) -> Result<HostIx, OrderError> {
    snapshot.find_host(wanted).ok_or_else(|| {
        let nearest = nearest(&wanted.0, snapshot.hosts.iter().map(|host| host.name.0.as_str()));
        OrderError::new(Refusal::NotFound, format!("there is no host `{wanted}`{nearest}; `ulm host list` shows all"))
    })
}

/// The closest name, if one is close enough to be meant.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| (distance(wanted, name), name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min()
        .map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

/// How many letters must be changed, put in, left out or swapped with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut cost = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            cost[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let change = cost[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let best = change.min(cost[i - 1][j] + 1).min(cost[i][j - 1] + 1);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    if swapped { best.min(cost[i - 2][j - 2] + 1) } else { best }
                }
            };
        }
    }
    cost[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_when_it_is_near() {
        assert_eq!(nearest("wbe1", ["web1", "db7"].into_iter()), "; did you mean `web1`?");
        assert_eq!(nearest("web-fronted", ["web-frontend", "db7"].into_iter()), "; did you mean `web-frontend`?");
        assert_eq!(nearest("zzz", ["web-frontend"].into_iter()), "");
    }

    #[test]
    fn distance_counts_single_changes() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
