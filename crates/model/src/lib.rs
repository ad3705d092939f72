//! Typed units, hosts, VMs, snapshot, placement, plan, reasons: the words every room of ULM shares.
