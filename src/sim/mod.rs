//! A Proxmox cluster with Ceph in memory: one [`World`], and the doors into it.
//!
//! The world is plain data and one function, [`World::advance`]: no clock, no threads, no network. It behaves as the
//! real thing was measured to behave, with its delays, gaps and lies, and it panics when something unsafe is done to
//! it. It must never help: what a real cluster would not tell, the world does not tell either.

pub mod doors;
pub mod http;
pub mod memory_store;
pub mod world;

pub use doors::Doors;
pub use memory_store::MemoryStore;
pub use world::World;
