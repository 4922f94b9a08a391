//! Decides what becomes of each call while messages are worked on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopback_aws::{CLASSES, Call, Fault, FaultPlan, Loopback, Random, When};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::stage::{World, lock};
use super::step::{Deed, Delivery, End};

/// The items of a page of a source: a segment takes several.
const PAGE: u32 = 3;

/// One who decides about every call. Calls of the test itself are not among them.
pub(crate) struct Director {
    scene: Arc<Mutex<Scene>>,
    death: Arc<Notify>,
}

/// What is under way.
#[derive(Default)]
struct Scene {
    /// The door of the worker whose calls are counted.
    victim: u32,
    calls: u64,
    end: Option<(u64, End)>,
    stop: CancellationToken,
    meanwhile: Option<(u64, Deed)>,
    faults: Option<FaultPlan>,
    delays: Option<(Random, u64)>,
    /// The doors of those who are dead: nothing they ask for is done any more.
    dead: BTreeSet<u32>,
}

impl Director {
    pub(crate) fn new(aws: &Loopback, world: Arc<Mutex<World>>) -> Self {
        let (scene, death) = (Arc::new(Mutex::new(Scene::default())), Arc::new(Notify::new()));
        let director = Self { scene: Arc::clone(&scene), death: Arc::clone(&death) };
        aws.set_fault(move |call| {
            let mut scene = lock(&scene);
            let was_alive = !scene.dead.contains(&call.door);
            let fault = scene.decide(call, &world);
            if was_alive && scene.dead.contains(&call.door) {
                death.notify_one();
            }
            fault
        });
        director
    }

    /// From now on, calls by the victim's door are counted.
    pub(crate) fn begin(&self, delivery: &Delivery, victim: u32, stop: CancellationToken) {
        let mut scene = lock(&self.scene);
        *scene = Scene {
            victim,
            calls: 0,
            end: delivery.end,
            stop,
            meanwhile: delivery.meanwhile,
            faults: delivery.faults.map(faults),
            delays: delivery.delays.map(|(seed, most)| (Random::of("delays", seed as usize), most)),
            dead: BTreeSet::new(),
        };
    }

    /// Nothing more goes wrong.
    pub(crate) fn end(&self) {
        *lock(&self.scene) = Scene::default();
    }

    pub(crate) fn has_died(&self) -> bool {
        !lock(&self.scene).dead.is_empty()
    }

    /// Waits until the victim is dead.
    pub(crate) async fn death(&self) {
        while !self.has_died() {
            self.death.notified().await;
        }
    }
}

impl Scene {
    fn decide(&mut self, call: &Call, world: &Mutex<World>) -> Option<Fault> {
        if self.dead.contains(&call.door) {
            return Some(Fault::Reset);
        }
        if call.door == self.victim && call.action != "ReceiveMessage" {
            self.calls += 1;
            if let Some((_, deed)) = self.meanwhile.take_if(|(nth, _)| *nth <= self.calls) {
                lock(world).act(deed);
            }
            if let Some((_, end)) = self.end.take_if(|(nth, _)| *nth <= self.calls) {
                return self.hit(end);
            }
        }
        let struck = self.faults.as_ref().and_then(|plan| plan.strike(call));
        struck.or_else(|| self.delay()).or_else(|| {
            let is_page = call.action == "Scan" && call.role.is_some();
            is_page.then_some(Fault::ShortPage(PAGE))
        })
    }

    fn hit(&mut self, end: End) -> Option<Fault> {
        match end {
            End::Stopped => {
                self.stop.cancel();
                None
            }
            End::KilledBefore => {
                self.dead.insert(self.victim);
                Some(Fault::Reset)
            }
            End::KilledAfter => {
                self.dead.insert(self.victim);
                Some(Fault::LostAnswer)
            }
        }
    }

    fn delay(&mut self) -> Option<Fault> {
        let (random, most) = self.delays.as_mut()?;
        Some(Fault::Delay(Duration::from_millis(random.below(*most))))
    }
}

/// Every kind of fault that a run can bear, each as often as it can.
fn faults(seed: u64) -> FaultPlan {
    let bearable = CLASSES.iter().filter(|class| class.bearable_share > 0.0 && class.name != "dynamodb-slow");
    bearable
        .fold(FaultPlan::new(seed), |plan, class| plan.with(class.name, When::Share(class.bearable_share)))
}
