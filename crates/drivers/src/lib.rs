//! One trait, two drivers: libvirt and a deterministic simulator.
