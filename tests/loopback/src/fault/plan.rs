//! Which calls go wrong: decided by a seed, and counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Class, Fault};
use crate::{Call, Random};

/// Which calls of a class go wrong. They are numbered from 1, in the order of their arrival.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// Every n-th one, the first included.
    Every(u64),
    /// The first so many.
    First(u64),
    /// These.
    Only(Vec<u64>),
    /// Each with this probability, by the seed.
    Share(f64),
}

/// Faults that strike by a seed. The same seed and the same order of calls give the same faults; the order in which
/// threads and processes call is their own. Clones share their counts.
#[derive(Clone)]
pub struct FaultPlan(Arc<Shared>);

struct Shared {
    seed: u64,
    rules: Vec<Rule>,
    counts: Mutex<Vec<Count>>,
}

type Filter = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

#[derive(Clone)]
struct Rule {
    class: &'static Class,
    when: When,
    filter: Option<Filter>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    calls: u64,
    fired: u64,
}

impl FaultPlan {
    /// A plan without faults.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared { seed, rules: Vec::new(), counts: Mutex::default() }))
    }

    /// Lets calls of a class go wrong as well. To be asked before the plan is shared.
    ///
    /// # Panics
    ///
    /// If there is no such class.
    #[must_use]
    pub fn with(self, class: &str, when: When) -> Self {
        self.add(Rule { class: Class::named(class), when, filter: None })
    }

    /// The same for those calls of a class that are meant.
    ///
    /// # Panics
    ///
    /// If there is no such class.
    #[must_use]
    pub fn with_those(
        self,
        class: &str,
        when: When,
        meant: impl Fn(&Call) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.add(Rule { class: Class::named(class), when, filter: Some(Arc::new(meant)) })
    }

    fn add(self, rule: Rule) -> Self {
        let mut rules = self.0.rules.clone();
        rules.push(rule);
        let counts = Mutex::new(vec![Count::default(); rules.len()]);
        Self(Arc::new(Shared { seed: self.0.seed, rules, counts }))
    }

    /// What goes wrong with a call. It counts: each call is to be asked about once.
    pub fn strike(&self, call: &Call) -> Option<Fault> {
        let mut counts = self.0.counts.lock();
        let mut struck = None;
        for (index, (rule, count)) in self.0.rules.iter().zip(counts.iter_mut()).enumerate() {
            if !rule.concerns(call) {
                continue;
            }
            count.calls += 1;
            let mut random = self.random(index, count.calls);
            if struck.is_none() && rule.when.is_due(count.calls, &mut random) {
                count.fired += 1;
                struck = Some(rule.class.fault(&mut random));
            }
        }
        struck
    }

    /// How often each class has struck, those that never did included.
    pub fn fired(&self) -> BTreeMap<&'static str, u64> {
        let mut fired = BTreeMap::new();
        for (rule, count) in self.0.rules.iter().zip(self.0.counts.lock().iter()) {
            *fired.entry(rule.class.name).or_default() += count.fired;
        }
        fired
    }

    /// The numbers behind the `call`-th call of a rule.
    fn random(&self, rule: usize, call: u64) -> Random {
        Random::of(&format!("{} {rule}", self.0.seed), usize::try_from(call).unwrap_or(usize::MAX))
    }
}

impl Rule {
    fn concerns(&self, call: &Call) -> bool {
        self.class.concerns(call) && self.filter.as_ref().is_none_or(|meant| meant(call))
    }
}

impl When {
    fn is_due(&self, call: u64, random: &mut Random) -> bool {
        match self {
            Self::Every(n) => (call - 1).is_multiple_of(*n),
            Self::First(n) => call <= *n,
            Self::Only(calls) => calls.contains(&call),
            Self::Share(share) => (random.bits() >> 11) as f64 / (1_u64 << 53) as f64 <= *share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(service: &'static str, action: &str) -> Call {
        Call {
            service,
            action: action.to_owned(),
            account: "222222222222".to_owned(),
            region: "eu-west-1".to_owned(),
            resource: "archive/key".to_owned(),
            role: None,
            door: 0,
        }
    }

    fn struck(plan: &FaultPlan, call: &Call, times: usize) -> Vec<usize> {
        (1..=times).filter(|_| plan.strike(call).is_some()).collect()
    }

    #[test]
    fn the_same_seed_strikes_the_same_calls_and_another_one_others() {
        let plan = |seed| FaultPlan::new(seed).with("s3-slow-down", When::Share(0.2));
        let put = call("s3", "PutObject");
        let first = struck(&plan(1), &put, 500);
        assert!((60..140).contains(&first.len()), "{} of 500 are not a fifth", first.len());
        assert_eq!(struck(&plan(1), &put, 500), first);
        assert_ne!(struck(&plan(2), &put, 500), first);
    }

    #[test]
    fn calls_are_counted_by_class_and_a_class_that_never_strikes_is_named() {
        let plan = FaultPlan::new(7)
            .with("s3-conflict", When::Only(vec![2, 5]))
            .with("scan-empty-page", When::First(1))
            .with_those("s3-slow-down", When::Every(2), |call| call.resource.ends_with("key"));
        assert_eq!(struck(&plan, &call("s3", "PutObject"), 5), [1, 2, 3, 5]);
        assert_eq!(struck(&plan, &call("s3", "GetObject"), 2), [2]);
        assert_eq!(struck(&plan, &call("sqs", "SendMessage"), 3), [0; 0]);
        let fired = BTreeMap::from([("s3-conflict", 2), ("s3-slow-down", 3), ("scan-empty-page", 0)]);
        assert_eq!(plan.fired(), fired);
    }
}
