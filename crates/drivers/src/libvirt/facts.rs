//! What changes seldom on a host: who it is, its networks, its storage.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use ulm_libvirt::domain::XmlFlags;
use ulm_libvirt::node::{Network, StoragePool};
use ulm_libvirt::{Connection, DomainFilter, Error, Procedure, Version};
use ulm_model::Platform;

use super::answers;
use super::capabilities::Capabilities;
use super::cpu::HomeCpu;
use super::definition::{self, Home, bridge_word};
use super::errors::sorted;
use super::options::LibvirtOptions;
use super::storage::{Pool, PoolState, Storage};
use super::xml::{self, Walk, XmlError};
use crate::driver::{DriverError, ErrorKind, HostFacts};

/// The oldest libvirt that can be asked whether a host offers a VM's CPU.
pub const OLDEST_LIBVIRT: Version = Version(4_004_000);

/// How many documents are asked for at once.
const AT_ONCE: usize = 3;

/// Everything that is known of a host besides figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Portrait {
    pub facts: HostFacts,
    pub capabilities: Capabilities,
    pub storage: Storage,
    pub libvirt: Version,
}

impl Portrait {
    /// The host as the home of a VM.
    pub fn home(&self) -> Home<'_> {
        Home { cpu: self.home_cpu(), storage: &self.storage }
    }

    pub fn home_cpu(&self) -> HomeCpu<'_> {
        HomeCpu { capabilities: &self.capabilities, hypervisor: &self.facts.platform.hypervisor }
    }
}

/// Asks a host for everything but figures.
pub(super) async fn portrait(host: &Connection, options: &LibvirtOptions) -> Result<Portrait, DriverError> {
    let daemon = host.remote_uri().await.map_err(sorted)?;
    let kind = daemon.split([':', '+']).next().unwrap_or_default();
    if kind != "qemu" {
        let sentence = format!("the driver there is {kind:?}, and ULM moves QEMU's VMs only; write qemu://… /system");
        return Err(DriverError::new(ErrorKind::Refused, sentence));
    }
    let libvirt = host.lib_version().await.map_err(sorted)?;
    let version = host.hypervisor_version().await.map_err(sorted)?;
    let hostname = host.hostname().await.map_err(sorted)?;
    let capabilities = Capabilities::read(&host.capabilities().await.map_err(sorted)?)?;
    let storage = storage(host, options).await?;
    let networks = networks(host, options).await?;
    let platform = Platform {
        arch: capabilities.arch.clone(),
        cpu_model: capabilities.model.clone(),
        hypervisor: format!("QEMU {}", dotted(version)),
    };
    let facts = HostFacts { machine: capabilities.machine, hostname, platform, networks, storage: storage.offers() };
    Ok(Portrait { facts, capabilities, storage, libvirt })
}

/// A packed version as people write it.
pub(super) fn dotted(version: Version) -> String {
    let number = version.0;
    format!("{}.{}.{}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000)
}

/// A host whose driver for something is missing has nothing of it.
fn nothing_if_unsupported<T: Default>(answer: Result<T, Error>) -> Result<T, DriverError> {
    match answer {
        Err(error) if error.is_unsupported() => Ok(T::default()),
        answer => answer.map_err(sorted),
    }
}

/// Things may go away between their list and the question about one of them: `None` then.
fn none_if_gone(answer: Result<String, Error>) -> Result<Option<String>, DriverError> {
    match answer {
        Ok(text) => Ok(Some(text)),
        Err(Error::Libvirt(_)) => Ok(None),
        Err(error) => Err(sorted(error)),
    }
}

async fn storage(host: &Connection, options: &LibvirtOptions) -> Result<Storage, DriverError> {
    let all = nothing_if_unsupported(host.storage_pools().await)?;
    let active: BTreeSet<_> =
        nothing_if_unsupported(answers::active_pools(host).await)?.into_iter().map(|pool| pool.uuid).collect();
    let pools: Vec<Option<Pool>> = stream::iter(all)
        .map(|pool: StoragePool| {
            let state = if active.contains(&pool.uuid) { PoolState::Active } else { PoolState::Inactive };
            async move {
                let text = none_if_gone(host.storage_pool_xml(&pool).await)?;
                // A pool that cannot be read is a pool that is not offered; it does not spoil the others.
                Ok::<_, DriverError>(text.and_then(|text| readable(Pool::read(&text, state))))
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(Storage { pools: pools.into_iter().flatten().collect(), shared_paths: options.shared_paths.clone() })
}

async fn networks(host: &Connection, options: &LibvirtOptions) -> Result<BTreeSet<String>, DriverError> {
    let mut words = options.networks.clone();
    let active = nothing_if_unsupported(answers::active_networks(host).await)?;
    words.extend(active.iter().map(|network| format!("network:{}", network.name)));
    words.extend(
        documents(active, |network: Network| async move { host.network_xml(&network).await }, network_bridge).await?,
    );
    let interfaces = nothing_if_unsupported(answers::active_interfaces(host).await)?;
    words.extend(
        documents(
            interfaces,
            |interface| async move { answers::interface_xml(host, &interface).await },
            interface_bridge,
        )
        .await?,
    );
    let vms = host.domains(DomainFilter::ACTIVE).await.map_err(sorted)?;
    let used =
        documents(vms, |vm| async move { host.domain_xml(&vm, XmlFlags::CURRENT).await }, definition::bridges).await?;
    words.extend(used);
    Ok(words)
}

/// Asks for a document about each item, and gathers what can be read from them.
async fn documents<T, F, S>(
    items: Vec<T>,
    ask: impl Fn(T) -> F,
    read: impl Fn(&str) -> Result<S, XmlError>,
) -> Result<BTreeSet<String>, DriverError>
where
    F: Future<Output = Result<String, Error>>,
    S: IntoIterator<Item = String>,
{
    let mut answers = stream::iter(items).map(ask).buffered(AT_ONCE);
    let mut words = BTreeSet::new();
    while let Some(answer) = answers.next().await {
        words.extend(none_if_gone(answer)?.and_then(|text| readable(read(&text))).into_iter().flatten());
    }
    Ok(words)
}

fn readable<T>(read: Result<T, XmlError>) -> Option<T> {
    read.inspect_err(|error| tracing::warn!(%error, "left out")).ok()
}

/// The bridge that a libvirt network stands on.
fn network_bridge(text: &str) -> Result<Option<String>, XmlError> {
    let document = xml::parse(text, "a network's definition", "network")?;
    Ok(document.root_element().one("bridge").and_then(|bridge| bridge.attr("name")).map(bridge_word))
}

/// The interface's name, if it is a bridge.
fn interface_bridge(text: &str) -> Result<Option<String>, XmlError> {
    let document = xml::parse(text, "an interface's description", "interface")?;
    let interface = document.root_element();
    Ok((interface.attr("type") == Some("bridge")).then(|| interface.attr("name").map(bridge_word)).flatten())
}

/// Whether libvirt can be asked about CPUs at all.
pub(super) fn can_compare(libvirt: Version) -> bool {
    libvirt >= OLDEST_LIBVIRT
}

/// The daemon does not know this call: it is older than what ULM needs.
pub(super) fn too_old(libvirt: Version) -> String {
    format!(
        "libvirt {} cannot be asked whether the host offers a VM's CPU ({}); {} or newer can",
        dotted(libvirt),
        Procedure::CONNECT_COMPARE_HYPERVISOR_CPU.name,
        dotted(OLDEST_LIBVIRT)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bridges_among_the_interfaces_are_offered() {
        let bridge = "<interface type='bridge' name='brvm'><bridge stp='off'><interface type='ethernet' name='eth1'/></bridge></interface>";
        assert_eq!(interface_bridge(bridge).unwrap().as_deref(), Some("bridge:brvm"));
        assert_eq!(interface_bridge("<interface type='ethernet' name='eth0'/>").unwrap(), None);
    }

    #[test]
    fn a_network_names_its_bridge() {
        let nat = "<network><name>default</name><forward mode='nat'/><bridge name='virbr0' stp='on'/></network>";
        assert_eq!(network_bridge(nat).unwrap().as_deref(), Some("bridge:virbr0"));
        assert_eq!(network_bridge("<network><name>x</name></network>").unwrap(), None);
    }

    #[test]
    fn versions_are_written_as_people_write_them() {
        assert_eq!(dotted(Version(11_003_000)), "11.3.0");
        assert!(can_compare(Version(4_004_000)) && !can_compare(Version(4_003_999)));
    }
}
