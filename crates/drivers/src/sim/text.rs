//! How quantities are written in a scenario: `"8 GiB"`, `"10 Gbit/s"`, `"2026-03-02T08:00:00Z"`.
//!
//! Plain integers are bytes and bytes per second. Each submodule is for `#[serde(with = …)]`.

use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

/// Splits `"1.5 GiB"` into the number and the unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

fn bytes_per(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "kbit" => 1e3 / 8.0,
        "Mbit" => 1e6 / 8.0,
        "Gbit" => 1e9 / 8.0,
        _ => return None,
    })
}

fn amount(text: &str, suffix: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit = unit.strip_suffix(suffix)?;
    Some((number * bytes_per(unit.trim())?).round() as u64)
}

fn read<'d, D: Deserializer<'d>>(from: D, suffix: &str, example: &str) -> Result<u64, D::Error> {
    match NumberOrText::deserialize(from)? {
        NumberOrText::Number(n) => Ok(n),
        NumberOrText::Text(text) => amount(&text, suffix).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a quantity here; write it like `{example}`"))
        }),
    }
}

/// The largest binary unit that divides the number.
fn written(n: u64, suffix: &str) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if n > 0 && n.is_multiple_of(size) {
            return format!("{} {unit}{suffix}", n / size);
        }
    }
    format!("{n} B{suffix}")
}

/// Amounts of memory: `"512 MiB"`, `"8 GiB"`, `"1.5 GB"`.
pub(super) mod bytes {
    use serde::{Deserializer, Serializer};
    use ulm_model::Bytes;

    pub fn serialize<S: Serializer>(value: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::written(value.0, ""))
    }
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Bytes, D::Error> {
        super::read(from, "", "8 GiB").map(Bytes)
    }
}

/// Amounts of memory that may be left out.
pub(super) mod maybe_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use ulm_model::Bytes;

    #[derive(Serialize, Deserialize)]
    struct Amount(#[serde(with = "super::bytes")] Bytes);

    pub fn serialize<S: Serializer>(value: &Option<Bytes>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Amount).serialize(to)
    }
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Bytes>, D::Error> {
        Ok(Option::<Amount>::deserialize(from)?.map(|amount| amount.0))
    }
}

/// Rates: `"10 Gbit/s"`, `"120 MiB/s"`.
pub(super) mod rate {
    use serde::{Deserializer, Serializer};
    use ulm_model::BytesPerSecond;

    pub fn serialize<S: Serializer>(value: &BytesPerSecond, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::written(value.0, "/s"))
    }
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<BytesPerSecond, D::Error> {
        super::read(from, "/s", "10 Gbit/s").map(BytesPerSecond)
    }
}

/// Rates that may be left out.
pub(super) mod maybe_rate {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use ulm_model::BytesPerSecond;

    #[derive(Serialize, Deserialize)]
    struct Rate(#[serde(with = "super::rate")] BytesPerSecond);

    pub fn serialize<S: Serializer>(value: &Option<BytesPerSecond>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Rate).serialize(to)
    }
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<BytesPerSecond>, D::Error> {
        Ok(Option::<Rate>::deserialize(from)?.map(|rate| rate.0))
    }
}

/// Points in time, as RFC 3339 in UTC with whole seconds.
pub(super) mod time {
    use serde::{Deserialize, Deserializer, Serializer};
    use ulm_model::Time;

    pub fn serialize<S: Serializer>(value: &Time, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Time, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a time; write it like `2026-03-02T08:00:00Z`"))
        })
    }

    /// Days from civil, by Howard Hinnant's method.
    pub(super) fn parse(text: &str) -> Option<Time> {
        let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
        let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let sound = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (1970..10_000).contains(&year);
        if !sound {
            return None;
        }
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let time = Time((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000);
        // 30 February becomes 2 March on the way back.
        (time.to_string() == text).then_some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulm_model::Time;

    #[test]
    fn quantities_are_read_as_people_write_them() {
        assert_eq!(amount("8 GiB", ""), Some(8 << 30));
        assert_eq!(amount("1.5MiB", ""), Some(3 << 19));
        assert_eq!(amount("10 Gbit/s", "/s"), Some(1_250_000_000));
        assert_eq!(amount("10 Gbit", "/s"), None);
        assert_eq!(amount("much", ""), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for n in [0, 1, 1023, 1 << 20, 3 << 30, (3 << 30) + 1] {
            assert_eq!(amount(&written(n, "/s"), "/s"), Some(n));
        }
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for text in ["1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2026-11-21T07:27:09Z"] {
            assert_eq!(time::parse(text).map(|t| t.to_string()).as_deref(), Some(text));
        }
        assert_eq!(time::parse("1970-01-02T00:00:01Z"), Some(Time(86_401_000)));
        assert_eq!(time::parse("2026-02-30T00:00:00Z"), None);
        assert_eq!(time::parse("yesterday"), None);
    }
}
