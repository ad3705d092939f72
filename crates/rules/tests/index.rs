//! The index of rules gives what matching each selector with each VM and host gives.

use proptest::prelude::*;
use ulm_model::*;
use ulm_rules::index::{Index, sharing_groups};
use ulm_rules::select::{selects_host, selects_vm};
use uuid::Uuid;

fn patterns() -> impl Strategy<Value = Vec<String>> {
    let pattern = prop_oneof!["[ab*?]{0,3}", "[ab]{1,2}", "[0-9a-f?*-]{0,3}\\*[01]{1,2}", Just(ID_OF_1.to_owned())];
    proptest::collection::vec(pattern, 0..4)
}

const ID_OF_1: &str = "00000000-0000-0000-0000-000000000001";

fn tags() -> impl Strategy<Value = std::collections::BTreeSet<String>> {
    proptest::collection::btree_set("[ab]{0,3}", 0..4)
}

fn vm(number: usize, name: String, tags: std::collections::BTreeSet<String>) -> Vm {
    Vm {
        id: VmId(Uuid::from_u128(number as u128)),
        name,
        host: HostIx(0),
        state: VmState::Running,
        vcpus: 1,
        memory: Bytes(1),
        cpu_use: Recent::default(),
        memory_use: Recent::default(),
        contention: Recent::default(),
        network: None,
        disk: None,
        needs: None,
        fixtures: vec![],
        tags,
        unmergeable: false,
    }
}

fn host(name: String, tags: std::collections::BTreeSet<String>) -> Host {
    Host {
        name: HostName(name),
        state: HostState::Up,
        cpu: MilliCpu(1),
        memory: Bytes(1),
        cpu_use: Recent::default(),
        memory_use: Recent::default(),
        platform: Platform::default(),
        cpu_verdicts: Default::default(),
        networks: Default::default(),
        storage: Default::default(),
        tags,
        cells: vec![],
        merging: None,
    }
}

proptest! {
    #[test]
    fn a_rule_is_listed_where_its_selector_fits(
        rules in proptest::collection::vec((patterns(), patterns(), any::<bool>()), 0..9),
        things in proptest::collection::vec(("[ab]{0,4}", tags()), 1..8),
    ) {
        let rules: Vec<Rule> = rules
            .into_iter()
            .map(|(name, tag, both)| Rule {
                name: "r".into(),
                // Kinds of which one concerns VMs and hosts, and the other hosts only.
                kind: if both { RuleKind::Exclude } else { RuleKind::Spare },
                soft: false,
                vms: VmSelector { name: name.clone(), tag: tag.clone() },
                hosts: HostSelector { name, tag },
            })
            .collect();
        let mut snapshot = Snapshot::default();
        for (i, (name, tags)) in things.into_iter().enumerate() {
            snapshot.vms.push(vm(i, name.clone(), tags.clone()));
            snapshot.hosts.push(host(name, tags));
        }
        let index = Index::new(&snapshot, &rules);
        let all = || (0u32..).zip(&rules);
        for (ix, vm) in snapshot.vms_ix() {
            let concerns = |rule: &Rule| rule.kind == RuleKind::Exclude && selects_vm(&rule.vms, vm);
            let expected: Vec<u32> = all().filter(|(_, rule)| concerns(rule)).map(|(i, _)| i).collect();
            prop_assert_eq!(index.of_vm(ix), expected);
        }
        for (ix, host) in snapshot.hosts_ix() {
            let expected: Vec<u32> = all().filter(|(_, rule)| selects_host(&rule.hosts, host)).map(|(i, _)| i).collect();
            prop_assert_eq!(index.of_host(ix), expected);
        }
    }

    #[test]
    fn a_vm_belongs_to_the_first_sharing_group_that_selects_it(
        groups in proptest::collection::vec((patterns(), patterns()), 0..5),
        things in proptest::collection::vec(("[ab]{0,4}", tags()), 1..8),
    ) {
        let group = |(name, tag)| SharingGroup {
            name: "g".into(),
            vms: VmSelector { name, tag },
            levels: vec![],
            nodes: vec![],
            trust: Trust::stated(Share::WHOLE),
            reserve: Share::ZERO,
        };
        let groups: Vec<SharingGroup> = groups.into_iter().map(group).collect();
        let vms = things.into_iter().enumerate().map(|(i, (name, tags))| vm(i, name, tags)).collect();
        let snapshot = Snapshot { vms, ..Snapshot::default() };
        let first = |vm: &Vm| groups.iter().position(|group| selects_vm(&group.vms, vm));
        let expected: Vec<Option<usize>> = snapshot.vms.iter().map(first).collect();
        prop_assert_eq!(sharing_groups(&snapshot, &groups), expected);
    }
}
