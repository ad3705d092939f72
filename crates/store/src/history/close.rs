//! Closing a block: the journal's rows of one slab and one span become compressed streams, and feed the next tiers.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use ulm_model::Time;

use super::code::{self, NONE, Precision};
use super::codec;
use super::series::Metric;
use super::tier::{FIVES, MINUTE, PACK, PACKS, SLAB, Tier, journal_row, pack_row};
use super::write::{bits, slabs_of};
use crate::StoreError;

/// Memory that is used again for every block: about a megabyte at a tick every 15 s.
#[derive(Debug, Default)]
pub(super) struct Room {
    columns: Columns,
    rolled: Vec<i16>,
}

/// What closing has left to do.
#[derive(Debug)]
pub(super) struct Rolled {
    /// The number of the next tick.
    pub next_tick: i64,
    /// Rows that were added to the journals of roll-ups: tier and time.
    pub rows: Vec<(Tier, i64)>,
}

/// The points of a slab: for each series and stream a column of codes, one per time.
#[derive(Debug, Default)]
struct Columns {
    /// Ascending, each once.
    times: Vec<i64>,
    streams: usize,
    /// `codes[(slot * streams + stream) * times.len() + point]`.
    codes: Vec<i16>,
}

impl Columns {
    fn reset(&mut self, streams: usize, mut times: Vec<i64>) {
        times.sort_unstable();
        times.dedup();
        self.times = times;
        self.streams = streams;
        self.codes.clear();
        self.codes.resize(SLAB * streams * self.times.len(), NONE);
    }

    fn column(&self, slot: usize, stream: usize) -> &[i16] {
        let n = self.times.len();
        let at = (slot * self.streams + stream) * n;
        &self.codes[at..at + n]
    }

    /// Lays a row of the journal (codes by stream and series) over what is there.
    fn lay(&mut self, at: i64, row: &[u8]) {
        let Ok(point) = self.times.binary_search(&at) else { return };
        let n = self.times.len();
        for (stream, codes) in row.chunks_exact(2 * SLAB).enumerate().take(self.streams) {
            for (slot, pair) in codes.chunks_exact(2).enumerate() {
                let code = i16::from_le_bytes([pair[0], pair[1]]);
                if code != NONE {
                    self.codes[(slot * self.streams + stream) * n + point] = code;
                }
            }
        }
    }
}

/// Closes a block within the caller's transaction. Without rows in the journal nothing changes.
#[allow(clippy::too_many_arguments, reason = "the block's name and the writer's state, each used once")]
pub(super) fn close(
    tx: &Connection,
    path: &Path,
    room: &mut Room,
    tier: Tier,
    start: i64,
    slab: u32,
    now: Time,
    next_tick: i64,
) -> Result<Rolled, StoreError> {
    let sql = |e| StoreError::sql(path, e);
    let mut rolled = Rolled { next_tick, rows: Vec::new() };
    let rows = journal_rows(tx, tier, start, slab).map_err(sql)?;
    if rows.is_empty() {
        return Ok(rolled);
    }
    let old = old_block(tx, path, tier, start, slab)?;
    // Rows that come when their hour has been forgotten already would roll up to less than what is known of that hour.
    let too_late = tier == Tier::Raw
        && old.is_none()
        && start + tier.span() + tier.keep() <= now.0
        && is_rolled_up(tx, start, slab).map_err(sql)?;
    if too_late {
        tracing::debug!(slab, hour = %Time(start), rows = rows.len(), "samples came after their hour had been forgotten; they are left out");
    } else {
        gather(tx, path, &mut room.columns, tier, &rows, old.as_ref())?;
        write_block(tx, &room.columns, tier, start, slab, old.map(|old| old.id)).map_err(sql)?;
        if tier == Tier::Raw {
            let precisions = precisions(tx, slab).map_err(sql)?;
            roll_up(&room.columns, start, &precisions, &mut room.rolled);
            let (fives, hour) = room.rolled.split_at(FIVES * 2 * SLAB);
            for (tier, codes) in [(Tier::FiveMinutes, fives), (Tier::Hour, hour)] {
                write_row(tx, &mut rolled, tier, start, slab, codes).map_err(sql)?;
            }
            touch_entities(tx, &room.columns, slab).map_err(sql)?;
        }
    }
    let mut delete = tx.prepare_cached("DELETE FROM journal WHERE id = ?1").map_err(sql)?;
    for &(_, id) in &rows {
        delete.execute([id]).map_err(sql)?;
    }
    Ok(rolled)
}

/// Whether the hour that begins at `start` is in the hours' tier.
fn is_rolled_up(tx: &Connection, start: i64, slab: u32) -> rusqlite::Result<bool> {
    let in_journal: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM tick JOIN journal ON journal.id = no << 20 | ?2 WHERE tier = 2 AND at = ?1)",
        )?
        .query_row(params![start, slab], |row| row.get(0))?;
    if in_journal {
        return Ok(true);
    }
    let block = Tier::Hour.block_start(slab, start);
    let found: Option<Vec<u8>> = tx
        .prepare_cached("SELECT times FROM block WHERE tier = 2 AND slab = ?1 AND start = ?2")?
        .query_row(params![slab, block], |row| row.get(0))
        .optional()?;
    Ok(found.is_some_and(|bytes| times(block, &bytes).contains(&start)))
}

/// The journal's rows of a block, as time and row number, in the order in which they came.
fn journal_rows(tx: &Connection, tier: Tier, start: i64, slab: u32) -> rusqlite::Result<Vec<(i64, i64)>> {
    tx.prepare_cached(
        "SELECT at, no << 20 | ?4 FROM tick WHERE tier = ?1 AND at >= ?2 AND at < ?3 \
         AND EXISTS (SELECT 1 FROM journal WHERE id = no << 20 | ?4) ORDER BY no",
    )?
    .query_map(params![tier.number(), start, start + tier.span(), slab], |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}

/// A block that was closed before.
struct OldBlock {
    id: i64,
    times: Vec<i64>,
}

fn old_block(tx: &Connection, path: &Path, tier: Tier, start: i64, slab: u32) -> Result<Option<OldBlock>, StoreError> {
    let found: Option<(i64, Vec<u8>)> = tx
        .prepare_cached("SELECT id, times FROM block WHERE tier = ?1 AND slab = ?2 AND start = ?3")
        .and_then(|mut statement| {
            statement.query_row(params![tier.number(), slab, start], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(|e| StoreError::sql(path, e))?;
    Ok(found.map(|(id, bytes)| OldBlock { id, times: times(start, &bytes) }))
}

/// The times of a block.
pub(super) fn times(start: i64, bytes: &[u8]) -> Vec<i64> {
    bytes.chunks_exact(4).map(|b| start + i64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
}

/// The times of a journal row's points.
pub(super) fn row_times(tier: Tier, at: i64) -> impl Iterator<Item = i64> {
    (0..tier.points_per_row() as i64).map(move |point| at + point * tier.bucket())
}

fn gather(
    tx: &Connection,
    path: &Path,
    columns: &mut Columns,
    tier: Tier,
    rows: &[(i64, i64)],
    old: Option<&OldBlock>,
) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql(path, e);
    let mut all: Vec<i64> = rows.iter().flat_map(|&(at, _)| row_times(tier, at)).collect();
    all.extend(old.iter().flat_map(|old| &old.times));
    columns.reset(tier.streams(), all);
    if let Some(old) = old {
        let places: Vec<usize> = old.times.iter().filter_map(|at| columns.times.binary_search(at).ok()).collect();
        let n = columns.times.len();
        let mut select = tx
            .prepare_cached("SELECT id & 255, streams FROM pack WHERE id BETWEEN ?1 << 8 AND ?1 << 8 | 255")
            .map_err(sql)?;
        let mut found = select.query([old.id]).map_err(sql)?;
        while let Some(row) = found.next().map_err(sql)? {
            let pack = row.get::<_, i64>(0).map_err(sql)? as usize;
            let bytes = row.get_ref(1).map_err(sql)?.as_blob().map_err(|e| sql(e.into()))?;
            for slot in 0..PACK {
                let streams =
                    unpack(bytes, tier, slot, old.times.len()).map_err(|codec::Damaged| damaged(path, old.id))?;
                for (stream, codes) in streams.iter().enumerate() {
                    let column = ((pack * PACK + slot) * columns.streams + stream) * n;
                    for (&place, &code) in places.iter().zip(codes) {
                        columns.codes[column + place] = code;
                    }
                }
            }
        }
    }
    let mut select = tx.prepare_cached("SELECT codes FROM journal WHERE id = ?1").map_err(sql)?;
    for &(at, id) in rows {
        let mut found = select.query([id]).map_err(sql)?;
        let Some(row) = found.next().map_err(sql)? else { continue };
        let bytes = row.get_ref(0).map_err(sql)?.as_blob().map_err(|e| sql(e.into()))?;
        for (at, point) in row_times(tier, at).zip(bytes.chunks_exact(2 * SLAB * tier.streams())) {
            columns.lay(at, point);
        }
    }
    Ok(())
}

pub(super) fn damaged(path: &Path, block: i64) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), error: format!("block {block} cannot be unpacked") }
}

fn write_block(
    tx: &Connection,
    columns: &Columns,
    tier: Tier,
    start: i64,
    slab: u32,
    old: Option<i64>,
) -> rusqlite::Result<()> {
    let times: Vec<u8> = columns.times.iter().flat_map(|at| ((at - start) as u32).to_le_bytes()).collect();
    let samples = columns.codes.iter().filter(|&&code| code != NONE).count() as i64;
    let id = match old {
        Some(id) => {
            tx.prepare_cached("DELETE FROM pack WHERE id BETWEEN ?1 << 8 AND ?1 << 8 | 255")?.execute([id])?;
            id
        }
        None => tx
            .prepare_cached("INSERT INTO block (tier, slab, start, times, samples, bytes) VALUES (?1, ?2, ?3, x'', 0, 0) RETURNING id")?
            .query_row(params![tier.number(), slab, start], |row| row.get(0))?,
    };
    let mut bytes = times.len();
    let mut insert = tx.prepare_cached("INSERT INTO pack (id, streams) VALUES (?1, ?2)")?;
    let mut packed = Vec::new();
    let mut one = Vec::new();
    for pack in 0..PACKS {
        packed.clear();
        let mut empty = true;
        for slot in pack * PACK..(pack + 1) * PACK {
            for stream in 0..columns.streams {
                one.clear();
                let reference = Tier::reference(stream).map(|reference| columns.column(slot, reference));
                codec::encode(columns.column(slot, stream), reference, &mut one);
                codec::varint(one.len() as u32, &mut packed);
                packed.extend(&one);
                empty &= columns.column(slot, stream).iter().all(|&code| code == NONE);
            }
        }
        if !empty {
            bytes += packed.len();
            insert.execute(params![pack_row(id, pack), packed])?;
        }
    }
    tx.prepare_cached("UPDATE block SET times = ?2, samples = ?3, bytes = ?4 WHERE id = ?1")?.execute(params![
        id,
        times,
        samples,
        bytes as i64
    ])?;
    Ok(())
}

/// The streams of one series in a pack, `points` codes each.
pub(super) fn unpack(
    mut bytes: &[u8],
    tier: Tier,
    slot: usize,
    points: usize,
) -> Result<Vec<Vec<i16>>, codec::Damaged> {
    let mut skip = slot * tier.streams();
    let mut streams: Vec<Vec<i16>> = Vec::with_capacity(tier.streams());
    while streams.len() < tier.streams() {
        let length = codec::read_varint(&mut bytes)? as usize;
        let (stream, rest) = bytes.split_at_checked(length).ok_or(codec::Damaged)?;
        bytes = rest;
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let mut codes = vec![NONE; points];
        let reference = Tier::reference(streams.len()).map(|reference| streams[reference].as_slice());
        codec::decode(stream, reference, &mut codes)?;
        streams.push(codes);
    }
    Ok(streams)
}

/// How each series of a slab is rounded.
fn precisions(tx: &Connection, slab: u32) -> rusqlite::Result<Vec<Precision>> {
    let mut precisions = vec![Precision::Whole; SLAB];
    let first = i64::from(slab) * SLAB as i64;
    let mut statement = tx.prepare_cached("SELECT id, metric FROM series WHERE id BETWEEN ?1 AND ?2")?;
    let mut rows = statement.query((first, first + SLAB as i64 - 1))?;
    while let Some(row) = rows.next()? {
        if let Some(metric) = Metric::from_number(row.get(1)?) {
            precisions[(row.get::<_, i64>(0)? - first) as usize] = metric.precision();
        }
    }
    Ok(precisions)
}

/// Fills `rolled` with the rows of the next tiers: first the five minutes (by bucket, stream, series), then the hour (by stream, series).
fn roll_up(columns: &Columns, start: i64, precisions: &[Precision], rolled: &mut Vec<i16>) {
    rolled.clear();
    rolled.resize((FIVES * 2 + 4) * SLAB, NONE);
    let edges: Vec<usize> = (0..=FIVES as i64)
        .map(|bucket| columns.times.partition_point(|&at| at < start + bucket * 5 * MINUTE))
        .collect();
    let mut sorted = Vec::new();
    for (slot, &precision) in precisions.iter().enumerate() {
        let column = columns.column(slot, 0);
        for bucket in 0..FIVES {
            if let Some([mean, max]) = mean_and_max(&column[edges[bucket]..edges[bucket + 1]], precision) {
                rolled[(bucket * 2) * SLAB + slot] = mean;
                rolled[(bucket * 2 + 1) * SLAB + slot] = max;
            }
        }
        if let Some(hour) = hour(column, precision, &mut sorted) {
            for (stream, code) in hour.into_iter().enumerate() {
                rolled[(FIVES * 2 + stream) * SLAB + slot] = code;
            }
        }
    }
}

/// Mean and maximum of the codes that have values, as codes.
pub(super) fn mean_and_max(codes: &[i16], precision: Precision) -> Option<[i16; 2]> {
    let (mut sum, mut count, mut max) = (0.0f64, 0u32, NONE);
    for &code in codes.iter().filter(|&&code| code != NONE) {
        sum += f64::from(code::decode(code, precision));
        count += 1;
        max = max.max(code);
    }
    (count > 0).then(|| [code::encode((sum / f64::from(count)) as f32, precision), max])
}

/// Mean, maximum, p95 and minimum of the codes that have values, as codes. `sorted` is room to work in.
pub(super) fn hour(codes: &[i16], precision: Precision, sorted: &mut Vec<i16>) -> Option<[i16; 4]> {
    let [mean, max] = mean_and_max(codes, precision)?;
    sorted.clear();
    sorted.extend(codes.iter().filter(|&&code| code != NONE));
    let min = sorted.iter().copied().min().unwrap_or(NONE);
    // Nearest rank: the smallest value that at least 95 % do not exceed.
    let rank = (sorted.len() * 95).div_ceil(100) - 1;
    let p95 = *sorted.select_nth_unstable(rank).1;
    Some([mean, max, p95, min])
}

/// Puts a row of roll-ups into the journal, over what may be there for that hour.
fn write_row(
    tx: &Connection,
    rolled: &mut Rolled,
    tier: Tier,
    at: i64,
    slab: u32,
    codes: &[i16],
) -> rusqlite::Result<()> {
    let found: Option<(i64, Vec<u8>)> = tx
        .prepare_cached("SELECT no, slabs FROM tick WHERE tier = ?1 AND at = ?2 ORDER BY no DESC LIMIT 1")?
        .query_row((tier.number(), at), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let no =
        match found {
            Some((no, slabs)) => {
                tx.prepare_cached("UPDATE tick SET slabs = ?2 WHERE no = ?1")?
                    .execute(params![no, bits(slabs_of(&slabs).chain([slab]))])?;
                no
            }
            None => {
                let no = rolled.next_tick;
                rolled.next_tick += 1;
                tx.prepare_cached("INSERT INTO tick (no, tier, at, slabs) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![no, tier.number(), at, bits([slab].into_iter())])?;
                no
            }
        };
    let bytes: Vec<u8> = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
    tx.prepare_cached("INSERT OR REPLACE INTO journal (id, codes) VALUES (?1, ?2)")?
        .execute(params![journal_row(no, slab), bytes])?;
    rolled.rows.push((tier, at));
    Ok(())
}

/// Notes when the entities of a slab had their last values.
fn touch_entities(tx: &Connection, columns: &Columns, slab: u32) -> rusqlite::Result<()> {
    let first = i64::from(slab) * SLAB as i64;
    let mut statement =
        tx.prepare_cached("SELECT entity, min(id), max(id) FROM series WHERE id BETWEEN ?1 AND ?2 GROUP BY entity")?;
    let mut update = tx.prepare_cached("UPDATE entity SET last_seen = max(last_seen, ?2) WHERE id = ?1")?;
    let mut rows = statement.query((first, first + SLAB as i64 - 1))?;
    while let Some(row) = rows.next()? {
        let (entity, low, high): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let last = (low..=high)
            .filter_map(|id| columns.column((id - first) as usize, 0).iter().rposition(|&code| code != NONE))
            .max();
        if let Some(point) = last {
            update.execute((entity, columns.times[point]))?;
        }
    }
    Ok(())
}
