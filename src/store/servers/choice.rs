//! Which server of a cluster is written to: a pure decision on what was seen of each.
//!
//! Every process looks at the same list and takes the first of it that it may, so that all of one
//! deployment write in one place. It asks nobody and changes nothing; who looks is `look.rs`.

/// What a look at a server has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Writes(Era),
    /// It answers, and takes no writes: a standby, a node that is not ready.
    Refuses,
    /// It did not answer in time, or could not be reached.
    Silent,
}

/// Tells a server that others have gone on without from those that went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// There is none.
    Plain,
    /// Galera's number of the group's present membership. It may begin anew with the whole cluster.
    Membership(i64),
    /// PostgreSQL's timeline. A promoted standby begins the next one, and none ever comes back.
    Timeline(i64),
}

/// So many looks in a row an earlier server must be fit before it is gone back to.
const RETURN_AFTER: u32 = 20;
/// So many looks in a row show that a server is lost that may only have been slow.
const DOUBTS: u32 = 2;

/// Remembers what the next decision needs of the former ones.
#[derive(Debug)]
pub struct Choice {
    current: Option<usize>,
    newest_timeline: Era,
    /// A node that says it is alone after that was cut off by somebody.
    was_galera: bool,
    /// For how many looks each has been fit.
    fit_for: Vec<u32>,
    doubts: u32,
}

impl Choice {
    pub fn among(servers: usize) -> Self {
        Self {
            current: None,
            newest_timeline: Era::Plain,
            was_galera: false,
            fit_for: vec![0; servers],
            doubts: 0,
        }
    }

    /// The server to write to; `None`: there is none now.
    pub fn decide(&mut self, seen: &[Seen]) -> Option<usize> {
        let newest = self.newest(seen);
        self.was_galera |= matches!(newest, Era::Membership(_));
        let alone = self.was_galera && newest == Era::Plain;
        let is_fit = |seen: &Seen| matches!(seen, Seen::Writes(era) if *era == newest && !alone);
        for (looks, seen) in self.fit_for.iter_mut().zip(seen) {
            *looks = if is_fit(seen) { looks.saturating_add(1) } else { 0 };
        }
        let first = seen.iter().position(is_fit)?;
        let Some(current) = self.current else { return self.go_to(first) };
        if seen.get(current).is_some_and(is_fit) {
            self.doubts = 0;
            let returned = (0..current).find(|earlier| self.fit_for[*earlier] >= RETURN_AFTER);
            return self.go_to(returned.unwrap_or(current));
        }
        self.doubts += 1;
        // Of PostgreSQL only one writes; where several may, nobody else is in a hurry.
        let certain = seen.get(current) == Some(&Seen::Refuses)
            || matches!(newest, Era::Timeline(_))
            || self.doubts >= DOUBTS;
        if certain { self.go_to(first) } else { None }
    }

    fn go_to(&mut self, server: usize) -> Option<usize> {
        self.doubts = 0;
        self.current = Some(server);
        self.current
    }

    /// The era that a server must be in. Timelines are remembered: a former primary that alone
    /// answers is still a former one.
    fn newest(&mut self, seen: &[Seen]) -> Era {
        let eras = seen.iter().filter_map(|seen| match seen {
            Seen::Writes(era) => Some(*era),
            Seen::Refuses | Seen::Silent => None,
        });
        let newest = eras.max().unwrap_or(Era::Plain).max(self.newest_timeline);
        if let Era::Timeline(_) = newest {
            self.newest_timeline = newest;
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Seen::{Refuses, Silent};

    const fn timeline(number: i64) -> Seen {
        Seen::Writes(Era::Timeline(number))
    }
    const fn member(number: i64) -> Seen {
        Seen::Writes(Era::Membership(number))
    }

    /// Each look and what is decided on it.
    #[track_caller]
    fn check(looks: &[(&[Seen], Option<usize>)]) {
        let mut choice = Choice::among(looks[0].0.len());
        for (number, (seen, expected)) in looks.iter().enumerate() {
            assert_eq!(choice.decide(seen), *expected, "look {number}");
        }
    }

    #[test]
    fn the_first_that_writes_is_taken() {
        check(&[(&[Refuses, timeline(1)], Some(1))]);
        check(&[(&[member(3), member(3), member(3)], Some(0))]);
        check(&[(&[Silent, Refuses], None), (&[Silent, timeline(2)], Some(1))]);
    }

    #[test]
    fn a_promoted_standby_is_followed_and_a_thawed_primary_is_not() {
        check(&[
            (&[timeline(1), Refuses], Some(0)),
            (&[Silent, Refuses], None),
            (&[Silent, timeline(2)], Some(1)),
            (&[timeline(1), timeline(2)], Some(1)),
            // The new one is slow for a moment, and the old one answers.
            (&[timeline(1), Silent], None),
            (&[Refuses, timeline(2)], Some(1)),
        ]);
    }

    #[test]
    fn a_thawed_primary_is_left_at_the_first_look() {
        check(&[(&[timeline(1), Refuses], Some(0)), (&[timeline(1), timeline(2)], Some(1))]);
    }

    #[test]
    fn a_process_that_starts_takes_the_newest_primary() {
        check(&[(&[timeline(1), timeline(2)], Some(1))]);
    }

    #[test]
    fn a_node_that_is_slow_for_one_look_is_not_left() {
        check(&[
            (&[member(3), member(3)], Some(0)),
            (&[Silent, member(3)], None),
            (&[member(3), member(3)], Some(0)),
            (&[Silent, member(3)], None),
            (&[Silent, member(4)], Some(1)),
        ]);
    }

    #[test]
    fn a_node_that_refuses_is_left_at_once() {
        check(&[(&[member(3), member(3)], Some(0)), (&[Refuses, member(4)], Some(1))]);
    }

    #[test]
    fn a_node_that_has_not_noticed_that_it_is_alone_is_left() {
        let stale: &[Seen] = &[member(3), member(4)];
        check(&[(&[member(3), member(3)], Some(0)), (stale, None), (stale, Some(1))]);
    }

    #[test]
    fn an_earlier_node_is_gone_back_to_when_it_has_been_well_for_long() {
        let mut choice = Choice::among(2);
        assert_eq!(choice.decide(&[Refuses, member(4)]), Some(1));
        for _ in 1..RETURN_AFTER {
            assert_eq!(choice.decide(&[member(5), member(5)]), Some(1));
        }
        assert_eq!(choice.decide(&[Silent, member(5)]), Some(1));
        for _ in 1..RETURN_AFTER {
            assert_eq!(choice.decide(&[member(5), member(5)]), Some(1));
        }
        assert_eq!(choice.decide(&[member(5), member(5)]), Some(0));
    }

    #[test]
    fn a_node_that_left_its_cluster_for_repair_is_not_written_to() {
        let alone: &[Seen] = &[Silent, Seen::Writes(Era::Plain)];
        let (whole, one) = (&[member(3), member(3)], &[member(4), Seen::Writes(Era::Plain)]);
        check(&[(whole, Some(0)), (alone, None), (alone, None), (alone, None), (one, Some(0))]);
    }

    #[test]
    fn a_cluster_that_was_made_anew_is_taken() {
        check(&[(&[member(9)], Some(0)), (&[Refuses], None), (&[member(1)], Some(0))]);
    }
}
