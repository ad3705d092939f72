//! The one writer: numbers series, journals ticks, and does what is due.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use ulm_model::{HostName, Time};

use super::code::{self, NONE};
use super::series::{Entity, HostNumber, Metric, SeriesId, SeriesKey};
use super::tier::{DAY, HOUR, SLAB, TIMES, Tier, journal_row, place};
use super::{LOG_PAGES, Tick, close};
use crate::StoreError;

/// VMs are numbered from here on, so that hosts have numbers that fit into a code.
const FIRST_VM: i64 = 100_000;
/// Blocks closed per call of `maintain`, at most. In step there are fewer than two per tick at full size.
const CLOSE_AT_ONCE: usize = 6;
/// Blocks forgotten per call, at most.
const FORGET_AT_ONCE: usize = 12;
/// Ticks looked at per call, whether they can be forgotten.
const TICKS_AT_ONCE: i64 = 400;
/// What one call of [`History::maintain`](super::History::maintain) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Blocks closed.
    pub closed: usize,
    /// Blocks forgotten because they were too old.
    pub forgotten: usize,
    /// Whether there is more to do at once.
    pub more: bool,
}

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// The number of the next tick.
    next_tick: i64,
    /// Blocks that have rows in the journal: by tier and start, the slabs.
    open: BTreeMap<(Tier, i64), BTreeSet<u32>>,
    /// Room for one tick: a row for each slab that has values.
    rows: Vec<[i16; SLAB]>,
    /// Where a slab's row is in `rows`, or `u32::MAX`.
    row_of: Vec<u32>,
    /// When series that nobody feeds were looked for last.
    swept: i64,
    close: close::Room,
}

impl Writer {
    pub(super) fn new(connection: Connection, path: &Path) -> Result<Writer, StoreError> {
        let sql = |e| StoreError::sql(path, e);
        // `History::maintain` carries the log into the file; this is only for those who never call it.
        connection.pragma_update(None, "wal_autocheckpoint", 4 * LOG_PAGES).map_err(sql)?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20).map_err(sql)?;
        let mut writer = Writer {
            connection,
            path: path.to_owned(),
            next_tick: 1,
            open: BTreeMap::new(),
            rows: Vec::new(),
            row_of: Vec::new(),
            swept: 0,
            close: close::Room::default(),
        };
        writer.describe_metrics().map_err(sql)?;
        writer.find_open_blocks().map_err(sql)?;
        Ok(writer)
    }

    fn sql(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sql(&self.path, error)
    }

    /// For the readers of the file.
    fn describe_metrics(&mut self) -> rusqlite::Result<()> {
        let known: i64 = self.connection.query_row("SELECT count(*) FROM metric", [], |row| row.get(0))?;
        if known as usize >= Metric::ALL.len() {
            return Ok(());
        }
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for metric in Metric::ALL {
            tx.execute(
                "INSERT OR REPLACE INTO metric (number, name, unit, about) VALUES (?1, ?2, ?3, ?4)",
                params![metric.number(), metric.name(), metric.unit().to_string(), metric.about()],
            )?;
        }
        tx.commit()
    }

    /// After a restart: what the journal has rows for. A slab that was closed already does no harm, it has no rows any more.
    fn find_open_blocks(&mut self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("SELECT no, tier, at, slabs FROM tick")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.next_tick = self.next_tick.max(row.get::<_, i64>(0)? + 1);
            let Some(tier) = tier_of(row.get(1)?) else { continue };
            let at: i64 = row.get(2)?;
            for slab in slabs_of(row.get_ref(3)?.as_blob()?) {
                self.open.entry((tier, tier.block_start(slab, at))).or_default().insert(slab);
            }
        }
        Ok(())
    }

    // ---- numbers

    pub(super) fn intern(&mut self, keys: &[SeriesKey], now: Time) -> Result<Vec<SeriesId>, StoreError> {
        let path = self.path.clone();
        let sql = |e| StoreError::sql(&path, e);
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        let mut ids = Vec::with_capacity(keys.len());
        {
            let mut find = tx.prepare_cached("SELECT id FROM series WHERE entity = ?1 AND metric = ?2").map_err(sql)?;
            let mut add =
                tx.prepare_cached("INSERT INTO series (id, entity, metric) VALUES (?1, ?2, ?3)").map_err(sql)?;
            let mut next: i64 =
                tx.query_row("SELECT coalesce(max(id), -1) + 1 FROM series", [], |row| row.get(0)).map_err(sql)?;
            let mut last: Option<(&Entity, i64)> = None;
            for key in keys {
                let entity = match last {
                    Some((entity, id)) if *entity == key.entity => id,
                    _ => entity_id(&tx, &key.entity, now).map_err(sql)?,
                };
                last = Some((&key.entity, entity));
                let found: Option<i64> =
                    find.query_row((entity, key.metric.number()), |row| row.get(0)).optional().map_err(sql)?;
                let number = match found {
                    Some(number) => number,
                    None => {
                        add.execute((next, entity, key.metric.number())).map_err(sql)?;
                        next += 1;
                        next - 1
                    }
                };
                let number = u32::try_from(number).map_err(|_| StoreError::Corrupt {
                    path: path.clone(),
                    error: format!("series {number} is out of range"),
                })?;
                ids.push(SeriesId { number, precision: key.metric.precision() });
            }
        }
        tx.commit().map_err(sql)?;
        Ok(ids)
    }

    pub(super) fn host_number(&mut self, host: &HostName, now: Time) -> Result<HostNumber, StoreError> {
        let id = entity_id(&self.connection, &Entity::Host(host.clone()), now).map_err(|e| self.sql(e))?;
        u16::try_from(id).ok().filter(|&id| id <= i16::MAX as u16).map(HostNumber).ok_or_else(|| StoreError::Value {
            what: format!("host {host}"),
            error: "no host number is left".to_owned(),
        })
    }

    // ---- ticks

    pub(super) fn append(&mut self, tick: &Tick) -> Result<(), StoreError> {
        if !TIMES.contains(&tick.at.0) {
            return Err(StoreError::Value {
                what: format!("a tick at {} ms", tick.at.0),
                error: "no such time".to_owned(),
            });
        }
        let mut slabs: Vec<u32> = Vec::new();
        for &(series, value) in &tick.values {
            let code = code::encode(value, series.precision);
            if code == NONE {
                continue;
            }
            let (slab, slot) = place(series.number);
            if self.row_of.len() <= slab as usize {
                self.row_of.resize(slab as usize + 1, u32::MAX);
            }
            let mut row = self.row_of[slab as usize];
            if row == u32::MAX {
                row = slabs.len() as u32;
                self.row_of[slab as usize] = row;
                slabs.push(slab);
                match self.rows.get_mut(row as usize) {
                    Some(old) => old.fill(NONE),
                    None => self.rows.push([NONE; SLAB]),
                }
            }
            self.rows[row as usize][slot] = code;
        }
        let result = if slabs.is_empty() { Ok(()) } else { self.journal(tick.at, &slabs) };
        for &slab in &slabs {
            self.row_of[slab as usize] = u32::MAX;
        }
        result.map_err(|e| self.sql(e))?;
        for slab in slabs {
            self.open.entry((Tier::Raw, Tier::Raw.block_start(slab, tick.at.0))).or_default().insert(slab);
        }
        Ok(())
    }

    /// One transaction: a tick is there as a whole, or not at all.
    fn journal(&mut self, at: Time, slabs: &[u32]) -> rusqlite::Result<()> {
        let no = self.next_tick;
        let mut order: Vec<usize> = (0..slabs.len()).collect();
        order.sort_unstable_by_key(|&row| slabs[row]);
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.prepare_cached("INSERT INTO tick (no, tier, at, slabs) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            no,
            Tier::Raw.number(),
            at.0,
            bits(slabs.iter().copied())
        ])?;
        {
            let mut insert = tx.prepare_cached("INSERT INTO journal (id, codes) VALUES (?1, ?2)")?;
            let mut bytes = [0u8; 2 * SLAB];
            for row in order {
                for (pair, code) in bytes.chunks_exact_mut(2).zip(&self.rows[row]) {
                    pair.copy_from_slice(&code.to_le_bytes());
                }
                insert.execute(params![journal_row(no, slabs[row]), &bytes[..]])?;
            }
        }
        tx.commit()?;
        self.next_tick += 1;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        // A sync of the log is all that is needed: what is in it counts. (The log holds no locks, so that it may be opened and closed here.)
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        match std::fs::File::open(&log) {
            Ok(file) => file.sync_data().map_err(|e| StoreError::io(Path::new(&log), e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(StoreError::io(Path::new(&log), e)),
        }
    }

    // ---- what is due

    pub(super) fn maintain(&mut self, now: Time) -> Result<Maintained, StoreError> {
        let mut done = Maintained::default();
        let due: Vec<(Tier, i64, u32)> = self.due(now).take(CLOSE_AT_ONCE).collect();
        for (tier, start, slab) in due {
            self.close_block(tier, start, slab, now)?;
            done.closed += 1;
        }
        done.more = self.due(now).next().is_some();
        self.forget_blocks(now, &mut done).map_err(|e| self.sql(e))?;
        self.forget_ticks(now).map_err(|e| self.sql(e))?;
        if now.0 - self.swept >= DAY {
            done.more |= self.forget_series(now).map_err(|e| self.sql(e))?;
        }
        Ok(done)
    }

    /// The blocks that should be closed by now: finer tiers first, as they feed the next, and older ones first.
    fn due(&self, now: Time) -> impl Iterator<Item = (Tier, i64, u32)> {
        self.open
            .iter()
            .flat_map(|(&(tier, start), slabs)| slabs.iter().map(move |&slab| (tier, start, slab)))
            .filter(move |&(tier, start, slab)| tier.due(slab, start) <= now.0)
    }

    fn close_block(&mut self, tier: Tier, start: i64, slab: u32, now: Time) -> Result<(), StoreError> {
        let path = self.path.clone();
        let sql = |e| StoreError::sql(&path, e);
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        let rolled = close::close(&tx, &path, &mut self.close, tier, start, slab, now, self.next_tick)?;
        tx.commit().map_err(sql)?;
        self.next_tick = rolled.next_tick;
        for (tier, at) in rolled.rows {
            self.open.entry((tier, tier.block_start(slab, at))).or_default().insert(slab);
        }
        if let Some(slabs) = self.open.get_mut(&(tier, start)) {
            slabs.remove(&slab);
            if slabs.is_empty() {
                self.open.remove(&(tier, start));
            }
        }
        Ok(())
    }

    fn forget_blocks(&mut self, now: Time, done: &mut Maintained) -> rusqlite::Result<()> {
        for tier in Tier::ALL {
            let before = now.0 - tier.keep() - tier.span();
            let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let ids: Vec<i64> = tx
                .prepare_cached("SELECT id FROM block WHERE tier = ?1 AND start <= ?2 ORDER BY start LIMIT ?3")?
                .query_map((tier.number(), before, FORGET_AT_ONCE as i64 + 1), |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for id in ids.iter().take(FORGET_AT_ONCE) {
                tx.prepare_cached("DELETE FROM pack WHERE id BETWEEN ?1 << 8 AND ?1 << 8 | 255")?.execute([id])?;
                tx.prepare_cached("DELETE FROM block WHERE id = ?1")?.execute([id])?;
            }
            tx.commit()?;
            done.forgotten += ids.len().min(FORGET_AT_ONCE);
            done.more |= ids.len() > FORGET_AT_ONCE;
        }
        Ok(())
    }

    /// Ticks whose rows are all closed. Only those are looked at whose block should be closed by now.
    fn forget_ticks(&mut self, now: Time) -> rusqlite::Result<()> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for tier in Tier::ALL {
            // The last row of a block may begin up to a span after the block's begin, and its slab may be the last to be closed.
            let before = now.0 - tier.span() - 2 * HOUR;
            tx.prepare_cached(
                "DELETE FROM tick WHERE no IN (SELECT no FROM tick WHERE tier = ?1 AND at < ?2 ORDER BY at LIMIT ?3) \
                 AND NOT EXISTS (SELECT 1 FROM journal WHERE id BETWEEN tick.no << 20 AND tick.no << 20 | 1048575)",
            )?
            .execute((tier.number(), before, TICKS_AT_ONCE))?;
        }
        tx.commit()
    }

    /// Entities whose last value is older than the oldest tier. Returns whether there may be more.
    fn forget_series(&mut self, now: Time) -> rusqlite::Result<bool> {
        let before = now.0 - Tier::Hour.keep() - 4 * Tier::Hour.span();
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let ids: Vec<i64> = tx
            .prepare_cached("SELECT id FROM entity WHERE last_seen < ?1 LIMIT 200")?
            .query_map([before], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in &ids {
            tx.prepare_cached("DELETE FROM series WHERE entity = ?1")?.execute([id])?;
            tx.prepare_cached("DELETE FROM entity WHERE id = ?1")?.execute([id])?;
        }
        tx.commit()?;
        if ids.is_empty() {
            self.swept = now.0;
        }
        Ok(!ids.is_empty())
    }
}

/// The entity's number; a new one when it has none.
fn entity_id(connection: &Connection, entity: &Entity, now: Time) -> rusqlite::Result<i64> {
    let (kind, name) = (entity.kind(), entity.name());
    let found = connection
        .prepare_cached("SELECT id FROM entity WHERE kind = ?1 AND name = ?2")?
        .query_row((kind, &name), |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    let base = match entity {
        Entity::Host(_) => 0,
        Entity::Vm(_) => FIRST_VM,
    };
    let top: i64 = match entity {
        Entity::Host(_) => FIRST_VM,
        Entity::Vm(_) => i64::MAX,
    };
    connection
        .prepare_cached(
            "INSERT INTO entity (id, kind, name, first_seen, last_seen) \
             VALUES ((SELECT coalesce(max(id), ?1) + 1 FROM entity WHERE id > ?1 AND id < ?2), ?3, ?4, ?5, ?5) RETURNING id",
        )?
        .query_row(params![base, top, kind, name, now.0], |row| row.get(0))
}

pub(super) fn tier_of(number: i64) -> Option<Tier> {
    Tier::ALL.into_iter().find(|tier| tier.number() == number)
}

/// A bit for each slab, the lowest first.
pub(super) fn bits(slabs: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for slab in slabs {
        let at = slab as usize / 8;
        if bytes.len() <= at {
            bytes.resize(at + 1, 0);
        }
        bytes[at] |= 1 << (slab % 8);
    }
    bytes
}

pub(super) fn slabs_of(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes
        .iter()
        .enumerate()
        .flat_map(|(at, byte)| (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| at as u32 * 8 + bit))
}
