//! How a network treats frames.

use std::time::Duration;

use crate::Dice;

/// What happens to the frames of a live connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weather {
    /// The shortest and the longest delay.
    pub delay: (Duration, Duration),
    /// How many frames in a thousand are lost. QUIC loses none of a live connection; sync must bear it all the same.
    pub lost: u32,
    /// How many frames in a thousand arrive twice.
    pub repeated: u32,
    /// Whether frames of one direction keep their order.
    pub in_order: bool,
}

impl Weather {
    /// What QUIC promises: no loss, no repetition, and order.
    pub fn clear() -> Self {
        let delay = (Duration::from_millis(2), Duration::from_millis(90));
        Self { delay, lost: 0, repeated: 0, in_order: true }
    }

    /// Worse than any transport that is in use.
    pub fn foul(dice: &mut Dice) -> Self {
        let longest = dice.between(Duration::from_millis(100), Duration::from_millis(1500));
        Self {
            delay: (Duration::from_millis(2), longest),
            lost: u32::try_from(dice.below(250)).unwrap_or(0),
            repeated: u32::try_from(dice.below(100)).unwrap_or(0),
            in_order: false,
        }
    }

    /// Either, by chance.
    pub fn any(dice: &mut Dice) -> Self {
        if dice.chance(500) { Self::clear() } else { Self::foul(dice) }
    }
}
