//! Wall-clock instants as statements carry them.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whole milliseconds, as JSON and documents carry a length of time; the most there are for a longer one.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An instant: milliseconds since the Unix epoch, UTC, from 1970 to the end of the year 9999.
///
/// Statements carry it; pure crates take it as `now`. It orders nothing across authors: clocks differ. RFC 3339, and so
/// JSON, knows no later year: a later instant would be written as what no reader takes. Bytes that name one are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last instant: 9999-12-31T23:59:59.999Z.
    pub const LAST: Self = Self(253_402_300_799_999);

    /// An instant from milliseconds since the Unix epoch; [`Timestamp::LAST`] for any later one.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::LAST.0 { Self::LAST } else { Self(millis) }
    }

    /// An instant that somebody else wrote down; none where it is after [`Timestamp::LAST`].
    pub const fn stated(millis: u64) -> Option<Self> {
        if millis > Self::LAST.0 { None } else { Some(Self(millis)) }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This instant moved forward by `by`, to [`Timestamp::LAST`] at most.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(by)))
    }

    /// How long after `earlier` this is; zero where it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).expect("the last instant is far below i64");
        let time = DateTime::<Utc>::from_timestamp_millis(millis).expect("the last instant is far below chrono's");
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(t: DateTime<Utc>) -> Self {
        Self::from_millis(u64::try_from(t.timestamp_millis()).unwrap_or(0))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            let t = DateTime::parse_from_rfc3339(&text).map_err(serde::de::Error::custom)?;
            Ok(t.with_timezone(&Utc).into())
        } else {
            let after = || serde::de::Error::custom("a time after the year 9999");
            u64::deserialize(d).and_then(|millis| Self::stated(millis).ok_or_else(after))
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may unwrap")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec;

    proptest! {
        #[test]
        fn every_instant_survives_json_and_the_canonical_encoding(
            millis in prop_oneof![any::<u64>(), 0..=Timestamp::LAST.0]
        ) {
            let time = Timestamp::from_millis(millis);
            let json = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time, "{}", json);
            prop_assert_eq!(codec::decode::<Timestamp>(&codec::encode(&time), 10), Ok(time));
        }

        #[test]
        fn every_instant_moved_by_any_time_survives_json(from in any::<u64>(), seconds in any::<u64>()) {
            let time = Timestamp::from_millis(from).plus(Duration::from_secs(seconds));
            let json = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time, "{}", json);
        }
    }

    #[test]
    fn time_ends_with_the_year_9999() {
        let last = Timestamp::LAST.as_millis();
        assert_eq!(Timestamp::LAST.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::stated(last), Some(Timestamp::LAST));
        assert_eq!(Timestamp::stated(last + 1), None);
        assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp::LAST);
        assert_eq!(codec::decode::<Timestamp>(&codec::encode(&last), 10), Ok(Timestamp::LAST));
        assert_eq!(codec::decode::<Timestamp>(&codec::encode(&(last + 1)), 10), Err(codec::CodecError::Malformed));
        // In Greenwich this is the year 10000.
        let late = serde_json::from_str::<Timestamp>("\"9999-12-31T23:59:59-23:00\"");
        assert_eq!(late.unwrap(), Timestamp::LAST);
    }
}
