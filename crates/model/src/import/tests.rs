use crate::placement::{self, Source};
use crate::{Task, TaskRuleKind};

use super::{ImportError, Imported};

const SMALL: &str = "\
g1|uuid-g1|preferred||

node1|65536|1024|0|1000000|0|16|M|uuid-g1|1
node2|65536|1024|0|1000000|0|16|N|uuid-g1|1
node3|?|?|?|?|?|?|Y|uuid-g1|1

web1|4096|10240|2|running|Y|node1|node2|drbd|service:web,env:prod|1
web2|4096|10240|2|running|Y|node2|node1|drbd|service:web|1
old|8192|20480|4|ADMIN_down|Y|node1||plain||1
log|2048|20480|1|running|Y|node1||plain||1
shared|2048|5|1|ERROR_up|Y|node3||rbd||1

htools:iextags:service

|4096,4,1024,1,1,1|128,1,0,0,1,1;65536,64,1048576,16,8,12|drbd|8.0|32.0
";

fn ganeti(text: &str) -> Result<Imported, ImportError> {
    super::ganeti(Source { file: "f", text })
}

fn told(text: &str) -> String {
    ganeti(text).unwrap_err().to_string()
}

fn task(imported: &Imported) -> Task {
    let a = Source { file: "A", text: &imported.text };
    placement::task(a, a).unwrap_or_else(|error| panic!("{error}\n{}", imported.text))
}

#[test]
fn a_cluster_of_ganeti_becomes_a_placement() {
    let imported = ganeti(SMALL).unwrap();
    let task = task(&imported);
    assert_eq!((imported.hosts, imported.vms), (3, 4));
    assert_eq!(task.hosts[0].capacity, [63 << 30, 128, 1_000_000 << 20], "less its own; 16 CPUs by a ratio of 8");
    assert!(task.hosts[0].takes && !task.hosts[2].takes);
    assert_eq!(task.hosts[2].capacity[0], 2 << 30, "what is on a node that says nothing fits on it");
    let of = |name: &str| task.vms.iter().find(|vm| vm.name == name).unwrap();
    assert_eq!(of("web1").size, [4 << 30, 2, 10 << 30]);
    assert_eq!(of("shared").size[2], 0, "a shared disk takes nothing of the node's");
    assert!(of("log").stays && !of("web1").stays);
    assert!(matches!(&task.rules[0].kind, TaskRuleKind::AtMost { vms, limit: 1, .. } if vms == &[0, 1]));
    assert!(matches!(&task.rules[1].kind, TaskRuleKind::Only { vms, hosts } if vms == &[0, 1] && hosts == &[0, 1]));
    assert_eq!(task.rules.len(), 2);
    assert_eq!(
        imported.notes,
        [
            "left out, since they are down: old",
            "nodes that are offline or drained take no VMs: node3",
            "may move to their DRBD secondary only; room that secondaries keep for failover is not modelled: web1, web2",
            "stay where they are, since their disks are on one node only: log",
        ]
    );
}

#[test]
fn vms_stay_in_their_node_group() {
    let text = "g1|u1|preferred||\ng2|u2|preferred||\n\nn1|8192|0|0|0|0|4|N|u1\nn2|8192|0|0|0|0|4|N|u2\n\n\
                a|1024|0|1|running|Y|n1||ext|\nb|1024|0|1|running|Y|n2||ext|\n\n";
    let imported = ganeti(text).unwrap();
    let task = task(&imported);
    assert_eq!(task.resources.len(), 2, "no disk is local");
    assert_eq!(task.hosts[0].capacity[1], 16, "4 vCPUs for each CPU where the file has no policies");
    assert!(matches!(&task.rules[1].kind, TaskRuleKind::Only { vms, hosts } if vms == &[1] && hosts == &[1]));
}

#[test]
fn a_wrong_file_of_ganeti_is_told_by_line_and_field() {
    assert!(told("").starts_with("f:1: 1 section where 4 or 5 are needed: groups, nodes"), "{}", told(""));
    let wrong = SMALL
        .replace("web1|4096", "web1|4G")
        .replace("|node2|node1|drbd", "|node22|node1|drbd")
        .replace("16|N|uuid-g1", "16|X|uuid-g7")
        .replace("|plain||1\nshared", "|zfs||1\nshared");
    assert_eq!(
        told(&wrong),
        "f:4, field 8 (`offline`): `X` is not known: Y stands for offline or drained, N for in use, M for the master\n\
         f:4, field 9 (`group`): there is no group `uuid-g7`: did you mean `uuid-g1`? Otherwise list it in the first section\n\
         f:7, field 2 (`memory`): `4G` is no number that fits here: it must be MiB, e.g. 4096\n\
         f:8, field 7 (`primary`): there is no node `node22`: did you mean `node2`? Otherwise list it in the second section\n\
         f:10, field 9 (`disk template`): `zfs` is no disk template: the templates are drbd, plain, file, diskless, \
         sharedfile, gluster, blockdev, rbd, ext, shared"
    );
    assert_eq!(
        told(&SMALL.replace("web2|", "web1|")),
        "f:8: instance `web1` is there already, at line 7: names are unique"
    );
    assert!(
        told(&SMALL.replace("web2|4096|10240|2|running|Y|node2|node1|drbd|service:web|1", "web2|4096"))
            .starts_with("f:8: 2 fields of an instance where 10 are needed: name|memory|disk|")
    );
}

const HOSTS: &str = "name,memory,cpu,takes,bandwidth\nh1,64GiB,16,,10Gbit/s\nh2,64GiB,16,yes,\nh3,64GiB,016,no,\n";
const VMS: &str = "name,host,memory,cpu,stays,copy_bytes,seconds,apart,together\n\
                   db1,h1,32GiB,4,,28GiB,,db spread,\ndb2,h2,32GiB,4,,,,db spread,\n\
                   app,h1,1.5GiB,1,no,,42.5,,app\ncache,h1,1GiB,,true,,,lonely,app\n";

fn tables(hosts: &str, vms: &str) -> Result<Imported, ImportError> {
    super::csv(Source { file: "hosts.csv", text: hosts }, Source { file: "vms.csv", text: vms })
}

#[test]
fn tables_become_a_placement() {
    let imported = tables(HOSTS, VMS).unwrap();
    let task = task(&imported);
    assert_eq!(task.hosts.iter().map(|host| host.takes).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(task.links[0].rate, 1_250_000_000);
    assert_eq!(task.vms[0].copy.bytes, 28 << 30);
    assert_eq!(task.vms[2].copy.takes_ms, Some(42_500));
    assert_eq!(task.vms[3].size, [1 << 30, 0]);
    assert!(task.vms[3].stays);
    let rules: Vec<&str> = task.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(rules, ["apart: db", "apart: spread", "together: app"]);
    let excel = |text: &str| format!("\u{feff}{}", text.replace(',', ";").replace('\n', "\r\n"));
    assert_eq!(tables(&excel(HOSTS), &excel(VMS)).unwrap(), imported, "as a spreadsheet writes it");
}

#[test]
fn wrong_tables_are_told_by_line_and_column() {
    let told = |hosts: &str, vms: &str| tables(hosts, vms).unwrap_err().to_string();
    assert_eq!(
        told(&HOSTS.replace("h2,64GiB", "h2,64GB"), &VMS.replace("db1,h1", "db1,h9").replace("42.5", "soon")),
        "hosts.csv:3, column `memory`: \"64GB\": `GB` is no unit of a capacity: the units are B, KiB, MiB, GiB, TiB, PiB\n\
         vms.csv:2, column `host`: there is no host `h9`: did you mean `h1`? Otherwise list it in hosts.csv\n\
         vms.csv:4, column `seconds`: this is a text, it must be a number of seconds, e.g. 12.5"
    );
    assert_eq!(
        told(HOSTS, &VMS.replace("db2,", "db1,")),
        "vms.csv:3, column `name`: VM `db1` is there already, at line 2: names are unique"
    );
    assert_eq!(
        told(&HOSTS.replace("bandwidth", "bandwith"), &VMS.replace("memory", "memroy")),
        "hosts.csv:1, column `bandwith`: no VM asks for `bandwith`: did you mean `bandwidth`? Otherwise give vms.csv a \
         column of it, be it empty\n\
         vms.csv:1, column `memroy`: no host has `memroy`: did you mean `memory`? Otherwise give hosts.csv a column of it"
    );
    assert_eq!(
        told("name,power,memory\n\nh1,off,8GiB\n", "name,host,memory\na,h1,1GiB\n"),
        "vms.csv:2, column `host`: VM `a` is on host `h1`, which is off (hosts.csv:3): a VM runs on a host that is on: \
         correct the one or the other"
    );
    assert_eq!(
        told("name,memory\n\nh1,8GiB\nh2\n", "name,host,memory\na,h3,1GiB\n"),
        "hosts.csv:4: this line has a field too few or too many (1, the header has 2): give each column a field, be it \
         empty; put a field with the separator in it in quotation marks\n\
         vms.csv:2, column `host`: there is no host `h3`: did you mean `h1`? Otherwise list it in hosts.csv"
    );
    assert_eq!(told("", VMS), "hosts.csv:1: the file is empty: begin with a header row, e.g. name,memory,cpu");
    assert_eq!(
        told(HOSTS, "vm,node\n"),
        "vms.csv:1: there is no column `name`: a table of VMs needs one\n\
         vms.csv:1: there is no column `host`: a table of VMs needs one\n\
         vms.csv:1, column `vm`: no host has `vm`: give hosts.csv a column of it\n\
         vms.csv:1, column `node`: no host has `node`: did you mean `name`? Otherwise give hosts.csv a column of it"
    );
}
