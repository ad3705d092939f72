//! Which storage is shared, as far as it can be known over libvirt.
//!
//! libvirt says what a pool is made of, but not whether a plain directory is the same on every host. So a
//! path counts as reachable from elsewhere only if somebody vouches for it: the administrator
//! ([`LibvirtOptions::shared_paths`](super::LibvirtOptions::shared_paths)), or a pool of a kind that lies on the
//! network by nature. Of several claims on a path the longest directory decides, so that a local file
//! system inside a shared directory is recognised when it is a pool.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::xml::{self, Walk, XmlError};

const WHAT: &str = "a storage pool's definition";

/// Kinds of pools whose contents other hosts can reach as well.
const SHARED_KINDS: [&str; 7] = ["netfs", "rbd", "iscsi", "iscsi-direct", "gluster", "sheepdog", "vstorage"];

/// Protocols of network disks that QEMU speaks itself, without anything local on the host.
pub(super) const NETWORK_PROTOCOLS: [&str; 11] =
    ["rbd", "iscsi", "nbd", "nfs", "gluster", "sheepdog", "ssh", "http", "https", "ftp", "ftps"];

/// Whether a pool can be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolState {
    /// It can.
    Active,
    /// It is defined, but not started.
    Inactive,
}

/// A storage pool of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its kind in libvirt's words: `dir`, `netfs`, `logical` …
    pub kind: String,
    /// What it is made of, e.g. `nas1:/export/vms`; empty for directories.
    pub source: String,
    /// Where its volumes appear on the host, if they do.
    pub target: Option<PathBuf>,
    /// Whether it can be used now.
    pub state: PoolState,
}

impl Pool {
    /// Reads a pool's XML.
    ///
    /// # Errors
    /// When it is none, or has no kind or no name.
    pub fn read(text: &str, state: PoolState) -> Result<Self, XmlError> {
        let document = xml::parse(text, WHAT, "pool")?;
        let pool = document.root_element();
        let missing = |what: &str| XmlError::new(WHAT, format!("it has no {what}"));
        let source = pool.one("source");
        let mut hosts: Vec<&str> =
            source.into_iter().flat_map(|source| source.all("host")).filter_map(|host| host.attr("name")).collect();
        hosts.sort_unstable();
        let inside = |path: &[&'static str], attribute| source.and_then(|s| s.at(path)).and_then(|e| e.attr(attribute));
        let what: Vec<&str> = [
            inside(&["dir"], "path"),
            inside(&["device"], "path"),
            inside(&["initiator", "iqn"], "name"),
            source.and_then(|source| source.one("name")).and_then(Walk::words),
        ]
        .into_iter()
        .flatten()
        .collect();
        let (hosts, what) = (hosts.join(","), what.join(" "));
        Ok(Pool {
            name: pool.one("name").and_then(Walk::words).ok_or_else(|| missing("name"))?.to_owned(),
            kind: pool.attr("type").ok_or_else(|| missing("type"))?.to_owned(),
            source: if hosts.is_empty() { what } else { format!("{hosts}:{what}") },
            target: pool.at(&["target", "path"]).and_then(Walk::words).map(PathBuf::from),
            state,
        })
    }

    fn is_shared(&self) -> bool {
        SHARED_KINDS.contains(&self.kind.as_str())
    }

    /// The pool as a host offers it and a VM needs it: two pools with equal words have equal contents if they are shared.
    fn word(&self) -> String {
        let mut about = self.kind.clone();
        if !self.source.is_empty() {
            about.push(' ');
            about.push_str(&self.source);
        }
        if let Some(target) = &self.target {
            about.push_str(&format!(" at {}", target.display()));
        }
        format!("pool:{} ({about})", self.name)
    }

    /// The target's iSCSI name, which its volumes' device names contain.
    fn iscsi_name(&self) -> Option<&str> {
        let device = self.source.split(' ').next().filter(|_| self.kind == "iscsi")?;
        device.find("iqn.").map(|at| &device[at..])
    }
}

/// Where a disk is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// On storage with these words, all of which a host has to offer.
    Shared(BTreeSet<String>),
    /// On this host only.
    Local,
}

/// All storage of a host that libvirt or the administrator knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Its pools.
    pub pools: Vec<Pool>,
    /// Directories and devices declared as shared.
    pub shared_paths: Vec<PathBuf>,
}

/// Who says what a directory is.
enum Claim<'a> {
    Declared(&'a Path),
    Pool(&'a Pool),
}

impl Storage {
    /// What the host offers. A declared directory whose pool is there but not started is not offered.
    pub fn offers(&self) -> BTreeSet<String> {
        let pools = self.pools.iter().filter(|pool| pool.state == PoolState::Active).map(Pool::word);
        let asleep = |path: &Path| {
            let mut sleeping = self.pools.iter().filter(|pool| pool.state == PoolState::Inactive);
            sleeping.any(|pool| pool.target.as_deref().is_some_and(|target| path.starts_with(target)))
        };
        let paths = self.shared_paths.iter().filter(|path| !asleep(path)).map(|path| path_word(path));
        let network = NETWORK_PROTOCOLS.iter().map(|protocol| network_word(protocol));
        pools.chain(paths).chain(network).collect()
    }

    /// Where a file or a directory is.
    pub fn of_file(&self, path: &str) -> Reach {
        let Some(path) = plain(path) else { return Reach::Local };
        let declared = self.shared_paths.iter().map(|shared| (shared.as_path(), Claim::Declared(shared)));
        let pools = self.active().filter_map(|pool| Some((pool.target.as_deref()?, Claim::Pool(pool))));
        // The declared ones come last: of two claims on one directory, `max_by_key` takes the last.
        let longest = pools
            .chain(declared)
            .filter(|(directory, _)| path.starts_with(directory))
            .max_by_key(|(directory, _)| directory.components().count());
        match longest {
            Some((_, Claim::Declared(shared))) => Reach::Shared([path_word(shared)].into()),
            Some((_, Claim::Pool(pool))) if pool.is_shared() => Reach::Shared([pool.word()].into()),
            _ => Reach::Local,
        }
    }

    /// Where a block device is. Device folders hold local and shared devices side by side, so a pool vouches
    /// only for devices that bear its own iSCSI name.
    pub fn of_block(&self, path: &str) -> Reach {
        let Some(device) = plain(path) else { return Reach::Local };
        if let Some(shared) = self.shared_paths.iter().find(|shared| device.starts_with(shared)) {
            return Reach::Shared([path_word(shared)].into());
        }
        let names = |pool: &&Pool| {
            let iqn = pool.iscsi_name();
            iqn.is_some_and(|iqn| path.contains(&format!("-iscsi-{iqn}-lun-")))
                && pool.target.as_deref().is_some_and(|target| device.starts_with(target))
        };
        match self.active().find(names) {
            Some(pool) => Reach::Shared([pool.word()].into()),
            None => Reach::Local,
        }
    }

    /// Where a volume of a pool is. The target has to know the pool by its name, whatever its kind.
    pub fn of_volume(&self, pool: &str) -> Reach {
        let Some(pool) = self.active().find(|known| known.name == pool) else { return Reach::Local };
        if pool.is_shared() {
            return Reach::Shared([pool.word()].into());
        }
        match pool.target.as_deref().and_then(Path::to_str).map(|target| self.of_file(target)) {
            Some(Reach::Shared(mut words)) => {
                words.insert(pool.word());
                Reach::Shared(words)
            }
            _ => Reach::Local,
        }
    }

    fn active(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(|pool| pool.state == PoolState::Active)
    }
}

fn path_word(path: &Path) -> String {
    format!("path:{}", path.display())
}

/// The word for a protocol of network disks.
pub(super) fn network_word(protocol: &str) -> String {
    format!("network-disk:{protocol}")
}

/// The path if it is absolute and does not go back up: a prefix of any other would mean nothing.
fn plain(path: &str) -> Option<&Path> {
    let path = Path::new(path);
    (path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NFS: &str = "<pool type='netfs'><name>vms</name><source><host name='nas1'/><dir path='/export/vms'/>\
                       <format type='nfs'/></source><target><path>/srv/vms</path></target></pool>";
    const NFS_WORD: &str = "pool:vms (netfs nas1:/export/vms at /srv/vms)";
    const LOCAL: &str = "<pool type='dir'><name>default</name><source/>\
                         <target><path>/var/lib/libvirt/images</path></target></pool>";
    const FAST: &str = "<pool type='fs'><name>fast</name><source><device path='/dev/nvme0n1'/></source>\
                        <target><path>/srv/vms/fast</path></target></pool>";
    const SAN: &str = "<pool type='iscsi'><name>san</name><source><host name='10.0.0.9'/>\
                       <device path='iqn.2020-01.org.x:lun1'/></source><target><path>/dev/disk/by-path</path></target></pool>";

    fn storage(pools: &[&str], shared: &[&str]) -> Storage {
        Storage {
            pools: pools.iter().map(|text| Pool::read(text, PoolState::Active).unwrap()).collect(),
            shared_paths: shared.iter().map(PathBuf::from).collect(),
        }
    }

    fn shared(words: &[&str]) -> Reach {
        Reach::Shared(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn a_file_on_a_network_file_system_needs_that_very_pool() {
        let storage = storage(&[NFS, LOCAL], &[]);
        assert_eq!(storage.of_file("/srv/vms/a.qcow2"), shared(&[NFS_WORD]));
        assert!(storage.offers().contains(NFS_WORD));
        assert_eq!(storage.of_file("/var/lib/libvirt/images/a.qcow2"), Reach::Local);
        assert_eq!(storage.of_file("/srv/vms-old/a.qcow2"), Reach::Local);
    }

    #[test]
    fn pools_of_one_name_with_different_contents_are_not_the_same() {
        let other = Pool::read(&NFS.replace("nas1", "nas2"), PoolState::Active).unwrap();
        assert_ne!(other.word(), NFS_WORD);
    }

    #[test]
    fn a_local_file_system_inside_a_shared_one_is_local() {
        let storage = storage(&[NFS, FAST], &["/srv"]);
        assert_eq!(storage.of_file("/srv/vms/fast/a.raw"), Reach::Local);
        assert_eq!(storage.of_file("/srv/other/a.raw"), shared(&["path:/srv"]));
    }

    #[test]
    fn a_declared_directory_is_shared_whatever_pool_lies_on_it() {
        let storage = storage(&[LOCAL], &["/var/lib/libvirt/images"]);
        assert_eq!(storage.of_file("/var/lib/libvirt/images/a.raw"), shared(&["path:/var/lib/libvirt/images"]));
        assert_eq!(
            storage.of_volume("default"),
            shared(&["path:/var/lib/libvirt/images", "pool:default (dir at /var/lib/libvirt/images)"])
        );
    }

    #[test]
    fn a_declared_directory_is_not_offered_while_its_pool_is_stopped() {
        let mut storage = storage(&[NFS], &["/srv/vms"]);
        assert!(storage.offers().contains("path:/srv/vms"));
        storage.pools[0].state = PoolState::Inactive;
        assert!(!storage.offers().contains("path:/srv/vms"));
        assert!(!storage.offers().contains(NFS_WORD));
    }

    #[test]
    fn a_path_that_goes_back_up_is_not_trusted() {
        let storage = storage(&[], &["/srv/vms"]);
        assert_eq!(storage.of_file("/srv/vms/../../etc/shadow"), Reach::Local);
        assert_eq!(storage.of_file("srv/vms/a"), Reach::Local);
    }

    #[test]
    fn a_device_folder_does_not_make_its_devices_shared() {
        let storage = storage(&[SAN], &["/dev/mapper/san-a"]);
        let device = "/dev/disk/by-path/ip-10.0.0.9:3260-iscsi-iqn.2020-01.org.x:lun1-lun-0";
        assert_eq!(
            storage.of_block(device),
            shared(&["pool:san (iscsi 10.0.0.9:iqn.2020-01.org.x:lun1 at /dev/disk/by-path)"])
        );
        assert_eq!(storage.of_block("/dev/disk/by-path/pci-0000:00:1f.2-ata-1"), Reach::Local);
        assert_eq!(storage.of_block("/dev/mapper/san-a"), shared(&["path:/dev/mapper/san-a"]));
        assert_eq!(storage.of_block("/dev/mapper/san-ab"), Reach::Local);
    }

    #[test]
    fn a_volume_of_an_unknown_pool_is_local() {
        assert_eq!(storage(&[LOCAL], &[]).of_volume("default"), Reach::Local);
        assert_eq!(storage(&[], &[]).of_volume("gone"), Reach::Local);
    }
}
