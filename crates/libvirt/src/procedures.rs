//! The numbers: every procedure this client calls and every event it understands.
//!
//! libvirt never changes or reuses a number; new ones are appended. Names follow libvirt's
//! `REMOTE_PROC_…`, in lower case for messages.

/// A procedure: its number on the wire and its name for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Procedure {
    /// The number.
    pub number: i32,
    /// libvirt's name, in lower case.
    pub name: &'static str,
}

macro_rules! procedures {
    ($($constant:ident = $number:literal $name:literal;)+) => {
        #[allow(missing_docs)] // the names are libvirt's own
        impl Procedure {
            $(pub const $constant: Procedure = Procedure { number: $number, name: $name };)+

            /// All procedures and events known here, by number.
            pub const ALL: &'static [Procedure] = &[$(Procedure::$constant,)+];
        }
    };
}

procedures! {
    CONNECT_OPEN = 1 "connect_open";
    CONNECT_CLOSE = 2 "connect_close";
    CONNECT_GET_VERSION = 4 "connect_get_version";
    NODE_GET_INFO = 6 "node_get_info";
    CONNECT_GET_CAPABILITIES = 7 "connect_get_capabilities";
    DOMAIN_GET_XML_DESC = 14 "domain_get_xml_desc";
    DOMAIN_LOOKUP_BY_NAME = 23 "domain_lookup_by_name";
    DOMAIN_LOOKUP_BY_UUID = 24 "domain_lookup_by_uuid";
    DOMAIN_RESUME = 28 "domain_resume";
    DOMAIN_SUSPEND = 34 "domain_suspend";
    NETWORK_GET_XML_DESC = 43 "network_get_xml_desc";
    CONNECT_GET_HOSTNAME = 59 "connect_get_hostname";
    CONNECT_SUPPORTS_FEATURE = 60 "connect_supports_feature";
    AUTH_LIST = 66 "auth_list";
    AUTH_POLKIT = 70 "auth_polkit";
    STORAGE_POOL_GET_INFO = 87 "storage_pool_get_info";
    STORAGE_POOL_GET_XML_DESC = 88 "storage_pool_get_xml_desc";
    CONNECT_GET_URI = 110 "connect_get_uri";
    NODE_DEVICE_GET_XML_DESC = 114 "node_device_get_xml_desc";
    DOMAIN_IS_PERSISTENT = 151 "domain_is_persistent";
    NETWORK_IS_ACTIVE = 152 "network_is_active";
    STORAGE_POOL_IS_ACTIVE = 154 "storage_pool_is_active";
    CONNECT_GET_LIB_VERSION = 157 "connect_get_lib_version";
    DOMAIN_ABORT_JOB = 164 "domain_abort_job";
    DOMAIN_MIGRATE_SET_MAX_DOWNTIME = 166 "domain_migrate_set_max_downtime";
    DOMAIN_CREATE_WITH_FLAGS = 196 "domain_create_with_flags";
    DOMAIN_MIGRATE_SET_MAX_SPEED = 207 "domain_migrate_set_max_speed";
    DOMAIN_GET_STATE = 212 "domain_get_state";
    NODE_GET_CPU_STATS = 227 "node_get_cpu_stats";
    NODE_GET_MEMORY_STATS = 228 "node_get_memory_stats";
    DOMAIN_UNDEFINE_FLAGS = 231 "domain_undefine_flags";
    DOMAIN_DESTROY_FLAGS = 234 "domain_destroy_flags";
    DOMAIN_MIGRATE_GET_MAX_SPEED = 242 "domain_migrate_get_max_speed";
    NODE_SUSPEND_FOR_DURATION = 250 "node_suspend_for_duration";
    DOMAIN_SHUTDOWN_FLAGS = 258 "domain_shutdown_flags";
    CONNECT_LIST_ALL_DOMAINS = 273 "connect_list_all_domains";
    CONNECT_LIST_ALL_STORAGE_POOLS = 281 "connect_list_all_storage_pools";
    CONNECT_LIST_ALL_NETWORKS = 283 "connect_list_all_networks";
    NODE_GET_MEMORY_PARAMETERS = 289 "node_get_memory_parameters";
    DOMAIN_GET_JOB_STATS = 298 "domain_get_job_stats";
    DOMAIN_MIGRATE_BEGIN3_PARAMS = 302 "domain_migrate_begin3_params";
    DOMAIN_MIGRATE_PREPARE3_PARAMS = 303 "domain_migrate_prepare3_params";
    DOMAIN_MIGRATE_PERFORM3_PARAMS = 305 "domain_migrate_perform3_params";
    DOMAIN_MIGRATE_FINISH3_PARAMS = 306 "domain_migrate_finish3_params";
    DOMAIN_MIGRATE_CONFIRM3_PARAMS = 307 "domain_migrate_confirm3_params";
    DOMAIN_SET_MEMORY_STATS_PERIOD = 308 "domain_set_memory_stats_period";
    DOMAIN_EVENT_CALLBACK_REGISTER_ANY = 316 "connect_domain_event_callback_register_any";
    DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY = 317 "connect_domain_event_callback_deregister_any";
    EVENT_LIFECYCLE = 318 "domain_event_callback_lifecycle";
    NODE_GET_FREE_PAGES = 340 "node_get_free_pages";
    CONNECT_GET_DOMAIN_CAPABILITIES = 342 "connect_get_domain_capabilities";
    CONNECT_GET_ALL_DOMAIN_STATS = 344 "connect_get_all_domain_stats";
    DOMAIN_DEFINE_XML_FLAGS = 350 "domain_define_xml_flags";
    EVENT_MIGRATION_ITERATION = 359 "domain_event_callback_migration_iteration";
    EVENT_JOB_COMPLETED = 363 "domain_event_callback_job_completed";
    DOMAIN_MIGRATE_START_POST_COPY = 364 "domain_migrate_start_post_copy";
    DOMAIN_MIGRATE_GET_MAX_DOWNTIME = 387 "domain_migrate_get_max_downtime";
    CONNECT_COMPARE_HYPERVISOR_CPU = 393 "connect_compare_hypervisor_cpu";
    CONNECT_BASELINE_HYPERVISOR_CPU = 394 "connect_baseline_hypervisor_cpu";
    DOMAIN_START_DIRTY_RATE_CALC = 427 "domain_start_dirty_rate_calc";
    DOMAIN_ABORT_JOB_FLAGS = 442 "domain_abort_job_flags";
}

impl Procedure {
    /// The procedure with this number, if it is one of ours.
    pub fn by_number(number: i32) -> Option<Procedure> {
        Self::ALL.binary_search_by_key(&number, |p| p.number).ok().map(|at| Self::ALL[at])
    }
}

/// Optional abilities that a daemon is asked for (`VIR_DRV_FEATURE_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Five-phase migration with typed parameters.
    MigrationParams = 13,
    /// Peer-to-peer migration.
    MigrationP2p = 4,
    /// Keep-alive messages; asking for it switches them on in the daemon.
    KeepAlive = 10,
    /// Events with a callback number of their own.
    EventCallback = 14,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_without_duplicates_so_that_it_can_be_searched() {
        assert!(Procedure::ALL.windows(2).all(|w| w[0].number < w[1].number));
        for procedure in Procedure::ALL {
            assert_eq!(Procedure::by_number(procedure.number), Some(*procedure));
        }
        assert_eq!(Procedure::by_number(99_999), None);
    }
}
