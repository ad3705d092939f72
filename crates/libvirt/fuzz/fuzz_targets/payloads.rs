//! Any bytes as the payloads that daemons send: statistics, errors, lists, jobs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ulm_libvirt::job::{JobStats, JobType};
use ulm_libvirt::node::NodeInfoWire;
use ulm_libvirt::stats::{STATS_MAX, StatsRecordWire};
use ulm_libvirt::xdr::{List, from_bytes};
use ulm_libvirt::{Domain, DomainStats, ErrorWire, TypedParam, TypedParams};

fuzz_target!(|data: &[u8]| {
    if let Ok(records) = from_bytes::<List<StatsRecordWire, STATS_MAX>>(data) {
        for record in records.0 {
            let _ = DomainStats::from_params(record.dom, record.params.0);
        }
    }
    if let Ok((job, params)) = from_bytes::<(i32, List<TypedParam, 64>)>(data) {
        let _ = JobStats::from_params(JobType::from_code(job), TypedParams(params.0));
    }
    let _ = from_bytes::<(List<Domain, 16_384>, u32)>(data);
    let _ = from_bytes::<NodeInfoWire>(data);
    let _ = ErrorWire::read(data, "fuzz").to_string();
});
