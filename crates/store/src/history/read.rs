//! Reading: one series over the journal, the blocks and the tiers, as if they were one.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use ulm_model::{HostName, Time};

use super::close;
use super::code::{self, NONE, Precision};
use super::codec::Damaged;
use super::series::{Entity, HostNumber, Metric, SeriesId, SeriesKey};
use super::tier::{FIVES, HOUR, MINUTE, PACK, SLAB, TIMES, Tier, hour_start, pack_row, place};
use super::write::tier_of;
use super::{History, Point, Resolution};
use crate::{StoreError, ledger};

/// An entity of which there is history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub entity: Entity,
    /// When it was first made known.
    pub first_seen: Time,
    /// When it had its last value; up to two hours behind.
    pub last_seen: Time,
}

/// What one tier takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierSize {
    /// Which.
    pub tier: Tier,
    /// Closed blocks.
    pub blocks: u64,
    /// Values in closed blocks (of a roll-up each of its figures counts).
    pub samples: u64,
    /// Bytes of closed blocks, without what SQLite adds (about 3 %).
    pub bytes: u64,
    /// The oldest closed block.
    pub oldest: Option<Time>,
}

/// What the history takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// By tier, the finest first. Tiers without closed blocks are missing.
    pub tiers: Vec<TierSize>,
    /// Series that are known.
    pub series: u64,
    /// The file, in bytes, free pages included, the write-ahead log not.
    pub file_bytes: u64,
    /// Of these free, to be used again.
    pub free_bytes: u64,
}

/// The values of one series in one tier: times and codes by stream.
type Found = Vec<(i64, [i16; 4])>;

impl History {
    /// The number of a series, without making one.
    pub fn find(&self, key: &SeriesKey) -> Result<Option<SeriesId>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT s.id FROM series AS s JOIN entity AS e ON e.id = s.entity WHERE e.kind = ?1 AND e.name = ?2 AND s.metric = ?3",
                )
                .and_then(|mut statement| {
                    statement
                        .query_row(params![key.entity.kind(), key.entity.name(), key.metric.number()], |row| row.get(0))
                        .optional()
                })
                .map(|number| number.map(|number| SeriesId { number, precision: key.metric.precision() }))
                .map_err(|e| self.sql(e))
        })
    }

    /// The series of an entity, by metric. Empty when there is no history of it.
    pub fn series_of(&self, entity: &Entity) -> Result<Vec<(Metric, SeriesId)>, StoreError> {
        self.read(|connection| {
            let rows: Vec<(u32, u16)> = connection
                .prepare_cached(
                    "SELECT s.id, s.metric FROM series AS s JOIN entity AS e ON e.id = s.entity WHERE e.kind = ?1 AND e.name = ?2 ORDER BY s.metric",
                )
                .and_then(|mut statement| {
                    let rows = statement.query_map([entity.kind(), &entity.name()], |row| Ok((row.get(0)?, row.get(1)?)))?;
                    rows.collect()
                })
                .map_err(|e| self.sql(e))?;
            Ok(rows
                .into_iter()
                .filter_map(|(number, metric)| {
                    let metric = Metric::from_number(metric)?;
                    Some((metric, SeriesId { number, precision: metric.precision() }))
                })
                .collect())
        })
    }

    /// All entities of which there is history: hosts by name, then VMs by id.
    pub fn entities(&self) -> Result<Vec<Known>, StoreError> {
        self.read(|connection| {
            let rows: Vec<(String, String, i64, i64)> = connection
                .prepare_cached("SELECT kind, name, first_seen, last_seen FROM entity ORDER BY kind, name")
                .and_then(|mut statement| {
                    let rows =
                        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
                    rows.collect()
                })
                .map_err(|e| self.sql(e))?;
            rows.into_iter()
                .map(|(kind, name, first, last)| {
                    let entity =
                        if kind == "host" { Entity::Host(HostName(name)) } else { Entity::Vm(ledger::vm_id(&name)?) };
                    Ok(Known { entity, first_seen: Time(first), last_seen: Time(last) })
                })
                .collect()
        })
    }

    /// The host with that number: the meaning of a value of [`Metric::OnHost`].
    pub fn host_of(&self, number: HostNumber) -> Result<Option<HostName>, StoreError> {
        self.read(|connection| {
            connection
                .query_row("SELECT name FROM entity WHERE id = ?1 AND kind = 'host'", [number.0], |row| row.get(0))
                .optional()
                .map(|name| name.map(HostName))
                .map_err(|e| self.sql(e))
        })
    }

    /// The points of a series from `from` up to but not including `to`, oldest first. Times without values have no points.
    ///
    /// A point that is rolled up belongs to the range when its begin does. What the journal holds is there at once, also rolled up.
    pub fn range(
        &self,
        series: SeriesId,
        from: Time,
        to: Time,
        resolution: Resolution,
    ) -> Result<Vec<Point>, StoreError> {
        let [from, to] = [from, to].map(|at| at.0.clamp(TIMES.start, TIMES.end));
        self.read(|connection| {
            let reader = Reader { connection, path: &self.0.path, series };
            let tier = match resolution {
                Resolution::Raw => Tier::Raw,
                Resolution::FiveMinutes => Tier::FiveMinutes,
                Resolution::Hour => Tier::Hour,
                Resolution::Auto { max_points } => return reader.at_most(from, to, max_points.max(1)),
            };
            reader.points_from(tier, from, to)
        })
    }

    /// What the history takes.
    pub fn sizes(&self) -> Result<Sizes, StoreError> {
        self.read(|connection| sizes(connection).map_err(|e| self.sql(e)))
    }

    fn sql(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sql(&self.0.path, error)
    }
}

fn sizes(connection: &Connection) -> rusqlite::Result<Sizes> {
    let mut statement = connection.prepare_cached(
        "SELECT tier, count(*), sum(samples), sum(bytes), min(start) FROM block GROUP BY tier ORDER BY tier",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)? as u64,
            row.get::<_, i64>(2)? as u64,
            row.get::<_, i64>(3)? as u64,
            row.get::<_, Option<i64>>(4)?,
        ))
    })?;
    let mut tiers = Vec::new();
    for row in rows {
        let (number, blocks, samples, bytes, oldest) = row?;
        if let Some(tier) = tier_of(number) {
            tiers.push(TierSize { tier, blocks, samples, bytes, oldest: oldest.map(Time) });
        }
    }
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let page = pragma("page_size")? as u64;
    Ok(Sizes {
        tiers,
        series: connection.query_row("SELECT count(*) FROM series", [], |row| row.get::<_, i64>(0))? as u64,
        file_bytes: pragma("page_count")? as u64 * page,
        free_bytes: pragma("freelist_count")? as u64 * page,
    })
}

/// One series, within one view of the file.
struct Reader<'a> {
    connection: &'a Connection,
    path: &'a Path,
    series: SeriesId,
}

impl Reader<'_> {
    fn sql(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sql(self.path, error)
    }

    /// The points from `tier`, and before it begins from the next ones.
    fn points_from(&self, tier: Tier, from: i64, to: i64) -> Result<Vec<Point>, StoreError> {
        let mut points = Vec::new();
        let mut end = to;
        for tier in Tier::ALL.into_iter().filter(|&coarser| coarser >= tier) {
            // The coarsest one holds all that there is.
            let begin = match tier {
                Tier::Hour => from,
                _ => self.begin(tier)?.map_or(end, |begin| begin.clamp(from, end.max(from))),
            };
            if begin < end {
                let mut part = self.tier_points(tier, begin, end)?;
                part.append(&mut points);
                points = part;
            }
            end = begin.min(end);
        }
        Ok(points)
    }

    fn at_most(&self, from: i64, to: i64, most: usize) -> Result<Vec<Point>, StoreError> {
        for tier in Tier::ALL {
            if self.expected(tier, from, to)? <= most {
                let points = self.points_from(tier, from, to)?;
                if points.len() <= most {
                    return Ok(points);
                }
            }
        }
        let points = self.points_from(Tier::Hour, from, to)?;
        let hours = ((to - from).max(1) as u64).div_ceil(HOUR as u64 * most as u64).max(1) as i64;
        Ok(draw_together(&points, from, hours * HOUR))
    }

    /// At most how many points the tier has in a range.
    fn expected(&self, tier: Tier, from: i64, to: i64) -> Result<usize, StoreError> {
        let span = (to - from).max(0) as u64;
        match tier {
            Tier::FiveMinutes => Ok(span.div_ceil(5 * MINUTE as u64) as usize),
            Tier::Hour => Ok(span.div_ceil(HOUR as u64) as usize),
            Tier::Raw => self.count_raw(from, to).map_err(|e| self.sql(e)),
        }
    }

    fn count_raw(&self, from: i64, to: i64) -> rusqlite::Result<usize> {
        let (slab, _) = place(self.series.number);
        let mut blocks = self.connection.prepare_cached(
            "SELECT start, times FROM block WHERE tier = 0 AND slab = ?1 AND start > ?2 AND start < ?3",
        )?;
        let mut rows = blocks.query(params![slab, from - Tier::Raw.span(), to])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let times = close::times(row.get(0)?, row.get_ref(1)?.as_blob()?);
            count += times.iter().filter(|at| (from..to).contains(at)).count();
        }
        let open: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM tick WHERE tier = 0 AND at >= ?1 AND at < ?2 \
                 AND EXISTS (SELECT 1 FROM journal WHERE id = no << 20 | ?3)",
            )?
            .query_row(params![from, to, slab], |row| row.get(0))?;
        Ok(count + open as usize)
    }

    /// The begin of the oldest block of a tier that there is for the series' slab; of the journal when no block is closed yet.
    fn begin(&self, tier: Tier) -> Result<Option<i64>, StoreError> {
        let (slab, _) = place(self.series.number);
        let closed: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(start) FROM block WHERE tier = ?1 AND slab = ?2")
            .and_then(|mut statement| statement.query_row(params![tier.number(), slab], |row| row.get(0)))
            .map_err(|e| self.sql(e))?;
        let open: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT min(at) FROM tick WHERE tier = ?1 AND EXISTS (SELECT 1 FROM journal WHERE id = no << 20 | ?2)",
            )
            .and_then(|mut statement| statement.query_row(params![tier.number(), slab], |row| row.get(0)))
            .map_err(|e| self.sql(e))?;
        // What is in the raw journal is rolled up while it is read.
        let raw = if tier == Tier::FiveMinutes { self.begin(Tier::Raw)? } else { None };
        let open = open.map(|at| if tier == Tier::Raw { hour_start(at) } else { at });
        Ok([closed, open, raw].into_iter().flatten().min())
    }

    fn tier_points(&self, tier: Tier, from: i64, to: i64) -> Result<Vec<Point>, StoreError> {
        let mut found = self.codes(tier, from, to)?;
        if tier != Tier::Raw {
            self.roll_up_open_hours(tier, from, to, &mut found)?;
        }
        let precision = self.series.precision;
        let value = |code| code::decode(code, precision);
        Ok(found
            .into_iter()
            .map(|(at, codes)| Point {
                at: Time(at),
                span_ms: tier.bucket(),
                mean: value(codes[0]),
                max: value(codes[1]),
                p95: (tier != Tier::FiveMinutes).then(|| value(codes[2])),
                min: (tier != Tier::FiveMinutes).then(|| value(codes[3])),
            })
            .collect())
    }

    /// Hours that are not closed, or have rows that came late, are rolled up from the samples.
    fn roll_up_open_hours(&self, tier: Tier, from: i64, to: i64, found: &mut Found) -> Result<(), StoreError> {
        let (first, last) = (hour_start(from), hour_start(to + HOUR - 1));
        let mut journal = Found::new();
        self.journal(Tier::Raw, first, last, &mut journal)?;
        let hours: BTreeSet<i64> = journal.iter().map(|&(at, _)| hour_start(at)).collect();
        for hour in hours {
            let samples = self.codes(Tier::Raw, hour, hour + HOUR)?;
            let times: Vec<i64> = samples.iter().map(|&(at, _)| at).collect();
            let column: Vec<i16> = samples.iter().map(|(_, codes)| codes[0]).collect();
            for (at, codes) in rolled(tier, hour, &times, &column, self.series.precision) {
                if (from..to).contains(&at) {
                    found.push((at, codes));
                }
            }
        }
        in_order(found);
        Ok(())
    }

    /// All that a tier holds of the series in a range: blocks, and the journal over them.
    fn codes(&self, tier: Tier, from: i64, to: i64) -> Result<Found, StoreError> {
        let mut found = Found::new();
        self.blocks(tier, from, to, &mut found)?;
        self.journal(tier, from, to, &mut found)?;
        in_order(&mut found);
        Ok(found)
    }

    fn blocks(&self, tier: Tier, from: i64, to: i64, found: &mut Found) -> Result<(), StoreError> {
        let sql = |e| self.sql(e);
        let (slab, slot) = place(self.series.number);
        let mut blocks = self
            .connection
            .prepare_cached("SELECT id, start, times FROM block WHERE tier = ?1 AND slab = ?2 AND start > ?3 AND start < ?4 ORDER BY start")
            .map_err(sql)?;
        let mut packs = self.connection.prepare_cached("SELECT streams FROM pack WHERE id = ?1").map_err(sql)?;
        let mut rows = blocks.query(params![tier.number(), slab, from - tier.span(), to]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let id: i64 = row.get(0).map_err(sql)?;
            let times = close::times(
                row.get(1).map_err(sql)?,
                row.get_ref(2).map_err(sql)?.as_blob().map_err(|e| sql(e.into()))?,
            );
            let mut found_pack = packs.query([pack_row(id, slot / PACK)]).map_err(sql)?;
            let Some(pack) = found_pack.next().map_err(sql)? else { continue };
            let bytes = pack.get_ref(0).map_err(sql)?.as_blob().map_err(|e| sql(e.into()))?;
            let streams = close::unpack(bytes, tier, slot % PACK, times.len())
                .map_err(|Damaged| close::damaged(self.path, id))?;
            for (point, &at) in times.iter().enumerate().filter(|(_, at)| (from..to).contains(at)) {
                lay(
                    found,
                    at,
                    std::array::from_fn(|stream| streams.get(stream).map_or(streams[0][point], |codes| codes[point])),
                );
            }
        }
        Ok(())
    }

    fn journal(&self, tier: Tier, from: i64, to: i64, found: &mut Found) -> Result<(), StoreError> {
        let sql = |e| self.sql(e);
        let (slab, slot) = place(self.series.number);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT t.at, j.codes FROM tick AS t JOIN journal AS j ON j.id = t.no << 20 | ?4 \
                 WHERE t.tier = ?1 AND t.at > ?2 AND t.at < ?3 ORDER BY t.no",
            )
            .map_err(sql)?;
        let row_span = tier.bucket() * tier.points_per_row() as i64;
        let mut rows = statement.query(params![tier.number(), from - row_span.max(1), to, slab]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let bytes = row.get_ref(1).map_err(sql)?.as_blob().map_err(|e| sql(e.into()))?;
            let point_bytes = 2 * SLAB * tier.streams();
            for (at, point) in close::row_times(tier, row.get(0).map_err(sql)?).zip(bytes.chunks_exact(point_bytes)) {
                if (from..to).contains(&at) {
                    let code = |stream: usize| {
                        let at = 2 * ((stream % tier.streams()) * SLAB + slot);
                        i16::from_le_bytes([point[at], point[at + 1]])
                    };
                    lay(found, at, std::array::from_fn(code));
                }
            }
        }
        Ok(())
    }
}

/// No value replaces nothing.
fn lay(found: &mut Found, at: i64, codes: [i16; 4]) {
    if codes[0] != NONE {
        found.push((at, codes));
    }
}

/// By time; of several at one time the one that was found last stays. Nearly always it is so already.
fn in_order(found: &mut Found) {
    found.sort_by_key(|&(at, _)| at);
    found.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            *earlier = *later;
        }
        same
    });
}

/// Rolls one hour of one series up to `tier`, as closing it would.
fn rolled(tier: Tier, hour: i64, times: &[i64], column: &[i16], precision: Precision) -> Vec<(i64, [i16; 4])> {
    if tier == Tier::Hour {
        return close::hour(column, precision, &mut Vec::new()).map(|codes| (hour, codes)).into_iter().collect();
    }
    (0..FIVES as i64)
        .filter_map(|bucket| {
            let at = hour + bucket * 5 * MINUTE;
            let edge = |at: i64| times.partition_point(|&time| time < at);
            let [mean, max] = close::mean_and_max(&column[edge(at)..edge(at + 5 * MINUTE)], precision)?;
            Some((at, [mean, max, NONE, NONE]))
        })
        .collect()
}

/// Draws points together in steps of `step` milliseconds from `from`.
fn draw_together(points: &[Point], from: i64, step: i64) -> Vec<Point> {
    points
        .chunk_by(|a, b| (a.at.0 - from).div_euclid(step) == (b.at.0 - from).div_euclid(step))
        .map(|part| {
            let highest = |figure: fn(&Point) -> Option<f32>| part.iter().filter_map(figure).reduce(f32::max);
            Point {
                at: Time(from + (part[0].at.0 - from).div_euclid(step) * step),
                span_ms: step,
                mean: (part.iter().map(|p| f64::from(p.mean)).sum::<f64>() / part.len() as f64) as f32,
                max: part.iter().map(|p| p.max).fold(f32::MIN, f32::max),
                min: part.iter().filter_map(|p| p.min).reduce(f32::min),
                p95: highest(|p| p.p95),
            }
        })
        .collect()
}
