//! The driver for libvirt hosts.
