//! Additive increase, multiplicative decrease: the factor by which a rate stands below its ceiling.

use std::time::{Duration, Instant};

/// An answer that comes within this time of a cut is to something sent before it.
pub(super) const ONE_BURST: Duration = Duration::from_secs(1);

/// A cut is made good in two climbs of this length each: evenly back to where it was made, then up to the
/// ceiling, slowly at first. So the rate comes near what was too much about twice a minute, and goes little
/// beyond it however far above it the ceiling lies.
const CLIMB: Duration = Duration::from_secs(30);

/// How long use is remembered: in this time, what it weighs falls to about a third.
const MEMORY: Duration = Duration::from_secs(10);

/// What use counts as at least, so that one burst after a pause does not bring a job to a standstill.
const MIN_USE: f64 = 0.1;

/// Between 0 and 1: halved by a cut, and back at 1 a minute later.
#[derive(Debug, Default)]
pub(super) struct Factor(Option<Cut>);

#[derive(Debug)]
struct Cut {
    at: Instant,
    /// The factor that was too much.
    height: f64,
}

impl Factor {
    pub(super) fn at(&self, now: Instant) -> f64 {
        let Some(cut) = &self.0 else { return 1.0 };
        let climbs = now.saturating_duration_since(cut.at).div_duration_f64(CLIMB);
        if climbs < 1.0 {
            cut.height * (1.0 + climbs) / 2.0
        } else {
            cut.height + (1.0 - cut.height) * (climbs - 1.0).min(1.0).powi(2)
        }
    }

    /// When it was cut last.
    pub(super) fn cut_at(&self) -> Option<Instant> {
        self.0.as_ref().map(|cut| cut.at)
    }

    /// Halves the factor, or rather the part of it that was in use: a ceiling that is never reached could be
    /// halved many times before anything became slower. False when this burst has been answered already.
    pub(super) fn cut(&mut self, in_use: f64, now: Instant) -> bool {
        if self.cut_at().is_some_and(|at| now.saturating_duration_since(at) < ONE_BURST) {
            return false;
        }
        self.0 = Some(Cut { at: now, height: self.at(now) * in_use });
        true
    }
}

/// How much of what was allowed of late has been used.
#[derive(Debug)]
pub(super) struct Meter {
    allowed: f64,
    used: f64,
    at: Instant,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { allowed: 0.0, used: 0.0, at: now }
    }

    /// Counts a second at this rate as used in full: what holds while nothing is known.
    pub(super) fn assume(&mut self, rate: f64, now: Instant) {
        self.fade(now);
        self.allowed += rate;
        self.used += rate;
    }

    /// Counts what a rate allowed for so long, until now.
    pub(super) fn allow(&mut self, rate: f64, time: Duration, now: Instant) {
        self.fade(now);
        self.allowed += rate * MEMORY.as_secs_f64() * (1.0 - remembered(time));
    }

    /// Counts units that were consumed.
    pub(super) fn used(&mut self, units: f64, now: Instant) {
        self.fade(now);
        self.used += units;
    }

    /// From 0.1 to 1.
    pub(super) fn in_use(&self) -> f64 {
        if self.allowed > 0.0 { (self.used / self.allowed).clamp(MIN_USE, 1.0) } else { 1.0 }
    }

    fn fade(&mut self, now: Instant) {
        let kept = remembered(now.saturating_duration_since(self.at));
        self.allowed *= kept;
        self.used *= kept;
        self.at = self.at.max(now);
    }
}

fn remembered(time: Duration) -> f64 {
    (-time.div_duration_f64(MEMORY)).exp()
}
