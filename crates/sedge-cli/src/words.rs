//! Durations, sizes and shares as people write them.

use std::time::Duration;

use sedge_statement::{ByteSize, LabelKey, LabelValue, Percent, Priority, Timestamp, WaveOrderError, WaveSize};

/// Why text is none of these. The message names what may be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WordError {
    /// A number and a unit, or several.
    #[error("is not a duration; write 90s, 10m, 1h30m or 2d")]
    Duration,
    /// A date and time, or a length of time.
    #[error("is no time; write 2026-11-20T08:00:00Z, or how long ago it was, as 2d")]
    Moment,
    /// Longer than anything lasts.
    #[error("is longer than a hundred years; write 36500d at most")]
    TooLong,
    /// A number and a unit.
    #[error("is not a size; write 512KiB, 2MiB or 1GiB (or KB, MB, GB for powers of ten)")]
    Size,
    /// A whole percentage.
    #[error("is not a share; write 1% to 100%")]
    Percent,
    /// A digit.
    #[error("is not a priority; write 1 (first) to 5 (last)")]
    Priority,
    /// Numbers of nodes, and shares.
    #[error("is not a list of waves; write numbers of nodes and shares, as 1 or 1,25%,100%")]
    Waves,
    /// Shares that do not grow.
    #[error("is no order of waves: {0}")]
    WaveOrder(#[from] WaveOrderError),
    /// A pair.
    #[error("is not a pair; write KEY=VALUE")]
    Pair,
    /// One side of a pair.
    #[error("is not a label: {0}")]
    Label(String),
}

/// The longest that may be written: no moment it leads to is beyond what a timestamp can say.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// `90s`, `10m`, `1h30m`, `2d`, `250ms`; `0` needs no unit. A hundred years at most.
pub(crate) fn duration(text: &str) -> Result<Duration, WordError> {
    const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(WordError::Duration)?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| WordError::Duration)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let scale = UNITS.iter().find(|(word, _)| *word == unit).ok_or(WordError::Duration)?.1;
        let part = number.checked_mul(scale).ok_or(WordError::Duration)?;
        millis = millis.checked_add(part).ok_or(WordError::Duration)?;
        rest = tail;
    }
    match Duration::from_millis(millis) {
        _ if text.is_empty() => Err(WordError::Duration),
        long if long > LONGEST => Err(WordError::TooLong),
        time => Ok(time),
    }
}

/// `2MiB`, `1.5GiB`, `100KB`, `4096`; a rate is a size a second, and `/s` may stand behind it.
pub(crate) fn size(text: &str) -> Result<ByteSize, WordError> {
    const UNITS: [(&str, u64); 12] = [
        ("b", 1),
        ("k", 1 << 10),
        ("kib", 1 << 10),
        ("kb", 1000),
        ("m", 1 << 20),
        ("mib", 1 << 20),
        ("mb", 1_000_000),
        ("g", 1 << 30),
        ("gib", 1 << 30),
        ("gb", 1_000_000_000),
        ("tib", 1 << 40),
        ("tb", 1_000_000_000_000),
    ];
    let text = text.strip_suffix("/s").unwrap_or(text);
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim().to_ascii_lowercase();
    let scale = match unit.as_str() {
        "" => 1,
        word => UNITS.iter().find(|(u, _)| *u == word).ok_or(WordError::Size)?.1,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.len() > 6 {
        return Err(WordError::Size);
    }
    let whole: u64 = whole.parse().map_err(|_| WordError::Size)?;
    let digits = u32::try_from(part.len()).map_err(|_| WordError::Size)?;
    let part: u64 = part.parse().map_err(|_| WordError::Size)?;
    let fraction = u128::from(part) * u128::from(scale) / u128::from(10u64.pow(digits));
    let fraction = u64::try_from(fraction).map_err(|_| WordError::Size)?;
    let bytes = whole.checked_mul(scale).and_then(|n| n.checked_add(fraction)).ok_or(WordError::Size)?;
    Ok(ByteSize(bytes))
}

/// As [`size`], but a rate of nothing would wait for ever.
pub(crate) fn rate(text: &str) -> Result<ByteSize, WordError> {
    size(text).and_then(|rate| if rate.get() == 0 { Err(WordError::Size) } else { Ok(rate) })
}

/// `80%` or `80`.
pub(crate) fn percent(text: &str) -> Result<Percent, WordError> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<u8>().map_err(|_| WordError::Percent)?;
    Percent::try_from(number).map_err(|_| WordError::Percent)
}

/// `1` to `5`.
pub(crate) fn priority(text: &str) -> Result<Priority, WordError> {
    let number = text.parse::<u8>().map_err(|_| WordError::Priority)?;
    Priority::try_from(number).map_err(|_| WordError::Priority)
}

/// The sizes of a rollout's waves before the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waves(pub(crate) Vec<WaveSize>);

/// `1`, `1,3` or `1,25%,100%`.
pub(crate) fn waves(text: &str) -> Result<Waves, WordError> {
    let sizes = text.split(',').map(|part| part.trim().parse().map_err(|_| WordError::Waves));
    let sizes: Vec<WaveSize> = sizes.collect::<Result<_, _>>()?;
    WaveSize::check(&sizes)?;
    Ok(Waves(sizes))
}

/// `KEY=VALUE`, both names.
pub(crate) fn label(text: &str) -> Result<(LabelKey, LabelValue), WordError> {
    let (key, value) = text.split_once('=').ok_or(WordError::Pair)?;
    let key = key.parse().map_err(|e| WordError::Label(format!("{key:?} {e}")))?;
    let value = value.parse().map_err(|e| WordError::Label(format!("{value:?} {e}")))?;
    Ok((key, value))
}

/// A label to set, or one to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelEdit {
    pub(crate) key: LabelKey,
    pub(crate) value: Option<LabelValue>,
}

/// `KEY=VALUE` sets, `KEY-` removes.
pub(crate) fn label_edit(text: &str) -> Result<LabelEdit, WordError> {
    if let Some(key) = text.strip_suffix('-').filter(|key| !key.contains('=')) {
        let key = key.parse().map_err(|e| WordError::Label(format!("{key:?} {e}")))?;
        return Ok(LabelEdit { key, value: None });
    }
    label(text).map(|(key, value)| LabelEdit { key, value: Some(value) })
}

/// A time in RFC 3339, or how long ago it was: `2026-11-20T08:00:00Z`, `2d`.
pub(crate) fn moment(text: &str) -> Result<Timestamp, WordError> {
    if let Ok(ago) = duration(text) {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(Timestamp::from_millis(now().as_millis().saturating_sub(ago)));
    }
    serde_json::from_value(serde_json::Value::from(text)).map_err(|_| WordError::Moment)
}

/// `KEY=VALUE`, any text.
pub(crate) fn pair(text: &str) -> Result<(String, String), WordError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(WordError::Pair),
    }
}

/// A length of time for a person, in its two greatest units: `2d 3h`, `1m 30s`, `1.2s`, `40ms`.
pub(crate) fn show_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |a: u64, unit_a: &str, b: u64, unit_b: &str| {
        if b == 0 { format!("{a}{unit_a}") } else { format!("{a}{unit_a} {b}{unit_b}") }
    };
    match seconds {
        0 if time.as_millis() == 0 && !time.is_zero() => "under 1ms".to_owned(),
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{seconds}.{}s", time.subsec_millis() / 100),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// How long ago, for a person; a clock that is behind makes it now.
pub(crate) fn show_age(then: Timestamp, now: Timestamp) -> String {
    let age = now.since(then);
    if age < Duration::from_secs(1) { "now".to_owned() } else { format!("{} ago", show_duration(age)) }
}

/// This moment, by this machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(0).plus(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let millis = |text: &str| duration(text).map(|d| d.as_millis());
        assert_eq!(millis("90s"), Ok(90_000));
        assert_eq!(millis("10m"), Ok(600_000));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("2d"), Ok(172_800_000));
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("0"), Ok(0));
        for wrong in ["", "10", "s", "1y", "-1s", "1.5h", "99999999999999999999d", "999999999999999999d", "1h 30m"] {
            assert_eq!(duration(wrong), Err(WordError::Duration), "{wrong:?}");
        }
        assert_eq!(duration("36500d"), Ok(LONGEST));
        assert_eq!(duration("36500d1ms"), Err(WordError::TooLong));
    }

    #[test]
    fn sizes_are_numbers_with_units_of_either_kind() {
        let bytes = |text: &str| size(text).map(ByteSize::get);
        assert_eq!(bytes("2MiB"), Ok(2 << 20));
        assert_eq!(bytes("1.5GiB"), Ok(3 << 29));
        assert_eq!(bytes("100KB/s"), Ok(100_000));
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("24m"), Ok(24 << 20));
        for wrong in ["", "MiB", "-1", "1.2.3MiB", "1XiB", "99999999999999TiB", "1.0000001MiB", "."] {
            assert_eq!(size(wrong), Err(WordError::Size), "{wrong:?}");
        }
        assert_eq!(rate("0"), Err(WordError::Size));
    }

    #[test]
    fn shares_priorities_and_waves_stay_in_their_ranges() {
        assert_eq!(percent("80%").map(|p| p.to_string()), Ok("80%".to_owned()));
        assert_eq!(percent("100"), Ok(Percent::ALL));
        assert_eq!(percent("0%"), Err(WordError::Percent));
        assert_eq!(percent("101%"), Err(WordError::Percent));
        assert_eq!(priority("1").map(u8::from), Ok(1));
        assert_eq!(priority("6"), Err(WordError::Priority));
        assert_eq!(waves("1, 3"), Ok(Waves(vec![WaveSize::Count(1), WaveSize::Count(3)])));
        let share = |n| WaveSize::Share(Percent::try_from(n).expect("a share"));
        assert_eq!(waves("1,25%,100%"), Ok(Waves(vec![WaveSize::Count(1), share(25), share(100)])));
        assert!(matches!(waves("50%,25%"), Err(WordError::WaveOrder(_))));
        assert!(matches!(waves("25%,1,25%"), Err(WordError::WaveOrder(_))));
        assert_eq!(waves("1,0%"), Err(WordError::Waves));
        assert_eq!(waves("1,0"), Err(WordError::Waves));
        assert_eq!(waves(""), Err(WordError::Waves));
    }

    #[test]
    fn pairs_and_labels_are_split_at_the_first_equals_sign() {
        assert_eq!(pair("note=a=b"), Ok(("note".to_owned(), "a=b".to_owned())));
        assert_eq!(pair("=b"), Err(WordError::Pair));
        assert!(label("site=oslo").is_ok());
        assert!(matches!(label("site=Oslo"), Err(WordError::Label(_))));
        assert_eq!(label("site"), Err(WordError::Pair));
    }

    #[test]
    fn lengths_of_time_are_shown_in_two_units() {
        assert_eq!(show_duration(Duration::from_micros(300)), "under 1ms");
        let show = |millis| show_duration(Duration::from_millis(millis));
        assert_eq!(show(40), "40ms");
        assert_eq!(show(1250), "1.2s");
        assert_eq!(show(90_000), "1m 30s");
        assert_eq!(show(3_600_000), "1h");
        assert_eq!(show(183_600_000), "2d 3h");
    }
}
