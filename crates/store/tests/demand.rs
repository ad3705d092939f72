//! What VMs are expected to want is kept, replaced and forgotten.

use ulm_model::{Time, VmId};
use ulm_store::Store;

fn vm(n: u8) -> VmId {
    VmId(format!("00000000-0000-0000-0000-0000000000{n:02}").parse().unwrap())
}

#[test]
fn what_is_kept_last_is_found_after_the_store_was_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path()).unwrap().history().unwrap();
    open().keep_demand(Time(1), &[(vm(2), vec![2]), (vm(1), vec![1]), (vm(3), vec![])]).unwrap();
    open().keep_demand(Time(2), &[(vm(1), vec![9; 5000])]).unwrap();
    open().forget_demand(&[vm(2), vm(7)]).unwrap();
    assert_eq!(open().demand().unwrap(), [(vm(1), vec![9; 5000]), (vm(3), vec![])]);
}

#[test]
fn a_history_of_the_version_before_is_lifted() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap().history().unwrap());
    let file = rusqlite::Connection::open(folder.path().join(ulm_store::HISTORY_FILE)).unwrap();
    file.execute_batch("DROP TABLE demand; DROP VIEW reports; DROP TABLE report; DROP TABLE report_total; DELETE FROM migration WHERE version > 1; PRAGMA user_version = 1").unwrap();
    drop(file);
    let history = Store::open(folder.path()).unwrap().history().unwrap();
    assert_eq!(history.demand().unwrap(), []);
    history.keep_demand(Time(1), &[(vm(1), vec![1])]).unwrap();
}
