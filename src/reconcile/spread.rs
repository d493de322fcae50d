//! Many clusters in one process do not beat in step: each has its own place in a turn's length, by its name, so that it is the same
//! after every start. A turn is never later for it, and a bell waits for nobody.

use std::time::Duration;

/// The first looks after a start are spread over this: short beside a turn, and long enough for hundreds of clusters.
const FIRST_WITHIN: Duration = Duration::from_secs(2);

/// One cluster's place among the others. [`Spread::default`]: it is alone, and looks at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread(Option<f64>);

impl Spread {
    /// The place that belongs to a name.
    pub fn of(name: &str) -> Self {
        // FNV-1a, and its bits mixed: names that differ in their last digit are neighbours otherwise.
        let eat = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let mut hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, eat);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(Some(((hash ^ (hash >> 31)) >> 11) as f64 / (1_u64 << 53) as f64))
    }

    /// How long to wait before the first look.
    pub(super) fn first(self) -> Duration {
        self.0.map_or(Duration::ZERO, |place| FIRST_WITHIN.mul_f64(place))
    }

    /// How long to wait for the next quiet turn: until the clock, `ran` after its start, comes to this cluster's place again. At
    /// most the pace; whatever rang in between, the next turn is in its place.
    pub(super) fn pause(self, pace: Duration, ran: Duration) -> Duration {
        let Some(place) = self.0.filter(|_| !pace.is_zero()) else { return pace };
        let into = Duration::from_secs_f64(ran.as_secs_f64() % pace.as_secs_f64());
        let place = pace.mul_f64(place);
        let left = if place > into { place - into } else { (pace + place).saturating_sub(into) };
        left.min(pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_secs(60);

    #[test]
    fn one_that_is_alone_waits_for_nobody() {
        let alone = Spread::default();
        assert_eq!((alone.first(), alone.pause(PACE, Duration::from_secs(17))), (Duration::ZERO, PACE));
    }

    #[test]
    fn clusters_of_a_fleet_take_turns_and_keep_their_places() {
        let mut looks = [0; 10];
        for n in 0..100 {
            let spread = Spread::of(&format!("cluster-{n:03}"));
            let first = spread.first();
            assert!(first < FIRST_WITHIN);
            looks[(first.as_secs_f64() / FIRST_WITHIN.as_secs_f64() * 10.0) as usize] += 1;
            // All are rung at one moment, whenever that is: the next turn of each is at its place again.
            for rung in [0_u64, 1, 59, 60, 61, 100_003, 9_000_000] {
                let rung = Duration::from_secs(rung);
                let pause = spread.pause(PACE, rung);
                assert!(pause <= PACE, "never late: {pause:?}");
                let place = (rung + pause).as_secs_f64() % 60.0;
                let off = (place - first.as_secs_f64() * 30.0).abs();
                assert!(!(1e-3..=59.99).contains(&off), "{place} is not the place of {n}");
            }
        }
        assert!(looks.iter().all(|count| (2..=20).contains(count)), "{looks:?}");
    }
}
