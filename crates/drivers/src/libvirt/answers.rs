//! Calls of libvirt's remote protocol that only this driver needs. Numbers and layouts are facts of the protocol.

use ulm_libvirt::domain::LIST_MAX;
use ulm_libvirt::node::{Hypervisor, Network, StoragePool};
use ulm_libvirt::xdr::List;
use ulm_libvirt::{Connection, Domain, Procedure, Result};
use ulm_model::Bytes;

const DOMAIN_GET_INFO: Procedure = Procedure { number: 16, name: "domain_get_info" };
const INTERFACE_GET_XML_DESC: Procedure = Procedure { number: 130, name: "interface_get_xml_desc" };
const DOMAIN_SNAPSHOT_NUM: Procedure = Procedure { number: 187, name: "domain_snapshot_num" };
const CONNECT_LIST_ALL_INTERFACES: Procedure = Procedure { number: 284, name: "connect_list_all_interfaces" };

/// `VIR_CONNECT_LIST_…_ACTIVE`, the same for networks, pools and interfaces.
const ACTIVE: u32 = 1 << 1;
const WANT_LIST: i32 = 1;

/// An interface of the host: its name and its hardware address.
pub(super) type Interface = (String, String);

/// The networks that guests can be plugged into now.
pub(super) async fn active_networks(host: &Connection) -> Result<Vec<Network>> {
    let (list, _): (List<Network, LIST_MAX>, u32) =
        host.call(Procedure::CONNECT_LIST_ALL_NETWORKS, &(WANT_LIST, ACTIVE)).await?;
    Ok(list.0)
}

/// The storage pools that can be used now.
pub(super) async fn active_pools(host: &Connection) -> Result<Vec<StoragePool>> {
    let (list, _): (List<StoragePool, LIST_MAX>, u32) =
        host.call(Procedure::CONNECT_LIST_ALL_STORAGE_POOLS, &(WANT_LIST, ACTIVE)).await?;
    Ok(list.0)
}

/// The host's interfaces that are up; members of a bridge are not listed apart.
pub(super) async fn active_interfaces(host: &Connection) -> Result<Vec<Interface>> {
    let (list, _): (List<Interface, LIST_MAX>, u32) =
        host.call(CONNECT_LIST_ALL_INTERFACES, &(WANT_LIST, ACTIVE)).await?;
    Ok(list.0)
}

/// An interface's description as XML.
pub(super) async fn interface_xml(host: &Connection, interface: &Interface) -> Result<String> {
    host.call(INTERFACE_GET_XML_DESC, &(interface.clone(), 0u32)).await
}

/// How many snapshots the VM has; libvirt does not move a VM that has any.
pub(super) async fn snapshots(host: &Connection, vm: &Domain) -> Result<u32> {
    let count: i32 = host.call(DOMAIN_SNAPSHOT_NUM, &(vm.clone(), 0u32)).await?;
    Ok(u32::try_from(count).unwrap_or(0))
}

/// The VM's memory at most, which this call says even of a busy VM.
pub(super) async fn memory(host: &Connection, vm: &Domain) -> Result<Bytes> {
    let (_state, at_most_kib, _now_kib, _vcpus, _cpu_ns): (u32, u64, u64, u32, u64) =
        host.call(DOMAIN_GET_INFO, vm).await?;
    Ok(Bytes::kib(at_most_kib))
}

/// Compares a `<cpu>` with what the host's emulator offers. An incompatible one is libvirt's error
/// `CPU_INCOMPATIBLE`, whose message names what is missing.
pub(super) async fn compare_cpu(host: &Connection, of: &Hypervisor, cpu: &str) -> Result<i32> {
    const FAIL_INCOMPATIBLE: u32 = 1;
    type Wire = (Option<String>, Option<String>, Option<String>, Option<String>);
    let of: Wire = (of.emulator.clone(), of.arch.clone(), of.machine.clone(), of.virt_type.clone());
    host.call(Procedure::CONNECT_COMPARE_HYPERVISOR_CPU, &(of, cpu.to_owned(), FAIL_INCOMPATIBLE)).await
}
