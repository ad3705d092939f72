//! Spans of the week as people write them: `mon-fri 22:00-06:00`, `sat,sun`, `2026-12-24..2026-12-26 00:00-24:00`.
//!
//! A span is up to three words in any order: days, dates, and times. What is not given is no limit: all days, all dates, the whole day.

use std::ops::Range;

use jiff::civil::Date;
use ulm_model::CalendarSpan;

/// What is wrong, and with which bytes of the text.
type Refused = (Range<usize>, String);

/// A word and where it begins.
type Word<'w> = (usize, &'w str);

pub(crate) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_A_DAY: u16 = 1440;
const EXAMPLES: &str = "e.g. \"mon-fri 22:00-06:00\", \"sat,sun\" or \"2026-12-24..2026-12-26\"";

/// Reads one span.
pub(crate) fn span(text: &str) -> Result<CalendarSpan, Refused> {
    let (mut days, mut dates, mut times) = (None, None, None);
    let mut any = false;
    for word in words(text) {
        let (slot, what): (&mut Option<Word<'_>>, _) = match word.1 {
            part if part.contains(':') => (&mut times, "times"),
            part if part.starts_with(|c: char| c.is_ascii_digit()) => (&mut dates, "dates"),
            _ => (&mut days, "days"),
        };
        if slot.replace(word).is_some() {
            return Err((
                range(word),
                format!("these are the second {what} of one span: write two spans, or days with a comma, e.g. sat,sun"),
            ));
        }
        any = true;
    }
    if !any {
        return Err((0..text.len(), format!("this is empty: write days, dates or times, {EXAMPLES}")));
    }
    let (from, to) = times.map_or(Ok((0, MINUTES_OF_A_DAY)), times_of)?;
    Ok(CalendarSpan { days: days.map_or(Ok([true; 7]), days_of)?, from, to, dates: dates.map(dates_of).transpose()? })
}

fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace().map(move |word| (start(word), word))
}

fn range((at, word): Word<'_>) -> Range<usize> {
    at..at + word.len()
}

/// `mon-fri,sun`; `fri-mon` goes over the end of the week.
fn days_of((at, word): Word<'_>) -> Result<[bool; 7], Refused> {
    let mut days = [false; 7];
    let mut start = at;
    for part in word.split(',') {
        let (first, last) = part.split_once('-').map_or((part, None), |(first, last)| (first, Some(last)));
        let from = day((start, first))?;
        let to = match last {
            Some(last) => day((start + first.len() + 1, last))?,
            None => from,
        };
        let mut day = from;
        days[day] = true;
        while day != to {
            day = (day + 1) % DAYS.len();
            days[day] = true;
        }
        start += part.len() + 1;
    }
    Ok(days)
}

fn day(word: Word<'_>) -> Result<usize, Refused> {
    let small = word.1.to_ascii_lowercase();
    DAYS.iter().position(|day| *day == small).ok_or_else(|| {
        let named =
            if word.1.is_empty() { "a day is missing here".to_owned() } else { format!("`{}` is no day", word.1) };
        (range(word), format!("{named}: days are {}", DAYS.join(", ")))
    })
}

fn dates_of((at, word): Word<'_>) -> Result<(Date, Date), Refused> {
    let Some((first, last)) = word.split_once("..") else {
        let date = date((at, word))?;
        return Ok((date, date));
    };
    let dates = (date((at, first))?, date((at + first.len() + 2, last))?);
    if dates.1 < dates.0 {
        return Err((range((at, word)), "the last date is before the first".into()));
    }
    Ok(dates)
}

fn date(word: Word<'_>) -> Result<Date, Refused> {
    let shape = word.1.len() == 10 && word.1.bytes().filter(|byte| *byte == b'-').count() == 2;
    let read = shape.then(|| word.1.parse().ok()).flatten();
    read.ok_or_else(|| {
        let label = format!("`{}` is no date: dates are like 2026-12-24, or 2026-12-24..2026-12-26", word.1);
        (range(word), label)
    })
}

fn times_of((at, word): Word<'_>) -> Result<(u16, u16), Refused> {
    let Some((from, to)) = word.split_once('-') else {
        return Err((range((at, word)), "times are from and to, e.g. 22:00-06:00".into()));
    };
    let begins = minute((at, from))?;
    let ends = minute((at + from.len() + 1, to))?;
    if begins == MINUTES_OF_A_DAY {
        return Err((range((at, from)), "24:00 is the end of a day: begin at 00:00 of the next".into()));
    }
    Ok((begins, ends))
}

fn minute(word: Word<'_>) -> Result<u16, Refused> {
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| digits(text).then(|| text.parse::<u16>().ok()).flatten();
    let read = word.1.split_once(':').and_then(|(hours, minutes)| Some((number(hours)?, number(minutes)?)));
    match read {
        Some((24, 0)) => Ok(MINUTES_OF_A_DAY),
        Some((hours, minutes)) if hours < 24 && minutes < 60 => Ok(hours * 60 + minutes),
        _ => Err((range(word), format!("`{}` is no time of day: these are 00:00 to 24:00", word.1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> String {
        span(text).unwrap().days.iter().map(|on| if *on { 'x' } else { '.' }).collect()
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        let night = span("mon-fri 22:00-06:00").unwrap();
        assert_eq!((night.from, night.to, night.dates), (1320, 360, None));
        assert_eq!(days("mon-fri"), "xxxxx..");
        assert_eq!(days("sat,Sun"), ".....xx");
        assert_eq!(days("fri-mon,wed"), "x.x.xxx");
        let holidays = span("2026-12-24..2026-12-26 00:00-24:00").unwrap();
        let day = |day| Date::new(2026, 12, day).unwrap();
        assert_eq!((holidays.from, holidays.to, holidays.dates), (0, 1440, Some((day(24), day(26)))));
        assert_eq!(span("02:00-03:30 2026-12-24 sat").unwrap().dates, Some((day(24), day(24))));
        assert_eq!(days("02:00-03:30"), "xxxxxxx");
    }

    #[test]
    fn what_is_wrong_is_marked_to_the_letter() {
        let refused = |text: &str| span(text).map_err(|(range, why)| (text[range].to_owned(), why)).unwrap_err();
        assert_eq!(refused("mon-fry 22:00-06:00").0, "fry");
        assert_eq!(refused("mon,,tue").0, "");
        assert_eq!(refused("sat 22:00-25:00").0, "25:00");
        assert_eq!(refused("sat 22:00").0, "22:00");
        assert_eq!(refused("24:00-06:00").0, "24:00");
        assert_eq!(refused("2026-12-24..2026-12-32").0, "2026-12-32");
        assert_eq!(refused("2026-12-26..2026-12-24").0, "2026-12-26..2026-12-24");
        assert_eq!(refused("sat sun").0, "sun");
        assert!(refused(" ").1.starts_with("this is empty"));
        assert_eq!(refused("sät").0, "sät");
    }
}
