//! Live migration.
//!
//! [`Connection::migrate_to`] is the peer-to-peer form: the source daemon itself talks to the
//! destination daemon. It goes on even if this program dies, so after a restart look for running
//! jobs ([`Connection::job_stats`]) instead of assuming anything.
//!
//! The call lasts as long as the migration and takes one of the few places for calls at once:
//! open a connection of its own for every migration, and watch and steer it over another one.
//!
//! The five phases of a migration that the client itself manages are here as well, each as a
//! call of its own ([`Connection::migrate_begin`] …). There, a client that dies cancels the migration.

use crate::connection::Connection;
use crate::domain::Domain;
use crate::error::Result;
use crate::node::Cookie;
use crate::procedures::Procedure;
use crate::typed_params::{TypedParam, Value};
use crate::xdr::{List, Opaque};
use std::time::Duration;

/// The most parameters a migration may have.
pub const MIGRATE_PARAMS_MAX: usize = 64;

type Params = List<TypedParam, MIGRATE_PARAMS_MAX>;

/// How to migrate: a set of `VIR_MIGRATE_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MigrateFlags(u32);

impl MigrateFlags {
    /// While the guest runs.
    pub const LIVE: Self = Self(1);
    /// The source daemon talks to the destination daemon. [`Connection::migrate_to`] sets it.
    pub const PEER2PEER: Self = Self(1 << 1);
    /// The data goes through the daemons' own connection.
    pub const TUNNELLED: Self = Self(1 << 2);
    /// Define the VM permanently on the destination.
    pub const PERSIST_DEST: Self = Self(1 << 3);
    /// Forget the definition on the source.
    pub const UNDEFINE_SOURCE: Self = Self(1 << 4);
    /// Do not let it run on the destination.
    pub const PAUSED: Self = Self(1 << 5);
    /// Copy the disks as a whole.
    pub const NON_SHARED_DISK: Self = Self(1 << 6);
    /// Copy what the disks have beyond their base images.
    pub const NON_SHARED_INC: Self = Self(1 << 7);
    /// Nobody may change the VM meanwhile.
    pub const CHANGE_PROTECTION: Self = Self(1 << 8);
    /// Even if libvirt thinks that the disks are not safe.
    pub const UNSAFE: Self = Self(1 << 9);
    /// Only the definition.
    pub const OFFLINE: Self = Self(1 << 10);
    /// Compress.
    pub const COMPRESSED: Self = Self(1 << 11);
    /// Abort if a disk fails meanwhile.
    pub const ABORT_ON_ERROR: Self = Self(1 << 12);
    /// Slow the guest down until it fits.
    pub const AUTO_CONVERGE: Self = Self(1 << 13);
    /// Allow switching to post-copy (see [`Connection::start_post_copy`]). If either side or the
    /// network then dies, the guest is lost.
    pub const POSTCOPY: Self = Self(1 << 15);
    /// Encrypt.
    pub const TLS: Self = Self(1 << 16);
    /// Over several connections.
    pub const PARALLEL: Self = Self(1 << 17);
    /// Without copying inside the kernel.
    pub const ZEROCOPY: Self = Self(1 << 20);

    /// No flag.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Both sets.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// libvirt's number.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From libvirt's number.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl std::ops::BitOr for MigrateFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

/// The finer points of a migration. What is `None` is left to the daemon.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MigrateParams {
    /// Where QEMU sends the data, like `tcp://10.0.0.2:49152` or just `tcp://10.0.0.2`. Without it
    /// the destination's host name is used, which has to resolve on the source.
    pub migrate_uri: Option<String>,
    /// Another name on the destination.
    pub dest_name: Option<String>,
    /// Another definition on the destination (only what the guest cannot see may differ).
    pub dest_xml: Option<String>,
    /// The permanent definition on the destination, if it is to differ from the running one.
    pub persist_xml: Option<String>,
    /// At most so many MiB per second.
    pub bandwidth_mib_s: Option<u64>,
    /// The same for the post-copy phase.
    pub postcopy_bandwidth_mib_s: Option<u64>,
    /// On which address the destination listens.
    pub listen_address: Option<String>,
    /// Which disks to copy (by target, like `vda`).
    pub disks: Vec<String>,
    /// How many connections with [`MigrateFlags::PARALLEL`].
    pub parallel_connections: Option<i32>,
    /// Auto-converge: slow down by so many percent first …
    pub auto_converge_initial: Option<i32>,
    /// … and by so many more each time.
    pub auto_converge_increment: Option<i32>,
    /// The name to expect in the destination's certificate with [`MigrateFlags::TLS`].
    pub tls_destination: Option<String>,
    /// Anything else by libvirt's name.
    pub other: Vec<TypedParam>,
}

impl MigrateParams {
    /// As libvirt's typed parameters.
    pub fn to_params(&self) -> Vec<TypedParam> {
        let mut params = Vec::new();
        let mut text = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                params.push(TypedParam::new(name, Value::String(value.clone())));
            }
        };
        text("migrate_uri", &self.migrate_uri);
        text("destination_name", &self.dest_name);
        text("destination_xml", &self.dest_xml);
        text("persistent_xml", &self.persist_xml);
        text("listen_address", &self.listen_address);
        text("tls.destination", &self.tls_destination);
        for disk in &self.disks {
            text("migrate_disks", &Some(disk.clone()));
        }
        let mut long = |name: &str, value: Option<u64>| {
            if let Some(value) = value {
                params.push(TypedParam::new(name, Value::Ulong(value)));
            }
        };
        long("bandwidth", self.bandwidth_mib_s);
        long("bandwidth.postcopy", self.postcopy_bandwidth_mib_s);
        let mut int = |name: &str, value: Option<i32>| {
            if let Some(value) = value {
                params.push(TypedParam::new(name, Value::Int(value)));
            }
        };
        int("parallel.connections", self.parallel_connections);
        int("auto_converge.initial", self.auto_converge_initial);
        int("auto_converge.increment", self.auto_converge_increment);
        params.extend(self.other.iter().cloned());
        params
    }
}

/// What one phase of a client-managed migration leaves for the next; opaque to us.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MigrationCookie(pub Vec<u8>);

/// How the earlier phases of a client-managed migration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationOutcome {
    /// They went well: let the guest run on the destination, forget it on the source.
    Completed,
    /// They did not: forget it on the destination, let it run on the source.
    Cancelled,
}

impl MigrationOutcome {
    fn cancelled(self) -> i32 {
        match self {
            MigrationOutcome::Completed => 0,
            MigrationOutcome::Cancelled => 1,
        }
    }
}

impl Connection {
    /// Migrates a VM from this host to the host behind `destination` (a libvirt URI as the
    /// *source host* has to write it), peer to peer. Returns when the migration has ended.
    ///
    /// After `deadline` this gives up waiting with [`crate::Error::is_deadline`], but the
    /// migration goes on: abort it with [`Connection::abort_job`] and read back from both hosts where
    /// the VM runs. The same holds for [`crate::Error::is_connection_lost`].
    ///
    /// ```no_run
    /// # async fn example(source: ulm_libvirt::Connection, vm: ulm_libvirt::Domain) -> ulm_libvirt::Result<()> {
    /// use std::time::Duration;
    /// use ulm_libvirt::{MigrateFlags, MigrateParams};
    /// let flags = MigrateFlags::LIVE | MigrateFlags::PERSIST_DEST | MigrateFlags::UNDEFINE_SOURCE;
    /// let params = MigrateParams { bandwidth_mib_s: Some(100), ..Default::default() };
    /// source.migrate_to(&vm, "qemu+tls://h2/system", &params, flags, Duration::from_secs(600)).await
    /// # }
    /// ```
    pub async fn migrate_to(
        &self,
        domain: &Domain,
        destination: &str,
        params: &MigrateParams,
        flags: MigrateFlags,
        deadline: Duration,
    ) -> Result<()> {
        let flags = flags | MigrateFlags::PEER2PEER;
        let arguments = (
            domain.clone(),
            Some(destination.to_owned()),
            List(params.to_params()) as Params,
            Cookie::default(),
            flags.bits(),
        );
        let _cookie: Cookie = self.within(deadline).call(Procedure::DOMAIN_MIGRATE_PERFORM3_PARAMS, &arguments).await?;
        Ok(())
    }

    /// Phase 1 of a client-managed migration, on the source: gives the definition for the
    /// destination.
    pub async fn migrate_begin(
        &self,
        domain: &Domain,
        params: &MigrateParams,
        flags: MigrateFlags,
    ) -> Result<(String, MigrationCookie)> {
        let arguments = (domain.clone(), List(params.to_params()) as Params, flags.bits());
        let (cookie, xml): (Cookie, String) = self.call(Procedure::DOMAIN_MIGRATE_BEGIN3_PARAMS, &arguments).await?;
        Ok((xml, MigrationCookie(cookie.0)))
    }

    /// Phase 2, on the destination: makes room and listens. `params` have to name the definition
    /// from phase 1 as `dest_xml`. Gives the URI to send to, if the destination chose one.
    pub async fn migrate_prepare(
        &self,
        params: &MigrateParams,
        cookie: &MigrationCookie,
        flags: MigrateFlags,
    ) -> Result<(Option<String>, MigrationCookie)> {
        let arguments = (List(params.to_params()) as Params, Opaque(cookie.0.clone()) as Cookie, flags.bits());
        let (cookie, uri): (Cookie, Option<String>) =
            self.call(Procedure::DOMAIN_MIGRATE_PREPARE3_PARAMS, &arguments).await?;
        Ok((uri, MigrationCookie(cookie.0)))
    }

    /// Phase 3, on the source: sends the guest. `params` have to name the URI from phase 2 as
    /// `migrate_uri`. Lasts as long as the transfer; `deadline` as in [`Connection::migrate_to`].
    pub async fn migrate_perform(
        &self,
        domain: &Domain,
        params: &MigrateParams,
        cookie: &MigrationCookie,
        flags: MigrateFlags,
        deadline: Duration,
    ) -> Result<MigrationCookie> {
        let no_peer: Option<String> = None;
        let arguments = (
            domain.clone(),
            no_peer,
            List(params.to_params()) as Params,
            Opaque(cookie.0.clone()) as Cookie,
            flags.bits(),
        );
        let cookie: Cookie = self.within(deadline).call(Procedure::DOMAIN_MIGRATE_PERFORM3_PARAMS, &arguments).await?;
        Ok(MigrationCookie(cookie.0))
    }

    /// Phase 4, on the destination: lets the guest run there, or forgets it.
    pub async fn migrate_finish(
        &self,
        params: &MigrateParams,
        cookie: &MigrationCookie,
        flags: MigrateFlags,
        outcome: MigrationOutcome,
    ) -> Result<(Domain, MigrationCookie)> {
        let arguments =
            (List(params.to_params()) as Params, Opaque(cookie.0.clone()) as Cookie, flags.bits(), outcome.cancelled());
        let (domain, cookie): (Domain, Cookie) =
            self.call(Procedure::DOMAIN_MIGRATE_FINISH3_PARAMS, &arguments).await?;
        Ok((domain, MigrationCookie(cookie.0)))
    }

    /// Phase 5, on the source: forgets the guest, or lets it run on.
    pub async fn migrate_confirm(
        &self,
        domain: &Domain,
        params: &MigrateParams,
        cookie: &MigrationCookie,
        flags: MigrateFlags,
        outcome: MigrationOutcome,
    ) -> Result<()> {
        let arguments = (
            domain.clone(),
            List(params.to_params()) as Params,
            Opaque(cookie.0.clone()) as Cookie,
            flags.bits(),
            outcome.cancelled(),
        );
        self.nothing(Procedure::DOMAIN_MIGRATE_CONFIRM3_PARAMS, &arguments).await
    }

    /// Changes the speed limit of the migration under way (and of later ones), in MiB per second.
    pub async fn set_migration_max_speed(&self, domain: &Domain, mib_s: u64) -> Result<()> {
        self.nothing(Procedure::DOMAIN_MIGRATE_SET_MAX_SPEED, &(domain.clone(), mib_s, 0u32)).await
    }

    /// The speed limit, in MiB per second.
    pub async fn migration_max_speed(&self, domain: &Domain) -> Result<u64> {
        self.call(Procedure::DOMAIN_MIGRATE_GET_MAX_SPEED, &(domain.clone(), 0u32)).await
    }

    /// Changes the downtime that the migration under way may cause (whole milliseconds). A higher one
    /// lets a stuck migration end.
    pub async fn set_migration_max_downtime(&self, domain: &Domain, downtime: Duration) -> Result<()> {
        let ms = u64::try_from(downtime.as_millis()).unwrap_or(u64::MAX);
        self.nothing(Procedure::DOMAIN_MIGRATE_SET_MAX_DOWNTIME, &(domain.clone(), ms, 0u32)).await
    }

    /// The downtime that a migration may cause.
    pub async fn migration_max_downtime(&self, domain: &Domain) -> Result<Duration> {
        let ms: u64 = self.call(Procedure::DOMAIN_MIGRATE_GET_MAX_DOWNTIME, &(domain.clone(), 0u32)).await?;
        Ok(Duration::from_millis(ms))
    }

    /// Switches a migration with [`MigrateFlags::POSTCOPY`] to post-copy: the guest goes on at the
    /// destination at once and fetches the rest. From here on the death of either side or of the
    /// network loses the guest.
    pub async fn start_post_copy(&self, domain: &Domain) -> Result<()> {
        self.nothing(Procedure::DOMAIN_MIGRATE_START_POST_COPY, &(domain.clone(), 0u32)).await
    }
}
