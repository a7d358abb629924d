//! A node's fast facts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ByteSize, RangeError};

/// How many tasks want the processor, in hundredths, over the last minute: 150 is one and a half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Load(pub u32);

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// A temperature in tenths of a degree Celsius.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Temperature(pub i16);

impl fmt::Display for Temperature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let tenths = self.0.unsigned_abs();
        write!(f, "{sign}{}.{} °C", tenths / 10, tenths % 10)
    }
}

/// How full a battery is, 0 to 100 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Charge(u8);

impl TryFrom<u8> for Charge {
    type Error = RangeError;
    fn try_from(n: u8) -> Result<Self, RangeError> {
        if n <= 100 { Ok(Self(n)) } else { Err(RangeError { from: 0, to: 100 }) }
    }
}

impl From<Charge> for u8 {
    fn from(charge: Charge) -> Self {
        charge.0
    }
}

impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// What changes by the second on a node. It travels by presence alone: no document holds it, no plan is made of it, and it proves
/// nothing. What the machine does not say is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gauges {
    /// Memory that could be allocated right now.
    #[serde(rename = "memory_free_bytes")]
    pub memory_free: Option<ByteSize>,
    /// How busy its processors are.
    #[serde(rename = "load_hundredths")]
    pub load: Option<Load>,
    /// Of its hottest part.
    #[serde(rename = "temperature_tenths")]
    pub temperature: Option<Temperature>,
    /// Of its emptiest battery.
    #[serde(rename = "battery_percent")]
    pub battery: Option<Charge>,
    /// Requests that its models are answering or have waiting.
    pub queue: Option<u32>,
}

impl fmt::Display for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.memory_free.map(|memory| format!("{memory} free")),
            self.load.map(|load| format!("load {load}")),
            self.temperature.map(|temperature| temperature.to_string()),
            self.battery.map(|battery| format!("battery {battery}")),
            self.queue.map(|queue| format!("{queue} requests")),
        ];
        let said: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_shown_with_their_units_and_what_is_absent_is_not() {
        let all = Gauges {
            memory_free: Some(ByteSize::mib(512)),
            load: Some(Load(105)),
            temperature: Some(Temperature(-5)),
            battery: Charge::try_from(0).ok(),
            queue: Some(2),
        };
        assert_eq!(all.to_string(), "512.0 MiB free, load 1.05, -0.5 °C, battery 0%, 2 requests");
        assert_eq!(Gauges { load: Some(Load(7)), ..Gauges::default() }.to_string(), "load 0.07");
        assert!(Charge::try_from(101).is_err());
    }
}
