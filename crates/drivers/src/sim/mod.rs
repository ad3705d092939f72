//! A deterministic simulator of hosts and VMs in virtual time.
