//! Sets of hosts that are joined one after the other: each host names another one of its set, in the end the first.

/// Joins the sets of two hosts.
pub(crate) fn join(joined: &mut [u32], a: u32, b: u32) {
    let (a, b) = (root(joined, a), root(joined, b));
    joined[a.max(b) as usize] = a.min(b);
}

/// The first host of a host's set.
pub(crate) fn root(joined: &mut [u32], mut host: u32) -> u32 {
    while joined[host as usize] != host {
        joined[host as usize] = joined[joined[host as usize] as usize];
        host = joined[host as usize];
    }
    host
}
