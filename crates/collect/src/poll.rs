//! Asking one host, within one deadline, for everything that is wanted of it in one round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use ulm_drivers::{Driver, DriverError, ErrorKind, HostFacts, Link, Reading, VmFacts};
use ulm_model::{CpuNeed, CpuVerdict, HostName, VmId};

/// Definitions read from one host at the same time: libvirt serves five requests of a client at once by default.
const AT_ONCE: usize = 4;

/// What is wanted of a host besides its reading.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Handed back in the answer.
    pub watch: u64,
    /// Read the host's facts too.
    pub facts: bool,
    /// VMs whose definition is known and fresh: all others are read.
    pub known_vms: Arc<BTreeSet<VmId>>,
    /// CPU needs that the host has not judged yet.
    pub needs: BTreeSet<CpuNeed>,
}

/// What a host answered. Parts that did not come in time are missing and are asked for again.
#[derive(Debug)]
pub struct Answer {
    /// Who answered.
    pub host: HostName,
    /// From the question.
    pub watch: u64,
    /// Its facts, if they were wanted.
    pub facts: Option<Result<HostFacts, DriverError>>,
    /// Its figures.
    pub reading: Result<Reading, DriverError>,
    /// Definitions of VMs.
    pub vms: BTreeMap<VmId, Result<VmFacts, DriverError>>,
    /// Its judgements.
    pub verdicts: BTreeMap<CpuNeed, CpuVerdict>,
}

/// Asks in the background; exactly one answer arrives, at the latest when the deadline has passed.
pub fn ask(driver: Arc<dyn Driver>, question: Question, deadline: Duration, to: mpsc::UnboundedSender<Answer>) {
    tokio::spawn(async move {
        let answer = answer(&*driver, question, Instant::now() + deadline, deadline).await;
        // Nobody listens any more when the observer is gone: then nobody wants the answer.
        let _ = to.send(answer);
    });
}

async fn answer(driver: &dyn Driver, question: Question, by: Instant, deadline: Duration) -> Answer {
    let mut answer = Answer {
        host: driver.host().clone(),
        watch: question.watch,
        facts: None,
        reading: Err(DriverError::new(ErrorKind::Unreachable, "not asked")),
        vms: BTreeMap::new(),
        verdicts: BTreeMap::new(),
    };
    if let Link::Down { because } = driver.link() {
        answer.reading = Err(DriverError::new(ErrorKind::Unreachable, because));
        return answer;
    }
    let late = || DriverError::new(ErrorKind::TimedOut, format!("no answer within {deadline:?}"));
    if question.facts {
        answer.facts = Some(timeout_at(by, driver.facts()).await.unwrap_or_else(|_| Err(late())));
    }
    answer.reading = timeout_at(by, driver.reading()).await.unwrap_or_else(|_| Err(late()));
    let Ok(reading) = &answer.reading else { return answer };

    let unread: Vec<VmId> = reading.vms.iter().map(|vm| vm.id).filter(|id| !question.known_vms.contains(id)).collect();
    let mut definitions = futures_util::stream::iter(unread)
        .map(|vm| async move { (vm, driver.vm_facts(vm).await) })
        .buffer_unordered(AT_ONCE);
    while let Ok(Some((vm, facts))) = timeout_at(by, definitions.next()).await {
        answer.vms.insert(vm, facts);
    }
    for need in question.needs {
        let Ok(Ok(verdict)) = timeout_at(by, driver.judge_cpu(&need)).await else { break };
        answer.verdicts.insert(need, verdict);
    }
    answer
}
