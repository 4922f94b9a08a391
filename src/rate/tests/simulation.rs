//! A table of which others take a part, and jobs that have to find out what is left.
//!
//! The fake is harder than DynamoDB: it saves up one second's units instead of 300, and jobs may ask for many
//! times what is left.

use super::*;

/// How long DynamoDB takes to answer.
const ANSWER: Duration = Duration::from_millis(40);

/// A table, or a partition where that is what throttles.
#[derive(Clone)]
struct FakeTable {
    units: f64,
    at: Instant,
}

impl FakeTable {
    /// Whether a request is let in at this time: while there is anything left, since nobody knows what it will
    /// cost.
    fn take(&mut self, cost: f64, left: f64, now: Instant) -> bool {
        let time = now.saturating_duration_since(self.at).as_secs_f64();
        (self.units, self.at) = ((self.units + left * time).min(left), now);
        let is_let_in = self.units > 0.0;
        if is_let_in {
            self.units -= cost;
        }
        is_let_in
    }
}

/// A request that is waiting to be sent, or on its way back.
struct Request {
    job: usize,
    due: Instant,
    answer: Option<bool>,
}

struct Scenario {
    jobs: usize,
    in_flight: usize,
    reason: Throttle,
    /// Units a second for all jobs together.
    ceiling: f64,
    cost: f64,
}

impl Scenario {
    /// Runs for so many minutes. `left` is what others leave in each of them, in units a second: of the table,
    /// or of each job's partition.
    fn run(&self, minutes: usize, left: impl Fn(usize, usize) -> f64) -> Vec<Minute> {
        let (start, rates) = (Instant::now(), TableRates::default());
        let ceiling = Ceiling::new(self.ceiling / self.jobs as f64);
        let mut paces: Vec<_> =
            (0..self.jobs).map(|_| rates.pace("orders", Direction::Read, ceiling, start)).collect();
        let mut tables = vec![FakeTable { units: 0.0, at: start }; self.jobs];
        let mut requests: Vec<_> = (0..self.jobs * self.in_flight)
            .map(|number| self.reserve(&mut paces, number % self.jobs, start))
            .collect();
        let mut minutes = vec![Minute { consumed: vec![0.0; self.jobs], throttled: 0 }; minutes];
        loop {
            let next = requests.iter_mut().min_by_key(|request| request.due).expect("there are some");
            let (now, job) = (next.due, next.job);
            let number = (now.duration_since(start).as_secs() / 60) as usize;
            let Some(minute) = minutes.get_mut(number) else { return minutes };
            let Some(is_let_in) = next.answer else {
                let table = if self.reason == Throttle::Partition { job } else { 0 };
                next.answer = Some(tables[table].take(self.cost, left(number, table), now));
                next.due += ANSWER;
                continue;
            };
            if is_let_in {
                minute.consumed[job] += self.cost;
                paces[job].settle(self.cost, self.cost, now);
            } else {
                minute.throttled += 1;
                paces[job].throttled(self.reason, now);
            }
            *next = self.reserve(&mut paces, job, now);
        }
    }

    fn reserve(&self, paces: &mut [Pace], job: usize, now: Instant) -> Request {
        Request { job, due: now + paces[job].reserve(self.cost, now), answer: None }
    }

    /// The units a second that the requests in flight can fetch.
    fn reach(&self) -> f64 {
        let in_flight = (self.jobs * self.in_flight) as f64;
        self.ceiling.min(in_flight * self.cost / ANSWER.as_secs_f64())
    }
}

/// What came of it in one minute.
#[derive(Clone, Debug)]
struct Minute {
    /// By job.
    consumed: Vec<f64>,
    throttled: u32,
}

/// Units a second over all jobs and minutes.
fn average(minutes: &[Minute]) -> f64 {
    minutes.iter().flat_map(|minute| &minute.consumed).sum::<f64>() / (minutes.len() as f64 * 60.0)
}

fn throttled(minutes: &[Minute]) -> f64 {
    minutes.iter().map(|minute| f64::from(minute.throttled)).sum()
}

#[test]
fn jobs_find_what_others_leave_and_are_rarely_throttled() {
    for (jobs, in_flight, reason) in [
        (1, 1, Throttle::Table),
        (4, 1, Throttle::Table),
        (8, 1, Throttle::Table),
        (1, 8, Throttle::Table),
        (4, 8, Throttle::Table),
        (8, 8, Throttle::Table),
        (1, 8, Throttle::Unknown),
        (4, 1, Throttle::Unknown),
        (4, 8, Throttle::Unknown),
        (8, 1, Throttle::Unknown),
        (8, 8, Throttle::Unknown),
    ] {
        let scenario = Scenario { jobs, in_flight, reason, ceiling: 2000.0, cost: 5.0 };
        let senders = jobs * in_flight;
        // Two bursts a minute, of the table or of each job, and a part of what was in flight just then.
        let bursts = if reason == Throttle::Table { 1 } else { jobs };
        let tolerable = (4 * bursts + senders / 2) as f64;
        for left in [100.0, 300.0, 1000.0, 1900.0] {
            let minutes = scenario.run(11, |_, _| left);
            let (first, later) = minutes.split_at(1);
            let (taken, possible) = (average(later), left.min(scenario.reach()));
            let case = format!("{jobs} jobs, {in_flight} in flight, {reason}, {left} left: {taken}");
            assert!((0.8 * possible..=1.02 * possible).contains(&taken), "{case}");
            assert!(throttled(first) <= 400.0, "{case}, {first:?}");
            assert!(throttled(later) <= tolerable * later.len() as f64, "{case}, {later:?}");
        }
    }
}

#[test]
fn jobs_make_room_when_others_come_and_use_it_when_they_are_gone() {
    for (jobs, reason) in
        [(1, Throttle::Table), (4, Throttle::Table), (8, Throttle::Table), (4, Throttle::Unknown)]
    {
        let scenario = Scenario { jobs, in_flight: 8, reason, ceiling: 1000.0, cost: 5.0 };
        let left = |minute, _| if (10..20).contains(&minute) { 100.0 } else { 1000.0 };
        let minutes = scenario.run(30, left);
        let (quiet, busy, later) = (&minutes[1..10], &minutes[11..20], &minutes[22..]);
        assert!(average(quiet) >= 990.0 && average(later) >= 990.0, "{jobs} {reason}");
        assert!((80.0..=102.0).contains(&average(busy)), "{jobs} {reason} {}", average(busy));
        assert!(throttled(&minutes[10..11]) <= 300.0, "{jobs} {reason} {minutes:?}");
        assert_eq!(throttled(later), 0.0, "{jobs} {reason}");
    }
}

#[test]
fn jobs_on_other_partitions_do_not_notice_a_hot_one() {
    let scenario =
        Scenario { jobs: 4, in_flight: 8, reason: Throttle::Partition, ceiling: 2000.0, cost: 5.0 };
    let minutes = scenario.run(11, |_, partition| if partition == 0 { 50.0 } else { 1000.0 });
    for minute in &minutes[1..] {
        assert!((40.0 * 60.0..=50.0 * 60.0).contains(&minute.consumed[0]), "{minute:?}");
        assert!(minute.consumed[1..].iter().all(|units| *units >= 499.0 * 60.0), "{minute:?}");
        assert!(minute.throttled <= 10, "{minute:?}");
    }
}
