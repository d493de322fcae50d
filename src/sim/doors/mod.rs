//! Door one: the ports, implemented straight on the world. Async in form only: it never waits, so that a thousand
//! histories take seconds. It must show no more than the real adapters would see.

mod pve;
mod rest;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::ids::NodeName;
use crate::model::seen::Trouble;
use crate::model::time::{Time, age};
use crate::ports::Clock;

use super::World;
use super::world::{Call, Mishap};

/// One world behind all the ports.
#[derive(Clone, Debug)]
pub struct Doors {
    world: Arc<Mutex<World>>,
}

impl Doors {
    pub fn new(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// The world itself, for the story's hand and for audits. Never hold it across an `.await`.
    pub fn world(&self) -> MutexGuard<'_, World> {
        // After a violation the world is still good to look at: `safety.violations` says what happened.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same world, for door two.
    pub fn shared(&self) -> Arc<Mutex<World>> {
        Arc::clone(&self.world)
    }

    /// Lets time pass.
    pub fn advance_secs(&self, secs: u64) {
        self.world().advance_secs(secs);
    }

    /// A question: it may go unanswered.
    fn ask<T>(&self, call: Call, answer: impl FnOnce(&World) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let mut world = self.world();
        match world.mishap(call) {
            Some(mishap) => Err(mishap.trouble()),
            None => answer(&world),
        }
    }

    /// An act: it may not happen, or happen unseen.
    fn act<T>(&self, call: Call, act: impl FnOnce(&mut World) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let mut world = self.world();
        match world.mishap(call) {
            None => act(&mut world),
            Some(Mishap::AnswerLost) => {
                act(&mut world)?;
                Err(Mishap::AnswerLost.trouble())
            }
            Some(mishap) => Err(mishap.trouble()),
        }
    }
}

impl From<Arc<Mutex<World>>> for Doors {
    fn from(world: Arc<Mutex<World>>) -> Self {
        Self { world }
    }
}

impl Clock for Doors {
    fn now(&self) -> Time {
        self.world().ours()
    }

    fn ran(&self) -> Duration {
        age(self.world().now, Time::UNIX_EPOCH)
    }
}

/// The first member that answers and has quorum, else the first that answers: so an adapter finds its way in.
fn way_in(world: &World, avoid: impl Fn(&NodeName) -> bool) -> Result<&NodeName, Trouble> {
    let answering = || world.nodes.keys().filter(|name| !avoid(name) && world.reach(name).is_ok());
    answering()
        .find(|name| world.quorate(name))
        .or_else(|| answering().next())
        .ok_or_else(|| Trouble::Unreachable("no member answers".into()))
}

#[cfg(test)]
mod tests;
