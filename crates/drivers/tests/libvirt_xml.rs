//! Definitions of VMs as real hosts give them: what each VM needs, what ties it, and that no text is too odd.

use std::path::PathBuf;

use proptest::prelude::*;
use ulm_drivers::VmFacts;
use ulm_drivers::libvirt::capabilities::Capabilities;
use ulm_drivers::libvirt::cpu::{CpuQuestion, HomeCpu, WantedCpu};
use ulm_drivers::libvirt::definition::{self, Home};
use ulm_drivers::libvirt::storage::{Pool, PoolState, Storage};
use ulm_model::{Bytes, CpuNeed};

const CAPABILITIES: &str = include_str!("xml/capabilities.xml");
const SHOP: &str = include_str!("xml/shop.xml");
const TIED: &str = include_str!("xml/tied.xml");
const LAB: &str = include_str!("xml/lab-guest.xml");

const NFS: &str = "<pool type='netfs'><name>vms</name><source><host name='nas1'/><dir path='/export/vms'/></source>\
                   <target><path>/srv/vms</path></target></pool>";
const DEFAULT: &str =
    "<pool type='dir'><name>default</name><target><path>/var/lib/libvirt/images</path></target></pool>";

const MEMORY: &str = "<memoryBacking><hugepages><page size='1' unit='G' nodeset='0-3,^2'/><page size='2048'/></hugepages>\
                      </memoryBacking><numatune><memory mode='strict' nodeset='0,2-3'/>\
                      <memnode cellid='1' mode='strict' nodeset='1'/></numatune><vcpu";

fn read(text: &str, shared: &[&str]) -> Result<VmFacts, String> {
    let capabilities = Capabilities::read(CAPABILITIES).unwrap();
    let storage = Storage {
        pools: [NFS, DEFAULT].map(|pool| Pool::read(pool, PoolState::Active).unwrap()).into(),
        shared_paths: shared.iter().map(PathBuf::from).collect(),
    };
    let cpu = HomeCpu { capabilities: &capabilities, hypervisor: "QEMU 10.0.2" };
    definition::read(text, &Home { cpu, storage: &storage }).map_err(|error| error.to_string())
}

fn words(set: &std::collections::BTreeSet<String>) -> Vec<&str> {
    set.iter().map(String::as_str).collect()
}

#[test]
fn a_vm_on_shared_storage_can_move_and_says_what_it_needs() {
    let facts = read(SHOP, &["/srv/golden"]).unwrap();
    assert_eq!(facts.fixtures, []);
    assert_eq!(facts.needs.arch, "x86_64");
    assert_eq!(words(&facts.needs.networks), ["bridge:br-storage", "network:lan"]);
    assert_eq!(
        words(&facts.needs.storage),
        ["network-disk:rbd", "path:/srv/golden", "pool:vms (netfs nas1:/export/vms at /srv/vms)"]
    );
    assert_eq!(words(&facts.tags), ["critical", "db", "shop"]);
    let question = CpuQuestion::read(&facts.needs.cpu).unwrap();
    assert_eq!(question.of.emulator.as_deref(), Some("/usr/bin/qemu-system-x86_64"));
    assert_eq!(question.of.virt_type.as_deref(), Some("kvm"));
    assert!(matches!(question.cpu, WantedCpu::Model(model) if model.contains("<vendor>Intel</vendor>")));
}

#[test]
fn a_base_image_that_only_one_host_has_ties_the_vm() {
    let facts = read(SHOP, &[]).unwrap();
    let sentences: Vec<String> = facts.fixtures.iter().map(ToString::to_string).collect();
    assert_eq!(sentences, ["its disk /srv/golden/debian-12.qcow2 is local to the host"]);
}

#[test]
fn everything_that_ties_a_vm_is_named() {
    let facts = read(TIED, &[]).unwrap();
    let sentences: Vec<String> = facts.fixtures.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "the host's device input /dev/input/event3 is handed to it",
            "the host's device mdev c2177883-f1bb-47f0-914d-32a22e3a8804 is handed to it",
            "the host's device network card 0000:3b:02.1 is handed to it",
            "the host's device nvme 0000:01:00.0 is handed to it",
            "the host's device pci 0000:65:00.0 is handed to it",
            "the host's device serial /dev/ttyS0 is handed to it",
            "the host's device tpm /dev/tpm0 is handed to it",
            "the host's device usb 046d:c52b is handed to it",
            "its disk /dev/vg0/c is local to the host",
            "its disk /home/me/debian.iso is local to the host",
            "its disk /root/base.raw is local to the host",
            "its disk /var/lib/libvirt/images/a.qcow2 is local to the host",
            "its disk default/d.raw is local to the host",
            "its disk vdf (nbd) is local to the host",
            "it shares /home/shared with its host",
            "it shares memory (frames) with programs on its host",
            "its CPU has features that cannot move (migratable='off')",
            "its disk vda is being copied (block job)",
            "its disk vdg is served by its host (vhostuser)",
            "its emulator has arguments that libvirt does not know",
            "its memory is encrypted (sev)",
            "its memory is in pages of several sizes",
            "its network card is connected outside of libvirt's networks (vhostuser)",
            "its screen is drawn by its host's graphics card",
        ]
    );
    assert_eq!(words(&facts.needs.networks), ["direct:eth1"]);
}

#[test]
fn a_vm_in_huge_pages_and_bound_to_cells_can_move_and_says_so() {
    let memory = "<memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking>\
                  <numatune><memory mode='strict' nodeset='0,2-3'/></numatune><vcpu";
    let facts = read(&SHOP.replacen("<vcpu", memory, 1), &["/srv/golden"]).unwrap();
    assert_eq!(facts.fixtures, []);
    assert_eq!(facts.needs.pages, Some(Bytes::mib(2)));
    assert_eq!(facts.needs.cells, [0, 2, 3].into());
    let usual = memory.replace("<page size='2048' unit='KiB'/>", "");
    let facts = read(&SHOP.replacen("<vcpu", &usual, 1), &[]).unwrap();
    assert_eq!(facts.needs.pages, Some(Bytes::mib(2)), "the smallest that this host has any of");
    let odd = memory.replace("0,2-3", "0,two");
    let error = read(&SHOP.replacen("<vcpu", &odd, 1), &[]).unwrap_err();
    assert_eq!(error, "a VM's definition cannot be read: \"0,two\" is no set of NUMA cells");
}

#[test]
fn memory_that_no_kernel_merges_is_told() {
    let with = |memory: &str| read(&SHOP.replacen("<vcpu", &format!("{memory}<vcpu"), 1), &[]).unwrap().unmergeable;
    let backing = |inside: &str| with(&format!("<memoryBacking>{inside}</memoryBacking>"));
    assert!(!with("") && !backing("<source type='anonymous'/><access mode='private'/><allocation mode='immediate'/>"));
    assert!(backing("<nosharepages/>") && backing("<access mode='shared'/>") && backing("<source type='memfd'/>"));
    assert!(with("<launchSecurity type='sev'/>"));
    let cell =
        |access| with(&format!("<cpu><numa><cell id='0' cpus='0' memory='1' memAccess='{access}'/></numa></cpu>"));
    assert!(cell("shared") && !cell("private"));
}

#[test]
fn rules_in_words_become_tags() {
    let tags = |metadata: &str| {
        let text = format!("<domain><os><type arch='x86_64'/></os><metadata>{metadata}</metadata></domain>");
        words(&read(&text, &[]).unwrap().tags).join(" ")
    };
    // As libvirt gives back what `virsh metadata … --set '<vm><tags>web</tags>…</vm>'` put there.
    let given = "\n    <ulm:vm xmlns:ulm=\"urn:ulm:1\">\n      <ulm:tags>web production</ulm:tags>\n      \
                 <ulm:together>shop</ulm:together>\n      <ulm:apart> db </ulm:apart>\n      <ulm:pin>h1</ulm:pin>\n      \
                 <ulm:pin>h2, h3</ulm:pin>\n      <ulm:exclude/>\n    </ulm:vm>\n  ";
    assert_eq!(
        tags(given),
        "production ulm:apart=db ulm:exclude ulm:pin=h1 ulm:pin=h2 ulm:pin=h3 ulm:together=shop web"
    );
    assert_eq!(tags("<ulm:together xmlns:ulm='urn:ulm:1'>shop</ulm:together>"), "ulm:together=shop");
    assert_eq!(tags("<exclude xmlns='urn:ulm:1'>for now</exclude>"), "ulm:exclude");
    assert_eq!(tags("<vm xmlns='urn:ulm:1'><apart/><pin> </pin></vm>"), "");
    assert_eq!(tags("<x:pin xmlns:x='urn:other'>h1</x:pin>"), "", "another program's element");
}

#[test]
fn a_guest_of_the_lab_is_read_as_a_real_libvirt_gave_it() {
    let facts = read(LAB, &["/srv/lab/shared"]).unwrap();
    assert_eq!((facts.fixtures.len(), words(&facts.needs.networks)), (0, vec!["bridge:brvm"]));
    assert_eq!(words(&facts.needs.storage), ["path:/srv/lab/shared"]);
    assert_eq!(definition::bridges(LAB).unwrap(), facts.needs.networks);
}

#[test]
fn a_text_that_is_no_definition_is_an_error_with_a_reason() {
    for (text, says) in [
        ("", "cannot be read"),
        ("<domain", "cannot be read"),
        ("<network/>", "not with <domain>"),
        ("<domain/>", "names no architecture"),
        ("<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><domain>&e;</domain>", "DTD"),
    ] {
        let error = read(text, &[]).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_tower_of_elements_does_not_break_the_reader() {
    let depth = 90_000;
    for name in ["a", "backingStore"] {
        let tower = format!("<{name}>").repeat(depth) + &format!("</{name}>").repeat(depth);
        let text = format!(
            "<domain><os><type arch='x86_64'/></os><metadata>{tower}</metadata>\
             <devices><disk>{tower}</disk></devices></domain>"
        );
        let _ = read(&text, &[]);
    }
}

proptest! {
    /// A recorded definition with a piece cut out, doubled or replaced.
    #[test]
    fn a_mutilated_definition_never_panics(
        which in 0..3usize,
        from in 0..10_000usize,
        length in 0..400usize,
        with in prop_oneof![Just(String::new()), "\\PC{0,20}", "[<>/a-z='&;#]{0,20}", Just("<disk><source/></disk>".to_owned())],
        memory in any::<bool>(),
    ) {
        let text = if memory { SHOP.replacen("<vcpu", MEMORY, 1) } else { [SHOP, TIED, LAB][which].to_owned() };
        let from = text.floor_char_boundary(from % text.len());
        let to = text.floor_char_boundary((from + length).min(text.len())).max(from);
        let mutilated = format!("{}{with}{}", &text[..from], &text[to..]);
        let _ = read(&mutilated, &["/srv"]);
        let _ = definition::bridges(&mutilated);
    }

    #[test]
    fn any_text_is_refused_or_read(text in "\\PC{0,200}") {
        let _ = read(&text, &["/"]);
        let _ = Capabilities::read(&text);
        let _ = Pool::read(&text, PoolState::Active);
        let _ = CpuQuestion::read(&CpuNeed(text));
    }

    /// Whatever a definition says, its CPU need can be read back and stays the same text for the same definition.
    #[test]
    fn a_cpu_need_is_canonical_for_any_names(model in "\\PC{1,20}", feature in "\\PC{1,20}", machine in "\\PC{1,20}") {
        let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;");
        let (model, feature, machine) = (escape(&model), escape(&feature), escape(&machine));
        let text = format!(
            "<domain type='kvm'><os><type arch='x86_64' machine='{machine}'/></os><cpu mode='custom'>\
             <model>{model}</model><feature policy='require' name='{feature}'/></cpu></domain>"
        );
        let need = read(&text, &[]).unwrap().needs.cpu;
        prop_assert_eq!(&need, &read(&text, &[]).unwrap().needs.cpu);
        prop_assert!(CpuQuestion::read(&need).is_ok(), "{}", need.0);
    }
}
