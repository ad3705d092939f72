//! What VMs are expected to want, kept as bytes whose form is somebody else's.

use rusqlite::{TransactionBehavior, params};
use ulm_model::{Time, VmId};

use super::History;
use crate::StoreError;

impl History {
    /// Keeps what VMs are expected to want, instead of what was kept for them before. All of it is kept, or nothing. A power failure may lose what
    /// was kept last.
    pub fn keep_demand(&self, at: Time, profiles: &[(VmId, Vec<u8>)]) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let path = writer.path.clone();
        let sql = |e| StoreError::sql(&path, e);
        let tx = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        {
            let mut put = tx
                .prepare_cached(
                    "INSERT INTO demand (vm, at, profile) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (vm) DO UPDATE SET at = excluded.at, profile = excluded.profile",
                )
                .map_err(sql)?;
            for (vm, profile) in profiles {
                put.execute(params![vm.to_string(), at.0, profile]).map_err(sql)?;
            }
        }
        tx.commit().map_err(sql)
    }

    /// Everything that was kept, by VM.
    pub fn demand(&self) -> Result<Vec<(VmId, Vec<u8>)>, StoreError> {
        let sql = |e| StoreError::sql(&self.0.path, e);
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT vm, profile FROM demand ORDER BY vm").map_err(sql)?;
            let mut rows = statement.query([]).map_err(sql)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next().map_err(sql)? {
                let (vm, profile): (String, Vec<u8>) = row.get(0).and_then(|vm| Ok((vm, row.get(1)?))).map_err(sql)?;
                found.extend(vm.parse().ok().map(|vm| (VmId(vm), profile)));
            }
            Ok(found)
        })
    }

    /// Forgets what was kept for these VMs.
    pub fn forget_demand(&self, vms: &[VmId]) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let path = writer.path.clone();
        let sql = |e| StoreError::sql(&path, e);
        let tx = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        for vm in vms {
            tx.prepare_cached("DELETE FROM demand WHERE vm = ?1")
                .and_then(|mut delete| delete.execute([vm.to_string()]))
                .map_err(sql)?;
        }
        tx.commit().map_err(sql)
    }
}
