//! What the fake daemon answers when it behaves.

use super::host::FakeHost;
use crate::domain::Domain;
use crate::error::{ErrorCode, ErrorWire};
use crate::node::{CounterWire, FREE_PAGES_MAX, MEMORY_PARAMETERS_MAX, ModelWire, Network, NodeInfoWire, StoragePool};
use crate::procedures::{Feature, Procedure};
use crate::stats::{STATS_MAX, StatsRecordWire};
use crate::typed_params::{TypedParam, Value};
use crate::xdr::{List, Opaque, Xdr, XdrError, from_bytes, to_bytes};

/// Something that the answer alone does not do.
pub(super) enum Effect {
    /// The connection asks for events of this kind.
    Register(i32),
    /// The VM is to go to the host behind this URI.
    Migrate { domain: Domain, destination: String },
    /// The connection says good-bye.
    Close,
}

/// The payload of a good answer, or an error; and what else happens.
pub(super) type Outcome = (Result<Vec<u8>, Refusal>, Option<Effect>);

/// An error on its way to the client.
pub(super) type Refusal = Box<ErrorWire>;

pub(super) fn refusal(code: ErrorCode, domain: i32, message: impl Into<String>) -> Refusal {
    Box::new(ErrorWire::new(code, domain, message))
}

const QEMU: i32 = 10;
const RPC: i32 = 7;

type Domains = List<Domain, 16_384>;
type Counters = List<CounterWire, 16>;

pub(super) fn answer(host: &mut FakeHost, procedure: i32, payload: &[u8]) -> Outcome {
    match answer_or_nonsense(host, procedure, payload) {
        Ok(outcome) => outcome,
        Err(error) => {
            let text = format!("Unable to decode message payload: {error}");
            (Err(refusal(ErrorCode::RPC, RPC, text)), None)
        }
    }
}

fn answer_or_nonsense(host: &mut FakeHost, procedure: i32, payload: &[u8]) -> Result<Outcome, XdrError> {
    fn read<T: Xdr>(payload: &[u8]) -> Result<T, XdrError> {
        from_bytes(payload)
    }
    let mut effect = None;
    let Some(procedure) = Procedure::by_number(procedure) else {
        let text = format!("unknown procedure: {procedure}");
        return Ok((Err(refusal(ErrorCode::RPC, RPC, text)), None));
    };
    let reply = match procedure {
        Procedure::AUTH_LIST => Ok(to_bytes(&List::<i32, 20>(host.auth.clone()))),
        Procedure::AUTH_POLKIT => Ok(to_bytes(&host.polkit_complete)),
        Procedure::CONNECT_SUPPORTS_FEATURE => {
            let feature: i32 = read(payload)?;
            let yes = feature != Feature::KeepAlive as i32 || host.keep_alive;
            Ok(to_bytes(&i32::from(yes)))
        }
        Procedure::CONNECT_OPEN => {
            let (_name, _flags): (Option<String>, u32) = read(payload)?;
            Ok(Vec::new())
        }
        Procedure::CONNECT_CLOSE => {
            effect = Some(Effect::Close);
            Ok(Vec::new())
        }
        Procedure::CONNECT_GET_HOSTNAME => Ok(to_bytes(&host.name)),
        Procedure::CONNECT_GET_URI => Ok(to_bytes(&"qemu:///system".to_owned())),
        Procedure::CONNECT_GET_LIB_VERSION => Ok(to_bytes(&host.lib_version)),
        Procedure::CONNECT_GET_VERSION => Ok(to_bytes(&10_000_002u64)),
        Procedure::CONNECT_GET_CAPABILITIES => Ok(to_bytes(&host.capabilities)),
        Procedure::CONNECT_GET_DOMAIN_CAPABILITIES => Ok(to_bytes(&"<domainCapabilities/>".to_owned())),
        Procedure::CONNECT_COMPARE_HYPERVISOR_CPU => Ok(to_bytes(&2i32)), // this CPU and more
        Procedure::NODE_GET_INFO => Ok(to_bytes(&NodeInfoWire {
            model: ModelWire("x86_64".into()),
            memory_kib: host.memory_bytes / 1024,
            cpus: host.cpus as i32,
            mhz: 2400,
            nodes: 1,
            sockets: 1,
            cores: host.cpus as i32 / 2,
            threads: 2,
        })),
        Procedure::NODE_GET_CPU_STATS => {
            let (_cpu, fields, _flags): (i32, i32, u32) = read(payload)?;
            match fields {
                0 => Ok(counters(&[])),
                _ => Ok(counters(&host.cpu_counters())),
            }
        }
        Procedure::NODE_GET_MEMORY_STATS => {
            let (fields, _cell, _flags): (i32, i32, u32) = read(payload)?;
            match fields {
                0 => Ok(counters(&[])),
                _ => Ok(counters(&host.memory_counters())),
            }
        }
        Procedure::NODE_GET_FREE_PAGES if !host.cells.is_empty() => {
            let (sizes, first, cells, _flags): (List<u32, FREE_PAGES_MAX>, u32, u32, u32) = read(payload)?;
            match host.free_pages(&sizes.0, first, cells) {
                Ok(counts) => Ok(to_bytes(&List::<u64, FREE_PAGES_MAX>(counts))),
                Err(text) => Err(refusal(ErrorCode::INTERNAL_ERROR, 0, text)),
            }
        }
        Procedure::NODE_GET_MEMORY_PARAMETERS if !host.memory_parameters.is_empty() => {
            let (_room, _flags): (i32, u32) = read(payload)?;
            let count = host.memory_parameters.len() as i32;
            Ok(to_bytes(&(List::<TypedParam, MEMORY_PARAMETERS_MAX>(host.memory_parameters.clone()), count)))
        }
        Procedure::CONNECT_LIST_ALL_DOMAINS => {
            let (_need, filter): (i32, u32) = read(payload)?;
            let domains: Vec<_> = host
                .vms
                .iter()
                .filter(|vm| match filter & 3 {
                    1 => vm.domain.id.is_some(),
                    2 => vm.domain.id.is_none(),
                    _ => true,
                })
                .map(|vm| vm.domain.clone())
                .collect();
            let count = domains.len() as u32;
            Ok(to_bytes(&(List(domains) as Domains, count)))
        }
        Procedure::CONNECT_LIST_ALL_NETWORKS => {
            let count = host.networks.len() as u32;
            Ok(to_bytes(&(List::<Network, 16_384>(host.networks.clone()), count)))
        }
        Procedure::CONNECT_LIST_ALL_STORAGE_POOLS => {
            let count = host.pools.len() as u32;
            Ok(to_bytes(&(List::<StoragePool, 16_384>(host.pools.clone()), count)))
        }
        Procedure::NETWORK_IS_ACTIVE | Procedure::STORAGE_POOL_IS_ACTIVE => Ok(to_bytes(&1i32)),
        Procedure::CONNECT_GET_ALL_DOMAIN_STATS => {
            let (only, _groups, filter): (Domains, u32, u32) = read(payload)?;
            let records: Vec<_> = host
                .vms
                .iter_mut()
                .filter(|vm| filter & 3 != 1 || vm.domain.id.is_some())
                .filter(|vm| only.0.is_empty() || only.0.iter().any(|d| d.uuid == vm.domain.uuid))
                .map(|vm| StatsRecordWire { dom: vm.domain.clone(), params: List(vm.stats()) })
                .collect();
            Ok(to_bytes(&List::<_, STATS_MAX>(records)))
        }
        Procedure::DOMAIN_LOOKUP_BY_UUID => {
            let uuid: uuid::Uuid = read(payload)?;
            let found = host.vms.iter().find(|vm| vm.domain.uuid == uuid);
            found.map_or_else(|| Err(no_domain(&uuid.to_string())), |vm| Ok(to_bytes(&vm.domain)))
        }
        Procedure::DOMAIN_LOOKUP_BY_NAME => {
            let name: String = read(payload)?;
            let found = host.vms.iter().find(|vm| vm.domain.name == name);
            found.map_or_else(|| Err(no_domain(&name)), |vm| Ok(to_bytes(&vm.domain)))
        }
        Procedure::DOMAIN_GET_STATE => {
            let (domain, _): (Domain, u32) = read(payload)?;
            with_vm(host, &domain, |vm| Ok(to_bytes(&vm.state)))
        }
        Procedure::DOMAIN_GET_XML_DESC => {
            let (domain, _): (Domain, u32) = read(payload)?;
            with_vm(host, &domain, |vm| Ok(to_bytes(&vm.xml)))
        }
        Procedure::DOMAIN_IS_PERSISTENT => {
            let domain: Domain = read(payload)?;
            with_vm(host, &domain, |_| Ok(to_bytes(&1i32)))
        }
        Procedure::DOMAIN_GET_JOB_STATS => {
            let (domain, _): (Domain, u32) = read(payload)?;
            with_vm(host, &domain, |vm| {
                let (job, params) = vm.job.clone().unwrap_or_default();
                Ok(to_bytes(&(job, List::<TypedParam, 64>(params))))
            })
        }
        Procedure::DOMAIN_ABORT_JOB => {
            let domain: Domain = read(payload)?;
            with_vm(host, &domain, |vm| match vm.job.take() {
                Some(_) => Ok(Vec::new()),
                None => Err(refusal(
                    ErrorCode::OPERATION_INVALID,
                    QEMU,
                    "Requested operation is not valid: no job is active on the domain",
                )),
            })
        }
        Procedure::DOMAIN_EVENT_CALLBACK_REGISTER_ANY => {
            let (kind, _only): (i32, Option<Domain>) = read(payload)?;
            effect = Some(Effect::Register(kind));
            Ok(to_bytes(&kind))
        }
        Procedure::DOMAIN_MIGRATE_PERFORM3_PARAMS => {
            type Arguments = (Domain, Option<String>, List<TypedParam, 64>, Opaque<4_194_304>, u32);
            let (domain, destination, _params, _cookie, _flags): Arguments = read(payload)?;
            let reply = with_vm(host, &domain, |_| Ok(to_bytes(&Opaque::<16>(Vec::new()))));
            if reply.is_ok() {
                effect = Some(Effect::Migrate { domain, destination: destination.unwrap_or_default() });
            }
            reply
        }
        Procedure::DOMAIN_MIGRATE_SET_MAX_SPEED
        | Procedure::DOMAIN_MIGRATE_SET_MAX_DOWNTIME
        | Procedure::DOMAIN_SET_MEMORY_STATS_PERIOD
        | Procedure::DOMAIN_START_DIRTY_RATE_CALC => Ok(Vec::new()),
        other => Err(refusal(
            ErrorCode::NO_SUPPORT,
            QEMU,
            format!("this function is not supported by the connection driver: {}", other.name),
        )),
    };
    Ok((reply, effect))
}

fn counters(list: &[(&str, u64)]) -> Vec<u8> {
    let counters =
        list.iter().map(|(field, value)| CounterWire { field: (*field).to_owned(), value: *value }).collect();
    // The fake always has four; libvirt gives the number when asked for none.
    to_bytes(&(List(counters) as Counters, 4i32))
}

fn with_vm(
    host: &mut FakeHost,
    domain: &Domain,
    answer: impl FnOnce(&mut super::FakeVm) -> Result<Vec<u8>, Refusal>,
) -> Result<Vec<u8>, Refusal> {
    match host.find(domain) {
        Some(vm) => answer(vm),
        None => Err(no_domain(&domain.name)),
    }
}

pub(super) fn no_domain(which: &str) -> Refusal {
    refusal(ErrorCode::NO_DOMAIN, QEMU, format!("Domain not found: no domain with matching name '{which}'"))
}

/// A job as QEMU's driver reports it in the middle of a migration.
impl super::FakeVm {
    /// Makes it look as if the VM were being migrated away, with `remaining_bytes` to go.
    pub fn begin_migration_job(&mut self, remaining_bytes: u64) {
        let total = self.memory_bytes;
        let params = [
            ("operation", Value::Int(5)),
            ("time_elapsed", Value::Ulong(1500)),
            ("downtime", Value::Ulong(300)),
            ("data_total", Value::Ulong(total)),
            ("data_processed", Value::Ulong(total - remaining_bytes)),
            ("data_remaining", Value::Ulong(remaining_bytes)),
            ("memory_total", Value::Ulong(total)),
            ("memory_processed", Value::Ulong(total - remaining_bytes)),
            ("memory_remaining", Value::Ulong(remaining_bytes)),
            ("memory_bps", Value::Ulong(100 << 20)),
            ("memory_dirty_rate", Value::Ulong(2560)),
            ("memory_page_size", Value::Ulong(4096)),
            ("memory_iteration", Value::Ulong(2)),
        ];
        let params = params.into_iter().map(|(field, value)| TypedParam::new(field, value)).collect();
        self.job = Some((2, params));
    }
}
